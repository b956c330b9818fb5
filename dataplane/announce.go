package dataplane

import (
	"errors"

	"ethertap/dataplane/policy"
	"ethertap/shm"
)

// What stands in a queue's table of interfaces, so that whoever reads the queue sees what
// is tapped for it: names and addresses since the start, taps as the policy has them.

// stated is what a tap wants of each interface, as a queue's table has it.
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
		if t.Name != "" {
			list[i] |= shm.TapFurther
		}
	}
	return list
}

// statedFor is that of the tap of that name; of one that is not there, that it wants nothing.
func statedFor(p *policy.Policy, name string) [policy.MaxPorts]shm.Taps {
	for i := range p.Taps {
		if p.Taps[i].Name == name {
			return stated(&p.Taps[i])
		}
	}
	return stated(&policy.Tap{Name: name})
}

// announceLocked writes the whole table of an outlet's queue.
func (e *Engine) announceLocked(o *outlet) error {
	e.update.Lock() // or it would overwrite what an Update announces meanwhile
	defer e.update.Unlock()
	return o.queue.Load().SetInterfaces(e.describedLocked(o))
}

// describedLocked is the table of interfaces of an outlet's queue. The caller holds mu and update.
func (e *Engine) describedLocked(o *outlet) []shm.Interface {
	taps := statedFor(&e.plan.Load().Policy, o.name)
	list := make([]shm.Interface, len(e.ports))
	for i, p := range e.ports {
		f := p.Facts()
		list[i] = shm.Interface{Index: i, Name: f.Device, MAC: f.MAC, Taps: taps[i]}
	}
	return list
}

// announceNamesLocked writes the whole tables of all queues, after an interface has got another
// name or address.
func (e *Engine) announceNamesLocked() error {
	var errs []error
	for _, o := range e.outlets {
		if o.queue.Load() != nil {
			errs = append(errs, e.announceLocked(o))
		}
	}
	return errors.Join(errs...)
}

// announceTaps writes what has changed from one policy to the next into the tables of the
// queues. The caller holds Engine.update.
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
