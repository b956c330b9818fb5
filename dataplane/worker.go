package dataplane

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
)

const (
	// batchSize is how many frames are taken from an RX ring at once, at most. As many
	// as a kick sends (budget), so that a full batch costs one system call. With 64 the
	// chain took 13…20 ns a frame on rings in memory, with 256 it takes 10; between two
	// veths 256 gave 1.1 to 2.0 times the frames a second. Fewer frames are never waited for.
	batchSize = 256
	// spins is how many empty rounds the adaptive mode makes before it sleeps:
	// some 50 µs, less than falling asleep and being woken costs at the rates
	// where it would happen often.
	spins = 1000
	// yieldEvery is after how many empty rounds, some µs, the adaptive mode offers its
	// CPU to others: a collector on it gets what would be spun away. Alone on a CPU it
	// costs 0.4 µs each time.
	yieldEvery = 16
	// napTime bounds a sleep, and is how often it is looked whether the interfaces are there.
	napTime = 250 * time.Millisecond
	// retryTime bounds a sleep while frames wait in a TX ring.
	retryTime = time.Millisecond
	// tooShort is a sleep that is not worth it: the kernel's timers are late by that.
	tooShort = 60 * time.Microsecond
	// drainTime is how long a stop waits for frames on their way out.
	drainTime = 100 * time.Millisecond
)

// worker is the thread of one queue of all interfaces. Everything in it belongs
// to that thread unless said otherwise.
type worker struct {
	queue    int
	poll     *atomic.Uint32 // a PollMode; anybody may change it
	cpu      int            // -1: not pinned
	plan     *atomic.Pointer[plan]
	counts   *counters              // written here, read by anybody
	stop     atomic.Bool            // set by Engine.Stop
	asked    atomic.Bool            // set by Engine.awaitThreadsLocked, cleared here when answered
	errand   atomic.Pointer[func()] // to be run before the next answer, between two batches
	answer   chan Frames            // the answer; capacity 1
	done     chan Frames            // the last one, when the thread ends; capacity 1
	wakeFD   int                    // eventfd that ends a sleep
	vanish   func(int)              // says that an interface has disappeared
	umem     *xsk.UMEM
	long     bool // frames may have several chunks
	lanes    []lane
	paces    *[2]pace    // by interface; shared with the other threads
	tables   *portTables // who sends what; the engine may put others in their place
	tally    [2]tally
	free     []uint64 // chunks that nobody uses, as a stack: the last one is likeliest in the cache
	retired  []uint64 // chunks freed in this batch: the tap may still point into them
	descs    [batchSize]xsk.Desc
	next     []xsk.Desc              // of long frames; nil if there are none
	scratch  []byte                  // for the tap's copy of a long frame
	sending  [2 * batchSize]xsk.Desc // room for a duplicate of each
	sent     [2 * batchSize]mark     // beside sending
	back     [batchSize]uint64
	pending  []*outlet                  // for which something is noted in this batch
	stamp    int64                      // of this batch: its reception, or the release of held frames; ns since the epoch
	clock    int64                      // the same, since epoch, on a clock that never jumps
	epoch    time.Time                  // the engine's
	frameID  uint64                     // of the next frame; the queue is in the upper byte
	seed     policy.Seed                // what the dice were made from
	checked  int64                      // when it was looked last whether the interfaces are there, on clock
	threadID uint32                     // its id; see thread()
	kernel   atomic.Pointer[kernelSide] // what it shares with the fast path; the engine sets it
	inbox    [8]byte                    // where the eventfd is read to
}

// mark is what the tap has to know of a frame on its way out.
type mark struct {
	id    uint64
	fault uint32
}

// lane is a worker's half of one interface.
type lane struct {
	sock    *xsk.Socket
	output  int           // index of the lane that frames go to; mirror: none
	limit   atomic.Uint32 // bytes that a frame may be made longer to; the engine follows the MTU
	longest atomic.Uint32 // limits.send; likewise
	gone    bool          // the interface has disappeared
	blocked unix.Errno    // why the frames in the TX ring are stuck; 0 = they are not
	put     uint32        // entries put in the TX ring, modulo 2³²
	waiting int           // frames that have entries between taken and put
	taken   uint32        // of these: taken by the kernel and accounted for
	begun   uint64        // bytes in them of a frame whose end has not been taken
	filled  int           // chunks given for reception and not come back
	outside int           // chunks given for transmission and not come back
	dice    dice          // of the faults of frames received here
	parts   int           // entries received of a long frame whose end has not come
	first   xsk.Desc      // of these
	last    xsk.Desc
	held    holdQueue // frames received here that wait for their time
	rest    uint64    // see pace.take
	latest  int64     // when the last frame of KeepOrder is due
}

