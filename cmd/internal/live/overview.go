// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"

	"ethertap/interp"
	"ethertap/lib/rate"
)

// overview is the first page: the interfaces, the tap, and, if there is room, senders and events.
func (m *model) overview(room int) []string {
	s := m.state
	var lines []string
	for i := range s.now.Stats.Interfaces {
		lines = append(lines, m.portLines(i)...)
	}
	if s.now.Short != "" {
		lines = append(lines, m.style.bad.Render(interp.Printable(s.now.Short)))
	}
	lines = append(lines, m.fillLines()...)
	lines = append(lines, m.rules())
	rest := room - len(lines)
	if rest > 20 { // room for an empty line between the parts
		lines, rest = append(lines, ""), rest-1
	}
	senders, happened := m.senderLines(), m.eventLines()
	forEvents := min(len(happened), max(rest*2/5, 0))
	forSenders := min(len(senders), max(rest-forEvents, 0))
	lines = append(lines, senders[:forSenders]...)
	if rest -= forSenders; rest > len(happened) || rest > 10 {
		lines, rest = append(lines, ""), rest-1
	}
	return append(lines, happened[:min(len(happened), max(rest, 0))]...)
}

// portLines shows an interface: its state, the frames in both directions, and the losses.
func (m *model) portLines(i int) []string {
	s := m.state
	p := &s.now.Stats.Interfaces[i]
	link := m.style.good.Render("up")
	switch {
	case p.Mode == "-":
		link = m.style.dim.Render("not attached")
	case p.Gone:
		link = m.style.bad.Render("gone")
	case !p.Up:
		link = m.style.bad.Render("down")
	}
	parts := []string{link, interp.Printable(p.Mode)}
	if p.FastPath != "" {
		parts = append(parts, interp.Printable(p.FastPath))
	}
	if p.Fault.Enabled {
		parts = append(parts, m.style.bad.Render("faults on"))
	}
	if t := p.taps(); t != "" {
		parts = append(parts, "tap "+t)
	}
	if p.Downs > 0 {
		parts = append(parts, fmt.Sprintf("went down %d×", p.Downs))
	}
	return []string{
		m.style.title.Render(fmt.Sprintf("%d %s", i, p.Name)) + "  " + strings.Join(parts, " · "),
		m.direction("in ", portKey(i, "rx"), portKey(i, "rx_bytes")),
		m.direction("out", portKey(i, "tx"), portKey(i, "tx_bytes")),
		m.lossLine(i, p),
	}
}

// taps are the directions in which frames of an interface go to the TAP queue.
func (p *portState) taps() string {
	switch {
	case p.RXTap && p.TXTap:
		return "rx tx"
	case p.RXTap:
		return "rx"
	case p.TXTap:
		return "tx"
	}
	return ""
}

// direction shows a direction: frames a second, bits a second, and the frames of the last minutes.
func (m *model) direction(name, frames, bytes string) string {
	rates := m.state.rates
	return m.plotted(fmt.Sprintf("  %s %s %s  ", name, pad(rate.Frames(rates.Rate(frames)), -16), pad(rate.Bits(rates.Rate(bytes)), -12)), rates.Rates(frames))
}

// plotted adds a plot of values to a text, up to the end of the line.
func (m *model) plotted(text string, values []float64) string {
	width := m.width - lipgloss.Width(text) - 1
	if width < 8 {
		return text
	}
	return text + m.style.plot.Render(sparkline(values, min(width, kept)))
}

// lossLine shows the frames that were lost, dropped, held or bypassed, with a rate where the number
// grows.
func (m *model) lossLine(i int, p *portState) string {
	var parts []string
	for _, c := range []struct{ name, key string }{
		{"lost", "lost"}, {"dropped", "drop"}, {"err", "err"}, {"noif", "noif"}, {"faults", "dropped_by_fi"}, {"held", "held"}, {"bypassed", "bypassed"},
	} {
		n := p.counts[c.key]
		text := fmt.Sprintf("%s %s", c.name, rate.Short(float64(n)))
		now := m.state.rates.Rate(portKey(i, c.key))
		switch {
		case now > 0:
			text = m.style.bad.Render(text + " +" + perSecond(now))
		case n == 0:
			text = m.style.dim.Render(text)
		}
		parts = append(parts, text)
	}
	return "  " + strings.Join(parts, "  ")
}

// rules shows the bypass, the drop list and the machashes.
func (m *model) rules() string {
	f := &m.state.now
	bypass := "bypass " + onOff(f.Bypass.Enabled)
	if f.Bypass.Enabled && f.Bypass.Why != "" {
		bypass = m.style.bad.Render("bypass: " + interp.Printable(f.Bypass.Why))
	}
	hosts := func(list []string) string {
		if len(list) == 0 {
			return "all"
		}
		return fmt.Sprintf("only %d", len(list))
	}
	return fmt.Sprintf("%s · drop list %d · hosts tapped: %s · faults for: %s", bypass, len(f.Stats.DropHash), hosts(f.Stats.TapHash), hosts(f.Stats.FaultHash))
}
