package dataplane

import (
	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// tap notes a frame for the TAP queue: its bytes stay in the UMEM until flushTap,
// so nothing may change or reuse them before. The frame counts for interface
// owner; from is the interface that it names.
func (w *worker) tap(owner, from int, dir shm.Direction, m mark, d xsk.Desc) {
	if !w.qualified(owner) {
		return
	}
	if continued(d) {
		w.flushTap() // keeps the order, and the one copy of a long frame that there is room for
		defer w.flushTap()
	}
	w.describe(w.note(owner), from, dir, m, d)
}

// qualified counts a frame for the TAP queue; false if there is none, and it is refused.
func (w *worker) qualified(owner int) bool {
	w.tally[owner][countTapQualified]++
	if w.tapper == nil {
		w.tally[owner][countTapRefused]++
		return false
	}
	return true
}

// note makes room for a record for the TAP queue.
func (w *worker) note(owner int) *shm.Record {
	w.owners = append(w.owners, uint8(owner))
	return longer(&w.records)
}

// longer makes a list longer by a record, of which all fields are to be set where it lies:
// handed on by value it is copied at each step, and a copy waits for the stores before it.
func longer(list *[]shm.Record) *shm.Record {
	n := len(*list)
	if n == cap(*list) {
		*list = append(*list, shm.Record{})
	}
	*list = (*list)[:n+1]
	return &(*list)[n]
}

// describe makes r a frame as a queue takes it. A long one is in the one place for such,
// until the next.
func (w *worker) describe(r *shm.Record, port int, dir shm.Direction, m mark, d xsk.Desc) {
	frame := w.umem.Bytes(d)
	if continued(d) {
		frame = w.whole(d)
	}
	r.Timestamp = w.now
	r.PacketID = m.id
	r.OrigLen = uint32(len(frame))
	r.Interface = uint16(port)
	r.Queue = uint16(w.queue)
	r.Direction = dir
	r.Fault = m.fault
	r.Data = frame
}

// flushTap puts what was noted into the queues; into the TAP queue in one call. The queue takes
// records in order until it is full, so those refused are the last ones.
func (w *worker) flushTap() {
	if len(w.fed) > 0 {
		w.flushFeeds()
	}
	if len(w.records) == 0 {
		return
	}
	stored := w.tapper.Put(w.records)
	for i, owner := range w.owners {
		if i < stored {
			w.tally[owner][countTapStored]++
		} else {
			w.tally[owner][countTapRefused]++
		}
	}
	w.records = w.records[:0]
	w.owners = w.owners[:0]
}
