// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"math"
	"time"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/stamp"
	"ethertap/dataplane/xsk"
)

// The programs of the fast path carry out those faults by which no frame waits. The dice are then
// theirs, and a thread that gets a frame finds in front of it what they say (worker.heed). Where a
// thread gets a frame without that, it throws the dice of its own.

// inKernel says whether the programs can carry out all the faults of an interface that are set. A
// setting that they do not know is one for the threads.
func inKernel(f *policy.Fault) bool {
	known := policy.Fault{
		Enabled: f.Enabled, CutCarrier: f.CutCarrier, Outage: f.Outage, Burst: f.Burst, Drop: f.Drop, Length: f.Length, Bitflip: f.Bitflip, Dup: f.Dup,
		// Without a delay these have no effect.
		Distribution: f.Distribution, KeepOrder: f.KeepOrder, Reorder: f.Reorder, Rate: policy.Rate{Queue: f.Rate.Queue},
	}
	return *f == known
}

// faultsLocked returns the faults of an interface as the programs have them.
func (f *fastPath) faultsLocked(number int) fastpath.Faults {
	p := f.plan.Load()
	w := &p.Ports[number].Fault
	faults := fastpath.Faults{
		Seed: p.Seed.Seed, Epoch: f.diceEpoch(p.Seed), Own: f.own[number],
		Burst: fastpath.Burst{Enter: w.Burst.Enter, Leave: w.Burst.Leave, Bad: w.Burst.LossBad, Good: w.Burst.LossGood},
	}
	switch {
	case w.IsCut():
		faults.Outage = math.MaxInt64
	case w.Outage > int64(time.Since(f.epoch)):
		faults.Outage = time.Duration(f.boot + w.Outage)
	}
	for i := range fastpath.FaultsKnown {
		if chance := policy.Faults[i].Chance; chance != nil {
			c := chance(w)
			faults.Chances[i] = fastpath.Chance{Probability: c.Probability, Every: c.Every, Correlation: c.Correlation}
		}
	}
	faults.Limit = int(f.limits[number].stretch)
	faults.Chunk = f.threads.workers[0].umem.FrameSize() - xsk.Headroom // all threads have the same
	return faults
}

// diceEpoch is the number by which the programs tell that dice begin anew: after fault.seed, and at a start
// that takes over programs, whose dice go on until then.
func (f *fastPath) diceEpoch(seed policy.Seed) uint32 { return f.begin + uint32(seed.Epoch) }

// doneInKernel says whether the programs carry out a fault of frames received on an interface. A frame that
// is sent twice goes to the thread, and one that a fault changes if a filter has to be asked about it then.
func (f *fastPath) doneInKernel(number, fault int) bool {
	p := f.plan.Load()
	switch {
	case fault >= fastpath.FaultsKnown || fault == policy.FaultDup:
		return false
	case fastpath.Losses>>fault&1 == 0 && p.ports[other(number)].tx.filtered != 0:
		return false
	}
	return f.without(number) == "" && inKernel(&p.Ports[number].Fault)
}

// heed tells the dice of a lane which frame they are thrown for. frame is its number if nothing in
// front of it says otherwise. Each frame that has a number is heeded in its turn, so that nothing is
// believed that was written in front of an earlier frame in the same chunk.
func (w *worker) heed(in int, d xsk.Desc, frame uint64) {
	dice := &w.lanes[in].dice
	dice.frame, dice.thrown = frame, false
	k := w.kernel.Load()
	if k == nil {
		return
	}
	front := w.umem.Front(d, stamp.FrontSize+fastpath.ToldSize)
	if front == nil {
		return
	}
	for _, at := range [...]int{stamp.FrontSize, 0} { // without a time stamp between, or with one
		told, ok := fastpath.ParseTold(front[at:at+fastpath.ToldSize], in, k.begin+uint32(w.seed.Epoch))
		if ok && told.Frame >= dice.least {
			dice.frame, dice.least = told.Frame, told.Frame+1
			dice.thrown, dice.hits = !told.Own, told.Hits
			return
		}
	}
}

