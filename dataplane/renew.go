// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"time"

	"ethertap/shm"
)

// The file of a queue may be removed, replaced or damaged while the engine feeds it. Then nobody
// who opens the queue finds the frames. So the engine checks its queues, gives the threads the
// queue that has the name now, or a new one, and counts what was lost with the old one.

// queueWatch is the interval of these checks.
const queueWatch = 200 * time.Millisecond

// fed is a queue that the engine feeds, with what watchQueues knows of it.
type fed struct {
	out    *outlet
	queue  *shm.Queue
	said   string               // why no replacement could be opened, as logged
	waited uint64               // packets in the queue at the last check
	stored [MaxQueues][2]uint64 // records put in until the last check, by thread and interface; for a further queue all in [.][0]
}

// watchQueues checks the queues until quit is closed.
func (e *Engine) watchQueues(quit chan struct{}) {
	tick := time.NewTicker(queueWatch)
	defer tick.Stop()
	var known []fed
	for {
		select {
		case <-quit:
			return
		case <-tick.C:
			known = e.lookAtQueues(quit, known)
		}
	}
}

// lookAtQueues replaces the queues that are not intact, and returns the list of queues for the next
// call. It holds no lock while it opens a queue: that may take half a second if others replace it
// at the same time.
func (e *Engine) lookAtQueues(quit chan struct{}, known []fed) []fed {
	e.mu.Lock()
	list := e.fedQueuesLocked(known)
	e.mu.Unlock()
	for i := range list {
		again, why := e.anew(&list[i])
		if again == nil {
			continue
		}
		e.mu.Lock()
		if e.quit == quit && e.feedsLocked(&list[i]) {
			e.replaceLocked(&list[i], again, why)
		} else {
			again.Close()
		}
		e.mu.Unlock()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit == quit {
		e.settleFormerLocked(false)
	}
	return list
}

// renewQueuesLocked replaces the queues that are not intact before a start. No thread runs.
func (e *Engine) renewQueuesLocked() {
	for _, f := range e.fedQueuesLocked(nil) {
		if again, why := e.anew(&f); again != nil {
			e.replaceLocked(&f, again, why)
		}
	}
}

// fedQueuesLocked lists the queues that are fed. Entries of known for the same queues are kept.
func (e *Engine) fedQueuesLocked(known []fed) (list []fed) {
	add := func(f fed) {
		for _, k := range known {
			if k.out == f.out && k.queue == f.queue {
				f = k
			}
		}
		list = append(list, f)
	}
	for _, o := range e.outlets {
		if q := o.queue.Load(); q != nil {
			add(fed{out: o, queue: q})
		}
	}
	return list
}

// feedsLocked says whether a queue is still fed by the same outlet.
func (e *Engine) feedsLocked(f *fed) bool {
	for _, current := range e.fedQueuesLocked(nil) {
		if current.out == f.out && current.queue == f.queue {
			return true
		}
	}
	return false
}

// anew opens the replacement of a queue that is not intact; why says what is wrong with the queue.
// Both are nil if it is intact, or if there is no replacement, which is logged once.
func (e *Engine) anew(f *fed) (again *shm.Queue, why error) {
	why = f.queue.Intact()
	if why == nil {
		f.said, f.stored = "", e.storedIn(f.out)
		f.waited, why = f.queue.Backlog()
	}
	if why == nil || errors.Is(why, shm.ErrClosed) { // its owner has closed it
		return nil, nil
	}
	again, err := f.queue.Renew()
	switch {
	case err == nil && f.queue.Intact() == nil: // the file had another name for a moment
		again.Close()
		return nil, nil
	case err == nil:
		return again, why
	}
	if said := fmt.Sprintf("%v; there is no replacement, and nobody gets the tapped frames: %v", why, err); said != f.said {
		e.config.Logf("%s", said)
		f.said = said
	}
	return nil, nil
}

// storedIn returns the number of records put into a queue so far, by thread and interface.
func (e *Engine) storedIn(out *outlet) (n [MaxQueues][2]uint64) {
	for q := range n {
		if out.number != tapQueue {
			n[q][0] = out.lanes[q].stored.Load()
			continue
		}
		t := e.counts[q].read()
		for p := range t {
			n[q][p] = t[p][countTapStored]
		}
	}
	return n
}

// replaceLocked replaces the queue of f by another one, which belongs to it from then on. why says
// what is wrong with the old one, for the log.
func (e *Engine) replaceLocked(f *fed, again *shm.Queue, why error) {
	producers, err := e.adoptLocked(f.out, again)
	if err != nil {
		e.config.Logf("%v; frames still go into it: %v", why, errors.Join(err, again.Close()))
		return
	}
	old := &former{fed: *f, mine: f.out.producers, left: f.queue.Slots(), fellAt: time.Now()}
	f.out.producers = producers
	for q, p := range producers {
		give := func() { f.out.lanes[q].producer = p }
		if q < len(e.workers) {
			e.workers[q].errand.Store(&give)
		} else {
			give()
		}
	}
	e.config.Logf("%v; frames go into a new one from now on", why)
	if err := e.awaitThreadsLocked(); err != nil { // a thread that does not answer may still use the old queue, which therefore stays open
		e.config.Logf("queue %s: %v", again.Name(), err)
		return
	}
	for _, p := range old.mine {
		p.Close() // it fails for a damaged queue, which does no harm
	}
	for q, n := range e.storedIn(f.out) {
		for p := range n {
			old.recent[q][p] = n[p] - f.stored[q][p]
		}
	}
	e.former = append(e.former, old)
	if again.Room() != f.queue.Room() {
		for _, p := range e.ports {
			e.warnSlotsLocked(again, p)
		}
	}
}

// adoptLocked makes again the queue of an outlet and returns its producers, which the caller hands
// to the threads. After an error everything is as it was.
func (e *Engine) adoptLocked(out *outlet, again *shm.Queue) (producers []*shm.Producer, err error) {
	defer func() {
		if err != nil {
			for _, p := range producers {
				p.Close()
			}
		}
	}()
	for q := range out.producerCount() {
		p, err := again.NewProducer(producerName(q))
		if err != nil {
			return producers, err
		}
		producers = append(producers, p)
	}
	e.update.Lock()
	defer e.update.Unlock()
	if err := again.SetInterfaces(e.describedLocked(out)); err != nil {
		return producers, err
	}
	out.queue.Store(again)
	if err := e.fast.applyLocked(false); err != nil { // the slots may have another size
		e.config.Logf("fast path: %v", err)
	}
	return producers, nil
}
