// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
)

// Engine bridges two interfaces or mirrors one. Its methods may be called from any goroutine.
//
// It has two locks. mu is held by every method that changes or asks what runs; a start holds it for
// as long as the interfaces take to come up. update is held for milliseconds, by every method that
// changes what the threads and the kernel work by: the policy, the outlets, the rules of the fast
// path. So a policy can be changed while an interface comes up. A method that takes both takes mu
// first. The locks inside a queue, a port in memory or the interpreter come after these two. The
// threads take no lock.
//
// A function whose name ends in Locked needs mu. Where it needs update as well, or instead, its
// comment says so. A field that may be read under either lock is written under both.
type Engine struct {
	config    Config
	epoch     time.Time            // the clock of faults starts here
	plan      atomic.Pointer[plan] // the threads read it
	update    sync.Mutex           // held for one Update at a time
	outlets   []*outlet            // one per tap of the policy, in their order; written under mu and update
	counts    []*counters          // by queue, as the next fields; they outlive Stop
	tables    []portTables         // by queue; nil before the first Start
	paces     [2]pace              // of the frames received on each interface; the threads write them
	poll      atomic.Uint32        // a PollMode
	ends      []policy.End         // what each interface does; New sets it
	stamped   stampedPorts         // as the queues were told last; written under mu and update
	fast      fastPath             // its type says what it is guarded by
	tapOutlet *outlet              // the outlet of the TAP queue, which is the first of outlets

	mu           sync.Mutex // guards the fields below, and the ports
	ports        []*enginePort
	timed        bool          // the clock of the threads is that of the frames; New sets it
	stamps       nic.StampMode // where time stamps of received frames come from
	long         bool          // frames may need several chunks, in this run
	queues       int           // number of threads in this run or the last one
	frames       frameClock
	quit         chan struct{} // closed by Stop; nil when the engine is not started
	workers      []*worker     // by queue; nil while nothing is forwarded
	undo         port.Undo
	said         string        // why frames are not forwarded though they should be, as logged
	pause        time.Duration // after the last try to start anew that failed half way; it grows while the reason stays
	retryAt      time.Time     // no further try before then
	chunksLeft   Chunks        // as the last Stop found them
	base         [][2]tally
	frameID      []uint64 // by queue: the first packet id of the next run
	kernelCounts [][2]kernelCount
	short        string    // what is lost because queues and threads differ in number; "" if nothing is
	former       []*former // queues that are no longer fed, until their losses are counted

	since    time.Time           // when the counters began at 0: the last reset, or New
	fastBase [MaxQueues][2]tally // the part of base that the fast path has counted

}

// New makes an engine. The interfaces have their numbers, and the policy can be changed and read,
// but no interface is touched before Start. An error says which field of c cannot be.
func New(c Config) (*Engine, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	e := &Engine{
		config:       c,
		epoch:        time.Now(),
		since:        time.Now(),
		queues:       max(c.Queues, 1),
		tables:       make([]portTables, MaxQueues),
		base:         make([][2]tally, MaxQueues),
		frameID:      make([]uint64, MaxQueues),
		kernelCounts: make([][2]kernelCount, MaxQueues),
	}
	e.poll.Store(uint32(c.Poll))
	e.stamps = c.Stamps
	e.tapOutlet = newOutlet("", tapQueue, c.Queue)
	e.outlets = []*outlet{e.tapOutlet}
	e.ports = newPorts(&e.config)
	for _, p := range e.ports {
		f := p.Facts()
		e.ends = append(e.ends, policy.End{Receives: !f.NoRX, Sends: !f.NoTX})
	}
	e.timed = !slices.ContainsFunc(e.ports, func(p *enginePort) bool { return !p.Facts().Timed })
	e.fast = fastPath{
		ports: e.ports, plan: &e.plan, update: &e.update, epoch: e.epoch, logf: c.Logf, wanted: c.FastPath,
		bypass: bypass{dir: c.BypassDir, runDir: c.RunDir, clear: c.Clear, limit: defaultBypass},
	}
	for range MaxQueues {
		e.counts = append(e.counts, new(counters))
	}
	first, err := compile(policy.New(), e.outlets, nil)
	if err != nil {
		return nil, err
	}
	e.plan.Store(first)
	return e, nil
}

// vanished notes that interface i is gone, and has a goroutine log it. The threads call it, which
// must not wait for a lock.
func (e *Engine) vanished(i int) {
	if e.ports[i].gone.CompareAndSwap(false, true) {
		go func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.sayGoneLocked()
		}()
	}
}

// sayGoneLocked logs, once for each, which interfaces are gone, and removes from them what belongs
// to the engine.
func (e *Engine) sayGoneLocked() {
	for _, p := range e.ports {
		if p.gone.Load() && !p.goneSaid {
			p.goneSaid = true
			e.config.Logf("port %s: the interface has disappeared", p.Name())
			if err := p.Leave(); err != nil {
				e.config.Logf("%v", err)
			}
		}
	}
}

// now returns the time since epoch on the clock of the faults.
func (e *Engine) now() time.Duration {
	if e.timed {
		return time.Duration(e.frames.now.Load())
	}
	return time.Since(e.epoch)
}

// answerTime is the longest wait for the answer of a thread.
const answerTime = 2 * time.Second

// Chunks counts the chunks in the memory of all threads, of each at a moment between two batches.
// After Stop it returns what each thread left. It fails if a thread does not answer within two seconds, and at once if it
// waits for the reader of a queue.
func (e *Engine) Chunks() (sum Chunks, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.workers == nil {
		return e.chunksLeft, nil
	}
	for _, w := range e.workers {
		c, err := w.await(false)
		if err != nil {
			return sum, err
		}
		sum.add(c)
	}
	return sum, nil
}

// awaitThreadsLocked waits until every thread has answered between two batches. The batch after the
// answer reads the policy in force. Threads that do not run need not answer.
func (e *Engine) awaitThreadsLocked() error {
	for _, w := range e.workers {
		if _, err := w.await(true); err != nil {
			return err
		}
	}
	return nil
}

// await waits until the thread has answered between two batches, and returns its answer. Of several
// callers one at a time may wait. An impatient one gives up when the thread waits for the reader of a queue.
func (w *worker) await(patient bool) (Chunks, error) {
	select { // drop the answer to an earlier question that was given up
	case <-w.answer:
	default:
	}
	w.asked.Store(true)
	w.wake()
	for deadline := time.Now().Add(answerTime); ; {
		select {
		case f := <-w.answer:
			return f, nil
		case <-time.After(answerTime / 100):
		}
		switch {
		case !patient && w.waits.Load():
			return Chunks{}, fmt.Errorf("queue %d: its thread waits for the reader of a queue", w.queue)
		case time.Now().After(deadline):
			return Chunks{}, fmt.Errorf("queue %d: its thread does not answer", w.queue)
		}
	}
}

// between has the thread call do between two batches. If it does not answer, do may be called later.
func (w *worker) between(do func()) error {
	w.errand.Store(&do)
	_, err := w.await(true)
	return err
}
