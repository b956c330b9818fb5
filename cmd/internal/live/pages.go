// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"ethertap/interp"
	"ethertap/lib/rate"
)

// ends puts one text at the left edge and one at the right.
func (m *model) ends(left, right string) string {
	return left + pad(right, -max(m.width-lipgloss.Width(left), lipgloss.Width(right)+1))
}

// listed returns the heading and the visible rows of a list.
func (m *model) listed(lines []string, room int) []string {
	heading, rows := lines[0], lines[1:]
	m.scroll = max(min(m.scroll, len(rows)-(room-1)), 0)
	shown := rows[m.scroll:min(m.scroll+room-1, len(rows))]
	if len(shown) < len(rows) {
		m.shown = fmt.Sprintf("%d–%d of %d", m.scroll+1, m.scroll+len(shown), len(rows))
	}
	return append([]string{heading}, shown...)
}

// row is one of the tables of senders and types.
type row struct {
	usage
	port              string // name of the interface
	label, remark     string
	frames, bytes     float64 // per second
	ofFrames, ofBytes uint64  // of the whole table of the interface
}

// orders are the orders of the rows of a table.
var orders = []struct {
	name string
	less func(a, b *row) int
}{
	{"frames/s", func(a, b *row) int { return cmp.Compare(b.frames, a.frames) }},
	{"bit/s", func(a, b *row) int { return cmp.Compare(b.bytes, a.bytes) }},
	{"frames", func(a, b *row) int { return cmp.Compare(b.Frames, a.Frames) }},
	{"bytes", func(a, b *row) int { return cmp.Compare(b.Bytes, a.Bytes) }},
	{"name", func(a, b *row) int { return 0 }},
}

// sorted sorts rows in the current order and removes those that the filter rejects.
func (m *model) sorted(rows []row) []row {
	rows = slices.DeleteFunc(rows, func(r row) bool { return !m.passes(r.port, r.label, r.remark) })
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(orders[m.order].less(&a, &b), cmp.Compare(b.Frames, a.Frames), cmp.Compare(a.label, b.label), cmp.Compare(a.port, b.port))
	})
	if orders[m.order].name == "name" {
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.label, b.label) })
	}
	return rows
}

// table returns the heading and the rows of a table of senders or types.
func (m *model) table(what, remark string, rows []row) []string {
	ports, labels := len("at"), len(what)
	for _, r := range rows {
		ports, labels = max(ports, lipgloss.Width(r.port)), max(labels, lipgloss.Width(r.label))
	}
	labels = min(labels, 32)
	line := func(port, label, frames, bits, total, share, remark string) string {
		return fmt.Sprintf("%s  %s %s %s %s %s  %s", fit(port, ports), fit(label, labels), pad(frames, -10), pad(bits, -12), pad(total, -9), pad(share, -6), remark)
	}
	lines := []string{m.style.dim.Render(line("at", what, "frames/s", "bit/s", "frames", "share", remark))}
	for _, r := range m.sorted(rows) {
		lines = append(lines, line(r.port, r.label, rate.Short(r.frames), rate.Bits(r.bytes), rate.Short(float64(r.Frames)), m.share(&r), r.remark))
	}
	return lines
}

