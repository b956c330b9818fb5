// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"math/bits"

	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// tapFrame makes a record of a frame for each tap in wanting. The bytes stay in the UMEM until
// flushTaps, so nothing may change or reuse them before. number is the interface that the frame
// counts for, when the time of the record.
func (w *worker) tapFrame(p *plan, wanting tapSet, number int, dir shm.Direction, m mark, d xsk.Desc, when int64) {
	frame, long := w.umem.Bytes(d), continued(d)
	if long {
		w.flushTaps() // keeps the order, and frees the buffer, which holds one long frame
		frame = w.contiguous(d)
	}
	wire := len(frame)
	if w.frames != nil {
		wire = w.wire(d)
	}
	for ; wanting != 0; wanting &= wanting - 1 {
		r := w.newRecord(p.outlets[bits.TrailingZeros16(uint16(wanting))], number)
		r.Timestamp = when
		r.PacketID = m.id
		r.OrigLen = uint32(wire)
		r.Interface = uint16(number)
		r.Queue = uint16(w.queue)
		r.Direction = dir
		r.Fault = m.fault
		r.Data = frame
	}
	if long {
		w.flushTaps()
	}
}

// newRecord makes room for a record of an outlet, for a frame that counts for interface number. The
// caller sets all fields in place: a record passed by value is copied at each step, and the copy
// waits for the stores before it.
func (w *worker) newRecord(out *outlet, number int) *shm.Record {
	lane := &out.lanes[w.queue]
	n := len(lane.records)
	if n == cap(lane.records) || number != lane.number {
		w.startRun(out, lane, number)
	}
	lane.records = lane.records[:n+1]
	return &lane.records[n]
}

// startRun is the rare part of newRecord: for the first record of a batch, the first one after a
// change of the interface, and one for which there is no memory yet.
func (w *worker) startRun(out *outlet, lane *outletLane, number int) {
	n := len(lane.records)
	if n == 0 {
		w.pending = append(w.pending, out)
	}
	if number != lane.number {
		lane.number = number
		lane.runs = append(lane.runs, recordRun{number, n})
	}
	if n == cap(lane.records) {
		lane.records = append(lane.records, make([]shm.Record, max(n, 3*batchSize))...)[:n]
	}
}

// flushTaps puts the records into the queues, by one call for each queue. A queue takes records in
// order until it is full, so it refuses the last ones.
func (w *worker) flushTaps() {
	for _, out := range w.pending {
		lane := &out.lanes[w.queue]
		stored, all := 0, len(lane.records)
		if lane.producer != nil {
			if w.frames != nil {
				stored = w.putPatiently(out)
			} else {
				stored = lane.producer.Put(lane.records)
			}
		}
		if out.number == tapQueue {
			for i, r := range lane.runs {
				end := all
				if i+1 < len(lane.runs) {
					end = lane.runs[i+1].from
				}
				in := min(max(stored, r.from), end) - r.from
				t := &w.tally[r.number]
				t[countTapQualified] += uint64(end - r.from)
				t[countTapStored] += uint64(in)
				t[countTapRefused] += uint64(end - r.from - in)
			}
		} else {
			lane.stored.Add(uint64(stored))
			lane.refused.Add(uint64(all - stored))
		}
		lane.records, lane.runs, lane.number = lane.records[:0], lane.runs[:0], noInterface
	}
	w.pending = w.pending[:0]
}
