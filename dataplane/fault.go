package dataplane

import (
	"math/bits"
	"math/rand/v2"

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
	{policy.FaultOutage, true, Counter{Name: "outage by FI", Key: "outage_by_fi", Help: "dropped by `fault.outage`", Rows: MoreFaultRows}},
	{policy.FaultRate, true, Counter{Name: "rate limit by FI", Key: "rate_by_fi", Help: "dropped by `fault.rate`", Rows: MoreFaultRows}},
	{policy.FaultHold, true, Counter{Name: "hold limit by FI", Key: "hold_by_fi", Help: "dropped, since they found no room to wait in", Rows: MoreFaultRows}},
	{policy.FaultBitflip, false, Counter{Name: "bitflipped by FI", Key: "bitflipped_by_fi", Help: "with an inverted bit", Rows: FaultRows}},
	{policy.FaultDup, false, Counter{Name: "duplicated by FI", Key: "duplicated_by_fi", Help: "sent twice", Rows: FaultRows}},
	{policy.FaultLength, false, Counter{Name: "length by FI", Key: "length_by_fi", Help: "cut short or made longer", Rows: LengthRows}},
	{policy.FaultDelay, false, Counter{Name: "delayed by FI", Key: "delayed_by_fi", Help: "delayed", Rows: MoreFaultRows}},
	{policy.FaultReorder, false, Counter{Name: "reordered by FI", Key: "reordered_by_fi", Help: "spared the delay", Rows: MoreFaultRows}},
}

// dice are the random numbers for the frames that one thread receives on one interface, and the
// counts of frames for each fault. Each lane has its own, so that the same traffic meets the same
// faults however threads and interfaces take turns.
type dice struct {
	pcg  rand.PCG
	turn [policy.FaultKinds]turn // indexed as policy.Faults
	bad  bool                    // the state of the two-state model of policy.Burst
}

// turn counts frames up to the n-th. A change of n starts the count anew.
type turn struct{ every, seen uint32 }

// hit says whether a fault happens to the next frame. A fault that never happens draws no random
// number.
func (d *dice) hit(fault int, c policy.Chance) bool {
	if c.Every == 0 {
		return c.Probability > 0 && d.below(policy.Certain) < uint64(c.Probability)
	}
	t := &d.turn[fault]
	if t.every != c.Every {
		*t = turn{every: c.Every}
	}
	if t.seen++; t.seen < t.every {
		return false
	}
	t.seen = 0
	return true
}

// burst says whether the next frame is lost in a burst.
func (d *dice) burst(b *policy.Burst) bool {
	switch {
	case *b == policy.Burst{}:
		d.bad = false
		return false
	case d.bad:
		d.bad = d.below(policy.Certain) >= uint64(b.Leave)
	default:
		d.bad = d.below(policy.Certain) < uint64(b.Enter)
	}
	loss := b.LossGood
	if d.bad {
		loss = b.LossBad
	}
	return loss > 0 && d.below(policy.Certain) < uint64(loss)
}

// below draws a number in 0…n-1. The multiplication biases it by n/2⁶⁴.
func (d *dice) below(n uint64) uint64 {
	high, _ := bits.Mul64(d.pcg.Uint64(), n)
	return high
}

func (w *worker) reseed(seed policy.Seed) {
	w.seed = seed
	for i := range w.lanes {
		d := &w.lanes[i].dice
		*d = dice{}
		d.pcg.Seed(seed.Seed, uint64(w.queue)<<8|uint64(i))
	}
}

// spoil applies the faults of interface in to a frame received there, and schedules what is left of
// it. w.sending has out frames before the call; the result is their number after it.
func (w *worker) spoil(in int, f *policy.Fault, d xsk.Desc, id uint64, out int) int {
	l, t := &w.lanes[in], &w.tally[in]
	switch {
	case f.Outage > w.clock:
		return w.lose(in, policy.FaultOutage, d, out)
	case l.dice.burst(&f.Burst):
		return w.lose(in, policy.FaultBurst, d, out)
	case l.dice.hit(policy.FaultDrop, f.Drop):
		return w.lose(in, policy.FaultDrop, d, out)
	}
	m := mark{id: id}
	if l.dice.hit(policy.FaultLength, f.Length) && w.stretch(l, &d) {
		t[countFault+policy.FaultLength]++
		m.fault |= shm.FaultLength
	}
	length := w.length(d)
	if l.dice.hit(policy.FaultBitflip, f.Bitflip) && length > protected {
		w.flushTaps() // so that the copy of reception shows the frame as received
		bit := l.dice.below(uint64(length-protected) * 8)
		chunk, i := w.byteAt(d, protected+int(bit/8))
		chunk[i] ^= 1 << (bit % 8)
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
		out = w.schedule(in, f, second, m, out)
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
// is not possible. It returns false if neither is.
func (w *worker) stretch(l *lane, d *xsk.Desc) bool {
	shorter := l.dice.below(2) == 0
	length, last := w.length(*d), d
	for continued(*last) {
		last = w.follow(*last)
	}
	behind := w.umem.FrameSize() - int(last.Addr-w.umem.Frame(last.Addr)) - int(last.Len)
	room := min(int(l.limit.Load())-length, behind)
	canShrink, canGrow := length > protected, room > 0
	switch {
	case canShrink && (shorter || !canGrow):
		w.cut(d, protected+int(l.dice.below(uint64(length-protected))))
	case canGrow:
		old := last.Len
		last.Len += 1 + uint32(l.dice.below(uint64(room)))
		// The tap's copy does not include the bytes behind the frame, so they may change.
		for tail := w.umem.Bytes(*last)[old:]; len(tail) > 0; {
			r := l.dice.pcg.Uint64()
			for range min(8, len(tail)) {
				tail[0] = byte(r)
				r >>= 8
				tail = tail[1:]
			}
		}
	default:
		return false
	}
	return true
}
