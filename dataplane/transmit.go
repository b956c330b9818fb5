// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// patience is the number of times in a row that the thread asks the kernel to go on with a TX ring
// that makes no progress. A veth whose peer is busy needs a few.
const patience = 16

// other returns the other interface of a bridge: that by which the frames came that leave by i.
func other(i int) int { return 1 - i }

// transmit puts the first n frames of w.sending into the TX ring of interface out, sends them, and
// taps those that found room. It counts and frees the others.
//
// A frame counts as tx when the kernel has taken it from the TX ring and has not reported it as
// dropped. Until then it is held. While a link is down the kernel takes nothing, and at most one
// batch waits in the ring. It is sent first when the link is back; frames that come later count as
// err.
func (w *worker) transmit(out int, p *plan, n int) {
	l := &w.lanes[out]
	if l.blocked != 0 {
		w.kick(out)
	}
	if l.described {
		w.describe(n)
	}
	queued := 0
	for stalls := 0; l.blocked == 0 && queued < n; {
		frames := w.sending[queued:n]
		m, entries := 0, 0
		if w.nextChunk == nil {
			// Entries that are not counted yet must not be overwritten.
			m = l.sock.TX.Put(frames[:min(len(frames), l.sock.TX.Size()-int(l.put-l.taken))])
			entries = m
		} else {
			m, entries = w.putLong(l, frames)
		}
		queued += m
		l.waiting += m
		l.put += uint32(entries)
		l.outside += entries
		if queued == n {
			break
		}
		before := l.taken
		w.kick(out)
		if w.complete(out) == 0 && l.taken == before {
			if stalls++; stalls > patience {
				break
			}
		}
	}
	if l.blocked == 0 {
		w.kick(out)
	}
	if way := &p.ports[out].tx; way.taps != 0 {
		for i := range queued {
			if wanting := w.wanting(p, way, w.umem.Bytes(w.sending[i]), &w.sending[i]); wanting != 0 {
				if w.frames != nil {
					w.stamp = w.umem.Meta(w.sending[i].Addr).Time
				}
				w.tapFrame(p, wanting, out, shm.TX, w.sent[i], w.sending[i], w.stamp)
			}
		}
	}
	if queued < n {
		reason := reasonFull
		if l.blocked != 0 {
			reason = reasonOf(l.blocked)
		}
		w.tally[other(out)][countErr+int(reason)] += uint64(n - queued)
		for _, d := range w.sending[queued:n] {
			w.retire(d)
		}
	}
}

// kick makes the kernel transmit what waits in a TX ring, and counts what it took. No error is
// fatal; each is counted by its name.
func (w *worker) kick(out int) {
	l := &w.lanes[out]
	if l.blocked != 0 && w.clock-l.tried < int64(retryTime) {
		return
	}
	t := &w.tally[out]
	for stalls := 0; l.put != l.taken && !l.gone; {
		if l.sock.ZeroCopy() && !l.sock.TX.NeedWakeup() {
			w.countTaken(out, 0)
			l.blocked = 0
			return
		}
		errno := l.sock.Kick()
		taken := w.countTaken(out, errno)
		switch {
		case taken > 0:
			// EAGAIN after progress means only that the budget of one call is used up.
			if errno != 0 && errno != unix.EAGAIN {
				t[countCall+int(reasonOf(errno))]++
			}
			l.blocked = 0
			stalls = 0
			if errno == 0 {
				return
			}
		case errno == 0:
			l.blocked = 0
			return
		case errno == unix.EAGAIN || errno == unix.EBUSY:
			w.complete(out) // a full completion ring is one of the causes
			if stalls++; stalls > patience {
				t[countCall+int(reasonOf(errno))]++
				return
			}
		default:
			t[countCall+int(reasonOf(errno))]++
			l.blocked, l.tried = errno, w.clock
			if errno == unix.ENXIO {
				w.checkGone(out)
			}
			return
		}
	}
}

// countTaken counts what the kernel has taken from a TX ring since the last call, and returns the
// number of entries. EBUSY from a socket that copies means that the device has dropped the last
// frame taken. It does not say why, but a frame longer than the interface sends is dropped for its
// length.
func (w *worker) countTaken(out int, errno unix.Errno) uint32 {
	l := &w.lanes[out]
	taken := l.sock.TX.Taken()
	n := taken - l.taken
	frames, bytes := int(n), uint64(0)
	if w.nextChunk == nil {
		bytes = l.sock.TX.Bytes(l.taken, n)
	} else {
		frames, bytes, l.begun = l.sock.TX.Span(l.taken, n, l.begun)
	}
	l.taken = taken
	l.waiting -= frames
	t := &w.tally[out]
	t[countTX] += uint64(frames)
	t[countTXBytes] += bytes
	if errno == unix.EBUSY && frames > 0 && !l.sock.ZeroCopy() {
		t[countTX]--
		length := l.sock.TX.Last(taken)
		t[countTXBytes] -= length
		reason := reasonEBUSY
		if length > uint64(l.longest.Load()) {
			reason = reasonEMSGSIZE
		}
		w.tally[other(out)][countErr+int(reason)]++
	}
	return n
}

// complete takes back transmitted chunks and returns their number.
func (w *worker) complete(out int) int {
	l := &w.lanes[out]
	total := 0
	for {
		n := l.sock.Completion.Get(w.back[:])
		for _, addr := range w.back[:n] {
			w.free = append(w.free, w.umem.Frame(addr))
		}
		total += n
		if n < len(w.back) {
			l.outside -= total
			return total
		}
	}
}

// abandon counts the frames that wait in a TX ring as not sent, for a reason: nobody will take
// them. Their chunks stay in the ring until the socket is closed.
func (w *worker) abandon(out int, reason reason) {
	l := &w.lanes[out]
	if l.waiting > 0 {
		w.tally[other(out)][countErr+int(reason)] += uint64(l.waiting)
		l.waiting = 0
	}
	l.taken, l.begun = l.put, 0
}
