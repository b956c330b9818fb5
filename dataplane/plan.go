package dataplane

import (
	"fmt"
	"math/bits"

	"ethertap/dataplane/policy"
)

// tapSet is a set of taps: bit n stands for the tap whose outlet has the number n.
type tapSet uint16

// plan is a policy in the form that the threads work by: with the outlets behind the taps, and with
// tables in which addresses are looked up. It never changes; the engine compiles another one. A
// thread reads it once a batch.
type plan struct {
	policy.Policy
	ports   [policy.MaxPorts]portPlan
	outlets [policy.MaxTaps]*outlet // by number; nil where there is no such tap
	choosy  tapSet                  // the taps that take the frames of some hosts only
	hosts   [policy.MaxTaps]*hosts  // the hosts of these taps, by number
	drop    *hosts                  // sources whose frames are dropped; nil means none
	suffers *hosts                  // sources whose frames suffer faults; nil means all
}

// portPlan is the part of a plan that concerns one interface.
type portPlan struct {
	rx tapSet // the taps of frames received on it
	tx tapSet // the taps of frames sent on it
}

// compile makes the plan of a policy. It reuses the address tables of the plan before for the same
// addresses. It fails if a tap has no outlet.
func compile(p policy.Policy, outlets []*outlet, before *plan) (*plan, error) {
	next := &plan{Policy: p}
	for i := range p.Taps {
		t := &p.Taps[i]
		out := outletOf(outlets, t.Name)
		if out == nil {
			return nil, fmt.Errorf("queue %s is not open", t.Name)
		}
		next.outlets[out.number] = out
		for number := range next.ports {
			if t.RX[number] {
				next.ports[number].rx |= 1 << out.number
			}
			if t.TX[number] {
				next.ports[number].tx |= 1 << out.number
			}
		}
		if t.MACs != "" {
			next.choosy |= 1 << out.number
			next.hosts[out.number] = before.lookUp(t.MACs)
		}
	}
	if p.Drop != "" {
		next.drop = before.lookUp(p.Drop)
	}
	if p.Fault != "" {
		next.suffers = before.lookUp(p.Fault)
	}
	return next, nil
}

// lookUp returns the table of some addresses: that of the plan, or a new one.
func (p *plan) lookUp(macs policy.MACs) *hosts {
	if p != nil {
		for _, h := range append([]*hosts{p.drop, p.suffers}, p.hosts[:]...) {
			if h != nil && h.macs == macs {
				return h
			}
		}
	}
	return newHosts(macs)
}

// wanting returns those taps among some that want a frame. In a thread this is decided here alone;
// wish() in fastpath.c decides it in the kernel.
func (p *plan) wanting(some tapSet, frame []byte) tapSet {
	if some&p.choosy == 0 {
		return some
	}
	return p.choosing(some, frame)
}

// choosing is the part of wanting that looks at addresses.
func (p *plan) choosing(some tapSet, frame []byte) tapSet {
	for choosy := some & p.choosy; choosy != 0; choosy &= choosy - 1 {
		i := bits.TrailingZeros16(uint16(choosy))
		if h := p.hosts[i]; !h.has(source(frame)) && !h.has(destination(frame)) {
			some &^= 1 << i
		}
	}
	return some
}

// Policy returns the policy in force. The caller must not modify its lists.
func (e *Engine) Policy() policy.Policy { return e.plan.Load().Policy }

// Update changes the policy. fn gets a copy to change. Every frame that is received after Update
// has returned meets the new policy. If fn fails, or a probability is out of range, the policy
// stays as it was.
//
// With the fast path on, Update takes some ten milliseconds longer: it waits until no frame in the
// kernel is under way under the old policy.
func (e *Engine) Update(fn func(*policy.Policy) error) error {
	e.update.Lock()
	defer e.update.Unlock()
	return e.changeLocked(fn, e.outlets)
}

// changeLocked changes the policy as Update does, with a list of outlets. A caller who changes the
// outlets holds mu as well, and sets them afterwards. The caller holds update.
func (e *Engine) changeLocked(fn func(*policy.Policy) error, outlets []*outlet) error {
	before := e.plan.Load()
	p := before.Clone()
	if err := fn(&p); err != nil {
		return err
	}
	if err := p.Check(len(e.config.Interfaces)); err != nil {
		return err
	}
	next, err := compile(p, outlets, before)
	if err != nil {
		return err
	}
	e.plan.Store(next)
	if err := e.fast.applyLocked(false); err != nil { // after the threads, which are then ready for diverted frames
		e.plan.Store(before)
		return fmt.Errorf("fast path: %w", err)
	}
	if err := announceTaps(outlets, &before.Policy, &p); err != nil { // the policy is in force all the same
		e.config.Logf("readers of the queues do not see the new taps: %v", err)
	}
	return nil
}
