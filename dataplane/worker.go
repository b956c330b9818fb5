// SPDX-License-Identifier: BSD-3-Clause

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
	"ethertap/dataplane/stamp"
	"ethertap/dataplane/xsk"
	"ethertap/lib/predicate"
)

const (
	// batchSize is the largest number of frames taken from an RX ring at once. It equals budget, so
	// that a full batch is sent by one system call. With 64 the chain took 13…20 ns a frame on
	// rings in memory, with 256 it takes 10. Between two veths, 256 gave 1.1 to 2.0 times the
	// frames a second. The thread never waits for a batch to fill.
	batchSize = 256
	// spins is the number of empty rounds that the adaptive mode makes before it sleeps: some 50
	// µs. At the rates where it would sleep often, falling asleep and waking up cost more.
	spins = 1000
	// yieldEvery is the number of empty rounds, some µs, after which the adaptive mode offers its
	// CPU to others: a collector on the same CPU gets the time that would be spent spinning. On a
	// CPU of its own the thread loses 0.4 µs each time.
	yieldEvery = 16
	// napTime is the longest sleep, and the interval at which the thread checks that the interfaces
	// exist.
	napTime = 250 * time.Millisecond
	// retryTime is the longest sleep while frames wait in a TX ring, and the shortest time between
	// two tries where the kernel has refused one: without it a link that is down was tried
	// 650,000 times in some seconds.
	retryTime = time.Millisecond
	// tooShort is the shortest sleep worth its cost: the kernel's timers are late by as much.
	tooShort = 60 * time.Microsecond
	// drainTime is the longest time that a stop waits for frames on their way out.
	drainTime = 100 * time.Millisecond
)

// worker is the thread of one queue of all interfaces. The thread alone uses the fields, unless
// their comments say otherwise.
type worker struct {
	queue     int
	poll      *atomic.Uint32 // a PollMode; anybody may change it
	cpu       int            // -1 means not pinned
	plan      *atomic.Pointer[plan]
	counts    *counters              // the thread writes them, anybody reads them
	stopping  atomic.Bool            // set by Engine.Stop
	asked     atomic.Bool            // set by Engine.awaitThreadsLocked, cleared by the thread when it answers
	errand    atomic.Pointer[func()] // set by the engine; the thread runs it once, before its next answer, between two batches
	waits     atomic.Bool            // set by the thread while it waits for the reader of a queue
	answer    chan Chunks            // the thread puts its answer here; capacity 1
	done      chan Chunks            // the thread puts its last answer here when it ends; capacity 1
	wakeFD    int                    // an eventfd that ends a sleep
	vanish    func(int)              // tells the engine that an interface has disappeared
	umem      *xsk.UMEM
	long      bool // frames may have several chunks
	lanes     []lane
	paces     *[2]pace    // by interface; shared with the other threads
	tables    *portTables // counts by source, type and VLAN; the engine may replace the tables
	tally     [2]tally
	free      []uint64 // unused chunks, as a stack: the last one is the likeliest to be in the cache
	retired   []uint64 // chunks freed in this batch, which a tap may still point to
	descs     [batchSize]xsk.Desc
	pieces    []xsk.Desc              // the entries of a long frame on its way into a TX ring
	nextChunk []xsk.Desc              // links the chunks of long frames; nil if there are none
	scratch   []byte                  // room for a long frame in one piece: a tap's copy, or what a filter looks at
	sending   [2 * batchSize]xsk.Desc // frames to be sent, with room for a duplicate of each
	sent      [2 * batchSize]mark     // what taps need of each frame in sending
	back      [batchSize]uint64
	pending   []*outlet                  // outlets that have records in this batch
	stamp     int64                      // Unix time of the batch in ns: of its reception, or of the release of held frames
	clock     int64                      // the same moment in ns since epoch, on a clock that never jumps
	epoch     time.Time                  // the engine's
	frames    *frameClock                // nil: time is that of the machine
	frameID   uint64                     // the id of the next frame; the upper byte is the queue
	seed      policy.Seed                // the seed of the dice
	checked   int64                      // when the thread last checked that the interfaces exist, on clock
	threadID  uint32                     // see currentThreadID
	kernel    atomic.Pointer[kernelSide] // what the thread shares with the fast path; the engine sets it
	inbox     [8]byte                    // a buffer for what is read from the eventfd
	filter    predicate.Scratch          // memory of the evaluation of filters; last, so that the fields of every batch stand close together
}

