// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"sync/atomic"
	"time"

	"ethertap/dataplane/policy"
)

// pace is the link of limited speed behind the frames received on an interface. All threads share
// it, and so its rate. A frame waits for the frames that came before it, in any queue; until it is
// due, its thread holds it. Without policy.Fault.Rate no thread touches the pace.
//
// A bucket of tokens that threads fetch in portions would save the compare-and-swap of each frame.
// But then a thread could send the frames of one portion at full speed.
type pace struct {
	_      [128]byte
	freeAt atomic.Int64 // when the link is free, ns on the engine's clock; all threads write it, by compare-and-swap
	_      [120]byte
}

// late says whether a frame that comes now would have to wait longer than r.Queue allows.
func (p *pace) late(now int64, r *policy.Rate) bool { return p.freeAt.Load()-now > int64(r.Queue) }

// reserve gives a frame of length bytes its time on the link and returns when its last bit has
// left. ok is false if the frame would have to wait longer than r.Queue allows. rest carries
// fractions of a nanosecond to the next frame of the thread, so that the rate is exact in the long
// run.
func (p *pace) reserve(now int64, length int, r *policy.Rate, rest *uint64) (due int64, ok bool) {
	cost := uint64(length)*8*uint64(time.Millisecond) + *rest
	ns := int64(cost / r.Kbits)
	for {
		freeAt := p.freeAt.Load()
		start := max(now, freeAt)
		if start-now > int64(r.Queue) {
			return 0, false
		}
		if p.freeAt.CompareAndSwap(freeAt, start+ns) {
			*rest = cost % r.Kbits
			return start + ns, true
		}
	}
}
