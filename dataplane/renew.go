package dataplane

import (
	"errors"
	"fmt"
	"time"

	"ethertap/shm"
)

// A queue's file may be removed, replaced or damaged while it is fed. Then nobody who opens
// the queue finds the frames. So the engine looks now and then, gives the threads the queue
// that has the name, made anew if need be, and counts what was lost with the old one.

// queueWatch is how often it is looked whether the queues are intact.
const queueWatch = 200 * time.Millisecond

// fed is a queue that is fed, with what its watch knows of it.
type fed struct {
	out    *outlet
	queue  *shm.Queue
	said   string               // why it could not be made anew
	waited uint64               // packets in it, when it was looked at last
	stored [MaxQueues][2]uint64 // put in until then, by thread and interface; of a further queue all in [.][0]
}

// watchQueues looks after the queues until quit is closed.
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

// lookAtQueues renews the queues that are not intact. Nothing is locked meanwhile: to open
// a queue may take half a second, while others replace it.
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

// renewQueuesLocked does the same before a start. No thread runs.
func (e *Engine) renewQueuesLocked() {
	for _, f := range e.fedQueuesLocked(nil) {
		if again, why := e.anew(&f); again != nil {
			e.replaceLocked(&f, again, why)
		}
	}
}

// fedQueuesLocked lists the queues, with what is known of those that are the same.
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

// feedsLocked says whether the queue is fed still.
func (e *Engine) feedsLocked(f *fed) bool {
	for _, current := range e.fedQueuesLocked(nil) {
		if current.out == f.out && current.queue == f.queue {
			return true
		}
	}
	return false
}

// anew opens what is to be fed in the place of a queue that is not intact, and says why. It
// says once why that cannot be had.
func (e *Engine) anew(f *fed) (again *shm.Queue, why error) {
	why = f.queue.Intact()
	if why == nil {
		f.said, f.stored = "", e.storedIn(f.out)
		f.waited, why = f.queue.Backlog()
	}
	if why == nil || errors.Is(why, shm.ErrClosed) { // by whoever has given it to us
		return nil, nil
	}
	again, err := f.queue.Renew()
	switch {
	case err == nil && f.queue.Intact() == nil: // it was only elsewhere for a moment
		again.Close()
		return nil, nil
	case err == nil:
		return again, why
	}
	if said := fmt.Sprintf("%v; there is no other in its place, and nobody gets what is tapped: %v", why, err); said != f.said {
		e.config.Logf("%s", said)
		f.said = said
	}
	return nil, nil
}

// storedIn is what was put into a queue so far.
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

// replaceLocked has another queue fed in the place of f, or says why not.
func (e *Engine) replaceLocked(f *fed, again *shm.Queue, why error) {
	producers, err := e.adoptLocked(f.out, again)
	if err != nil {
		e.config.Logf("%v; frames are put into it still: %v", why, errors.Join(err, again.Close()))
		return
	}
	old := &former{fed: *f, mine: f.out.producers, left: f.queue.Slots(), since: time.Now()}
	f.out.producers = producers
	for q, p := range producers {
		give := func() { f.out.lanes[q].producer = p }
		if q < len(e.workers) {
			e.workers[q].errand.Store(&give)
		} else {
			give()
		}
	}
	e.config.Logf("%v; frames are put into a new one from now on", why)
	if _, err := e.awaitThreadsLocked(); err != nil { // who does not answer may be at the old one: it stays open
		e.config.Logf("queue %s: %v", again.Name(), err)
		return
	}
	for _, p := range old.mine {
		p.Close() // of a damaged queue it fails, and nothing hangs on it
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

// adoptLocked makes a queue the one that is fed, but for the threads, which get the producers.
// After an error all is as it was.
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
	if err := e.fast.applyLocked(false); err != nil { // its slots may have another size
		e.config.Logf("fast path: %v", err)
	}
	return producers, nil
}
