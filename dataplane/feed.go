package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// MaxFeeds is the largest number of further queues.
const MaxFeeds = 8

// Feed is a further queue that frames are put into, beside the TAP queue and by rules
// of its own: so two recorders can have different hosts.
type Feed struct {
	Name  string
	TapRX [2]bool  // frames received on the interface go there
	TapTX [2]bool  // frames sent on it go there
	Hash  *MACHash // empty = all; else a frame qualifies by its source or its destination

	out *outlet
}

// Feed returns the further queue of that name, to be changed in a policy that is not
// yet published: the list is copied.
func (p *Policy) Feed(name string) (*Feed, error) {
	i := slices.IndexFunc(p.Feeds, func(f Feed) bool { return f.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("no queue %s is fed here", name)
	}
	p.Feeds = slices.Clone(p.Feeds)
	return &p.Feeds[i], nil
}

// outlet is the way into a further queue.
type outlet struct {
	queue *shm.Queue            // written under mu and update
	tap   int                   // its number in the rules of the fast path: 1…MaxFeeds, and no other's
	since int64                 // when it had that, on the engine's clock
	past  uint64                // copies that were missed in the kernel until then: the number was another's
	lanes [MaxQueues]outletLane // by thread

	// Guarded by mu:
	producers []*shm.Producer // of the queue, all that there were
	lost      uint64          // put in, and lost with a queue's file
}

// prepared is for how many threads there is a lane.
func (o *outlet) prepared() (n int) {
	for n < MaxQueues && o.lanes[n].producer != nil {
		n++
	}
	return n
}

// producerName is what others see of the producer of a thread.
func producerName(thread int) string { return fmt.Sprintf("queue %d", thread) }

// outletLane is one thread's part of an outlet. All but the counters is that thread's.
type outletLane struct {
	producer *shm.Producer
	records  []shm.Record // to be put in at the end of the batch

	stored, refused atomic.Uint64 // written by the thread, once a batch
	_               [64]byte
}

// FeedStats is what became of the frames that qualified for a further queue.
type FeedStats struct {
	Feed
	Stored, Refused uint64
	Lost            uint64 // stored, and lost since with the queue's file; not in Stored
}

// AddQueue opens a queue, or makes it if its name begins with shm.Prefix, and feeds it
// from then on, by rules that tap nothing yet. It may be called before Start. A queue
// that is fed already stays as it is.
func (e *Engine) AddQueue(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	feeds := e.Policy().Feeds
	switch {
	case e.config.Queue != nil && e.config.Queue.Name() == name: // the one that comes in its place has that too
		return fmt.Errorf("queue %s is the TAP queue, which is always fed", name)
	case slices.ContainsFunc(feeds, func(f Feed) bool { return f.Name == name }):
		return nil
	case len(feeds) >= MaxFeeds:
		return fmt.Errorf("%d further queues are fed already", MaxFeeds)
	}
	q, err := shm.Open(name, shm.Options{Role: shm.RoleEthertap, Name: "pqueue", Repair: true, NoCreate: !strings.HasPrefix(name, shm.Prefix), Logf: e.config.Logf})
	if err != nil {
		return err
	}
	out := &outlet{queue: q, tap: 1}
	for slices.ContainsFunc(feeds, func(f Feed) bool { return f.out.tap == out.tap }) {
		out.tap++
	}
	e.number(out)
	if e.workers != nil {
		if err := e.prepare(out); err != nil {
			return errors.Join(err, out.close())
		}
		for _, p := range e.ports {
			e.warnSlots(q, p)
		}
	}
	err = e.Update(func(p *Policy) error {
		p.Feeds = append(slices.Clone(p.Feeds), Feed{Name: name, out: out})
		return nil
	})
	if err != nil {
		if _, asked := e.ask(); asked != nil { // until no thread has it any more
			return errors.Join(err, asked)
		}
		return errors.Join(err, out.close())
	}
	return nil
}

// number makes a further queue's number in the fast path its own from now on. The caller
// holds mu.
func (e *Engine) number(o *outlet) {
	e.fastTally()
	o.since, o.past = int64(time.Since(e.epoch)), e.fast.missed[o.tap]
}

// prepare makes what the threads need to put frames in, if it is not there from an
// earlier run. The caller holds mu.
func (e *Engine) prepare(o *outlet) error {
	if err := e.announce(o.queue, o); err != nil {
		return err
	}
	for i := range e.queues {
		lane := &o.lanes[i]
		if lane.producer != nil {
			continue
		}
		p, err := o.queue.NewProducer(producerName(i))
		if err != nil {
			return err
		}
		o.producers = append(o.producers, p)
		lane.producer, lane.records = p, make([]shm.Record, 0, 3*batchSize)
	}
	return nil
}

func (o *outlet) close() error {
	var errs []error
	for i := range o.lanes {
		if p := o.lanes[i].producer; p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(append(errs, o.queue.Close())...)
}

// RemoveQueue stops feeding a further queue. What waits in it stays there.
func (e *Engine) RemoveQueue(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out *outlet
	err := e.Update(func(p *Policy) error {
		f, err := p.Feed(name)
		if err != nil {
			return err
		}
		out = f.out
		p.Feeds = slices.DeleteFunc(p.Feeds, func(f Feed) bool { return f.Name == name })
		return nil
	})
	if err != nil {
		return err
	}
	// A thread that has answered has begun, or will begin, its batch with the new policy.
	if _, err := e.ask(); err != nil {
		return err
	}
	return out.close()
}

// Close stops the engine and leaves the queues, but for the one that it was given.
func (e *Engine) Close() error {
	errs := []error{e.Stop()}
	for _, f := range e.Policy().Feeds {
		errs = append(errs, e.RemoveQueue(f.Name))
	}
	if q := e.queue.Load(); q != e.config.Queue {
		errs = append(errs, q.Close())
	}
	return errors.Join(errs...)
}

// FeedStats returns the further queues, in the order in which they were added.
func (e *Engine) FeedStats() []FeedStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fastTally()
	var list []FeedStats
	for _, f := range e.Policy().Feeds {
		s := FeedStats{Feed: f, Refused: e.fast.missed[f.out.tap] - f.out.past}
		for i := range f.out.lanes {
			s.Stored += f.out.lanes[i].stored.Load()
			s.Refused += f.out.lanes[i].refused.Load()
		}
		s.Lost = min(f.out.lost, s.Stored)
		s.Stored -= s.Lost
		list = append(list, s)
	}
	return list
}

// feed notes a frame for the further queues that want it, as tap does for the TAP queue.
func (w *worker) feed(policy *Policy, port int, dir shm.Direction, m mark, d xsk.Desc) {
	frame := w.umem.Bytes(d)
	if continued(d) {
		w.flushTap() // see tap
		defer w.flushTap()
	}
	for i := range policy.Feeds {
		f := &policy.Feeds[i]
		wanted := &f.TapRX
		if dir == shm.TX {
			wanted = &f.TapTX
		}
		if !wanted[port] || !qualifies(f.Hash, frame) {
			continue
		}
		w.describe(w.noteFor(f), port, dir, m, d)
	}
}

// noteFor makes room for a record for a further queue.
func (w *worker) noteFor(f *Feed) *shm.Record {
	lane := &f.out.lanes[w.queue]
	if len(lane.records) == 0 {
		w.fed = append(w.fed, lane)
	}
	return longer(&lane.records)
}

// flushFeeds puts what was noted into the further queues, in one call for each.
func (w *worker) flushFeeds() {
	for _, lane := range w.fed {
		n := lane.producer.Put(lane.records)
		lane.stored.Add(uint64(n))
		lane.refused.Add(uint64(len(lane.records) - n))
		lane.records = lane.records[:0]
	}
	w.fed = w.fed[:0]
}
