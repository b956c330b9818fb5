package tap

import (
	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/words/machash"
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
		{Name: "pqueue.add", Stack: "( name - )", Help: "feed a further packet queue, by taps and a machash of its own; it is made if it is not there", Example: lab, Func: w.named((*dataplane.Engine).AddQueue)},
		{Name: "pqueue.remove", Stack: "( name - )", Help: "feed a further packet queue no longer; its packets stay", Example: lab + labName + "pqueue.remove", Func: w.named((*dataplane.Engine).RemoveQueue)},
		{Name: "pqueue.show", Stack: "( - )", Help: "show the further packet queues that are fed, what is tapped for each, and how much of it was put in and refused", Example: lab + "pqueue.show", Func: w.showFeeds},
	}
	for _, tap := range []struct {
		name, what string
		of         func(*dataplane.Feed) *[2]bool
	}{
		{"rx", "RX", func(f *dataplane.Feed) *[2]bool { return &f.TapRX }},
		{"tx", "TX", func(f *dataplane.Feed) *[2]bool { return &f.TapTX }},
	} {
		for _, state := range []string{"enable", "disable"} {
			name := "pqueue." + tap.name + "." + state
			list = append(list, interp.Word{Name: name, Stack: "( interface name - )", Help: state + " " + tap.what + " TAP for interface into a further packet queue",
				Example: lab + "0 " + labName + name, Func: w.feed(tap.of, state == "enable")})
		}
	}
	return append(list, machash.Set{Engine: w.engine, Prefix: "pqueue.hash", Name: "a further queue's", Example: lab, Key: labName,
		OfKey: func(p *dataplane.Policy, name string) (**dataplane.MACHash, error) {
			f, err := p.Feed(name)
			if err != nil {
				return nil, err
			}
			return &f.Hash, nil
		}}.Words()...)
}

// named makes the function of a word that takes the name of a queue.
func (w words) named(do func(*dataplane.Engine, string) error) func(*interp.Session) error {
	return func(s *interp.Session) error {
		name, err := s.PopString()
		if err != nil {
			return err
		}
		return do(w.engine, name)
	}
}

// feed makes the function of a word that switches a tap of a further queue.
func (w words) feed(of func(*dataplane.Feed) *[2]bool, on bool) func(*interp.Session) error {
	return func(s *interp.Session) error {
		name, err := s.PopString()
		if err != nil {
			return err
		}
		i, err := s.PopRange("interface", 0, int64(len(w.engine.Ports())-1))
		if err != nil {
			return err
		}
		return w.engine.Update(func(p *dataplane.Policy) error {
			f, err := p.Feed(name)
			if err != nil {
				return err
			}
			of(f)[i] = on
			return nil
		})
	}
}

// showFeeds prints a paragraph for each further queue, in the order of addition.
func (w words) showFeeds(s *interp.Session) error {
	ports := w.engine.Ports()
	for _, f := range w.engine.FeedStats() {
		s.Printf("packet queue %s\n", f.Name)
		s.Printf("  tapped    %d\n  full      %d\n", f.Stored, f.Refused)
		for i, port := range ports {
			for _, tap := range []struct {
				name string
				on   bool
			}{{"RX tap", f.TapRX[i]}, {"TX tap", f.TapTX[i]}} {
				if tap.on {
					s.Printf("  %-9s %d %s\n", tap.name, port.Index, port.Name)
				}
			}
		}
		for _, m := range f.Hash.All() {
			s.Printf("  hash      %s\n", machash.Named(m))
		}
	}
	return nil
}
