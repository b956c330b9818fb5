package tap

import (
	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/words/machash"
	"ethertap/words/report"
)

// lab adds the queue of the examples.
const (
	labName = `"ixdp.pqueue.lab" `
	lab     = labName + "pqueue.add "
)

// feedWords are the words that say what goes into further queues, each by its own taps
// and its own machash. The name of the queue is on top of the stack.
func (w words) feedWords() []interp.Word {
	list := []interp.Word{
		{Name: "pqueue.add", Stack: "( name - )", Help: "feed a further packet queue, by taps and a machash of its own; it is made if it is not there", Example: lab, Func: w.onName((*dataplane.Engine).AddQueue)},
		{Name: "pqueue.remove", Stack: "( name - )", Help: "feed a further packet queue no longer; its packets stay", Example: lab + labName + "pqueue.remove", Func: w.onName((*dataplane.Engine).RemoveQueue)},
	}
	list = append(list, report.Pair[feeds]{Name: "pqueue.show", Stack: "( - )", Help: "show the further packet queues that are fed, what is tapped for each, and how much of it was put in and refused", Example: lab + "pqueue.show", Get: w.feeds, Text: showFeeds}.Words(w.from)...)
	for _, way := range ways {
		for _, state := range []string{"enable", "disable"} {
			name := "pqueue." + way.name + "." + state
			list = append(list, interp.Word{Name: name, Stack: "( interface name - )", Help: state + " " + way.what + " TAP for interface into a further packet queue",
				Example: lab + "0 " + labName + name, Func: w.way(named, way.of, state == "enable")})
		}
	}
	return append(list, machash.Set{Engine: w.engine, From: w.from, Prefix: "pqueue.hash", Name: "a further queue's", Example: lab, Key: labName,
		OfKey: func(p *policy.Policy, name string) (*policy.MACs, error) {
			t, err := p.Tap(name)
			if err != nil {
				return nil, err
			}
			return &t.MACs, nil
		}}.Words()...)
}

// onName makes the function of a word that takes the name of a queue.
func (w words) onName(do func(*dataplane.Engine, string) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		name, err := s.PopString()
		if err != nil {
			return err
		}
		return do(w.engine, name)
	}
}

// feeds are the further queues, in the order of addition.
type feeds struct {
	Queues []feed `json:"queues"`
}

type feed struct {
	Name       string            `json:"name"`
	Tapped     uint64            `json:"tapped"` // frames put in
	Full       uint64            `json:"full"`   // frames refused
	Lost       uint64            `json:"lost"`   // frames that were put in and lost with the queue's file
	Interfaces []feedPort        `json:"interfaces"`
	Hash       []machash.Address `json:"hash"`
}

// feedPort says which frames of an interface a queue gets.
type feedPort struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	RX    bool   `json:"rx_tap"`
	TX    bool   `json:"tx_tap"`
}

func (w words) feeds(*interp.Session) (feeds, error) {
	v, ports := feeds{Queues: []feed{}}, w.engine.PortNames()
	for _, st := range w.engine.FurtherQueues() {
		f := feed{Name: st.Name, Tapped: st.Stored, Full: st.Refused, Lost: st.Lost, Hash: machash.Described(st.MACs)}
		for i, p := range ports {
			f.Interfaces = append(f.Interfaces, feedPort{i, p, st.RX[i], st.TX[i]})
		}
		v.Queues = append(v.Queues, f)
	}
	return v, nil
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
				s.Printf("  %-9s %d %s\n", "RX tap", p.Index, p.Name)
			}
			if p.TX {
				s.Printf("  %-9s %d %s\n", "TX tap", p.Index, p.Name)
			}
		}
		for _, a := range f.Hash {
			s.Printf("  hash      %s\n", a)
		}
	}
}
