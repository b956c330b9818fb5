package dataplane

import (
	"math/bits"
	"math/rand/v2"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// protected is the length of what faults leave alone: both addresses and the
// first Ethertype.
const protected = 14

// dice are the random numbers of the frames that one thread receives on one
// interface, and how many came to each fault: own ones for each, so that the same
// traffic meets the same faults however threads and interfaces take turns.
type dice struct {
	pcg  rand.PCG
	turn [len(policy.Chances)]turn // by the numbers of policy.Chances
	bad  bool                      // the state of Burst
}

// turn counts up to the n-th frame. A change of the number begins anew.
type turn struct{ every, seen uint32 }

// hit says whether a fault happens to the next frame. What never happens draws
// nothing.
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

// burst says whether the next frame is lost to a burst.
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

// below draws a number in 0…n-1. The bias of the multiplication is n/2⁶⁴.
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

// spoil takes a frame through the faults of the interface it was received on
// and schedules what is left of it: w.sending has out frames before, and the
// number after is returned.
func (w *worker) spoil(in int, f *policy.Fault, d xsk.Desc, id uint64, out int) int {
	l, t := &w.lanes[in], &w.tally[in]
	lost := 0 // to what
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
		w.flushTaps() // the copy of reception shows the frame as received
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

// lose drops a frame received on an interface, by what is counted at part.
func (w *worker) lose(in, part int, d xsk.Desc) {
	w.tally[in][countFIDropped]++
	w.tally[in][part]++
	w.retire(d)
}

// stretch gives a frame another length, at least protected and at most the
// lane's limit, with random bytes at the end of a longer one. It draws which way,
// and goes the other way when there is none.
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
		// The bytes behind a frame belong to its chunk, so the tap's copy does not see them.
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
