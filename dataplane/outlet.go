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

// MaxFurther is the largest number of further queues.
const MaxFurther = policy.MaxTaps - 1

// tapQueue is the number of the TAP queue's outlet.
const tapQueue = 0

// outlet is the way from a tap into its queue. The engine has one for each tap of the
// policy, and always one for the TAP queue, even if there is no such queue.
type outlet struct {
	name   string                    // that of the tap: "" is the TAP queue
	number int                       // its number, in sets of taps and in the rules of the fast path, and no other's
	queue  atomic.Pointer[shm.Queue] // nil: there is no TAP queue. Written under mu and update
	lanes  [MaxQueues]outletLane     // by thread
	since  int64                     // since when the number is its own, on the engine's clock
	past   uint64                    // copies that were missed in the kernel until then

	// Guarded by mu:
	producers      []*shm.Producer      // of the queue, all that there were
	lost, lostBase [MaxQueues][2]uint64 // put in, and lost with a queue's file: by thread and interface, and at the last reset
}

// outletLane is one thread's part of an outlet. All but the counters is that thread's.
type outletLane struct {
	producer *shm.Producer // nil: there is no TAP queue
	records  []shm.Record  // to be put in at the end of the batch
	runs     []recordRun   // of records that count for the same interface; there is one for each change
	number   int           // the interface of the last run; noPort if there is none

	// Written by the thread, once a batch. The TAP queue's are in the thread's tally instead,
	// since they belong to the account of an interface.
	stored, refused atomic.Uint64
	_               [64]byte
}

// recordRun begins a number of records that count for one interface.
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

// outletOf returns the outlet of a tap, or nil. The list may have gaps.
func outletOf(outlets []*outlet, name string) *outlet {
	if i := slices.IndexFunc(outlets, func(o *outlet) bool { return o != nil && o.name == name }); i >= 0 {
		return outlets[i]
	}
	return nil
}

// producerCount is how many threads can put frames in.
func (o *outlet) producerCount() (n int) {
	for n < MaxQueues && o.lanes[n].producer != nil {
		n++
	}
	return n
}

// Queue returns the TAP queue: that of the configuration, or the one that has come in its
// place since. nil if there is none.
func (e *Engine) Queue() *shm.Queue { return e.tapOutlet.queue.Load() }

// AddQueue opens a queue, or makes it if its name begins with shm.Prefix, and feeds it
// from then on, by a tap that wants nothing yet. It may be called before Start. A queue
// that is fed already stays as it is.
func (e *Engine) AddQueue(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.config.Queue != nil && e.config.Queue.Name() == name: // the one that comes in its place has that too
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
		if _, asked := e.awaitThreadsLocked(); asked != nil { // until no thread has it any more
			return errors.Join(err, asked)
		}
		return errors.Join(err, out.close())
	}
	return nil
}

// RemoveQueue stops feeding a further queue. What waits in it stays there.
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
	// A thread that has answered has begun, or will begin, its batch with the new policy.
	if _, err := e.awaitThreadsLocked(); err != nil {
		return err
	}
	return out.close()
}

// changeOutletsLocked changes the policy, and with it the outlets.
func (e *Engine) changeOutletsLocked(fn func(*policy.Policy) error, outlets []*outlet) error {
	e.update.Lock()
	defer e.update.Unlock()
	err := e.changeLocked(fn, outlets)
	if err == nil {
		e.outlets = outlets
	}
	return err
}

// claimNumberLocked makes an outlet's number in the fast path its own from now on.
func (e *Engine) claimNumberLocked(o *outlet) {
	e.fast.readCounters()
	o.since, o.past = int64(time.Since(e.epoch)), e.fast.missed[o.number]
}

// openProducersLocked makes what the threads need to put frames in, and tells those who read the queue
// what the interfaces are.
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

// closeProducers closes what prepare has made. No thread runs.
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

// closeProducersLocked closes what launch has prepared.
func (e *Engine) closeProducersLocked() error {
	var errs []error
	for _, o := range e.outlets {
		errs = append(errs, o.closeProducers())
	}
	return errors.Join(errs...)
}

// Close stops the engine and leaves the queues, but for the one that it was given.
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

// producerName is what others see of the producer of a thread.
func producerName(thread int) string { return fmt.Sprintf("queue %d", thread) }
