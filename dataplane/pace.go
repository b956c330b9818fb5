package dataplane

import (
	"sync/atomic"
	"time"

	"ethertap/dataplane/policy"
)

// pace is the link of limited speed behind the frames received on an interface: one for all
// threads, so that they share its rate. A frame takes its turn behind those that came before,
// in whatever queue; each thread keeps what it gave a time to until then. Without Rate no
// thread touches it.
//
// A bucket of tokens that threads fetch in portions would save the compare-and-swap of each
// frame, but a thread could send what it has fetched at full speed.
type pace struct {
	_    [128]byte
	busy atomic.Int64 // until when the link is busy, ns on the engine's clock; each thread, by compare-and-swap
	_    [120]byte
}

// late says whether a frame that comes now would have to wait for its turn longer than the
// rate allows.
func (p *pace) late(now int64, r *policy.Rate) bool { return p.busy.Load()-now > int64(r.Queue) }

// reserve gives a frame of so many bytes its turn and returns when its last bit has left; false
// if it would have to wait too long. rest carries what is less than a nanosecond to the
// thread's next frame, so that in the long run the rate is exact.
func (p *pace) reserve(now int64, length int, r *policy.Rate, rest *uint64) (due int64, ok bool) {
	cost := uint64(length)*8*uint64(time.Millisecond) + *rest
	ns := int64(cost / r.Kbits)
	for {
		busy := p.busy.Load()
		start := max(now, busy)
		if start-now > int64(r.Queue) {
			return 0, false
		}
		if p.busy.CompareAndSwap(busy, start+ns) {
			*rest = cost % r.Kbits
			return start + ns, true
		}
	}
}
