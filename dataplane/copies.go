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

// copies gives frames that the kernel forwarded to the taps that want them, and returns their
// number. Their records have the time of reception.
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
		r := shm.Record{
			Timestamp: t.When + toReal, OrigLen: t.Length, Queue: uint16(w.queue), PacketID: w.frameID, Data: frame,
		}
		w.frameID++
		for _, way := range [...]struct {
			number int
			dir    shm.Direction
			taps   uint16
		}{{int(t.Port), shm.RX, t.RX}, {1 - int(t.Port), shm.TX, t.TX}} {
			r.Interface, r.Direction = uint16(way.number), way.dir
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
