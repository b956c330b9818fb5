// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/reading"
	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/lib/ethertype"
	"ethertap/lib/oui"
	"ethertap/lib/rate"
)

// Rows of the longest tables.
const (
	topSenders = 10 // of all interfaces together
	topKinds   = 12 // Ethertypes and VLANs, likewise
)

// view is what the page shows.
type view struct {
	Instance, Version string
	Running           bool
	State, Short      string
	Ports             []portView
	Plots             []plot
	Losses            []lossView
	Queues            []queueView
	Senders           []senderView
	Kinds             []kindView
	Force             []forceView
}

type portView struct {
	Number                             int
	Name, Link, Mode, Path             string
	Up                                 bool
	RXFrames, RXBits, TXFrames, TXBits string
	RX, TX                             number
}

type lossView struct {
	Name, Help string
	N          []number // by interface
	Any        bool
}

type queueView struct {
	Name, Problem, Rate                string
	Inserted, Waiting, Full, Truncated number
	Slots, High                        int
	Consumers                          []string
}

type senderView struct {
	Port, MAC, Vendor, Share string
	Frames, Bytes            number
}

type kindView struct {
	Port, Name, Share string
	Frames, Bytes     number
}

type forceView struct{ Name, Text string }

// number is an exact figure. Key names the counter that it is, for whoever reads the page by a program.
type number struct {
	Value uint64
	Key   string
}

