// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Size of a plot in its own units, with room for labels above and below the lines.
const (
	plotWidth, plotHeight = 600, 160
	plotTop, plotBottom   = 20, 138
)

// plot is one figure of some lines over the last minutes.
type plot struct {
	Title string
	Lines []line
	label func(float64) string // formats a value
	most  int                  // values that fill the width: one a second
}

// line is one series of a plot, the oldest value first; NaN is a gap.
type line struct {
	Name   string
	Now    string // the newest value, formatted
	values []float64
}

// top returns the value at the upper edge: 1, 2 or 5 times a power of ten, and no less than any value.
func (p *plot) top() float64 {
	most := 0.0
	for _, l := range p.Lines {
		for _, v := range l.values {
			if v > most { // NaN is not
				most = v
			}
		}
	}
	if most <= 1 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{1, 2, 5} {
		if most <= f*power {
			return f * power
		}
	}
	return 10 * power
}

// Draw returns the plot as SVG, with a description in words for people who cannot see it. It names
// classes instead of colours: the page's style sheet has the colours of both themes.
func (p *plot) Draw() template.HTML {
	top := p.top()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, plotHeight, template.HTMLEscapeString(p.describe()))
	middle := (plotTop + plotBottom) / 2
	fmt.Fprintf(&b, `<path class="grid" d="M0 %dH%dM0 %dH%dM0 %dH%d"/>`, plotTop, plotWidth, middle, plotWidth, plotBottom, plotWidth)
	for i, l := range p.Lines {
		fmt.Fprintf(&b, `<path class="l%d" d="%s"/>`, i%2, p.trace(l.values, top))
	}
	fmt.Fprintf(&b, `<text x="0" y="%d">%s</text><text x="0" y="%d">%s</text>`, plotTop-3, template.HTMLEscapeString(p.label(top)), middle-3, template.HTMLEscapeString(p.label(top/2)))
	fmt.Fprintf(&b, `<text x="0" y="%d">%s ago</text><text x="%d" y="%d" text-anchor="end">now</text></svg>`, plotHeight-3, minutes(p.most), plotWidth, plotHeight-3)
	return template.HTML(b.String())
}

// trace returns the path of a line, which ends at the right edge.
func (p *plot) trace(values []float64, top float64) string {
	var b strings.Builder
	step := float64(plotWidth) / float64(max(p.most-1, 1))
	down := false // the pen
	for i, v := range values {
		if math.IsNaN(v) {
			down = false
			continue
		}
		x := plotWidth - float64(len(values)-1-i)*step
		y := plotBottom - v/top*(plotBottom-plotTop)
		verb := 'L'
		if !down {
			verb = 'M'
		}
		fmt.Fprintf(&b, "%c%.0f %.1f", verb, x, y)
		down = true
	}
	return b.String()
}

// describe says what a plot shows.
func (p *plot) describe() string {
	var all []string
	for _, l := range p.Lines {
		least, most := math.Inf(1), math.Inf(-1)
		for _, v := range l.values {
			if !math.IsNaN(v) {
				least, most = min(least, v), max(most, v)
			}
		}
		if most < least {
			all = append(all, l.Name+": nothing yet")
			continue
		}
		all = append(all, fmt.Sprintf("%s: now %s, at least %s, at most %s", l.Name, l.Now, p.label(least), p.label(most)))
	}
	return fmt.Sprintf("%s over %s. %s", p.Title, minutes(p.most), strings.Join(all, "; "))
}

func minutes(seconds int) string { return fmt.Sprintf("%d min", seconds/60) }