// mark is what taps need to know of a frame on its way out.
type mark struct {
	id    uint64
	fault uint32
}

// lane is a worker's part of one interface.
type lane struct {
	sock      *xsk.Socket
	output    int                         // index of the lane by which frames leave, or mirror
	limit     atomic.Uint32               // bytes to which a fault may lengthen a frame; the engine follows the MTU
	longest   atomic.Uint32               // bytes of a frame that the interface can send; the engine follows the MTU
	clock     atomic.Pointer[stamp.Clock] // relates time stamps in front of received frames to the wall clock; nil: there are none; the engine sets it
	gone      bool                        // the interface has disappeared
	described bool                        // the port wants to know more of the frames that leave by it: see describe
	busy      atomic.Bool                 // the thread does the work of the device's driver; the engine sets it
	retryAt   int64                       // the device is not polled before then, on the thread's clock
	blocked   unix.Errno                  // why the frames in the TX ring are stuck; 0 if they are not
	tried     int64                       // when the kernel refused to send last, on the worker's clock
	deaf      unix.Errno                  // why the kernel refused to be woken for reception; 0 if it did not
	called    int64                       // when it refused that last, on the worker's clock
	put       uint32                      // number of entries put in the TX ring, modulo 2³²
	waiting   int                         // frames whose entries lie between taken and put
	taken     uint32                      // number of entries that the kernel has taken and the thread has counted, modulo 2³²
	begun     uint64                      // bytes in the counted entries of a frame whose last entry was not taken yet
	filled    int                         // chunks given to the kernel for reception that have not come back
	outside   int                         // chunks given to the kernel for transmission that have not come back
	dice      dice                        // for the faults of frames received here
	trace     tracing                     // of the loss of these frames
	spoiled   uint64                      // the number that the fast path gave the spoiled frame whose copy came last; 0: the last was of none
	copyID    uint64                      // the id of that frame
	torn      bool                        // the next entry is a piece of a frame that was discarded
	parts     int                         // entries received of a long frame whose last entry has not come
	first     xsk.Desc                    // the first and the last of these entries
	last      xsk.Desc
	held      holdQueue // frames received here that wait until they are due
	rest      uint64    // see pace.reserve
	latest    int64     // when the last frame that had to keep its order is due
}

const mirror = -1

// Chunks counts the chunks of a thread's memory by the place where they are, for tests. Total is
// the sum of the others; otherwise a chunk was lost or is in two places.
type Chunks struct {
	Total, Free, Fill, RX, TX, Completion, Held int
}

// Lost returns the number of chunks that are in no place. It should be 0.
func (f Chunks) Lost() int { return f.Total - f.Free - f.Fill - f.RX - f.TX - f.Completion - f.Held }

func (f *Chunks) add(o Chunks) {
	f.Total += o.Total
	f.Free += o.Free
	f.Fill += o.Fill
	f.RX += o.RX
	f.TX += o.TX
	f.Completion += o.Completion
	f.Held += o.Held
}

