// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"math"
	"strings"

	"charm.land/lipgloss/v2"

	"ethertap/lib/rate"
)

// styles are the colours and fonts of the view. Without colours all of them are plain: the text says
// the same.
type styles struct{ title, dim, good, bad, plot, key lipgloss.Style }

// newStyles uses the 16 colours of the terminal, which its user can set.
func newStyles(styled bool) styles {
	if !styled {
		return styles{}
	}
	color := func(name string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(name)) }
	const red, green, cyan = "1", "2", "6"
	return styles{
		title: lipgloss.NewStyle().Bold(true), dim: lipgloss.NewStyle().Faint(true), good: color(green),
		bad: color(red).Bold(true), plot: color(cyan), key: lipgloss.NewStyle().Bold(true),
	}
}

// pad adds blanks to a text, up to a width in columns: after it, or before it if the width is
// negative.
func pad(text string, width int) string {
	blanks := max(width, -width) - lipgloss.Width(text)
	switch {
	case blanks <= 0:
		return text
	case width < 0:
		return strings.Repeat(" ", blanks) + text
	}
	return text + strings.Repeat(" ", blanks)
}

// fit cuts or pads a text to a width in columns.
func fit(text string, width int) string {
	if lipgloss.Width(text) > width {
		text = cut(text, width-1) + "…"
	}
	return pad(text, width)
}

// cut removes the part of a text that exceeds a width in columns. The text may have styles.
func cut(text string, width int) string {
	return lipgloss.NewStyle().MaxWidth(max(width, 1)).Inline(true).Render(text)
}

// levels are the characters of a plot: that of 0, and those up to the highest value.
var levels = []rune("▁▂▃▄▅▆▇█")

// sparkline plots the last values in a number of columns, the newest at the right. The highest
// value in the plot has the full height. Every value above 0 is higher than 0.
func sparkline(values []float64, width int) string {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	highest := 0.0
	for _, v := range values {
		if !math.IsNaN(v) {
			highest = max(highest, v)
		}
	}
	b := []rune(strings.Repeat(" ", max(width-len(values), 0)))
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			b = append(b, ' ')
		case v <= 0 || highest == 0:
			b = append(b, levels[0])
		default:
			b = append(b, levels[int(math.Ceil(v/highest*float64(len(levels)-1)))])
		}
	}
	return string(b)
}

// bar draws a part of a whole.
func bar(part, whole uint64, width int) string {
	n := 0
	if whole > 0 {
		n = int(math.Ceil(float64(min(part, whole)) / float64(whole) * float64(width)))
	}
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}

// perSecond formats a rate of frames.
func perSecond(x float64) string { return rate.Short(x) + "/s" }
