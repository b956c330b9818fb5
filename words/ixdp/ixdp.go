// SPDX-License-Identifier: BSD-3-Clause

// Package ixdp is the word set of the dataplane: interfaces and their counters (`if.*`), faults
// (`fault.*`), the drop list (`drop.*`), the fast path and the bypass. It translates between the
// VM and the engine and holds nothing but a pointer to the engine.
package ixdp

import (
	"encoding/json"
	"fmt"
	"slices"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/words/filter"
	"ethertap/words/machash"
	"ethertap/words/report"
)

// Words returns the words that work on one engine.
func Words(e *dataplane.Engine, from report.Source) interp.Set {
	w := words{e, from}
	return interp.Set{
		Name:     "ixdp",
		Help:     "the dataplane: interfaces and their counters, fault injection, the drop list",
		Prefixes: []string{"if.", "fault.", "drop.", "fastpath.", "bypass."},
		Shared:   []string{"link.", presetPrefix}, // profiles of links, which users define in files with the words of fault injection
		Words: slices.Concat(
			report.Pair[interfaces]{Name: "if.stats", Stack: "( - )", Help: "show counters and flags of all interfaces, summed over their queues", Example: "if.stats", Get: w.interfaces, Text: showStats}.Words(from),
			[]interp.Word{
				{Name: "if.stats.all", Stack: "( - )", Help: "show what if.stats shows, with all rows of fault injection also while it is disabled", Example: "if.stats.all", Func: w.allStats},
				{Name: "if.stats.reset", Stack: "( - )", Help: "reset the counters of all interfaces to 0", Example: "if.stats.reset", Func: w.do((*dataplane.Engine).ResetStats)},
				{Name: "if.mac.reset", Stack: "( - )", Help: "forget the source addresses seen on all interfaces", Example: "if.mac.reset", Func: w.do((*dataplane.Engine).ResetMACs)},
				{Name: "if.etype.reset", Stack: "( - )", Help: "forget the Ethertypes and VLANs seen on all interfaces", Example: "if.etype.reset", Func: w.do((*dataplane.Engine).ResetTypes)},
			},
			report.Pair[rates]{Name: "if.rates", Stack: "( - )", Help: "measure for a second how many frames and bits per second all interfaces receive and send", Example: "if.rates", Get: w.rates, Text: showRates}.Words(from),
			report.Pair[oneQueue]{Name: "if.qstats", Stack: "( queue interface - )", Help: "show counters of one queue of an interface, and the kernel's for it", Example: "0 0 if.qstats", Get: w.popQueue, Text: showQueue}.Words(from),
			report.Pair[macs]{Name: "if.mac.show", Stack: "( interface - )", Help: "show who sends on interface: frames, bytes and vendor of each source address", Example: "0 if.mac.show", Get: w.macs, Text: showMACs}.Words(from),
			report.Pair[types]{Name: "if.etype.show", Stack: "( interface - )", Help: "show what is sent on interface: Ethertypes by number of VLAN tags, and VLANs, with the last source of each", Example: "0 if.etype.show", Get: w.types, Text: showTypes}.Words(from),
			report.Pair[books]{Name: "if.check", Stack: "( - )", Help: "show where the frames of each interface are, to the last one; an error if some are not accounted for", Example: "if.check", Get: w.books, Text: showBooks, Check: books.check}.Words(from),
			w.lifeWords(),
			w.fastWords(),
			machash.Set{Policy: e, From: from, Prefix: "drop.hash", Name: "drop list", Of: func(p *policy.Policy) *policy.MACs { return &p.Drop }}.Words(),
			filter.Words{Policy: e, Engine: e, From: from, Prefix: "drop", Help: "drop the frames that a filter takes, besides those of the drop list", Of: func(p *policy.Policy) *policy.Filter { return &p.DropFilter }}.Words(),
			w.faultWords(),
			machash.Set{Policy: e, From: from, Prefix: "fault.hash", Name: "fault injection", Of: func(p *policy.Policy) *policy.MACs { return &p.Fault }}.Words(),
			filter.Words{Policy: e, Engine: e, From: from, Prefix: "fault", Help: "let only frames that a filter takes suffer faults", Of: func(p *policy.Policy) *policy.Filter { return &p.FaultFilter }}.Words(),
		),
	}
}

type words struct {
	engine *dataplane.Engine
	from   report.Source
}

// row prints a line of statistics: the label in 24 columns, then the value. Some of the kernel's
// labels are longer.
func row(s *interp.Session, label string, value any) { s.Printf("  %-21s %v\n", label, value) }

// interfaces are the counters and settings of all interfaces, read at one moment, so that the
// figures of both sides agree.
type interfaces struct {
	Running     bool          `json:"running"`
	FaultSeed   int64         `json:"fault_seed"`
	FaultHash   policy.MACs   `json:"fault_hash"`
	DropHash    policy.MACs   `json:"drop_hash"`
	TapHash     policy.MACs   `json:"tap_hash"`
	DropFilter  policy.Filter `json:"drop_filter"`
	FaultFilter policy.Filter `json:"fault_filter"`
	Interfaces  []portState   `json:"interfaces"`
}

// portState is one interface, with its counters, taps and faults.
type portState struct {
	info  dataplane.PortInfo
	stats dataplane.PortStats
	taps
	policy.Port
	filters bool // are asked about frames received here
}

