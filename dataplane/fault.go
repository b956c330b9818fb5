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

// dice are the random numbers for the frames that one thread receives on one interface, and the
// counts of frames for each fault. Each lane has its own, so that the same traffic meets the same
// faults however threads and interfaces take turns.
type dice struct {
	pcg  rand.PCG
	turn [len(policy.Chances)]turn // indexed as policy.Chances
	bad  bool                      // the state of the two-state model of policy.Burst
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
	lost := 0 // the counter of the fault that drops the frame
	switch {
	case f.Outage > w.clock:
		lost = countFIOutage
	case l.dice.burst(&f.Burst):
		lost = countFIBurst
	case l.dice.hit(policy.Drop, f.Drop):
		lost = countFIRandom
	}
	if lost != 0 {
		w.lose(in, lost, d)
		return out
	}
	m := mark{id: id}
	if l.dice.hit(policy.Length, f.Length) && w.stretch(l, &d) {
		t[countLength]++
		m.fault |= shm.FaultLength
	}
	length := w.length(d)
	if l.dice.hit(policy.Bitflip, f.Bitflip) && length > protected {
		w.flushTaps() // so that the copy of reception shows the frame as received
		bit := l.dice.below(uint64(length-protected) * 8)
		chunk, i := w.at(d, protected+int(bit/8))
		chunk[i] ^= 1 << (bit % 8)
		t[countBitflipped]++
		m.fault |= shm.FaultBitflip
	}
	duplicate := l.dice.hit(policy.Dup, f.Dup) && len(w.free) >= w.chunks(d)
	var second xsk.Desc
	if duplicate {
		m.fault |= shm.FaultDup
		second = w.duplicate(d)
		t[countDuplicated]++
	}
	out = w.schedule(in, f, d, m, out)
	if duplicate {
		out = w.schedule(in, f, second, m, out)
	}
	return out
}

// lose drops a frame received on interface in, and counts it under part.
func (w *worker) lose(in, part int, d xsk.Desc) {
	w.tally[in][countFIDropped]++
	w.tally[in][part]++
	w.retire(d)
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
