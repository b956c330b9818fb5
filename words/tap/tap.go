// Package tap is the word set that says what goes into the TAP queue: `tap.rx.*`,
// `tap.tx.*` and `tap.hash.*`, and into further queues: `pqueue.*`. It translates between the VM and the dataplane's
// policy and holds nothing but a pointer to the engine.
package tap

import (
	"slices"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/words/machash"
	"ethertap/words/port"
	"ethertap/words/report"
)

// intro is what somebody needs first at the prompt of a tap.
const intro = `The tap: frames go from one interface to the other; those that are tapped go
into a queue as well, from which collect writes them to a file.
  if.stats             interfaces: counters, settings; repeated: "if.stats" 1000 watch
  0 tap.rx.enable      taps what interface 0 receives; tap.tx.enable what it sends
  MAC tap.hash.insert  taps only frames of this address, and of others inserted
  tap.queue.status     what waits in the queue, and what it refused
  help tap             the words for all this; for faults help fault. and help drop.
`

// Words returns the words that work on one engine.
func Words(e *dataplane.Engine, from report.Source) interp.Set {
	w := words{e, from}
	return interp.Set{
		Name:     "tap",
		Help:     "what goes into the TAP queue and into further ones: by interface and direction, by MAC address",
		Intro:    intro,
		Prefixes: []string{"tap.", "pqueue."},
		Words: slices.Concat(w.tapWords(),
			machash.Set{Engine: e, From: from, Prefix: "tap.hash", Name: "TAP", Of: func(p *policy.Policy) *policy.MACs { return &p.First().MACs }}.Words(),
			w.feedWords()),
	}
}

type words struct {
	engine *dataplane.Engine
	from   report.Source
}

// tapWords switch the taps of the TAP queue.
func (w words) tapWords() (list []interp.Word) {
	for _, way := range ways {
		for _, state := range []string{"enable", "disable"} {
			name := "tap." + way.name + "." + state
			list = append(list, interp.Word{Name: name, Stack: "( interface - )", Help: state + " " + way.what + " TAP for interface", Example: "0 " + name,
				Func: w.way(first, way.of, state == "enable")})
		}
	}
	return list
}

// ways are the two lists of a tap, by direction.
var ways = [...]struct {
	name, what string
	of         func(*policy.Tap) *[policy.MaxPorts]bool
}{
	{"rx", "RX", func(t *policy.Tap) *[policy.MaxPorts]bool { return &t.RX }},
	{"tx", "TX", func(t *policy.Tap) *[policy.MaxPorts]bool { return &t.TX }},
}

// way makes the function of a word that switches a tap for an interface on or off. find
// says which tap, after it has taken what it needs from the stack.
func (w words) way(find func(*interp.Session) (func(*policy.Policy) (*policy.Tap, error), error), of func(*policy.Tap) *[policy.MaxPorts]bool, on bool) func(*interp.Session) error {
	return func(s *interp.Session) error {
		tap, err := find(s)
		if err != nil {
			return err
		}
		i, err := port.Pop(s, w.engine)
		if err != nil {
			return err
		}
		return w.engine.Update(func(p *policy.Policy) error {
			t, err := tap(p)
			if err == nil {
				of(t)[i] = on
			}
			return err
		})
	}
}

// first finds the tap of the TAP queue.
func first(*interp.Session) (func(*policy.Policy) (*policy.Tap, error), error) {
	return func(p *policy.Policy) (*policy.Tap, error) { return p.First(), nil }, nil
}

// named finds the tap of a further queue, whose name is on the stack.
func named(s *interp.Session) (func(*policy.Policy) (*policy.Tap, error), error) {
	name, err := s.PopString()
	return func(p *policy.Policy) (*policy.Tap, error) { return p.Tap(name) }, err
}
