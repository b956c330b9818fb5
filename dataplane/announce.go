package dataplane

import (
	"errors"

	"ethertap/dataplane/policy"
	"ethertap/shm"
)

// These functions write the table of interfaces in a queue, which shows the readers of the queue
// what is tapped for it. Names and addresses are known after a start; the taps follow the policy.

// stated returns what a tap wants of each interface, as the table of a queue has it.
func stated(t *policy.Tap) [policy.MaxPorts]shm.Taps {
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
	}
	return list
}

// statedFor returns the same for the tap with a name. A tap that does not exist wants nothing.
func statedFor(p *policy.Policy, name string) [policy.MaxPorts]shm.Taps {
	for i := range p.Taps {
		if p.Taps[i].Name == name {
			return stated(&p.Taps[i])
		}
	}
	return stated(&policy.Tap{Name: name})
}

// announceLocked writes the whole table of the queue of an outlet.
func (e *Engine) announceLocked(o *outlet) error {
	e.update.Lock() // otherwise it could overwrite what an Update writes meanwhile
	defer e.update.Unlock()
	return o.queue.Load().SetInterfaces(e.describedLocked(o))
}

// describedLocked returns the table of interfaces for the queue of an outlet. The caller holds mu
// and update.
func (e *Engine) describedLocked(o *outlet) []shm.Interface {
	taps := statedFor(&e.plan.Load().Policy, o.name)
	list := make([]shm.Interface, len(e.ports))
	for i, p := range e.ports {
		f := p.Facts()
		list[i] = shm.Interface{Index: i, Name: f.Device, MAC: f.MAC, Taps: taps[i]}
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
func announceTaps(outlets []*outlet, before, after *policy.Policy) error {
	var errs []error
	for _, o := range outlets {
		q, t := o.queue.Load(), statedFor(after, o.name)
		if q != nil && t != statedFor(before, o.name) {
			errs = append(errs, q.SetTaps(t[:]...))
		}
	}
	return errors.Join(errs...)
}
