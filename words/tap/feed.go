// SPDX-License-Identifier: BSD-3-Clause

package tap

import (
	"slices"

	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/words/machash"
	"ethertap/words/report"
)

// added begins the examples of words that need a queue that is fed.
const added = lab + "pqueue.add "

// feedWords returns the words that say which frames go into further queues: each queue has
// taps and a machash of its own. The name of the queue is on top of the stack.
func feedWords(e Engine, from report.Source) []interp.Word {
	return slices.Concat(
		[]interp.Word{
			{Name: "pqueue.add", Stack: "( name - )", Help: "feed a further packet queue, by taps and a machash of its own; it is made if it is not there", Example: added, Func: onName(e.AddQueue)},
			{Name: "pqueue.remove", Stack: "( name - )", Help: "feed a further packet queue no longer; its packets stay", Example: added + lab + "pqueue.remove", Func: onName(e.RemoveQueue)},
		},
		report.Pair[feeds]{Name: "pqueue.show", Stack: "( - )", Help: "show the further packet queues that are fed, what is tapped for each, and how much of it was put in and refused", Example: added + "pqueue.show",
			Get: func(*interp.Session) (feeds, error) { return feedsOf(e), nil }, Text: showFeeds}.Words(from),
		switches(e, "pqueue", "( interface name - )", "for interface into a further packet queue", named, func(word string) string { return added + "0 " + lab + word }),
		filters(e, "pqueue", "( filter interface name - )", "of interface into a further packet queue", named, func(word string) string { return added + udp53 + "0 " + lab + word }),
		machash.Set{Policy: e, From: from, Prefix: "pqueue.hash", Name: "a further queue's", Example: added, Key: lab,
			OfKey: func(p *policy.Policy, name string) (*policy.MACs, error) {
				t, err := p.Tap(name)
				if err != nil {
					return nil, err
				}
				return &t.MACs, nil
			}}.Words(),
	)
}

// onName makes the function of a word that takes the name of a queue.
func onName(do func(name string) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		name, err := s.PopString()
		if err != nil {
			return err
		}
		return do(name)
	}
}

// feeds are the further queues, in the order in which they were added.
type feeds struct {
	Queues []feed `json:"queues"`
}

type feed struct {
	Name       string            `json:"name"`
	Tapped     uint64            `json:"tapped"` // frames put in
	Full       uint64            `json:"full"`   // frames refused
	Lost       uint64            `json:"lost"`   // frames put in, and lost with the queue's file
	Interfaces []feedPort        `json:"interfaces"`
	Hash       []machash.Address `json:"hash"`
}

// feedPort says which frames of an interface a queue gets.
type feedPort struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	RX    bool   `json:"rx_tap"`
	TX    bool   `json:"tx_tap"`

	RXFilter policy.Filter `json:"rx_filter"`
	TXFilter policy.Filter `json:"tx_filter"`
}

func feedsOf(e Engine) feeds {
	v, ports, p := feeds{Queues: []feed{}}, e.PortNames(), e.Policy()
	for _, t := range p.Taps[1:] {
		f := feed{Name: t.Name, Hash: machash.Described(t.MACs)}
		f.Tapped, f.Full, f.Lost = e.FurtherCounts(t.Name)
		for i, name := range ports {
			f.Interfaces = append(f.Interfaces, feedPort{i, name, t.RX[i], t.TX[i], t.RXFilter[i], t.TXFilter[i]})
		}
		v.Queues = append(v.Queues, f)
	}
	return v
}

// by says which filter a tap has.
func by(f policy.Filter) string {
	if f.Tree == nil {
		return ""
	}
	return ": " + f.Source
}

// showFeeds prints a paragraph for each further queue.
func showFeeds(s *interp.Session, v feeds) {
	for _, f := range v.Queues {
		s.Printf("packet queue %s\n", f.Name)
		s.Printf("  tapped    %d\n  full      %d\n", f.Tapped, f.Full)
		if f.Lost > 0 {
			s.Printf("  lost      %d\n", f.Lost)
		}
		for _, p := range f.Interfaces {
			if p.RX {
				s.Printf("  %-9s %d %s%s\n", "RX tap", p.Index, p.Name, by(p.RXFilter))
			}
			if p.TX {
				s.Printf("  %-9s %d %s%s\n", "TX tap", p.Index, p.Name, by(p.TXFilter))
			}
		}
		for _, a := range f.Hash {
			s.Printf("  hash      %s\n", a)
		}
	}
}
