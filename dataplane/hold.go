// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"time"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
)

// heldFrame is a frame that waits until it is due. Its bytes stay in their chunks of the UMEM; only
// this description moves.
type heldFrame struct {
	due  int64  // on the worker's clock
	seq  uint64 // among frames due at the same time, the lowest is sent first
	desc xsk.Desc
	mark mark
	size int // in chunks
}

func (h *heldFrame) before(o *heldFrame) bool {
	return h.due < o.due || h.due == o.due && h.seq < o.seq
}

// holdQueue holds frames in a binary heap, whose memory is allocated once. Frames that come in the
// order in which they are due, as they do without jitter, are added in constant time.
type holdQueue struct {
	heap   []heldFrame // its capacity limits the number of chunks
	chunks int
	seq    uint64
}

// full says whether the queue has no room for a frame of size chunks.
func (q *holdQueue) full(size int) bool { return q.chunks+size > cap(q.heap) }

// isDue says whether the next frame is due at the time now.
func (q *holdQueue) isDue(now int64) bool { return len(q.heap) > 0 && q.heap[0].due <= now }

func (q *holdQueue) push(h heldFrame) {
	h.seq = q.seq
	q.chunks += h.size
	q.seq++
	i := len(q.heap)
	q.heap = append(q.heap, h)
	for i > 0 {
		up := (i - 1) / 2
		if !h.before(&q.heap[up]) {
			break
		}
		q.heap[i] = q.heap[up]
		i = up
	}
	q.heap[i] = h
}

func (q *holdQueue) pop() heldFrame {
	first, last := q.heap[0], q.heap[len(q.heap)-1]
	q.heap = q.heap[:len(q.heap)-1]
	q.chunks -= first.size
	n := len(q.heap)
	if n == 0 {
		return first
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && q.heap[down+1].before(&q.heap[down]) {
			down++
		}
		if !q.heap[down].before(&last) {
			break
		}
		q.heap[i] = q.heap[down]
		i = down
	}
	q.heap[i] = last
	return first
}

// schedule sends a frame received on interface in, at once or at the time that the faults of the
// interface give it. w.sending has out frames before the call; the result is their number after it.
func (w *worker) schedule(in int, f *policy.Fault, d xsk.Desc, m mark, out int) int {
	if !f.Holds() {
		w.sending[out], w.sent[out] = d, m
		return out + 1
	}
	l, t := &w.lanes[in], &w.tally[in]
	due, size, pace := w.clock, w.chunks(d), &w.paces[in]
	switch {
	case f.Rate.Kbits > 0 && pace.late(w.clock, &f.Rate):
		return w.lose(in, policy.FaultRate, d, out)
	case l.held.full(size): // before it reserves time on the link
		return w.lose(in, policy.FaultHold, d, out)
	case f.Rate.Kbits > 0:
		var ok bool
		if due, ok = pace.reserve(w.clock, w.wire(d), &f.Rate, &l.rest); !ok { // another thread was faster
			return w.lose(in, policy.FaultRate, d, out)
		}
	}
	switch {
	case f.Delay == 0 && f.Jitter == 0:
	case l.dice.hit(policy.FaultReorder, f.Reorder):
		t[countFault+policy.FaultReorder]++
		l.held.push(heldFrame{due: due, desc: d, mark: m, size: size})
		return out
	default:
		t[countFault+policy.FaultDelay]++
		due += int64(f.Delay)
		if f.Jitter > 0 {
			due = max(due+l.dice.jitter(f), w.clock) // no frame is sent before it arrived, nor before others that were due then
		}
	}
	if f.KeepOrder {
		due = max(due, l.latest)
		l.latest = due
	}
	l.held.push(heldFrame{due: due, desc: d, mark: m, size: size})
	return out
}

// release sends the frames that are due and returns their number.
func (w *worker) release(p *plan) int {
	if w.frames != nil {
		return w.releaseLast(p)
	}
	total := 0
	for in := range w.lanes {
		l := &w.lanes[in]
		if len(l.held.heap) == 0 {
			continue
		}
		if total == 0 {
			w.readClock()
		}
		total += w.releaseUntil(in, w.clock, p)
	}
	return total
}

// releaseUntil sends one batch of those frames received on interface in that are due at the time
// then, and returns their number.
func (w *worker) releaseUntil(in int, then int64, p *plan) int {
	l := &w.lanes[in]
	n := 0
	for n < batchSize && l.held.isDue(then) {
		h := l.held.pop()
		w.sending[n], w.sent[n] = h.desc, h.mark
		if w.frames != nil {
			w.dueIs(h.desc, h.due)
		}
		n++
	}
	if n == 0 {
		return 0
	}
	if w.lanes[l.output].gone {
		w.tally[in][countNoIf] += uint64(n)
		for _, d := range w.sending[:n] {
			w.retire(d)
		}
	} else {
		w.transmit(l.output, p, n)
	}
	w.recycle()
	return n
}

// readClock reads the clock into w.stamp, for taps, and w.clock, which never jumps, for faults.
func (w *worker) readClock() {
	if w.frames != nil {
		return // see frameComes
	}
	t := time.Now()
	w.stamp, w.clock = t.UnixNano(), int64(t.Sub(w.epoch))
}

// nextDue returns the time until the next held frame is due, but not more than atMost.
func (w *worker) nextDue(atMost time.Duration) time.Duration {
	if w.frames != nil {
		return atMost // frames that wait become due with the frames that come
	}
	looked := false
	for i := range w.lanes {
		if q := &w.lanes[i].held; len(q.heap) > 0 {
			if !looked {
				w.readClock()
				looked = true
			}
			atMost = min(atMost, time.Duration(q.heap[0].due-w.clock))
		}
	}
	return max(atMost, 0)
}
