package dataplane

import (
	"math/bits"

	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// tap notes a frame for the taps that want it: its bytes stay in the UMEM until flushTaps,
// so nothing may change or reuse them before. The frame counts for the interface that it
// names.
func (w *worker) tap(p *plan, wanting taps, port int, dir shm.Direction, m mark, d xsk.Desc) {
	frame, long := w.umem.Bytes(d), continued(d)
	if long {
		w.flushTaps() // keeps the order, and the one copy of a long frame that there is room for
		frame = w.whole(d)
	}
	for ; wanting != 0; wanting &= wanting - 1 {
		r := w.note(p.outlets[bits.TrailingZeros16(uint16(wanting))], port)
		r.Timestamp = w.now
		r.PacketID = m.id
		r.OrigLen = uint32(len(frame))
		r.Interface = uint16(port)
		r.Queue = uint16(w.queue)
		r.Direction = dir
		r.Fault = m.fault
		r.Data = frame
	}
	if long {
		w.flushTaps()
	}
}

// note makes room for a record for an outlet, of a frame that counts for an interface. All
// its fields are to be set where it lies: handed on by value it is copied at each step, and
// a copy waits for the stores before it.
func (w *worker) note(out *outlet, port int) *shm.Record {
	lane := &out.lanes[w.queue]
	n := len(lane.records)
	if n == cap(lane.records) || port != lane.port {
		w.turn(out, lane, port)
	}
	lane.records = lane.records[:n+1]
	return &lane.records[n]
}

// turn is the part of note that is not for every frame: the first one, one of the other
// interface, and one for which there is no memory yet.
func (w *worker) turn(out *outlet, lane *outletLane, port int) {
	n := len(lane.records)
	if n == 0 {
		w.noted = append(w.noted, out)
	}
	if port != lane.port {
		lane.port = port
		lane.runs = append(lane.runs, run{port, n})
	}
	if n == cap(lane.records) {
		lane.records = append(lane.records, make([]shm.Record, max(n, 3*batchSize))...)[:n]
	}
}

// flushTaps puts what was noted into the queues, in one call for each. A queue takes
// records in order until it is full, so those refused are the last ones.
func (w *worker) flushTaps() {
	for _, out := range w.noted {
		lane := &out.lanes[w.queue]
		stored, all := 0, len(lane.records)
		if lane.producer != nil {
			stored = lane.producer.Put(lane.records)
		}
		if out.tap == tapQueue {
			for i, r := range lane.runs {
				end := all
				if i+1 < len(lane.runs) {
					end = lane.runs[i+1].from
				}
				in := min(max(stored, r.from), end) - r.from
				t := &w.tally[r.port]
				t[countTapQualified] += uint64(end - r.from)
				t[countTapStored] += uint64(in)
				t[countTapRefused] += uint64(end - r.from - in)
			}
		} else {
			lane.stored.Add(uint64(stored))
			lane.refused.Add(uint64(all - stored))
		}
		lane.records, lane.runs, lane.port = lane.records[:0], lane.runs[:0], noPort
	}
	w.noted = w.noted[:0]
}
