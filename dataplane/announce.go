package dataplane

import (
	"errors"

	"ethertap/shm"
)

// What stands in a queue's table of interfaces, so that whoever reads the queue sees what
// is tapped for it: names and addresses since the start, taps as the policy has them.

// stated are the taps of the TAP queue, by interface.
func (p *Policy) stated() [2]shm.Taps {
	var t [2]shm.Taps
	for i := range t {
		t[i] = stated(p.Port[i].TapRX, p.Port[i].TapTX, p.TapHash)
	}
	return t
}

// stated are the taps of a further queue, by interface.
func (f *Feed) stated() [2]shm.Taps {
	var t [2]shm.Taps
	for i := range t {
		t[i] = stated(f.TapRX[i], f.TapTX[i], f.Hash) | shm.TapFurther
	}
	return t
}

func stated(rx, tx bool, hosts *MACHash) shm.Taps {
	t := shm.TapStated
	if rx {
		t |= shm.TapRX
	}
	if tx {
		t |= shm.TapTX
	}
	if hosts != nil {
		t |= shm.TapHosts
	}
	return t
}

// statedFor are the taps of a further queue, or of the TAP queue for nil, by interface.
func (p *Policy) statedFor(out *outlet) [2]shm.Taps {
	if out == nil {
		return p.stated()
	}
	for i := range p.Feeds {
		if p.Feeds[i].out == out {
			return p.Feeds[i].stated()
		}
	}
	return (&Feed{}).stated() // it comes into the policy in a moment
}

// announce writes the whole table of a queue: the TAP queue's if out is nil. The caller
// holds mu, not update.
func (e *Engine) announce(q *shm.Queue, out *outlet) error {
	e.update.Lock() // or it would overwrite what an Update announces meanwhile
	defer e.update.Unlock()
	return q.SetInterfaces(e.described(e.policy.Load().statedFor(out)))
}

// described is the table of interfaces with these taps. The caller holds mu.
func (e *Engine) described(taps [2]shm.Taps) []shm.Interface {
	list := make([]shm.Interface, len(e.ports))
	for i, p := range e.ports {
		list[i] = shm.Interface{Index: i, Name: p.device, MAC: p.mac, Taps: taps[i]}
	}
	return list
}

// announceNames writes the whole tables of all queues, after an interface has got another
// name or address. The caller holds mu, not update.
func (e *Engine) announceNames() error {
	var errs []error
	if q := e.queue.Load(); q != nil {
		errs = append(errs, e.announce(q, nil))
	}
	for _, f := range e.Policy().Feeds {
		errs = append(errs, e.announce(f.out.queue, f.out))
	}
	return errors.Join(errs...)
}

// announceTaps writes what has changed from one policy to the next. The caller holds
// update.
func (e *Engine) announceTaps(before, now *Policy) error {
	var errs []error
	if q := e.queue.Load(); q != nil && before.stated() != now.stated() {
		t := now.stated()
		errs = append(errs, q.SetTaps(t[:]...))
	}
	for i := range now.Feeds {
		f := &now.Feeds[i]
		var old [2]shm.Taps
		for j := range before.Feeds {
			if before.Feeds[j].out == f.out {
				old = before.Feeds[j].stated()
			}
		}
		if t := f.stated(); t != old {
			errs = append(errs, f.out.queue.SetTaps(t[:]...))
		}
	}
	return errors.Join(errs...)
}
