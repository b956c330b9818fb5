// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ethertap/dataplane/policy"
	"ethertap/shm"
)

// MaxFurther is the largest number of further queues, besides the TAP queue.
const MaxFurther = policy.MaxTaps - 1

// tapQueue is the number of the outlet of the TAP queue.
const tapQueue = 0

// outlet is the way from a tap into its queue. The engine has one for each tap of the policy. The
// outlet of the TAP queue always exists, even if there is no such queue.
type outlet struct {
	name      string                    // the name of the tap; "" is the TAP queue
	number    int                       // its own number in sets of taps and in the rules of the fast path
	queue     atomic.Pointer[shm.Queue] // nil if there is no TAP queue; written under mu and update
	lanes     [MaxQueues]outletLane     // by thread
	claimedAt int64                     // when the outlet got its number, on the engine's clock
	past      uint64                    // copies that the kernel could not make for the tap that had the number before

	// mu guards these fields:
	producers      []*shm.Producer      // all that the queue has had
	lost, lostBase [MaxQueues][2]uint64 // records lost with the file of a queue, by thread and interface: in all, and until the last reset
}

// outletLane is the part of an outlet that belongs to one thread. That thread alone uses it, except
// for the counters.
type outletLane struct {
	producer *shm.Producer // nil if there is no TAP queue
	records  []shm.Record  // to be put into the queue at the end of the batch
	runs     []recordRun   // one for each change of the interface within records
	number   int           // the interface of the last run, or noInterface
	reading  reading       // see worker.putPatiently

	// The thread writes these counters, once a batch. For the TAP queue it uses its tally instead,
	// since these frames are part of the account of an interface.
	stored, refused atomic.Uint64
	_               [64]byte
}

// recordRun is a run of consecutive records that count for one interface; from is the index of the
// first.
type recordRun struct{ number, from int }

const noInterface = -1

func newOutlet(name string, tap int, queue *shm.Queue) *outlet {
	o := &outlet{name: name, number: tap}
	for i := range o.lanes {
		o.lanes[i].number = noInterface
	}
	o.queue.Store(queue)
	return o
}

// outletOf returns the outlet of a tap, or nil if there is none. The list may contain nil.
func outletOf(outlets []*outlet, name string) *outlet {
	if i := slices.IndexFunc(outlets, func(o *outlet) bool { return o != nil && o.name == name }); i >= 0 {
		return outlets[i]
	}
	return nil
}

// producerCount returns the number of threads that can put records into the queue.
func (o *outlet) producerCount() (n int) {
	for n < MaxQueues && o.lanes[n].producer != nil {
		n++
	}
	return n
}

// Queue returns the TAP queue: the one of the configuration, or the one that has replaced it since.
// It is nil if there is none.
func (e *Engine) Queue() *shm.Queue { return e.tapOutlet.queue.Load() }

// Queues returns all queues that are fed: the TAP queue, if there is one, then the further queues. A
// further queue is closed when it is no longer fed.
func (e *Engine) Queues() (list []*shm.Queue) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.outlets {
		if q := o.queue.Load(); q != nil {
			list = append(list, q)
		}
	}
	return list
}

// AddQueue opens a queue, or creates it if its name begins with shm.Prefix, and feeds it from then
// on, by a tap that wants no frames yet. It may be called before Start. A queue that is fed already
// stays as it is. It fails if the queue is the TAP queue or cannot be opened, or if MaxFurther
// queues are fed.
func (e *Engine) AddQueue(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.config.Queue != nil && e.config.Queue.Name() == name: // its replacement has the same name
		return fmt.Errorf("queue %s is the TAP queue, which is always fed", name)
	case outletOf(e.outlets, name) != nil:
		return nil
	case len(e.outlets) > MaxFurther:
		return fmt.Errorf("%d further queues are fed already", MaxFurther)
	}
	q, err := shm.Open(name, shm.Options{Role: shm.RoleEthertap, Name: "pqueue", Repair: true, NoCreate: !strings.HasPrefix(name, shm.Prefix)})
	if err != nil {
		return err
	}
	tap := 1
	for slices.ContainsFunc(e.outlets, func(o *outlet) bool { return o.number == tap }) {
		tap++
	}
	out := newOutlet(name, tap, q)
	e.claimNumberLocked(out)
	if e.workers != nil {
		if err := e.openProducersLocked(out); err != nil {
			return errors.Join(err, out.close())
		}
		for _, p := range e.ports {
			e.warnSlotsLocked(q, p)
		}
	}
	err = e.changeOutletsLocked(func(p *policy.Policy) error {
		p.Taps = append(p.Taps, policy.Tap{Name: name})
		return nil
	}, append(slices.Clone(e.outlets), out))
	if err != nil {
		if asked := e.awaitThreadsLocked(); asked != nil { // wait until no thread uses the outlet any more
			return errors.Join(err, asked)
		}
		return errors.Join(err, out.close())
	}
	return nil
}