// Text groups the digits by three, with narrow spaces that do not break.
func (n number) Text() string {
	s := strconv.FormatUint(n.Value, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// counterOf returns a counter of the table with its key.
func counterOf(key string, port int, s *dataplane.PortStats) number {
	i := slices.IndexFunc(dataplane.Counters[:], func(c dataplane.Counter) bool { return c.Key == key })
	return number{dataplane.Counters[i].Of(s), fmt.Sprintf("%d.%s", port, key)}
}

// newView makes the view of a reading that has tables.
func newView(instance string, r *reading.Reading, past *past) *view {
	v := &view{Instance: instance, Version: about.Version, Running: r.Running, State: "forwarding", Short: withoutPaths(r.Short)}
	if err := r.Ready(); err != nil {
		v.State = withoutPaths(err.Error())
	} else if r.Waiting != "" {
		v.State += ", waiting: " + withoutPaths(r.Waiting)
	}
	for i := range r.Ports {
		v.Ports = append(v.Ports, viewPort(r, i, past))
	}
	v.Plots = past.plots(r)
	v.Losses = losses(r)
	for i := range r.Queues {
		v.Queues = append(v.Queues, viewQueue(&r.Queues[i], past))
	}
	v.Senders, v.Kinds, v.Force = senders(r), kinds(r), inForce(r)
	return v
}

func viewPort(r *reading.Reading, i int, past *past) portView {
	p := &r.Ports[i]
	v := portView{Number: i, Name: p.Name, Up: p.Up && !p.Gone, Link: "down", Mode: p.Mode, Path: "threads"}
	switch {
	case p.Gone:
		v.Link = "gone"
	case p.Up:
		v.Link = "up"
	}
	if r.FastPath.Wanted && r.Running {
		v.Path = "kernel"
		if r.FastPath.Why[i] != "" {
			v.Path = "threads; no fast path"
		}
	}
	v.RXFrames, v.RXBits = rate.Frames(past.rate(i, "rx")), rate.Bits(past.rate(i, "rx_bytes"))
	v.TXFrames, v.TXBits = rate.Frames(past.rate(i, "tx")), rate.Bits(past.rate(i, "tx_bytes"))
	v.RX, v.TX = counterOf("rx", i, &p.Stats), counterOf("tx", i, &p.Stats)
	return v
}

// losses are the counters of frames that did not go their way: all but those of what was received, sent and tapped.
func losses(r *reading.Reading) (all []lossView) {
	for c := range dataplane.Counters {
		c := &dataplane.Counters[c]
		if c.Bytes || c.Key == "rx" || c.Key == "tx" || c.Key == "tapped" || c.Key == "tap_qualified" {
			continue
		}
		if c.Key == "mirrored" && len(r.Ports) > 1 {
			continue
		}
		v := lossView{Name: c.Name, Help: strings.ReplaceAll(c.Help, "`", "")}
		for i := range r.Ports {
			n := counterOf(c.Key, i, &r.Ports[i].Stats)
			v.N, v.Any = append(v.N, n), v.Any || n.Value > 0
		}
		// Faults that nobody has asked for are left out.
		if fault := strings.HasSuffix(c.Key, "_by_fi"); fault && !v.Any {
			continue
		}
		all = append(all, v)
	}
	return all
}

func viewQueue(q *reading.Queue, past *past) queueView {
	v := queueView{Name: q.Name}
	if q.Err != nil {
		v.Problem = withoutPaths(q.Err.Error())
		return v
	}
	v.Rate = rate.Short(past.queueRate(q.Name, "inserted")) + " packets/s"
	v.Inserted, v.Full, v.Truncated = number{Value: q.Inserted}, number{Value: q.Full}, number{Value: q.Truncated}
	v.Waiting, v.Slots, v.High = number{Value: uint64(q.Waiting)}, q.Slots, q.Slots*3/4
	for _, c := range q.Consumers() {
		v.Consumers = append(v.Consumers, fmt.Sprintf("%s %s, PID %d: %s packets", c.Role, c.Name, c.PID, number{Value: c.Packets}.Text()))
	}
	return v
}

// share is a part of a whole in percent.
func share(part, whole uint64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

func senders(r *reading.Reading) (all []senderView) {
	var whole uint64
	for i := range r.Ports {
		m := &r.Ports[i].MACs
		whole += m.NoRoom.Frames
		for n, row := range m.Rows {
			whole += row.Frames
			if n < topSenders {
				all = append(all, senderView{Port: r.Ports[i].Name, MAC: row.MAC.String(), Vendor: oui.Describe(row.MAC), Frames: number{Value: row.Frames}, Bytes: number{Value: row.Bytes}})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b senderView) int { return cmp.Compare(b.Frames.Value, a.Frames.Value) })
	all = all[:min(len(all), topSenders)]
	for i := range all {
		all[i].Share = share(all[i].Frames.Value, whole)
	}
	return all
}

func kinds(r *reading.Reading) (all []kindView) {
	var whole uint64
	for i := range r.Ports {
		p := &r.Ports[i]
		whole += p.Types.TypesNoRoom.Frames
		for _, t := range p.Types.Types {
			whole += t.Frames
			all = append(all, kindView{Port: p.Name, Name: typeName(&t), Frames: number{Value: t.Frames}, Bytes: number{Value: t.Bytes}})
		}
		for _, l := range p.Types.VLANs {
			tag := "802.1Q"
			if l.TPID != 0x8100 {
				tag = "802.1ad"
			}
			all = append(all, kindView{Port: p.Name, Name: fmt.Sprintf("VLAN %d (%s, tag %d)", l.ID, tag, l.Level), Frames: number{Value: l.Frames}, Bytes: number{Value: l.Bytes}})
		}
	}
	slices.SortStableFunc(all, func(a, b kindView) int { return cmp.Compare(b.Frames.Value, a.Frames.Value) })
	all = all[:min(len(all), topKinds)]
	for i := range all {
		all[i].Share = share(all[i].Frames.Value, whole)
	}
	return all
}

// typeName names what a frame carries, and below how many tags.
func typeName(t *dataplane.TypeUsage) string {
	name := fmt.Sprintf("0x%04x %s", t.Type, ethertype.Name(t.Type))
	switch t.Kind {
	case dataplane.KindLength:
		name = "802.3 length"
	case dataplane.KindShort:
		name = "too short to have an Ethertype"
	}
	switch {
	case t.Level == 1:
		name += ", 1 tag"
	case t.Level > 1:
		name += fmt.Sprintf(", %d tags", t.Level)
	}
	return strings.TrimSpace(name)
}

// inForce says what is set: taps, lists, faults, fast path and bypass.
func inForce(r *reading.Reading) (all []forceView) {
	add := func(name, format string, args ...any) {
		all = append(all, forceView{name, fmt.Sprintf(format, args...)})
	}
	for _, t := range r.Policy.Taps {
		name := "TAP queue"
		if t.Name != "" {
			name = t.Name
		}
		var of []string
		for i := range r.Ports {
			if t.RX[i] {
				of = append(of, "received on "+r.Ports[i].Name+matching(&t.RXFilter[i]))
			}
			if t.TX[i] {
				of = append(of, "sent on "+r.Ports[i].Name+matching(&t.TXFilter[i]))
			}
		}
		text := "no frames"
		if len(of) > 0 {
			text = "frames " + strings.Join(of, ", ")
			if n := t.MACs.Len(); n > 0 {
				text += ", of " + plural(n, "address", "addresses")
			}
		}
		add("Tap into "+name, "%s", text)
	}
	drop := plural(r.Policy.Drop.Len(), "source", "sources")
	if r.Policy.DropFilter.Tree != nil {
		drop += ", and frames" + matching(&r.Policy.DropFilter)
	}
	add("Drop list", "%s", drop)
	for i := range r.Ports {
		text := "disabled"
		if r.Policy.Ports[i].Fault.Enabled {
			text = "enabled, for all sources"
			if n := r.Policy.Fault.Len(); n > 0 {
				text = "enabled, for " + plural(n, "source", "sources")
			}
			text += matching(&r.Policy.FaultFilter)
		}
		add("Faults on "+r.Ports[i].Name, "%s", text)
	}
	for i, why := range r.FastPath.Why {
		text := "in use"
		if why != "" {
			text = "not in use: " + withoutPaths(why)
		}
		add("Fast path from "+r.Ports[i].Name, "%s", text)
	}
	return append(all, forceView{"Bypass", bypass(&r.Bypass)})
}

// matching says which frames a filter chooses, "" if there is none.
func matching(f *policy.Filter) string {
	if f.Tree == nil {
		return ""
	}
	return " that match " + f.Source
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

func bypass(b *dataplane.BypassInfo) string {
	switch {
	case !b.On && b.Pinned == "":
		return "disabled: the link ends with ethertap"
	case b.Pinned != "":
		return fmt.Sprintf("in use: the link goes on without ethertap, after %d ms without a sign of life", b.Limit.Milliseconds())
	}
	return "enabled and not in use: " + withoutPaths(b.Why)
}
