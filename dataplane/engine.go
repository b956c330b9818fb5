package dataplane

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
)

// Engine bridges two interfaces or mirrors one. Its methods may be called from
// any goroutine.
//
// It has two locks. mu is held by whatever changes or asks what runs: a start takes it for as
// long as the interfaces take to come up. update is held by whatever changes what the threads
// and the kernel are told (the policy, the outlets, the fast path's rules), for milliseconds;
// so a policy can be changed while an interface comes up. Whoever takes both takes mu first. The
// locks inside a queue, a port in memory or the interpreter come after these. The threads
// take none.
//
// Functions whose name ends in Locked need mu; where one needs update besides, or instead, its
// comment says so. What is guarded by either lock, to be read, is written under both.
type Engine struct {
	config    Config
	epoch     time.Time            // where the clock of faults begins
	plan      atomic.Pointer[plan] // read by the threads
	update    sync.Mutex           // one Update at a time
	outlets   []*outlet            // of the taps of the policy, in their order; written under mu and update
	counts    []*counters          // by queue, as all that follows; they outlive Stop
	tables    []portTables         // likewise; nil before the first Start
	paces     [2]pace              // of the frames received on each interface; written by the threads
	poll      atomic.Uint32        // the PollMode
	fast      fastPath             // see there
	tapOutlet *outlet              // the TAP queue's, the first of outlets

	mu           sync.Mutex // guards what follows, and the ports
	ports        []*enginePort
	long         bool          // frames may need several chunks, in this run
	queues       int           // threads of this run or the last one
	quit         chan struct{} // closed by Stop; nil when not started
	workers      []*worker     // by queue; nil while not forwarding
	undo         port.Undo
	said         string // why frames are not forwarded though they should be
	frames       Frames // after the last Stop
	base         [][2]tally
	frameID      []uint64 // by queue: where the ids of the next run begin
	kernelCounts [][2]kernelCount
	short        string    // what is lost though frames are forwarded, as queues have no thread or threads no queue
	former       []*former // see there

}

// New makes an engine: the interfaces have their numbers, the policy can be
// changed and asked, but no interface is looked at before Start.
func New(c Config) (*Engine, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	e := &Engine{
		config:       c,
		epoch:        time.Now(),
		queues:       max(c.Queues, 1),
		tables:       make([]portTables, MaxQueues),
		base:         make([][2]tally, MaxQueues),
		frameID:      make([]uint64, MaxQueues),
		kernelCounts: make([][2]kernelCount, MaxQueues),
	}
	e.poll.Store(uint32(c.Poll))
	e.tapOutlet = newOutlet("", tapQueue, c.Queue)
	e.outlets = []*outlet{e.tapOutlet}
	e.ports = newPorts(&e.config)
	e.fast = fastPath{
		ports: e.ports, plan: &e.plan, update: &e.update, epoch: e.epoch, logf: c.Logf, wanted: c.FastPath,
		bypass: bypass{dir: c.BypassDir, runDir: c.RunDir, clear: c.Clear, limit: DefaultBypass},
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

// Poll returns what threads do when no frame comes.
func (e *Engine) Poll() PollMode { return PollMode(e.poll.Load()) }

// SetPoll changes what threads do when no frame comes. A thread that sleeps does
// so once more, for a quarter of a second at most.
func (e *Engine) SetPoll(m PollMode) { e.poll.Store(uint32(m)) }

// vanished notes that an interface is gone, and has it said. Threads call it, which must not
// wait for a lock.
func (e *Engine) vanished(i int) {
	if e.ports[i].gone.CompareAndSwap(false, true) {
		go func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.sayGoneLocked()
		}()
	}
}

// sayGoneLocked says once which interfaces are gone, and takes off them what is ours.
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

// Outage drops all frames that an interface receives from now on for so long, if
// fault injection is enabled on it. It ends one that was under way.
func (e *Engine) Outage(number int, d time.Duration) error {
	return e.Update(func(p *policy.Policy) error {
		if number < 0 || number >= len(e.config.Interfaces) {
			return fmt.Errorf("no interface %d", number)
		}
		if len(e.config.Interfaces) == 1 {
			return policy.ErrNoFault
		}
		if f := &p.Ports[number].Fault; f.Enabled {
			f.Outage = int64(time.Since(e.epoch) + d)
			return nil
		}
		return fmt.Errorf("fault injection is disabled on interface %d: %d fault.enable", number, number)
	})
}

// outageLeft returns how long an outage of an interface still lasts.
func (e *Engine) outageLeft(number int) time.Duration {
	return max(0, time.Duration(e.plan.Load().Ports[number].Fault.Outage)-time.Since(e.epoch))
}

// answerTime bounds the wait for a thread's answer.
const answerTime = 2 * time.Second

// Frames counts the chunks of all threads' memory, at a moment between two
// batches of each; after Stop as each thread left them. It is a test's question.
func (e *Engine) Frames() (Frames, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.workers == nil {
		return e.frames, nil
	}
	return e.awaitThreadsLocked()
}

// awaitThreadsLocked waits until every thread has answered between two batches, of which the next
// begins with the policy in force. What does not run need not answer.
func (e *Engine) awaitThreadsLocked() (sum Frames, err error) {
	for _, w := range e.workers {
		select { // of an earlier question that was not waited for
		case <-w.answer:
		default:
		}
		w.asked.Store(true)
		w.wake()
		select {
		case f := <-w.answer:
			sum.add(f)
		case <-time.After(answerTime):
			return sum, fmt.Errorf("queue %d: its thread does not answer", w.queue)
		}
	}
	return sum, nil
}
