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
		Seed: p.Seed.Seed, Epoch: uint32(p.Seed.Epoch), Own: w.Trace != policy.Trace{},
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

// doneInKernel says whether the programs carry out a fault of frames received on an interface. A frame that
// is sent twice goes to the thread.
func (f *fastPath) doneInKernel(number, fault int) bool {
	return fault < fastpath.FaultsKnown && fault != policy.FaultDup && f.without(number) == "" && inKernel(&f.plan.Load().Ports[number].Fault)
}

// heed tells the dice of a lane which frame they are thrown for. frame is its number if nothing in
// front of it says otherwise. Each frame that has a number is heeded in its turn, so that nothing is
// believed that was written in front of an earlier frame in the same chunk.
func (w *worker) heed(in int, d xsk.Desc, frame uint64) {
	dice := &w.lanes[in].dice
	dice.frame, dice.thrown = frame, false
	if w.kernel.Load() == nil {
		return
	}
	front := w.umem.Front(d, stamp.FrontSize+fastpath.ToldSize)
	if front == nil {
		return
	}
	for _, at := range [...]int{stamp.FrontSize, 0} { // without a time stamp between, or with one
		told, ok := fastpath.ParseTold(front[at:at+fastpath.ToldSize], in, uint32(w.seed.Epoch))
		if ok && told.Frame >= dice.least {
			dice.frame, dice.least = told.Frame, told.Frame+1
			dice.thrown, dice.hits = !told.Own, told.Hits
			return
		}
	}
}

// giveDice gives the dice of the threads to the programs, which go on with them. The programs are on
// no interface yet.
func (f *fastPath) giveDice(path *fastpath.Path) error {
	return f.exchangeDice(func(w *worker, port int, d *dice) error {
		given := fastpath.Dice{Next: d.next, Bad: d.bad}
		for i := range fastpath.FaultsKnown {
			given.Every[i], given.Seen[i] = d.turn[i].every, d.turn[i].seen
			if d.last[i] {
				given.Last |= 1 << i
			}
		}
		return path.SetDice(port, w.queue, d.key, w.seed.Seed, uint32(w.seed.Epoch), given)
	})
}

// takeDice gives the dice of the programs to the threads. The programs are on no interface any more. The
// frames that wait in a ring were diverted by them, with what their dice say in front. Once these are
// through, whatever stands in front of a frame is old.
func (f *fastPath) takeDice(path *fastpath.Path) error {
	return f.exchangeDice(func(w *worker, port int, d *dice) error {
		w.receiveWaiting(port)
		taken, ok, err := path.Dice(port, w.queue, w.seed.Seed, uint32(w.seed.Epoch))
		if err != nil || !ok {
			return err
		}
		d.next, d.least, d.bad = taken.Next, taken.Next, taken.Bad
		for i := range fastpath.FaultsKnown {
			d.turn[i] = turn{every: taken.Every[i], seen: taken.Seen[i]}
			d.last[i] = taken.Last>>i&1 != 0
		}
		return nil
	})
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
