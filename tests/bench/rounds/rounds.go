// SPDX-License-Identifier: BSD-3-Clause

// Package rounds measures things side by side. Machines are noisy and drift, so
// every contender of a row is measured once in each round, in turn, and what is
// compared is the ratio within a round; medians over the rounds are reported,
// with a word when the ratios scatter too much to conclude anything.
//
// The package knows nothing of what it measures.
package rounds

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Contender is one implementation of what a row measures.
type Contender struct {
	Name string
	// Run makes one measurement and returns it in the unit of the row.
	Run func() (float64, error)
}

// Row is one comparison: ours beside its peers.
type Row struct {
	Name  string
	Unit  string // "ns/packet", "ms", "kpps"
	More  bool   // more is better: a rate
	Ours  Contender
	Peers []Peer
}

// Peer is what ours is compared with.
type Peer struct {
	Contender
	// Aim is the ratio ours/peer that is wanted: at most, or at least where more
	// is better. 0 is none.
	Aim float64
}

// Options say how to measure.
type Options struct {
	Rounds   int       // counted rounds, at least 1; fewer than 3 say little
	Warm     int       // rounds before, not counted
	Progress io.Writer // a dot for every measurement; nil: none
}

// Result is a measured row.
type Result struct {
	Row   Row
	Ours  []float64   // by round
	Peers [][]float64 // by peer and round; nil: the peer failed
	Errs  []error     // by peer: why
}

// noisy is the spread of the ratios (upper less lower quartile, by the median)
// from which on a comparison says nothing, unless all rounds are on one side of its aim.
const noisy = 0.25

// Measure measures the rows one after the other. A peer that fails is left out of
// its row and named there; when ours fails, that is an error.
func Measure(rows []Row, o Options) ([]Result, error) {
	var results []Result
	for _, row := range rows {
		r, err := measure(row, o)
		if err != nil {
			return results, fmt.Errorf("%s: %s: %w", row.Name, row.Ours.Name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

func measure(row Row, o Options) (Result, error) {
	r := Result{Row: row, Peers: make([][]float64, len(row.Peers)), Errs: make([]error, len(row.Peers))}
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, "%s ", row.Name)
		defer fmt.Fprintln(o.Progress)
	}
	for round := -o.Warm; round < max(o.Rounds, 1); round++ {
		v, err := row.Ours.Run()
		if err != nil {
			return r, err
		}
		if round >= 0 {
			r.Ours = append(r.Ours, v)
		}
		for i, p := range row.Peers {
			if r.Errs[i] != nil {
				continue
			}
			v, err := p.Run()
			if err != nil {
				r.Errs[i], r.Peers[i] = err, nil
				continue
			}
			if round >= 0 {
				r.Peers[i] = append(r.Peers[i], v)
			}
		}
		if o.Progress != nil {
			fmt.Fprint(o.Progress, ".")
		}
	}
	return r, nil
}

// Ratio returns the median of the ratios ours/peer within the rounds, and their
// spread: the distance of the quartiles by the median. Rounds in which the peer is 0
// have none; ok is false if all are such.
func (r *Result) Ratio(peer int) (median, spread float64, ok bool) {
	var ratios []float64
	for i, v := range r.Peers[peer] {
		if v != 0 {
			ratios = append(ratios, r.Ours[i]/v)
		}
	}
	if len(ratios) == 0 {
		return 0, 0, false
	}
	median = Median(ratios)
	if median != 0 {
		spread = (quantile(ratios, 0.75) - quantile(ratios, 0.25)) / median
	}
	return median, spread, true
}

// reached is in how many rounds ours reached the aim. It is asked without dividing, so
// that a peer of 0 is compared too.
func (r *Result) reached(peer int) (n int) {
	aim := r.Row.Peers[peer].Aim
	for i, v := range r.Peers[peer] {
		if r.Row.More && r.Ours[i] >= aim*v || !r.Row.More && r.Ours[i] <= aim*v {
			n++
		}
	}
	return n
}

// Median returns the median of some numbers, 0 of none.
func Median(v []float64) float64 { return quantile(v, 0.5) }

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	at := q * float64(len(s)-1)
	low := int(at)
	if low+1 == len(s) {
		return s[low]
	}
	return s[low] + (at-float64(low))*(s[low+1]-s[low])
}

// verdict says what the rounds mean for the aim. When all of them say the same the
// verdict stands, however much the ratios scatter.
func (r *Result) verdict(peer int) string {
	aim, rounds := r.Row.Peers[peer].Aim, len(r.Peers[peer])
	_, spread, _ := r.Ratio(peer)
	sign := "≤"
	if r.Row.More {
		sign = "≥"
	}
	var words []string
	certain := false
	if aim > 0 {
		n := r.reached(peer)
		word := "missed"
		if 2*n > rounds {
			word = "met"
		}
		certain = n == 0 || n == rounds
		words = append(words, fmt.Sprintf("aim %s %.2f %s", sign, aim, word))
	}
	if spread > noisy && !certain {
		words = append(words, fmt.Sprintf("noisy: ratios scatter by %.0f %%", 100*spread))
	}
	return strings.Join(words, "; ")
}

// Table prints the results, a line for each peer.
func Table(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\tunit\tours\tpeer\tits\tratio\tverdict")
	for i := range results {
		r := &results[i]
		ours := Median(r.Ours)
		if len(r.Row.Peers) == 0 {
			fmt.Fprintf(t, "%s\t%s\t%s\t\t\t\t\n", r.Row.Name, r.Row.Unit, figure(ours))
		}
		for j, p := range r.Row.Peers {
			if r.Errs[j] != nil {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t-\t-\t%v\n", r.Row.Name, r.Row.Unit, figure(ours), p.Name, r.Errs[j])
				continue
			}
			ratio := "-" // the peer never gets anything done
			if v, _, ok := r.Ratio(j); ok {
				ratio = fmt.Sprintf("%.2f", v)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Row.Name, r.Row.Unit, figure(ours), p.Name,
				figure(Median(r.Peers[j])), ratio, r.verdict(j))
		}
	}
	return t.Flush()
}

// figure prints a number with three significant digits or so.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Save writes every measurement into dir/name.txt in the format of Go's
// benchmarks, for benchstat, and returns the file's name.
func Save(dir, name string, results []Result) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "date: %s\n", time.Now().UTC().Format(time.RFC3339))
	line := func(row Row, contender string, v float64) {
		fmt.Fprintf(&b, "Benchmark%s/%s 1 %g %s\n", word(row.Name), word(contender), v, word(row.Unit))
	}
	for _, r := range results {
		for round, v := range r.Ours {
			line(r.Row, r.Row.Ours.Name, v)
			for i, p := range r.Row.Peers {
				if round < len(r.Peers[i]) {
					line(r.Row, p.Name, r.Peers[i][round])
				}
			}
		}
	}
	file := filepath.Join(dir, name+".txt")
	return file, os.WriteFile(file, []byte(b.String()), 0o644)
}

// Section writes what follows a table of results.
type Section func(io.Writer) error

// Report prints the table of the results and what follows it. If a directory is
// named it saves them there: name.txt for benchstat, name.table as printed.
func Report(w io.Writer, dir, name string, results []Result, more ...Section) error {
	var b strings.Builder
	if err := Table(&b, results); err != nil {
		return err
	}
	for _, s := range more {
		b.WriteByte('\n')
		if err := s(&b); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil || dir == "" {
		return err
	}
	if _, err := Save(dir, name, results); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".table"), []byte(b.String()), 0o644)
}

// word makes one field of a benchmark's line of s.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' {
			return '_'
		}
		return r
	}, s)
}
