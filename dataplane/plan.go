package dataplane

import (
	"fmt"
	"math/bits"

	"ethertap/dataplane/policy"
)

// tapSet is a set of taps, a bit for the number of each: see outlet.
type tapSet uint16

// plan is a policy in the form in which threads carry it out: it knows the outlets behind
// the taps, and addresses can be looked up. It never changes; the engine makes the next one.
// A thread reads it once a batch.
type plan struct {
	policy.Policy
	ports   [policy.MaxPorts]portPlan
	outlets [policy.MaxTaps]*outlet // by number; nil: there is no such tap
	choosy  tapSet                  // those that take some hosts only
	hosts   [policy.MaxTaps]*hosts  // of these, by number
	drop    *hosts                  // nil: none is dropped
	suffers *hosts                  // nil: all suffer faults
}

// portPlan is the part of an interface.
type portPlan struct {
	rx tapSet // of frames received on it
	tx tapSet // of frames sent on it
}

// compile makes the plan of a policy. Sets of addresses that are as before are those of
// before.
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

// lookUp returns the set of some addresses: one that a plan has, or a new one.
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

// wanting returns those of some taps that want a frame. Here alone it is decided in a
// thread; wish() in fastpath.c is the same in the kernel.
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

// Policy returns the policy in force. Its list must not be modified.
func (e *Engine) Policy() policy.Policy { return e.plan.Load().Policy }

// Update changes the policy: fn gets a copy, which is in force for every frame
// that is received after Update has returned. An error of fn, or a probability out of
// range, leaves all as it was.
// With the fast path on, no frame is under way under the old policy in the kernel when
// it returns, some ten milliseconds later.
func (e *Engine) Update(fn func(*policy.Policy) error) error {
	e.update.Lock()
	defer e.update.Unlock()
	return e.changeLocked(fn, e.outlets)
}

// changeLocked does it with the outlets that the engine has, or has from then on: who changes
// these holds mu too, and sets them. The caller holds update.
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
	if err := e.fast.applyLocked(false); err != nil { // after the threads: what is diverted finds them ready, or left alone
		e.plan.Store(before)
		return fmt.Errorf("fast path: %w", err)
	}
	if err := announceTaps(outlets, &before.Policy, &p); err != nil { // the taps are on or off all the same
		e.config.Logf("what is tapped is not announced: %v", err)
	}
	return nil
}
