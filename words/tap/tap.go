// SPDX-License-Identifier: BSD-3-Clause

// Package tap is the word sets of the tap and its queues. The set `tap` says which frames go
// into the TAP queue; the set `queue` takes packets out of the TAP queue (`tap.queue.*`) and
// has all words of queues by name (`pqueue.*`), those that feed further queues among them.
// The package knows policies and queues in shared memory. It reaches the dataplane through
// Engine and does not import it, so that a program without a dataplane has the words of queues.
package tap

import (
	"fmt"
	"slices"

	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/words/filter"
	"ethertap/words/machash"
	"ethertap/words/port"
	"ethertap/words/report"
)

// intro is what somebody needs first at the prompt of a tap.
const intro = `The tap: frames go from one interface to the other; those that are tapped go
into a queue as well, from which collect writes them to a file.
  if.stats             interfaces: counters, settings; repeated: "if.stats" 1000 watch
  tap.on               taps all that the interfaces receive; tap.off ends it
  0 tap.rx.enable      taps what interface 0 receives; tap.tx.enable what it sends
  MAC tap.hash.insert  taps only frames of this address, and of others inserted
  tap.queue.status     what waits in the queue, and what it refused
  help tap             the words for all this; for faults help fault. and help drop.
`

// Engine is the part of dataplane.Engine that the words use.
type Engine interface {
	port.Names
	machash.Policy
	filter.Engine

	// AddQueue feeds a further queue from then on, and RemoveQueue no longer.
	AddQueue(name string) error
	RemoveQueue(name string) error

	// FurtherCounts returns how many frames were put into a further queue, how many it
	// refused, and how many were put in and then lost with its file. All are 0 if the queue
	// is not fed.
	FurtherCounts(name string) (stored, refused, lost uint64)
}

// Words returns the words that say which frames go into the TAP queue.
func Words(e Engine, from report.Source) interp.Set {
	return interp.Set{
		Name:     "tap",
		Help:     "what goes into the TAP queue: by interface and direction, by MAC address",
		Intro:    intro,
		Prefixes: []string{"tap."},
		Words: slices.Concat(
			[]interp.Word{
				{Name: "tap.on", Stack: "( - )", Help: "tap all that the interfaces receive, so each frame once", Example: "tap.on", Func: switchAll(e, true)},
				{Name: "tap.off", Stack: "( - )", Help: "tap nothing: all RX TAPs and TX TAPs are off; what they take stays set", Example: "tap.off", Func: switchAll(e, false)},
			},
			switches(e, "tap", "( interface - )", "for interface", first, func(word string) string { return "0 " + word }),
			filters(e, "tap", "( filter interface - )", "of interface", first, func(word string) string { return udp53 + "0 " + word }),
			report.Pair[filter.Rows]{Name: "tap.filter.show", Stack: "( - )", Help: "show the filters of all taps, and where they are evaluated", Example: udp53 + "0 tap.rx.filter tap.filter.show",
				Get: func(s *interp.Session) (filter.Rows, error) { return filterRows(s, e), nil }, Text: filter.Show}.Words(from),
			machash.Set{Policy: e, From: from, Prefix: "tap.hash", Name: "TAP", Of: func(p *policy.Policy) *policy.MACs { return &p.First().MACs }}.Words(),
		),
	}
}

// switchAll makes the function of a word that switches the tap of the TAP queue on or off for all
// interfaces. What one interface sends the other one has received, so TX TAPs would store it twice.
func switchAll(e Engine, on bool) func(*interp.Session) error {
	return func(*interp.Session) error {
		ports := len(e.PortNames())
		return e.Update(func(p *policy.Policy) error {
			t := p.First()
			t.RX, t.TX = [policy.MaxPorts]bool{}, [policy.MaxPorts]bool{}
			for i := range ports {
				t.RX[i] = on
			}
			return nil
		})
	}
}

// way is the half of a tap for one direction.
type way struct {
	name, title string
	of          func(*policy.Tap) *[policy.MaxPorts]bool
	filters     func(*policy.Tap) *[policy.MaxPorts]policy.Filter
}

var ways = [...]way{
	{"rx", "RX", func(t *policy.Tap) *[policy.MaxPorts]bool { return &t.RX }, func(t *policy.Tap) *[policy.MaxPorts]policy.Filter { return &t.RXFilter }},
	{"tx", "TX", func(t *policy.Tap) *[policy.MaxPorts]bool { return &t.TX }, func(t *policy.Tap) *[policy.MaxPorts]policy.Filter { return &t.TXFilter }},
}