// taps are the directions in which frames of an interface go to the TAP queue.
type taps struct {
	RX       bool          `json:"rx_tap"`
	TX       bool          `json:"tx_tap"`
	RXFilter policy.Filter `json:"rx_filter"` // of these only the frames that match
	TXFilter policy.Filter `json:"tx_filter"`
}

// MarshalJSON implements json.Marshaler.
func (p portState) MarshalJSON() ([]byte, error) {
	return json.Marshal(report.Flat{p.info, p.stats, p.taps, p.Port})
}

func (w words) interfaces(*interp.Session) (interfaces, error) {
	now := w.engine.Snapshot(false)
	p := now.Policy
	tap := p.Taps[0]
	v := interfaces{
		Running: now.Running, FaultSeed: int64(p.Seed.Seed),
		FaultHash: p.Fault, DropHash: p.Drop, TapHash: tap.MACs,
		DropFilter: p.DropFilter, FaultFilter: p.FaultFilter,
	}
	for i, info := range now.Ports {
		v.Interfaces = append(v.Interfaces, portState{info.PortInfo, info.Stats, taps{tap.RX[i], tap.TX[i], tap.RXFilter[i], tap.TXFilter[i]}, p.Ports[i], p.Filters(i, len(now.Ports))})
	}
	return v, nil
}

// showStats prints the counters. While faults are disabled on an interface, their rows are left out if
// they are 0, except those that the listing has always had.
func showStats(s *interp.Session, v interfaces) { listStats(s, v, false) }

// allStats prints all rows.
func (w words) allStats(s *interp.Session) error {
	v, err := w.interfaces(s)
	if err == nil {
		listStats(s, v, true)
	}
	return err
}

func listStats(s *interp.Session, v interfaces, all bool) {
	for _, p := range v.Interfaces {
		s.Printf("%d %s %s queues:%d %s\n", p.info.Index, p.info.Name, p.info.Driver, p.info.Queues, mode(p.info, p.filters))
		rows(s, p.stats, "", dataplane.ForwardRows)
		row(s, "RX tap", filtered(p.RX, p.RXFilter))
		row(s, "TX tap", filtered(p.TX, p.TXFilter))
		listFaults(s, p, all || p.Fault.Enabled)
		rows(s, p.stats, "", lastRows(len(v.Interfaces) == 1 || p.stats.Mirrored > 0)...)
	}
}

// listFaults prints the rows of fault injection: all of them, or those that are always there and those
// that are not 0.
func listFaults(s *interp.Session, p portState, all bool) {
	chance := func(label string, c policy.Chance, always bool) {
		if all || always || c != (policy.Chance{}) {
			row(s, "  "+label+" probability", often(c))
		}
	}
	counts := func(parts ...dataplane.Rows) {
		rowsIf(s, p.stats, "  ", func(c *dataplane.Counter) bool {
			return all || c.Of(&p.stats) > 0 || c.Key == "dropped_by_fi" || c.Key == "bitflipped_by_fi"
		}, parts...)
	}
	row(s, "fault injection", enabled(p.Fault.Enabled))
	chance("drop", p.Fault.Drop, true)
	chance("bitflip", p.Fault.Bitflip, true)
	chance("dup", p.Fault.Dup, false)
	counts(dataplane.FaultRows)
	chance("length", p.Fault.Length, false)
	counts(dataplane.LengthRows, dataplane.MoreFaultRows)
}

// rows prints the counters that belong to the given parts of the listing.
func rows(s *interp.Session, st dataplane.PortStats, indent string, parts ...dataplane.Rows) {
	rowsIf(s, st, indent, func(*dataplane.Counter) bool { return true }, parts...)
}

// rowsIf prints those of them that are wanted.
func rowsIf(s *interp.Session, st dataplane.PortStats, indent string, wanted func(*dataplane.Counter) bool, parts ...dataplane.Rows) {
	for _, part := range parts {
		for i := range dataplane.Counters {
			if c := &dataplane.Counters[i]; c.Rows == part && (!c.Rare || c.Of(&st) > 0) && wanted(c) {
				row(s, indent+c.Name, c.Of(&st))
			}
		}
	}
}

// lastRows returns the parts at the end of the listing: the rest of the accounting identity, the
// losses in the kernel, and the counters of the tap.
func lastRows(mirror bool) []dataplane.Rows {
	if mirror {
		return []dataplane.Rows{dataplane.MirrorRows, dataplane.EndRows}
	}
	return []dataplane.Rows{dataplane.EndRows}
}

func enabled(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

// filtered says whether a tap is on, and which filter it has.
func filtered(on bool, f policy.Filter) string {
	if f.Tree == nil {
		return enabled(on)
	}
	return enabled(on) + ": " + f.Source
}

// percent formats a probability in its unit and in percent: `1000 (1.000%)`.
func percent(p uint32) string {
	return fmt.Sprintf("%d (%d.%03d%%)", p, p/1000, p%1000)
}

// do makes the function of a word that is one call of the engine.
func (w words) do(fn func(*dataplane.Engine)) func(*interp.Session) error {
	return func(*interp.Session) error {
		fn(w.engine)
		return nil
	}
}
