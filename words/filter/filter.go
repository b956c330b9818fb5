// SPDX-License-Identifier: BSD-3-Clause

// Package filter makes the words of the filters of a policy: `tap.rx.filter`, `drop.filter` and
// their like set one, and each of the words `.filter.show` shows some. It does not know what a
// filter is for, nor who carries out the policy.
package filter

import (
	"fmt"
	"strings"

	"ethertap/dataplane/policy"
	"ethertap/interp"
	tree "ethertap/lib/predicate"
	"ethertap/words/machash"
	"ethertap/words/predicate"
	"ethertap/words/report"
)

// Engine is the part of dataplane.Engine that the words need to say where filters are evaluated.
type Engine interface {
	PortNames() []string

	// Filtered returns how many instructions the program of the filters of frames received on an
	// interface has in the kernel, 0 if there is none; and why these frames are handled by
	// threads, "" if they are not.
	Filtered(number int) (instructions int, why string)
}

// Pop takes a filter from the stack and compiles it. An empty string is no filter.
func Pop(s *interp.Session) (policy.Filter, error) {
	v, err := s.Pop()
	if err != nil {
		return policy.Filter{}, err
	}
	if v.Kind() == interp.KindString && v.Text() == "" {
		return policy.Filter{}, nil
	}
	f, err := predicate.Compile(s.Dict(), v)
	if err != nil {
		return policy.Filter{}, err
	}
	return policy.Filter{Source: f.Source, Tree: f.Tree}, nil
}

// Row describes one filter of a policy.
type Row struct {
	Use     string  `json:"use"`     // what it is for: rx_tap, tx_tap, drop, fault
	Queue   string  `json:"queue"`   // of a tap: the further queue, "" for the TAP queue
	Index   int     `json:"index"`   // of a tap: the interface; otherwise -1, for all
	Source  string  `json:"source"`  // what was written
	Tree    string  `json:"tree"`    // what that meant
	Changed bool    `json:"changed"` // it would mean something else now
	Places  []Place `json:"places"`  // where it is evaluated, by the interface that receives the frames
}

// Place says where the filters of frames received on an interface are evaluated.
type Place struct {
	Index        int    `json:"index"`
	Name         string `json:"name"`
	Kernel       bool   `json:"kernel"`       // in the kernel; otherwise in threads
	Instructions int    `json:"instructions"` // in the kernel: of all filters of these frames together
	Why          string `json:"why"`          // why not in the kernel, "" if it is
}

// Rows are what a word shows.
type Rows struct {
	Filters []Row `json:"filters"`
}

// Add describes a filter, if there is one. The interfaces are those that receive the frames which
// it is asked about.
func (r *Rows) Add(s *interp.Session, e Engine, row Row, f policy.Filter, receivers ...int) {
	if f.Tree == nil {
		return
	}
	row.Source, row.Tree, row.Changed, row.Places = f.Source, tree.Text(f.Tree), changed(s.Dict(), f), []Place{}
	names := e.PortNames()
	for _, i := range receivers {
		p := Place{Index: i, Name: names[i]}
		if p.Instructions, p.Why = e.Filtered(i); p.Why != "" {
			p.Instructions = 0
		}
		p.Kernel = p.Why == ""
		row.Places = append(row.Places, p)
	}
	r.Filters = append(r.Filters, row)
}

// changed says whether a word would make another filter now, or is gone. What an expression says
// does not change.
func changed(d *interp.Dict, f policy.Filter) bool {
	v := interp.NewString(f.Source)
	if _, isWord := d.Listing(v); !isWord && strings.Contains(f.Source, " ") {
		return false // what it looks up may take long
	}
	now, err := predicate.Compile(d, v)
	return err != nil || now.Tree != f.Tree
}

// Show prints rows for a person.
func Show(s *interp.Session, v Rows) {
	for _, r := range v.Filters {
		s.Printf("%s\n", r.Source)
		s.Printf("  for       %s\n", r.title())
		s.Printf("  means     %s\n", r.Tree)
		if r.Changed {
			s.Printf("  now       %s would mean something else; set the filter again to use that\n", r.Source)
		}
		for _, p := range r.Places {
			if p.Kernel {
				s.Printf("  %-9s in the kernel, %d instructions for all filters\n", p.Name, p.Instructions)
			} else {
				s.Printf("  %-9s in threads: %s\n", p.Name, p.Why)
			}
		}
	}
}

func (r *Row) title() string {
	title := map[string]string{"rx_tap": "RX tap", "tx_tap": "TX tap"}[r.Use]
	if title == "" {
		return r.Use
	}
	title += fmt.Sprintf(" of interface %d", r.Index)
	if r.Queue != "" {
		title += " into " + r.Queue
	}
	return title
}

// Words are those of one filter of all interfaces: PREFIX.filter and PREFIX.filter.show.
type Words struct {
	Policy machash.Policy
	Engine Engine
	From   report.Source
	Prefix string // "drop", which is what it is for
	Help   string // "drop the frames that a filter takes"
	Of     func(*policy.Policy) *policy.Filter
}

// Words returns them.
func (w Words) Words() []interp.Word {
	name := w.Prefix + ".filter"
	const example = `"udp port 53" `
	return append([]interp.Word{{Name: name, Stack: "( filter - )", Help: w.Help + "; \"\" is no filter",
		Example: example + name, Func: w.set}},
		report.Pair[Rows]{Name: name + ".show", Stack: "( - )", Help: "show what " + name + " has set, and where it is evaluated", Example: example + name + " " + name + ".show",
			Get: w.rows, Text: Show}.Words(w.From)...)
}

func (w Words) set(s *interp.Session) error {
	f, err := Pop(s)
	if err != nil {
		return err
	}
	return w.Policy.Update(func(p *policy.Policy) error {
		*w.Of(p) = f
		return nil
	})
}

func (w Words) rows(s *interp.Session) (Rows, error) {
	v, p := Rows{Filters: []Row{}}, w.Policy.Policy()
	all := make([]int, len(w.Engine.PortNames()))
	for i := range all {
		all[i] = i
	}
	v.Add(s, w.Engine, Row{Use: w.Prefix, Index: -1}, *w.Of(&p), all...)
	return v, nil
}
