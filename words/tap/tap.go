// Package tap is the word set that says what goes into the TAP queue: `tap.rx.*`,
// `tap.tx.*` and `tap.hash.*`, and into further queues: `pqueue.*`. It translates between the VM and the dataplane's
// policy and holds nothing but a pointer to the engine.
package tap

import (
	"slices"

	"ethertap/dataplane"
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
		Words: slices.Concat([]interp.Word{
			{Name: "tap.rx.enable", Stack: "( interface - )", Help: "enable RX TAP for interface", Example: "0 tap.rx.enable",
				Func: w.port(func(p *dataplane.PortPolicy) { p.TapRX = true })},
			{Name: "tap.rx.disable", Stack: "( interface - )", Help: "disable RX TAP for interface", Example: "0 tap.rx.disable",
				Func: w.port(func(p *dataplane.PortPolicy) { p.TapRX = false })},
			{Name: "tap.tx.enable", Stack: "( interface - )", Help: "enable TX TAP for interface", Example: "0 tap.tx.enable",
				Func: w.port(func(p *dataplane.PortPolicy) { p.TapTX = true })},
			{Name: "tap.tx.disable", Stack: "( interface - )", Help: "disable TX TAP for interface", Example: "0 tap.tx.disable",
				Func: w.port(func(p *dataplane.PortPolicy) { p.TapTX = false })},
		}, machash.Set{Engine: e, From: from, Prefix: "tap.hash", Name: "TAP", Of: func(p *dataplane.Policy) **dataplane.MACHash { return &p.TapHash }}.Words(), w.feedWords()),
	}
}

type words struct {
	engine *dataplane.Engine
	from   report.Source
}

// port makes the function of a word that changes the policy of one interface.
func (w words) port(change func(*dataplane.PortPolicy)) func(*interp.Session) error {
	return func(s *interp.Session) error {
		i, err := port.Pop(s, w.engine)
		if err != nil {
			return err
		}
		return w.engine.Update(func(p *dataplane.Policy) error {
			change(&p.Port[i])
			return nil
		})
	}
}