const mirror = -1

// Frames says where the chunks of a thread's memory are, for tests: Total is
// the sum of all the others, or a chunk was lost or is in two places.
type Frames struct {
	Total, Free, Fill, RX, TX, Completion, Held int
}

// Lost returns how many chunks are not accounted for: 0.
func (f Frames) Lost() int { return f.Total - f.Free - f.Fill - f.RX - f.TX - f.Completion - f.Held }

func (f *Frames) add(o Frames) {
	f.Total += o.Total
	f.Free += o.Free
	f.Fill += o.Fill
	f.RX += o.RX
	f.TX += o.TX
	f.Completion += o.Completion
	f.Held += o.Held
}

// frames counts the chunks. Fill and TX include what the kernel has taken from
// these rings and not given back.
func (w *worker) frames() Frames {
	f := Frames{Total: w.umem.Frames(), Free: len(w.free) + len(w.retired)}
	for i := range w.lanes {
		l := &w.lanes[i]
		rx, done := l.sock.RX.Ready(), l.sock.Completion.Ready()
		f.RX += rx
		f.Fill += l.filled - rx
		f.Completion += done
		f.TX += l.outside - done
		f.Held += l.held.chunks + l.parts
	}
	return f
}

// allocate makes what the thread needs besides its sockets, so that it allocates
// nothing later.
func (w *worker) allocate() {
	w.retired = make([]uint64, 0, 2*batchSize)
	if w.long {
		w.retired = make([]uint64, 0, w.umem.Frames())
		w.next = make([]xsk.Desc, w.umem.Frames())
		w.scratch = make([]byte, 0, port.MaxChunks*w.umem.FrameSize())
	}
	w.pending = make([]*outlet, 0, policy.MaxTaps)
	w.frameID = max(w.frameID, uint64(w.queue)<<56)
	w.reseed(w.plan.Load().Seed)
	for i := range w.lanes {
		l := &w.lanes[i]
		l.put = l.sock.TX.Taken()
		l.taken = l.put
	}
}

// run is the thread. It reports once through ready, before the first frame, and
// once through done, after the last.
func (w *worker) run(ready chan<- error) {
	// The thread is never unlocked: it ends with the goroutine, and the CPU it
	// was pinned to with it.
	runtime.LockOSThread()
	if w.cpu >= 0 {
		var set unix.CPUSet
		set.Set(w.cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			ready <- fmt.Errorf("thread of queue %d: pin to CPU %d: %w", w.queue, w.cpu, err)
			return
		}
	}
	w.threadID = currentThreadID()
	ready <- nil
	for idle := 0; !w.stop.Load(); {
		work := w.round()
		if w.asked.Load() {
			w.asked.Store(false)
			if do := w.errand.Swap(nil); do != nil {
				(*do)()
			}
			w.answer <- w.frames()
		}
		if work > 0 {
			idle = 0
			w.checkAll()
			continue
		}
		// Woken for nothing, it sleeps again at once: only frames are worth spinning for.
		mode := PollMode(w.poll.Load())
		if idle%64 == 0 {
			w.beat()
		}
		w.checkAll()
		idle++
		switch {
		case mode == PollSleep || mode == PollAdaptive && idle > spins:
			w.sleep()
		case mode == PollAdaptive && idle%yieldEvery == 0:
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		}
	}
	w.drain()
	w.done <- w.frames()
}

// round serves every interface once and returns how much there was to do.
func (w *worker) round() int {
	work := w.release(w.plan.Load())
	k := w.kernel.Load()
	if k != nil {
		work += w.copies(k)
	}
	for i := range w.lanes {
		work += w.receive(i)
	}
	for i := range w.lanes {
		l := &w.lanes[i]
		if l.put != l.taken && !l.gone {
			w.kick(i)
		}
		work += w.complete(i)
		w.refill(i)
	}
	if work > 0 {
		w.publish()
		if k != nil {
			k.markAlive(w.clock)
		}
	}
	return work
}

