// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"unicode/utf8"

	"ethertap/dataplane/policy"
	"ethertap/shm"
)

// These functions write the table of interfaces in a queue, which shows the readers of the queue
// what is tapped for it. Names and addresses are known after a start; the taps follow the policy.

// stated returns what a tap wants of each interface, as the table of a queue has it, and which of
// them have the time stamps of their devices.
func stated(t *policy.Tap, stamped *stampedPorts) [policy.MaxPorts]shm.Taps {
	var list [policy.MaxPorts]shm.Taps
	for i := range list {
		list[i] = shm.TapStated
		if t.RX[i] {
			list[i] |= shm.TapRX
		}
		if t.TX[i] {
			list[i] |= shm.TapTX
		}
		if t.MACs != "" {
			list[i] |= shm.TapHosts
		}
		if t.RX[i] && t.RXFilter[i].Tree != nil || t.TX[i] && t.TXFilter[i].Tree != nil {
			list[i] |= shm.TapFilter
		}
		if t.Name != "" {
			list[i] |= shm.TapFurther
		}
		if stamped[i] {
			list[i] |= shm.TapStamped
		}
	}
	return list
}

// statedFor returns the same for the tap with a name. A tap that does not exist wants nothing.
func statedFor(p *policy.Policy, name string, stamped *stampedPorts) [policy.MaxPorts]shm.Taps {
	for i := range p.Taps {
		if p.Taps[i].Name == name {
			return stated(&p.Taps[i], stamped)
		}
	}
	return stated(&policy.Tap{Name: name}, stamped)
}

// announceLocked writes the whole table of the queue of an outlet.
func (e *Engine) announceLocked(o *outlet) error {
	e.update.Lock() // otherwise it could overwrite what an Update writes meanwhile
	defer e.update.Unlock()
	return o.queue.Load().SetInterfaces(e.describedLocked(o))
}

// announcedName is a name of a port as it stands in a queue, which has room for shm.NameSize bytes. The end of
// a longer one, as the path of a capture file may be, says most.
func announcedName(name string) string {
	const dots = "…"
	if len(name) <= shm.NameSize {
		return name
	}
	end := name[len(name)-(shm.NameSize-len(dots)):]
	for len(end) > 0 && !utf8.RuneStart(end[0]) {
		end = end[1:]
	}
	return dots + end
}

// describedLocked returns the table of interfaces for the queue of an outlet. The caller holds mu
// and update.
func (e *Engine) describedLocked(o *outlet) []shm.Interface {
	e.stamped = e.stampedLocked()
	taps := statedFor(&e.plan.Load().Policy, o.name, &e.stamped)
	list := make([]shm.Interface, len(e.ports))
	for i, p := range e.ports {
		f := p.Facts()
		list[i] = shm.Interface{Index: i, Name: announcedName(f.Device), MAC: f.MAC, Taps: taps[i]}
	}
	return list
}

// announceNamesLocked writes the tables of all queues, after an interface has got another name or
// address.
func (e *Engine) announceNamesLocked() error {
	var errs []error
	for _, o := range e.outlets {
		if o.queue.Load() != nil {
			errs = append(errs, e.announceLocked(o))
		}
	}
	return errors.Join(errs...)
}

// announceTaps writes the differences between two policies into the tables of the queues. The
// caller holds Engine.update.
func announceTaps(outlets []*outlet, before, after *policy.Policy, stamped *stampedPorts) error {
	var errs []error
	for _, o := range outlets {
		q, t := o.queue.Load(), statedFor(after, o.name, stamped)
		if q != nil && t != statedFor(before, o.name, stamped) {
			errs = append(errs, q.SetTaps(t[:]...))
		}
	}
	return errors.Join(errs...)
}
