// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"math/bits"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// kernelSide is what a thread shares with the programs of the fast path. The engine makes it, and
// replaces it to change nap.
type kernelSide struct {
	life  *xsk.Life     // the thread writes it
	ring  *xsk.Ringbuf  // copies of frames that the kernel forwarded; only the thread reads it
	epoch int64         // the engine's epoch on the programs' clock (CLOCK_MONOTONIC), ns
	begin uint32        // fastPath.begin
	nap   time.Duration // the longest sleep; with bypass on, shorter than the limit after which a thread counts as dead
}

// markAlive tells the programs that the thread is well, at a time in ns since the engine's epoch.
func (k *kernelSide) markAlive(clock int64) { k.life.Beat.Store(uint64(k.epoch + clock)) }

// beat reads the clock and tells the programs of the fast path, if any, that the thread is well.
func (w *worker) beat() {
	w.readClock()
	if k := w.kernel.Load(); k != nil {
		k.markAlive(w.clock)
	}
}

// currentThreadID returns the id of the calling thread in the first PID namespace. In other
// namespaces, where it is not known, it returns 0.
func currentThreadID() uint32 {
	const first = 0xeffffffc // PROC_PID_INIT_INO
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) != nil || st.Ino != first {
		return 0
	}
	return uint32(unix.Gettid())
}

// lieDown announces a sleep to the programs. It returns false if there is something to do.
func (k *kernelSide) lieDown() bool {
	k.life.Asleep.Store(1) // before the ring is looked at: see copy() in fastpath.c
	if !k.ring.Empty() {
		k.getUp()
		return false
	}
	return true
}

func (k *kernelSide) getUp() { k.life.Asleep.Store(0) }

// faultsOfCopy returns the faults that a program has done to a frame as the bits of shm.Record.Fault.
func faultsOfCopy(faults uint32) (bits uint32) {
	if faults>>fastpath.FaultLength&1 != 0 {
		bits |= shm.FaultLength
	}
	if faults>>fastpath.FaultBitflip&1 != 0 {
		bits |= shm.FaultBitflip
	}
	return bits
}

// copies gives frames that the kernel forwarded to the taps that want them, and returns their
// number. Their records have the time of reception: on the device's clock if they are of received
// frames and it told it.
func (w *worker) copies(k *kernelSide) (n int) {
	record := k.ring.Next()
	if record == nil {
		return 0
	}
	w.readClock()
	p := w.plan.Load()
	toReal := w.stamp - w.clock - k.epoch
	for ; record != nil; record = k.ring.Next() {
		t, frame, ok := fastpath.ParseTapped(record)
		if !ok {
			continue
		}
		seen := t.When + toReal
		received := seen
		if clock := w.lanes[t.Port].clock.Load(); clock != nil && t.RX != 0 {
			received = w.stampOr(int(t.Port), clock, t.Stamp, seen)
		}
		l := &w.lanes[t.Port]
		if t.Frame == 0 || t.Frame != l.spoiled { // else this is the second copy of the frame
			l.copyID = w.frameID
			w.frameID++
		}
		l.spoiled = t.Frame
		r := shm.Record{
			OrigLen: t.Length, Queue: uint16(w.queue), PacketID: l.copyID, Data: frame, Fault: faultsOfCopy(t.Faults),
		}
		for _, way := range [...]struct {
			number int
			dir    shm.Direction
			taps   uint16
			when   int64
		}{{int(t.Port), shm.RX, t.RX, received}, {1 - int(t.Port), shm.TX, t.TX, seen}} {
			r.Interface, r.Direction, r.Timestamp = uint16(way.number), way.dir, way.when
			for wanting := way.taps; wanting != 0; wanting &= wanting - 1 {
				i := bits.TrailingZeros16(wanting)
				if i >= len(p.outlets) || p.outlets[i] == nil || t.When-k.epoch < p.outlets[i].claimedAt {
					continue // the copy was made when the number belonged to another tap
				}
				*w.newRecord(p.outlets[i], way.number) = r
			}
		}
		if n++; n == batchSize {
			break
		}
	}
	w.flushTaps()
	k.ring.Release() // the queues have copied the frames
	return n
}
