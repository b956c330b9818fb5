// Package ixdp is the word set that looks at the dataplane: `if.*`. It translates
// between the VM and the engine and holds nothing but a pointer to it.
package ixdp

import (
	"fmt"
	"slices"

	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/words/machash"
)

// Words returns the words that work on one engine. The prefixes of fault injection
// and the drop list are reserved with them: they are the dataplane's too.
func Words(e *dataplane.Engine) interp.Set {
	w := words{e}
	return interp.Set{
		Name:     "ixdp",
		Help:     "the dataplane: interfaces and their counters, fault injection, the drop list",
		Prefixes: []string{"if.", "fault.", "drop.", "fastpath.", "bypass."},
		Words: slices.Concat([]interp.Word{
			{Name: "if.stats", Stack: "( - )", Help: "show counters and flags of all interfaces, summed over their queues", Example: "if.stats", Func: w.stats},
			{Name: "if.stats.reset", Stack: "( - )", Help: "reset the counters of all interfaces to 0", Example: "if.stats.reset", Func: w.do((*dataplane.Engine).ResetStats)},
			{Name: "if.qstats", Stack: "( queue interface - )", Help: "show counters of one queue of an interface, and the kernel's for it", Example: "0 0 if.qstats", Func: w.queueStats},
			{Name: "if.mac.show", Stack: "( interface - )", Help: "show who sends on interface: frames, bytes and vendor of each source address", Example: "0 if.mac.show", Func: w.showMACs},
			{Name: "if.mac.reset", Stack: "( - )", Help: "forget the source addresses seen on all interfaces", Example: "if.mac.reset", Func: w.do((*dataplane.Engine).ResetMACs)},
			{Name: "if.etype.show", Stack: "( interface - )", Help: "show what is sent on interface: Ethertypes by number of VLAN tags, and VLANs, with the last source of each", Example: "0 if.etype.show", Func: w.showTypes},
			{Name: "if.etype.reset", Stack: "( - )", Help: "forget the Ethertypes and VLANs seen on all interfaces", Example: "if.etype.reset", Func: w.do((*dataplane.Engine).ResetTypes)},
			{Name: "if.check", Stack: "( - )", Help: "show where the frames of each interface are, to the last one; an error if some are not accounted for", Example: "if.check", Func: w.check},
			{Name: "if.stats.json", Stack: "( - )", Help: "print what if.stats and fault.show show as one line of JSON", Example: "if.stats.json", Func: w.statsJSON},
			{Name: "if.qstats.json", Stack: "( queue interface - )", Help: "print what if.qstats shows as one line of JSON", Example: "0 0 if.qstats.json", Func: w.queueStatsJSON},
			{Name: "if.mac.json", Stack: "( interface - )", Help: "print what if.mac.show shows as one line of JSON", Example: "0 if.mac.json", Func: w.macsJSON},
			{Name: "if.etype.json", Stack: "( interface - )", Help: "print what if.etype.show shows as one line of JSON", Example: "0 if.etype.json", Func: w.typesJSON},
		},
			w.lifeWords(),
			w.fastWords(),
			machash.Set{Engine: e, Prefix: "drop.hash", Name: "drop list", Of: func(p *dataplane.Policy) **dataplane.MACHash { return &p.DropHash }}.Words(),
			w.faultWords(),
			machash.Set{Engine: e, Prefix: "fault.hash", Name: "fault injection", Of: func(p *dataplane.Policy) **dataplane.MACHash { return &p.FaultHash }}.Words(),
		),
	}
}

type words struct{ engine *dataplane.Engine }

// row prints a line of statistics: the label in 24 columns, then the value. The
// kernel has names that are longer.
func row(s *interp.Session, label string, value any) { s.Printf("  %-21s %v\n", label, value) }

func (w words) stats(s *interp.Session) error {
	policy := w.engine.Policy()
	ports := w.engine.Ports()
	all := w.engine.AllStats() // of one moment, so that the figures of both sides agree
	for i, port := range ports {
		st := all[i]
		s.Printf("%d %s %s queues:%d %s\n", port.Index, port.Name, port.Driver, port.Queues, mode(port))
		forwarding(s, st)
		p := policy.Port[i]
		row(s, "RX tap", enabled(p.TapRX))
		row(s, "TX tap", enabled(p.TapTX))
		row(s, "fault injection", enabled(p.Fault.Enabled))
		row(s, "  drop probability", often(p.Fault.Drop))
		row(s, "  bitflip probability", often(p.Fault.Bitflip))
		row(s, "  dup probability", often(p.Fault.Dup))
		row(s, "  dropped by FI", st.DroppedByFI)
		row(s, "  bitflipped by FI", st.BitflippedByFI)
		row(s, "  duplicated by FI", st.DuplicatedByFI)
		row(s, "  length probability", often(p.Fault.Length))
		row(s, "  length by FI", st.LengthByFI)
		row(s, "  burst loss by FI", st.BurstByFI)
		row(s, "  outage by FI", st.OutageByFI)
		row(s, "  rate limit by FI", st.RateByFI)
		row(s, "  hold limit by FI", st.HoldByFI)
		row(s, "  delayed by FI", st.DelayedByFI)
		row(s, "  reordered by FI", st.ReorderedByFI)
		others(s, st, len(ports) == 1)
	}
	return nil
}

// forwarding prints what became of the frames that an interface received.
func forwarding(s *interp.Session, st dataplane.PortStats) {
	row(s, "rx", st.RX)
	row(s, "tx", st.TX)
	row(s, "drop", st.Drop)
	row(s, "noif", st.NoIf)
	row(s, "err", st.Err)
}

// others prints what else is counted: the rest of the accounting identity, what the
// kernel lost before us, and what became of tapped frames.
func others(s *interp.Session, st dataplane.PortStats, mirror bool) {
	if mirror {
		row(s, "mirrored", st.Mirrored)
	}
	row(s, "bypassed", st.Bypassed)
	row(s, "lost", st.Lost)
	row(s, "held", st.Held)
	row(s, "tapped", st.TapStored)
	row(s, "tap full", st.TapRefused)
}

func enabled(on bool) string {
	if on {
		return "enabled"
	}
	return "disabled"
}

// percent shows a probability in its unit and in percent: `1000 (1.000%)`.
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

func (w words) popInterface(s *interp.Session) (int, error) {
	i, err := s.PopRange("interface", 0, int64(len(w.engine.Ports())-1))
	return int(i), err
}
