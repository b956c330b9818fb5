// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
	"ethertap/lib/predicate"
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
	hosts   [policy.MaxTaps]*hosts  // the hosts of these taps, by number
	drop    *hosts                  // sources whose frames are dropped; nil means none
	suffers *hosts                  // sources whose frames suffer faults; nil means all
	drops   *predicate.Code         // frames that match are dropped; nil: none
	spoils  *predicate.Code         // only these suffer faults; nil: all
}

// portPlan is the part of a plan that concerns one interface.
type portPlan struct {
	rx way // frames received on it
	tx way // frames sent on it
}

// way says which taps want the frames of an interface that go one way.
type way struct {
	taps     tapSet
	choosy   tapSet                          // of these, those that take some hosts only
	filtered tapSet                          // of these, those with a filter
	filters  [policy.MaxTaps]*predicate.Code // by number; nil: there is none
	outbound bool
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
		for i := range next.ports {
			p := &next.ports[i]
			p.tx.outbound = true
			err := errors.Join(p.rx.add(out.number, t, t.RX[i], t.RXFilter[i], before), p.tx.add(out.number, t, t.TX[i], t.TXFilter[i], before))
			if err != nil {
				return nil, err
			}
		}
		if t.MACs != "" {
			next.hosts[out.number] = before.lookUp(t.MACs)
		}
	}
	var err error
	if next.drops, err = before.code(p.DropFilter); err != nil {
		return nil, err
	}
	if next.spoils, err = before.code(p.FaultFilter); err != nil {
		return nil, err
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

// add puts a tap on a way, if it is on.
func (y *way) add(number int, t *policy.Tap, on bool, f policy.Filter, before *plan) (err error) {
	if !on {
		return nil
	}
	y.taps |= 1 << number
	if t.MACs != "" {
		y.choosy |= 1 << number
	}
	if y.filters[number], err = before.code(f); f.Tree != nil {
		y.filtered |= 1 << number
	}
	return err
}

// code returns what a filter is compiled to: what a plan has, or anew. The fast path tells by
// that whether its programs have to change.
func (p *plan) code(f policy.Filter) (*predicate.Code, error) {
	if f.Tree == nil {
		return nil, nil
	}
	if p != nil {
		for old, code := range p.compiled() {
			if old == f {
				return code, nil
			}
		}
	}
	return predicate.Compile(f.Tree)
}

// compiled yields the filters of a plan.
func (p *plan) compiled() iter.Seq2[policy.Filter, *predicate.Code] {
	return func(yield func(policy.Filter, *predicate.Code) bool) {
		if !yield(p.DropFilter, p.drops) || !yield(p.FaultFilter, p.spoils) {
			return
		}
		for i := range p.Taps {
			number := outletOf(p.outlets[:], p.Taps[i].Name).number
			for port := range p.ports {
				if p.ports[port].rx.filters[number] != nil && !yield(p.Taps[i].RXFilter[port], p.ports[port].rx.filters[number]) {
					return
				}
				if p.ports[port].tx.filters[number] != nil && !yield(p.Taps[i].TXFilter[port], p.ports[port].tx.filters[number]) {
					return
				}
			}
		}
	}
}

// wanting returns the taps that want a frame that goes some way; frame is its first chunk. Here alone
// it is decided in a thread; wish() in fastpath.c is the same in the kernel.
func (w *worker) wanting(p *plan, y *way, frame []byte, d *xsk.Desc) tapSet {
	if y.choosy|y.filtered == 0 {
		return y.taps
	}
	return w.choosing(p, y, frame, d)
}

// choosing is the part of wanting that looks at the frame.
func (w *worker) choosing(p *plan, y *way, frame []byte, d *xsk.Desc) tapSet {
	some := y.taps
	if y.choosy != 0 {
		from, to := source(frame), destination(frame)
		for choosy := y.choosy; choosy != 0; choosy &= choosy - 1 {
			i := bits.TrailingZeros16(uint16(choosy))
			if h := p.hosts[i]; !h.has(from) && !h.has(to) {
				some &^= 1 << i
			}
		}
	}
	for filtered := some & y.filtered; filtered != 0; filtered &= filtered - 1 {
		i := bits.TrailingZeros16(uint16(filtered))
		if !w.matches(y.filters[i], *d, y.outbound) {
			some &^= 1 << i
		}
	}
	return some
}

// matches says whether a predicate holds of a frame. The first chunk of a long one mostly suffices.
func (w *worker) matches(code *predicate.Code, d xsk.Desc, outbound bool) bool {
	f := predicate.Frame{Data: w.umem.Bytes(d), Outbound: outbound}
	f.Wire = len(f.Data)
	if continued(d) || w.frames != nil {
		f.Wire = w.wire(d)
	}
	v := code.Match(&w.filter, &f)
	if v == predicate.Undecided && continued(d) {
		f.Data = w.contiguous(d)
		v = code.Match(&w.filter, &f)
	}
	return v == predicate.Match
}

// Policy returns the policy in force. The caller must not modify its lists.
func (e *Engine) Policy() policy.Policy { return e.plan.Load().Policy }

// Update changes the policy. fn gets a copy to change. Every frame that is received after Update
// has returned meets the new policy. If fn fails, or a probability is out of range, the policy
// stays as it was.
//
// With the fast path on, Update takes some ten milliseconds longer: it waits until no frame in the
// kernel is under way under the old policy. A change that sets an interface down or up waits for a
// start that is under way, and has to be made in the network namespace of the interfaces. One that sets or
// ends a trace in the fast path waits for the threads.
func (e *Engine) Update(fn func(*policy.Policy) error) error {
	e.update.Lock()
	before := carriersDown(&e.plan.Load().Policy)
	err := e.changeLocked(fn, e.outlets)
	again, moved := carriersDown(&e.plan.Load().Policy) != before, e.fast.tracesMovedLocked()
	e.update.Unlock()
	if !again && !moved {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if again && e.workers != nil {
		e.followCarriersLocked()
	}
	if moved {
		e.fast.followTraces()
	}
	return err
}

// changeLocked changes the policy as Update does, with a list of outlets. A caller who changes the
// outlets holds mu as well, and sets them afterwards. The caller holds update.
func (e *Engine) changeLocked(fn func(*policy.Policy) error, outlets []*outlet) error {
	before := e.plan.Load()
	p := before.Clone()
	if err := fn(&p); err != nil {
		return err
	}
	if err := p.Check(e.ends); err != nil {
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
	if err := announceTaps(outlets, &before.Policy, &p, &e.stamped); err != nil { // the policy is in force all the same
		e.config.Logf("readers of the queues do not see the new taps: %v", err)
	}
	return nil
}
