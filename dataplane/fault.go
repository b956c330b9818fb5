// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// protected is the number of bytes that faults leave alone: both addresses and the first Ethertype.
const protected = 14

// faultCounter is the counter of the frames that have suffered a fault.
type faultCounter struct {
	fault int  // the index in policy.Faults
	loses bool // the fault drops the frame, so its counter is part of the account
	Counter
}

// faultCounters are the counters of all faults, in the order that they have among Counters.
var faultCounters = [policy.FaultKinds]faultCounter{
	{policy.FaultDrop, true, Counter{Name: "random by FI", Key: "random_by_fi", Help: "dropped by `fault.drop`", Rows: NoRow}},
	{policy.FaultBurst, true, Counter{Name: "burst loss by FI", Key: "burst_by_fi", Help: "dropped by `fault.burst`", Rows: MoreFaultRows}},
	{policy.FaultTrace, true, Counter{Name: "trace loss by FI", Key: "trace_by_fi", Help: "dropped by `fault.trace`", Rows: MoreFaultRows}},
	{policy.FaultOutage, true, Counter{Name: "outage by FI", Key: "outage_by_fi", Help: "dropped by `fault.outage`", Rows: MoreFaultRows}},
	{policy.FaultRate, true, Counter{Name: "rate limit by FI", Key: "rate_by_fi", Help: "dropped by `fault.rate`", Rows: MoreFaultRows}},
	{policy.FaultHold, true, Counter{Name: "hold limit by FI", Key: "hold_by_fi", Help: "dropped, since they found no room to wait in", Rows: MoreFaultRows}},
	{policy.FaultBitflip, false, Counter{Name: "bitflipped by FI", Key: "bitflipped_by_fi", Help: "with an inverted bit", Rows: FaultRows}},
	{policy.FaultDup, false, Counter{Name: "duplicated by FI", Key: "duplicated_by_fi", Help: "sent twice", Rows: FaultRows}},
	{policy.FaultLength, false, Counter{Name: "length by FI", Key: "length_by_fi", Help: "cut short or made longer", Rows: LengthRows}},
	{policy.FaultDelay, false, Counter{Name: "delayed by FI", Key: "delayed_by_fi", Help: "delayed", Rows: MoreFaultRows}},
	{policy.FaultReorder, false, Counter{Name: "reordered by FI", Key: "reordered_by_fi", Help: "spared the delay", Rows: MoreFaultRows}},
	{policy.FaultECN, false, Counter{Name: "CE marked by FI", Key: "ecn_by_fi", Help: "marked as having met congestion", Rows: MoreFaultRows}},
	{policy.FaultCorrupt, false, Counter{Name: "corrupted by FI", Key: "corrupted_by_fi", Help: "with an inverted bit and a corrected checksum", Rows: MoreFaultRows}},
}

// Place is where a fault is carried out.
type Place string

const (
	Nowhere   Place = "" // it is not set, or fault injection is disabled
	InThreads Place = "threads"
	InKernel  Place = "kernel" // in the programs of the fast path
)

// faultPlacesLocked says where each fault of the frames received on an interface is carried out.
func (e *Engine) faultPlacesLocked(number int) (places [policy.FaultKinds]Place) {
	f := &e.plan.Load().Ports[number].Fault
	for fault := range places {
		over := fault == policy.FaultOutage && e.outageLeft(number) == 0
		switch {
		case !f.Enabled || !f.Set(fault) || over:
		case e.fast.doneInKernel(number, fault):
			places[fault] = InKernel
		default:
			places[fault] = InThreads
		}
	}
	return places
}

// followSeed begins the dice anew if another seed was set.
func (w *worker) followSeed(seed policy.Seed) {
	if w.seed != seed {
		w.reseed(seed)
	}
}

func (w *worker) reseed(seed policy.Seed) {
	w.seed = seed
	for i := range w.lanes {
		w.lanes[i].dice = newDice(seed.Seed, i, w.queue)
	}
}

