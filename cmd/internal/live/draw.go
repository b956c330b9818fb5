package live

import (
	"math"
	"strings"

	"charm.land/lipgloss/v2"

	"ethertap/lib/rate"
)

// styles are how things look; without colours they are all plain, and what they say is in the
// text as well.
type styles struct{ title, dim, good, bad, plot, key lipgloss.Style }

// newStyles uses the terminal's own 16 colours, which its user has chosen to be read.
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

// pad makes a text at least so many columns wide: blanks are behind it, or before it if the width is negative.
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

// fit is text cut to so many columns, and padded to them.
func fit(text string, width int) string {
	if lipgloss.Width(text) > width {
		text = cut(text, width-1) + "…"
	}
	return pad(text, width)
}

// cut is text, styled or not, without what is beyond so many columns.
func cut(text string, width int) string {
	return lipgloss.NewStyle().MaxWidth(max(width, 1)).Inline(true).Render(text)
}

// levels are what a value of a plot is drawn as: 0, and then up to the highest.
var levels = []rune("▁▂▃▄▅▆▇█")

// sparkline plots the last values in so many columns, the newest at the right. The highest that is shown has the whole
// height; a value above 0 stands above the line of 0.
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

// bar draws which part of a whole is in use.
func bar(part, whole uint64, width int) string {
	n := 0
	if whole > 0 {
		n = int(math.Ceil(float64(min(part, whole)) / float64(whole) * float64(width)))
	}
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}

// perSecond formats a rate of frames.
func perSecond(x float64) string { return rate.Short(x) + "/s" }