// refill gives free chunks to the kernel for reception.
func (w *worker) refill(i int) {
	l := &w.lanes[i]
	tail := w.free[max(0, len(w.free)-2*batchSize):]
	n := l.sock.Fill.Put(tail)
	copy(tail, tail[n:])
	w.free = w.free[:len(w.free)-n]
	l.filled += n
	if l.sock.Fill.NeedWakeup() && !l.gone {
		if errno := l.sock.Wake(); errno != 0 && errno != unix.EAGAIN {
			w.tally[i][countCall+int(reasonOf(errno))]++
		}
	}
}

// sleep waits until something comes: a frame, a wish (wakeFD), or the end of its
// patience. A socket that copies is left out while frames wait in its TX ring:
// poll would transmit them itself and hide which ones the device drops.
func (w *worker) sleep() {
	var fds [4]unix.PollFd
	fds[0] = unix.PollFd{Fd: int32(w.wakeFD), Events: unix.POLLIN}
	n, patience := 1, w.nextDue(napTime)
	if k := w.kernel.Load(); k != nil {
		patience = min(patience, k.nap)
		if !k.lieDown() {
			return
		}
		defer k.getUp()
		fds[n] = unix.PollFd{Fd: int32(k.ring.FD()), Events: unix.POLLIN}
		n++
	}
	if patience < tooShort {
		return
	}
	for i := range w.lanes {
		l := &w.lanes[i]
		if l.gone {
			continue
		}
		if l.put != l.taken {
			patience = min(patience, retryTime)
			if !l.sock.ZeroCopy() {
				continue
			}
		}
		fds[n] = unix.PollFd{Fd: int32(l.sock.FD()), Events: unix.POLLIN}
		n++
	}
	timeout := unix.NsecToTimespec(int64(patience))
	ready, err := unix.Ppoll(fds[:n], &timeout, nil)
	w.beat()
	if err == nil && ready > 0 && fds[0].Revents != 0 {
		_, _ = unix.Read(w.wakeFD, w.inbox[:]) // only empties it; it does not block
	}
}

// wake ends a sleep. Any goroutine may call it while the thread runs.
func (w *worker) wake() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(w.wakeFD, one) // fails only when it has been written 2⁶⁴-2 times unread
}

// checkAll finds out now and then whether interfaces have disappeared. Frames do not tell:
// those for a missing one may end in the kernel.
func (w *worker) checkAll() {
	if w.clock-w.checked < int64(napTime) {
		return
	}
	w.checked = w.clock
	for i := range w.lanes {
		w.checkGone(i)
	}
}

// checkGone finds out whether an interface has disappeared.
func (w *worker) checkGone(i int) {
	l := &w.lanes[i]
	if l.gone {
		return
	}
	if !l.sock.Removed() {
		return
	}
	w.countTaken(i, 0)
	l.gone = true
	w.abandon(i, ReasonENXIO)
	w.publish()
	w.vanish(i)
}

// drain ends the thread's work: what has been received is still forwarded, at once
// if it was held, and what the kernel does not transmit in time counts as not sent.
func (w *worker) drain() {
	for i := range w.lanes {
		for w.releaseUntil(i, math.MaxInt64, w.plan.Load()) > 0 {
		}
	}
	deadline := time.Now().Add(drainTime)
	for {
		busy := w.round() > 0
		for i := range w.lanes {
			l := &w.lanes[i]
			busy = busy || !l.gone && l.blocked == 0 && l.outside > 0
		}
		if !busy || time.Now().After(deadline) {
			break
		}
	}
	for i := range w.lanes {
		if !w.lanes[i].gone {
			w.countTaken(i, 0)
			w.abandon(i, ReasonStopped)
		}
	}
	w.publish()
}

func (w *worker) publish() {
	for i := range w.lanes {
		if o := w.lanes[i].output; o != mirror {
			w.tally[i][countWaiting] = uint64(len(w.lanes[i].held.heap))
			w.tally[i][countHeld] = uint64(w.lanes[o].waiting) + w.tally[i][countWaiting]
		}
	}
	w.counts.publish(&w.tally)
}