// choice takes from the stack what says which tap is meant, and returns a function that
// finds this tap in a policy.
type choice func(*interp.Session) (func(*policy.Policy) (*policy.Tap, error), error)

// switches returns the four words that switch a tap on and off for an interface.
func switches(e Engine, prefix, stack, help string, which choice, example func(word string) string) (list []interp.Word) {
	for _, way := range ways {
		for _, state := range []string{"enable", "disable"} {
			name := prefix + "." + way.name + "." + state
			list = append(list, interp.Word{Name: name, Stack: stack, Help: state + " " + way.title + " TAP " + help,
				Example: example(name), Func: switchTap(e, which, way.of, state == "enable")})
		}
	}
	return list
}

// switchTap makes the function of a word that switches a tap on or off for an interface.
func switchTap(e Engine, which choice, of func(*policy.Tap) *[policy.MaxPorts]bool, on bool) func(*interp.Session) error {
	return func(s *interp.Session) error {
		find, err := which(s)
		if err != nil {
			return err
		}
		i, err := port.Pop(s, e)
		if err != nil {
			return err
		}
		return e.Update(func(p *policy.Policy) error {
			t, err := find(p)
			if err == nil {
				of(t)[i] = on
			}
			return err
		})
	}
}

// udp53 is a filter for examples, as source.
const udp53 = `"udp port 53" `

// filters returns the two words that set the filters of a tap for an interface.
func filters(e Engine, prefix, stack, help string, which choice, example func(word string) string) (list []interp.Word) {
	for _, way := range ways {
		name := prefix + "." + way.name + ".filter"
		list = append(list, interp.Word{Name: name, Stack: stack, Example: example(name), Func: setFilter(e, which, way, prefix),
			Help: "let the " + way.title + " TAP " + help + " take only frames that a filter takes; \"\" is no filter"})
	}
	return list
}

// setFilter makes the function of a word that sets a filter of a tap for an interface. It hints
// that the filter has no effect while the tap is off.
func setFilter(e Engine, which choice, y way, prefix string) func(*interp.Session) error {
	return func(s *interp.Session) error {
		find, err := which(s)
		if err != nil {
			return err
		}
		i, err := port.Pop(s, e)
		if err != nil {
			return err
		}
		f, err := filter.Pop(s)
		if err != nil {
			return err
		}
		err = e.Update(func(p *policy.Policy) error {
			t, err := find(p)
			if err == nil {
				y.filters(t)[i] = f
			}
			return err
		})
		if err == nil {
			s.Hint(func() string { return idle(e, find, y, i, prefix) })
		}
		return err
	}
}

// idle returns the hint that the filter of a tap for an interface has no effect yet, "" if it has or
// there is none.
func idle(e Engine, find func(*policy.Policy) (*policy.Tap, error), y way, i int, prefix string) string {
	p := e.Policy()
	t, err := find(&p)
	if err != nil || y.filters(t)[i].Tree == nil || y.of(t)[i] {
		return ""
	}
	return fmt.Sprintf("the %s tap of interface %d is off, so its filter has no effect yet; %s.%s.enable switches it on", y.title, i, prefix, y.name)
}

// filterRows describes the filters of all taps. What an interface sends, the other one has received.
func filterRows(s *interp.Session, e Engine) filter.Rows {
	v, ports := filter.Rows{Filters: []filter.Row{}}, len(e.PortNames())
	for _, t := range e.Policy().Taps {
		for i := range ports {
			v.Add(s, e, filter.Row{Use: "rx_tap", Queue: t.Name, Index: i}, t.RXFilter[i], i)
			v.Add(s, e, filter.Row{Use: "tx_tap", Queue: t.Name, Index: i}, t.TXFilter[i], ports-1-i)
		}
	}
	return v
}

// first chooses the tap of the TAP queue.
func first(*interp.Session) (func(*policy.Policy) (*policy.Tap, error), error) {
	return func(p *policy.Policy) (*policy.Tap, error) { return p.First(), nil }, nil
}

// named chooses the tap of a further queue, whose name is on the stack.
func named(s *interp.Session) (func(*policy.Policy) (*policy.Tap, error), error) {
	name, err := s.PopString()
	return func(p *policy.Policy) (*policy.Tap, error) { return p.Tap(name) }, err
}