// share returns the part that a row has of all frames that its interface has received, or of all
// bytes if the table is sorted by bytes.
func (m *model) share(r *row) string {
	part, whole := r.Frames, r.ofFrames
	if name := orders[m.order].name; name == "bit/s" || name == "bytes" {
		part, whole = r.Bytes, r.ofBytes
	}
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

func (m *model) senderLines() []string {
	s := m.state
	var rows []row
	for i, table := range s.now.Senders {
		all := whole(table, func(r sender) usage { return r.usage })
		for _, r := range table {
			rows = append(rows, row{
				usage: r.usage, port: s.portName(i), label: interp.Printable(r.MAC), remark: interp.Printable(r.Vendor),
				frames: s.senders.Rate(senderKey(i, r.MAC, "frames")), bytes: s.senders.Rate(senderKey(i, r.MAC, "bytes")),
				ofFrames: all.Frames, ofBytes: all.Bytes,
			})
		}
	}
	return m.table("sender", "vendor", rows)
}

func (m *model) typeLines() []string {
	s := m.state
	var rows []row
	for i := range s.now.Types {
		table := s.now.typeRows(i)
		all := whole(table, func(r typeRow) usage {
			if r.vlan {
				return usage{} // its frames have a type as well
			}
			return r.usage
		})
		for _, r := range table {
			rows = append(rows, row{
				usage: r.usage, port: s.portName(i), label: r.label, remark: r.name,
				frames: s.types.Rate(typeKey(i, r.label, "frames")), bytes: s.types.Rate(typeKey(i, r.label, "bytes")),
				ofFrames: all.Frames, ofBytes: all.Bytes,
			})
		}
	}
	return m.table("type", "protocol", rows)
}

// whole is the sum of a table.
func whole[T any](table []T, of func(T) usage) (sum usage) {
	for _, r := range table {
		u := of(r)
		sum.Frames, sum.Bytes = sum.Frames+u.Frames, sum.Bytes+u.Bytes
	}
	return sum
}

// typeRow is an Ethertype or a VLAN.
type typeRow struct {
	usage
	label, name string
	vlan        bool
}

// typeRows are those of an interface, each with a label of its own.
func (f *figures) typeRows(port int) (rows []typeRow) {
	for _, r := range f.Types[port].Types {
		label := interp.Printable(r.Type)
		if r.Tags > 0 {
			label += " in " + plural(r.Tags, "tag")
		}
		rows = append(rows, typeRow{r.usage, label, interp.Printable(r.Name), false})
	}
	for _, r := range f.Types[port].VLANs {
		label := fmt.Sprintf("VLAN %d", r.VLAN)
		if r.Tag > 0 {
			label += fmt.Sprintf(" in tag %d", r.Tag+1)
		}
		rows = append(rows, typeRow{r.usage, label, tagName(r.TPID), true})
	}
	return rows
}

// tagName is the name of a kind of VLAN tags.
func tagName(tpid string) string {
	switch tpid {
	case "0x8100":
		return "802.1Q"
	case "0x88a8":
		return "802.1ad"
	}
	return interp.Printable(tpid)
}

func (s *state) portName(i int) string {
	if i < len(s.now.Stats.Interfaces) {
		return s.now.Stats.Interfaces[i].Name
	}
	return fmt.Sprint(i)
}

// counterLines are all counters of the interfaces side by side, as totals and rates.
func (m *model) counterLines() []string {
	s := m.state
	heading := pad("", 18)
	for i := range s.now.Stats.Interfaces {
		heading += pad(s.portName(i), -22) + pad("/s", -9)
	}
	lines := []string{m.style.dim.Render(heading)}
	for _, key := range counters {
		name := strings.ReplaceAll(key, "_", " ")
		if !m.passes(name) {
			continue
		}
		line := pad(name, 18)
		for i, p := range s.now.Stats.Interfaces {
			now := rate.Short(s.rates.Rate(portKey(i, key)))
			if gauges[key] {
				now = ""
			}
			line += pad(fmt.Sprint(p.counts[key]), -22) + pad(now, -9)
		}
		lines = append(lines, line)
	}
	return append(lines, m.reasonLines()...)
}

// reasonLines returns the errors by reason and the system calls that failed.
func (m *model) reasonLines() (lines []string) {
	ports := m.state.now.Stats.Interfaces
	for _, of := range []struct {
		what string
		part func(*portState) map[string]uint64
	}{
		{"err: ", func(p *portState) map[string]uint64 { return p.Reasons }},
		{"call: ", func(p *portState) map[string]uint64 { return p.Calls }},
	} {
		names := map[string]bool{}
		for i := range ports {
			for name := range of.part(&ports[i]) {
				names[name] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			line := fit(of.what+interp.Printable(name), 18)
			for i := range ports {
				line += pad(fmt.Sprint(of.part(&ports[i])[name]), -22) + pad("", 9)
			}
			if m.passes(of.what + name) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// plural is a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// eventLines are the events, the newest first.
func (m *model) eventLines() []string {
	lines := []string{m.style.dim.Render("what has happened, the newest first")}
	for _, e := range slices.Backward(m.state.events) {
		if m.passes(e.text) {
			lines = append(lines, m.event(e))
		}
	}
	if len(lines) == 1 {
		lines = append(lines, m.style.dim.Render("nothing yet"))
	}
	return lines
}

func (m *model) event(e event) string {
	if e.bad {
		return e.at.Format("15:04:05") + "  " + m.style.bad.Render(e.text)
	}
	return e.at.Format("15:04:05") + "  " + e.text
}