// countChunks counts the chunks. Fill and TX include those that the kernel has taken from these rings
// and not given back.
func (w *worker) countChunks() Chunks {
	f := Chunks{Total: w.umem.Frames(), Free: len(w.free) + len(w.retired)}
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

// allocate makes everything that the thread needs besides its sockets, so that the thread allocates
// nothing while it runs.
func (w *worker) allocate() {
	w.retired = make([]uint64, 0, 2*batchSize)
	if w.long {
		w.retired = make([]uint64, 0, w.umem.Frames())
		w.nextChunk = make([]xsk.Desc, w.umem.Frames())
		w.scratch = make([]byte, 0, port.MaxChunks*w.umem.FrameSize()) // a frame of a file may need more
		w.pieces = make([]xsk.Desc, 0, port.MaxChunks)
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

// run is the thread. It sends to ready once, before the first frame: nil, or why it ends at once.
// After the last frame it sends to w.done.
func (w *worker) run(ready chan<- error) {
	// The thread is never unlocked, so it ends with the goroutine and takes its CPU mask with it.
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
	for idle := 0; !w.stopping.Load(); {
		if PollMode(w.poll.Load()) == PollBusy {
			w.pollDevices()
		}
		work := w.round()
		if w.asked.Load() {
			w.asked.Store(false)
			if do := w.errand.Swap(nil); do != nil {
				(*do)()
			}
			w.answer <- w.countChunks()
		}
		if work > 0 {
			idle = 0
			w.checkAll()
			continue
		}
		// After a wake-up without a frame it sleeps again at once: only frames are worth spinning
		// for, and a port in memory that has one, or will have one in a moment.
		mode := PollMode(w.poll.Load())
		if idle%64 == 0 {
			w.beat()
		}
		w.checkAll()
		idle++
		switch {
		case mode == PollSleep || mode == PollAdaptive && idle > spins:
			if w.sleep() {
				idle = 0
			}
		case mode == PollAdaptive && idle%yieldEvery == 0:
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		}
	}
	w.drain()
	w.done <- w.countChunks()
}

// round serves every interface once. It returns the amount of work done, 0 if there was none.
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
			before := l.taken
			w.kick(i)
			work += int(l.taken - before) // with zero-copy, what the driver took and completed after the last round
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
	if l.sock.Fill.NeedWakeup() && !l.gone && (l.deaf == 0 || w.clock-l.called >= int64(retryTime)) {
		if l.deaf = l.sock.Wake(); l.deaf == unix.EAGAIN {
			l.deaf = 0
		}
		if l.deaf != 0 {
			w.tally[i][countCall+int(reasonOf(l.deaf))]++
			l.called = w.clock
		}
	}
}

// sleep waits for a frame, a request of the engine (wakeFD) or the end of the longest sleep. It
// leaves out a socket that copies while frames wait in its TX ring: poll would transmit them
// itself, and hide which ones the device drops. It returns whether somebody has woken the thread.
func (w *worker) sleep() bool {
	var fds [4]unix.PollFd
	fds[0] = unix.PollFd{Fd: int32(w.wakeFD), Events: unix.POLLIN}
	n, patience := 1, w.nextDue(napTime)
	if k := w.kernel.Load(); k != nil {
		patience = min(patience, k.nap)
		if !k.lieDown() {
			return false
		}
		defer k.getUp()
		fds[n] = unix.PollFd{Fd: int32(k.ring.FD()), Events: unix.POLLIN}
		n++
	}
	if patience < tooShort {
		return false
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
		_, _ = unix.Read(w.wakeFD, w.inbox[:]) // empties the eventfd; it does not block
		return true
	}
	return false
}

// wake ends a sleep. Any goroutine may call it while the thread runs.
func (w *worker) wake() {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(w.wakeFD, one) // it fails only after 2⁶⁴-2 writes without a read
}

// checkAll checks every napTime whether interfaces have disappeared. Frames do not tell: those for
// a missing interface may vanish in the kernel. It publishes what was counted in rounds without work.
func (w *worker) checkAll() {
	if w.clock-w.checked < int64(napTime) {
		return
	}
	w.checked = w.clock
	for i := range w.lanes {
		w.checkGone(i)
	}
	w.publish()
}

// checkGone checks whether an interface has disappeared, and if so gives up what waits in its TX
// ring.
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
	w.abandon(i, reasonENXIO)
	w.publish()
	w.vanish(i)
}

// drain ends the work of the thread. It still forwards what was received, and releases held frames
// at once. Frames that the kernel does not transmit within drainTime count as not sent.
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
			w.abandon(i, reasonStopped)
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