// spoil applies the faults of interface in to a frame received there, and schedules what is left of
// it. w.sending has out frames before the call; the result is their number after it.
func (w *worker) spoil(in int, f *policy.Fault, d xsk.Desc, id uint64, out int) int {
	l, t := &w.lanes[in], &w.tally[in]
	w.heed(in, d, l.dice.ahead+id)
	switch {
	case l.dice.outage(f, w.clock):
		return w.lose(in, policy.FaultOutage, d, out)
	case l.dice.burst(&f.Burst):
		return w.lose(in, policy.FaultBurst, d, out)
	case l.trace.lost(&f.Trace, &l.dice, w.clock):
		return w.lose(in, policy.FaultTrace, d, out)
	case l.dice.hit(policy.FaultDrop, f.Drop):
		return w.lose(in, policy.FaultDrop, d, out)
	}
	m := mark{id: id}
	if f.ECN != (policy.Chance{}) {
		if h, at, shift, ok := w.congestionField(d); ok && l.dice.hit(policy.FaultECN, f.ECN) {
			w.flushTaps() // so that the copy of reception shows the frame as received
			w.congest(d, &h, at, shift)
			t[countFault+policy.FaultECN]++
			m.fault |= shm.FaultECN
		}
	}
	if f.Corrupt != (policy.Chance{}) {
		if p, ok := w.payloadOf(d); ok && l.dice.hit(policy.FaultCorrupt, f.Corrupt) {
			w.flushTaps()
			w.corrupt(d, p, &l.dice)
			t[countFault+policy.FaultCorrupt]++
			m.fault |= shm.FaultCorrupt
		}
	}
	if l.dice.hit(policy.FaultLength, f.Length) && w.stretch(l, &d) {
		t[countFault+policy.FaultLength]++
		m.fault |= shm.FaultLength
	}
	length := w.wire(d)
	if l.dice.hit(policy.FaultBitflip, f.Bitflip) && length > protected {
		w.flushTaps()
		bit := l.dice.below(policy.FaultBitflip, 1, uint32(length-protected)*8)
		if chunk, i := w.byteAt(d, protected+int(bit/8)); i < len(chunk) { // else the recorder has cut it off
			chunk[i] ^= 1 << (bit % 8)
		}
		t[countFault+policy.FaultBitflip]++
		m.fault |= shm.FaultBitflip
	}
	duplicate := l.dice.hit(policy.FaultDup, f.Dup) && len(w.free) >= w.chunks(d)
	var second xsk.Desc
	if duplicate {
		m.fault |= shm.FaultDup
		second = w.duplicate(d)
		t[countFault+policy.FaultDup]++
	}
	out = w.schedule(in, f, d, m, out)
	if duplicate {
		l.dice.copy = 1
		out = w.schedule(in, f, second, m, out)
		l.dice.copy = 0
	}
	return out
}

// lose drops a frame received on interface in by a fault, counts it, and returns out.
func (w *worker) lose(in, fault int, d xsk.Desc, out int) int {
	w.tally[in][countFIDropped]++
	w.tally[in][countFault+fault]++
	w.retire(d)
	return out
}

// stretch gives a frame another length, between protected and the limit of the lane. A longer frame
// gets random bytes at its end. It draws whether to cut or to lengthen, and does the other if that
// is not possible. It returns false if neither is. Bytes that a recorder has cut off count: they are
// the first that go, and where they are missing, those behind them are too.
func (w *worker) stretch(l *lane, d *xsk.Desc) bool {
	shorter := l.dice.below(policy.FaultLength, 1, 2) == 0
	there, length, last := w.length(*d), w.wire(*d), d
	missing := length - there
	for continued(*last) {
		last = w.follow(*last)
	}
	behind := w.umem.FrameSize() - int(last.Addr-w.umem.Frame(last.Addr)) - int(last.Len) - missing
	room := min(int(l.limit.Load())-length, behind)
	canShrink, canGrow := length > protected, room > 0
	switch {
	case canShrink && (shorter || !canGrow):
		left := protected + int(l.dice.below(policy.FaultLength, 2, uint32(length-protected)))
		if left < there {
			w.cut(d, left)
		}
		if missing > 0 {
			w.umem.Meta(d.Addr).Missing = uint32(max(left-there, 0))
		}
	case canGrow && missing > 0:
		w.umem.Meta(d.Addr).Missing += 1 + l.dice.below(policy.FaultLength, 2, uint32(room))
	case canGrow:
		old := last.Len
		last.Len += 1 + l.dice.below(policy.FaultLength, 2, uint32(room))
		// The tap's copy does not include the bytes behind the frame, so they may change.
		r := l.dice.draw(policy.FaultLength, 3)
		for tail := w.umem.Bytes(*last)[old:]; len(tail) > 0; {
			r += gamma
			var fill [8]byte
			binary.LittleEndian.PutUint64(fill[:], mix(r))
			tail = tail[copy(tail, fill[:]):]
		}
	default:
		return false
	}
	return true
}