// tracedLocked says on which interfaces a trace loses frames. The threads throw the dice for these, since
// that happens between faults that the programs know.
func (f *fastPath) tracedLocked() (traced [2]bool) {
	p := f.plan.Load()
	for i := range f.ports {
		traced[i] = p.Ports[i].Fault.Trace != policy.Trace{}
	}
	return traced
}

// tracesMovedLocked says whether a path is in force for other traces than the policy has: see
// followTraces.
func (f *fastPath) tracesMovedLocked() bool { return f.path != nil && f.own != f.tracedLocked() }

// followTraces has the threads throw the dice of the interfaces with a trace, and the programs those of the
// others. What the dice remember goes with that; the numbers of frames are the programs' all the time.
// Frames that come in the few milliseconds that this takes may be forgotten.
func (f *fastPath) followTraces() {
	f.update.Lock()
	defer f.update.Unlock()
	if !f.tracesMovedLocked() {
		return
	}
	path, before, now := f.path, f.own, f.tracedLocked()
	err := f.exchangeDice(func(w *worker, port int, d *dice) error {
		if !before[port] || now[port] {
			return nil
		}
		return path.SetMemory(port, w.queue, d.memory())
	})
	f.own = now
	err = errors.Join(err, f.applyLocked(false), f.exchangeDice(func(w *worker, port int, d *dice) error {
		if before[port] || !now[port] {
			return nil
		}
		taken, ok, err := path.Dice(port, w.queue, w.seed.Seed, f.diceEpoch(w.seed))
		if err == nil && ok {
			d.remember(&taken.Memory)
		}
		return err
	}))
	if err != nil {
		f.logf("fast path: after a change of a trace: %v", err)
	}
}

// giveDice gives the dice of the threads to the programs, which go on with them. The programs are on
// no interface yet.
func (f *fastPath) giveDice(path *fastpath.Path) error {
	return f.exchangeDice(func(w *worker, port int, d *dice) error {
		return path.SetDice(port, w.queue, d.key, w.seed.Seed, f.diceEpoch(w.seed), fastpath.Dice{Next: d.next, Memory: d.memory()})
	})
}

// takeDice gives the dice of the programs to the threads. The programs are on no interface any more. The
// frames that wait in a ring were diverted by them, with what their dice say in front. Once these are
// through, whatever stands in front of a frame is old.
func (f *fastPath) takeDice(path *fastpath.Path) error {
	return f.exchangeDice(func(w *worker, port int, d *dice) error {
		w.receiveWaiting(port)
		taken, ok, err := path.Dice(port, w.queue, w.seed.Seed, f.diceEpoch(w.seed))
		if err != nil || !ok {
			return err
		}
		d.next, d.least = taken.Next, taken.Next
		if !f.own[port] {
			d.remember(&taken.Memory)
		}
		return nil
	})
}

// memory returns what dice remember of the faults that the programs know.
func (d *dice) memory() (m fastpath.Memory) {
	m.Bad = d.bad
	for i := range fastpath.FaultsKnown {
		m.Every[i], m.Seen[i] = d.turn[i].every, d.turn[i].seen
		if d.last[i] {
			m.Last |= 1 << i
		}
	}
	return m
}

func (d *dice) remember(m *fastpath.Memory) {
	d.bad = m.Bad
	for i := range fastpath.FaultsKnown {
		d.turn[i] = turn{every: m.Every[i], seen: m.Seen[i]}
		d.last[i] = m.Last>>i&1 != 0
	}
}

// exchangeDice has each thread call do for its lanes, between two batches.
func (f *fastPath) exchangeDice(do func(w *worker, port int, d *dice) error) error {
	if len(f.ports) < 2 { // no frame of a mirrored interface suffers faults
		return nil
	}
	var errs []error
	for _, w := range f.threads.workers {
		err := w.between(func() {
			w.followSeed(f.plan.Load().Seed) // which the thread would do with the next frame that it gets
			for port := range w.lanes {
				errs = append(errs, do(w, port, &w.lanes[port].dice))
			}
		})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("dice of faults: %w", err)
	}
	return nil
}
