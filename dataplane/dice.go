// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"math/bits"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/policy"
)

// dice are the random numbers for the frames that one thread receives on one interface, and what
// faults remember from one frame to the next. Each lane has its own, so that the same traffic meets
// the same faults however threads and interfaces take turns.
//
// A number is a function of the seed, the lane, the number of the frame and what the number is for.
// So no draw depends on how many others were made: the programs in the kernel (roll in faults.h)
// draw the same for a frame as a thread does. docs/dataplane.md specifies this.
type dice struct {
	key   uint64                  // of the lane, from the seed
	frame uint64                  // the number of the frame under way
	next  uint64                  // the number of the next frame received
	ahead uint64                  // the number of a frame of this batch, less its id
	copy  uint64                  // 1 for the copy of a frame that is sent twice
	turn  [policy.FaultKinds]turn // indexed as policy.Faults
	last  [policy.FaultKinds]bool // the last outcome of each fault that had a correlation
	bad   bool                    // the state of the two-state model of policy.Burst

	// What a program of the fast path said of the frame under way.
	thrown bool // it has thrown the dice: hits has a bit for each fault of fastpath.FaultsKnown that happens
	hits   uint32
	least  uint64 // a lower number in front of a frame is what an earlier one left there
}

// The draws of a frame: numbersOf for each fault, for the frame and for its copy.
const (
	gamma     = 0x9e3779b97f4a7c15 // the step of SplitMix64
	faultBits = 5                  // faults have numbers below 1<<faultBits
	drawBits  = 3                  // a fault draws fewer than 1<<drawBits numbers for a frame
	frameAt   = faultBits + drawBits + 1
	drawAgain = 4 // the draw that decides whether an outcome is repeated; 0 decides whether the fault happens
)

var _ = [1<<faultBits - policy.FaultKinds]struct{}{} // each fault has numbers of its own

// mix is the output function of SplitMix64 (Steele, Lea and Flood, 2014; the constants are Stafford's
// variant 13).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// newDice returns the dice of a lane, before its first frame.
func newDice(seed uint64, port, queue int) dice {
	return dice{key: mix(mix(seed) + uint64(queue)<<8 + uint64(port))}
}

// draw returns the n-th number that a fault draws for the frame under way.
func (d *dice) draw(fault, n int) uint64 {
	return mix(d.key + gamma*(d.frame<<frameAt|d.copy<<(frameAt-1)|uint64(n)<<faultBits|uint64(fault)))
}

// below is draw, as a number in 0…limit-1. Its bias is limit/2³².
func (d *dice) below(fault, n int, limit uint32) uint32 {
	return uint32(d.draw(fault, n) >> 32 * uint64(limit) >> 32)
}

// belowLong is below for large limits. Its bias is limit/2⁶⁴.
func (d *dice) belowLong(fault, n int, limit uint64) uint64 {
	high, _ := bits.Mul64(d.draw(fault, n), limit)
	return high
}

// turn counts frames up to the n-th. A change of n starts the count anew.
type turn struct{ every, seen uint32 }

// hit says whether a fault happens to the frame under way.
func (d *dice) hit(fault int, c policy.Chance) bool {
	switch {
	case d.thrown && fault < fastpath.FaultsKnown:
		return d.hits>>fault&1 != 0
	case c.Every > 0:
		return d.nth(fault, c.Every)
	case c.Probability == 0:
		return false
	case c.Correlation == 0:
		return d.below(fault, 0, policy.Certain) < c.Probability
	case d.below(fault, drawAgain, policy.Certain) >= c.Correlation:
		d.last[fault] = d.below(fault, 0, policy.Certain) < c.Probability
	}
	return d.last[fault]
}

// nth says whether a fault that happens to every n-th frame happens to the frame under way.
func (d *dice) nth(fault int, n uint32) bool {
	t := &d.turn[fault]
	if t.every != n {
		*t = turn{every: n}
	}
	if t.seen++; t.seen < t.every {
		return false
	}
	t.seen = 0
	return true
}

// outage says whether the frame under way, which came at a time on the worker's clock, is lost in
// an outage.
func (d *dice) outage(f *policy.Fault, clock int64) bool {
	if d.thrown {
		return d.hits>>policy.FaultOutage&1 != 0
	}
	return f.Outage > clock
}

// burst says whether the frame under way is lost in a burst.
func (d *dice) burst(b *policy.Burst) bool {
	if d.thrown {
		return d.hits>>policy.FaultBurst&1 != 0
	}
	change := d.below(policy.FaultBurst, 0, policy.Certain)
	switch {
	case *b == policy.Burst{}:
		d.bad = false
		return false
	case d.bad:
		d.bad = change >= b.Leave
	default:
		d.bad = change < b.Enter
	}
	loss := b.LossGood
	if d.bad {
		loss = b.LossBad
	}
	return loss > 0 && d.below(policy.FaultBurst, 1, policy.Certain) < loss
}