// RemoveQueue stops feeding a further queue. The packets in it stay there. It fails if the queue is
// not fed.
func (e *Engine) RemoveQueue(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := outletOf(e.outlets[1:], name)
	err := e.changeOutletsLocked(func(p *policy.Policy) error {
		if _, err := p.Tap(name); err != nil {
			return err
		}
		p.Taps = slices.DeleteFunc(p.Taps, func(t policy.Tap) bool { return t.Name == name })
		return nil
	}, slices.DeleteFunc(slices.Clone(e.outlets), func(o *outlet) bool { return o == out }))
	if err != nil {
		return err
	}
	// A thread that has answered uses the new policy, from this batch or the next one on.
	if err := e.awaitThreadsLocked(); err != nil {
		return err
	}
	return out.close()
}

// changeOutletsLocked changes the policy and the outlets together.
func (e *Engine) changeOutletsLocked(fn func(*policy.Policy) error, outlets []*outlet) error {
	e.update.Lock()
	defer e.update.Unlock()
	err := e.changeLocked(fn, outlets)
	if err == nil {
		e.outlets = outlets
	}
	return err
}

// claimNumberLocked notes that an outlet has its number from now on, so that it is not charged for
// the copies that the kernel missed for an earlier one.
func (e *Engine) claimNumberLocked(o *outlet) {
	e.fast.readCounters()
	o.claimedAt, o.past = int64(time.Since(e.epoch)), e.fast.missed[o.number]
}

// openProducersLocked opens a producer for each thread, and writes the interfaces into the queue
// for its readers.
func (e *Engine) openProducersLocked(o *outlet) error {
	q := o.queue.Load()
	if q == nil {
		return nil
	}
	if err := e.announceLocked(o); err != nil {
		return fmt.Errorf("queue %s: interfaces: %w", q.Name(), err)
	}
	for i := range e.queues {
		lane := &o.lanes[i]
		if lane.producer != nil {
			continue
		}
		p, err := q.NewProducer(producerName(i))
		if err != nil {
			return err
		}
		o.producers = append(o.producers, p)
		lane.producer = p
	}
	return nil
}

// closeProducers closes what openProducersLocked has opened. No thread runs.
func (o *outlet) closeProducers() error {
	var errs []error
	for i := range o.lanes {
		if p := o.lanes[i].producer; p != nil {
			errs = append(errs, p.Close())
			o.lanes[i].producer = nil
		}
	}
	return errors.Join(errs...)
}

func (o *outlet) close() error { return errors.Join(o.closeProducers(), o.queue.Load().Close()) }

// closeProducersLocked closes the producers of all outlets. No thread runs.
func (e *Engine) closeProducersLocked() error {
	var errs []error
	for _, o := range e.outlets {
		errs = append(errs, o.closeProducers())
	}
	return errors.Join(errs...)
}

// Close stops the engine and closes its queues, except for Config.Queue.
func (e *Engine) Close() error {
	errs := []error{e.Stop()}
	for _, t := range e.Policy().Taps[1:] {
		errs = append(errs, e.RemoveQueue(t.Name))
	}
	if q := e.Queue(); q != e.config.Queue {
		errs = append(errs, q.Close())
	}
	return errors.Join(errs...)
}

// producerName returns the name under which other processes see the producer of a thread.
func producerName(thread int) string { return fmt.Sprintf("queue %d", thread) }
