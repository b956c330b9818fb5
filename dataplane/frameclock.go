// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"math"
	"sync/atomic"

	"ethertap/dataplane/xsk"
)

// frameClock is the clock of an engine whose ports are all files: the time is that of the frames. So delays, rates and outages
// cost no time, and the same frames meet the same faults on every machine.
//
// All frames come on queue 0, whose thread alone sets the clock. Frames that wait are sent when a frame comes
// that is later than they are due, before that frame, and after the last frame.
type frameClock struct {
	begun  atomic.Bool
	origin atomic.Int64 // the time of the first frame in ns since 1970
	now    atomic.Int64 // ns since origin; it never goes back, even if the times of frames do
}

// frameComes sets the clock to the time of a frame received on interface in, and moves frames that were due before
// to w.sending, which has out frames before the call. The result is their number after it; there is room for two more.
func (w *worker) frameComes(in int, d xsk.Desc, p *plan, out int) int {
	w.stamp = w.umem.Meta(d.Addr).Time
	if !w.frames.begun.Load() {
		w.frames.origin.Store(w.stamp)
		w.frames.begun.Store(true)
	}
	w.clock = max(w.frames.now.Load(), w.stamp-w.frames.origin.Load())
	w.frames.now.Store(w.clock)
	l := &w.lanes[in]
	for {
		if out > len(w.sending)-2 {
			w.transmit(l.output, p, out)
			w.recycle() // transmit has freed chunks to which taps still point, and faults of this batch take free ones
			w.stamp, out = w.umem.Meta(d.Addr).Time, 0
		}
		if !l.held.isDue(w.clock) {
			return out
		}
		h := l.held.pop()
		w.sending[out], w.sent[out] = h.desc, h.mark
		w.dueIs(h.desc, h.due)
		out++
	}
}

// dueIs writes the time at which a frame leaves beside it.
func (w *worker) dueIs(d xsk.Desc, due int64) {
	w.umem.Meta(d.Addr).Time = w.frames.origin.Load() + due
}

// releaseLast sends the frames that wait when no frame will come any more, and returns their number.
func (w *worker) releaseLast(p *plan) (n int) {
	for i := range w.lanes {
		if l := &w.lanes[i]; len(l.held.heap) > 0 && l.sock.Ended() && l.sock.RX.Ready() == 0 {
			n += w.releaseUntil(i, math.MaxInt64, p)
		}
	}
	return n
}

// describe writes beside the first n frames of w.sending what a file that gets them says of them.
func (w *worker) describe(n int) {
	for i, d := range w.sending[:n] {
		m := w.umem.Meta(d.Addr)
		m.Fault = w.sent[i].fault
		if w.frames == nil {
			m.Time, m.Missing = w.stamp, 0
		}
	}
}
