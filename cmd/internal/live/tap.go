// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"ethertap/interp"
	"ethertap/lib/rate"
)

// fillLines show how full the TAP queue is, what goes in and out, and who takes it.
func (m *model) fillLines() []string {
	f, rates := &m.state.now, m.state.rates
	q := &f.Queue
	if f.QueueErr != "" {
		return []string{m.style.title.Render("tap") + "  " + m.style.bad.Render(f.QueueErr)}
	}
	share := 0.0
	if q.Slots > 0 {
		share = 100 * float64(q.Waiting) / float64(q.Slots)
	}
	left := m.style.title.Render("tap") + "  " + interp.Printable(q.Name) + "  "
	right := fmt.Sprintf("  %d of %d waiting (%.0f %%), at most %d", q.Waiting, q.Slots, share, q.HighWater)
	width := max(min(m.width-lipgloss.Width(left)-lipgloss.Width(right)-1, 40), 4)
	full := fmt.Sprintf("full %s", rate.Short(float64(q.Full)))
	if now := rates.Rate("tap full"); now > 0 {
		full = m.style.bad.Render(full + " +" + perSecond(now))
	}
	by := "nobody takes from it"
	if c := collectors(f.Users); len(c) > 0 {
		by = "to " + strings.Join(c, ", ")
	}
	return []string{
		left + m.style.plot.Render(bar(q.Waiting, q.Slots, width)) + right,
		fmt.Sprintf("  in %s  out %s  %s  %s", perSecond(rates.Rate("tap inserted")), perSecond(rates.Rate("tap retrieved")), full, by),
	}
}

// collectors are the processes that take from the TAP queue.
func collectors(users []user) (names []string) {
	for _, u := range users {
		if u.Role == "consumer" && u.Alive {
			names = append(names, fmt.Sprintf("%s %d", interp.Printable(u.Program), u.PID))
		}
	}
	return names
}

// tapLines are the page of the TAP queue and the further ones.
func (m *model) tapLines() []string {
	f, rates := &m.state.now, m.state.rates
	lines := m.fillLines()
	if f.QueueErr == "" {
		q := &f.Queue
		lines = append(lines,
			m.plotted("  in  "+pad(rate.Frames(rates.Rate("tap inserted")), -16)+"  ", rates.Rates("tap inserted")),
			m.plotted("  out "+pad(rate.Frames(rates.Rate("tap retrieved")), -16)+"  ", rates.Rates("tap retrieved")),
			fmt.Sprintf("  %d put in, %d taken, %d refused · slots of %d bytes · overwrite %s", q.Inserted, q.Retrieved, q.Full, q.SlotSize, onOff(q.Overwrite)),
			fmt.Sprintf("  truncated %d  overwritten %d  discarded %d  orphaned %d  abandoned %d  lost %d", q.Truncated, q.Overwritten, q.Discarded, q.Orphaned, q.Abandoned, q.Lost),
			"", m.style.dim.Render(fmt.Sprintf("%7s  %-9s %-9s %14s  %s", "pid", "program", "role", "packets", "name")))
		for _, u := range f.Users {
			name := interp.Printable(u.Name)
			if !u.Alive {
				name += " (ended)"
			}
			if m.passes(u.Program, u.Role, name) {
				lines = append(lines, fmt.Sprintf("%7d  %-9s %-9s %14d  %s", u.PID, interp.Printable(u.Program), u.Role, u.Packets, name))
			}
		}
	}
	if len(f.Further) > 0 {
		lines = append(lines, "", m.style.dim.Render(fmt.Sprintf("%-32s %10s %14s %10s %10s", "further queue", "frames/s", "put in", "refused", "lost")))
	}
	for _, q := range f.Further {
		lines = append(lines, fmt.Sprintf("%s %10s %14d %10d %10d", fit(interp.Printable(q.Name), 32), rate.Short(rates.Rate(furtherKey(q.Name, "tapped"))), q.Tapped, q.Full, q.Lost))
	}
	return lines
}
