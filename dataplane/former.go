// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"os"
	"slices"
	"time"

	"ethertap/shm"
)

// former is a queue that was fed. Our producers are closed. The packets in it are for those who
// have it open.
type former struct {
	fed
	mine   []*shm.Producer
	recent [MaxQueues][2]uint64 // records put in between the last check and the end, as in fed.stored
	left   int                  // the lowest number of packets seen in it
	fellAt time.Time            // when that number last fell
}

// takeTime is how long nobody may take a packet out of a former queue before the rest counts as
// lost.
const takeTime = 2 * time.Second

// settleFormerLocked counts what was lost with former queues, once nobody takes packets out of
// them. last says that there will be no later call; then queues that others use count no loss.
func (e *Engine) settleFormerLocked(last bool) {
	e.former = slices.DeleteFunc(e.former, func(f *former) bool {
		st, err := f.queue.Status()
		if err == nil && st.Waiting > 0 && isUsed(f.queue) {
			if st.Waiting < f.left {
				f.left, f.fellAt = st.Waiting, time.Now()
			}
			if last {
				f.queue.Close()
				return true
			}
			if time.Since(f.fellAt) < takeTime {
				return false
			}
		}
		e.countLostLocked(f)
		f.queue.Close() // it fails for a damaged queue, which does no harm
		return true
	})
}

// isUsed says whether another process takes packets out of a queue, or puts packets into it, whose
// loss it will count itself.
func isUsed(q *shm.Queue) bool {
	list, err := q.Participants()
	return err == nil && slices.ContainsFunc(list, func(p shm.Participant) bool {
		return (p.Consumer || p.Producer) && p.Alive && p.PID != os.Getpid()
	})
}

// countLostLocked empties a former queue and counts those packets that we have put in. If the queue
// is damaged, it counts as many as may have been in it.
func (e *Engine) countLostLocked(f *former) {
	var lost [MaxQueues][2]uint64
	n, err := f.empty(func(r *shm.Record) {
		switch q, p := int(r.Queue), int(r.Interface); {
		case q >= MaxQueues || p >= 2: // another process has written nonsense
		case f.out.number == tapQueue:
			lost[q][p]++
		default: // as in fed.stored
			lost[q][0]++
		}
	})
	atMost := ""
	if most := min(f.waited+sumOf(&f.recent), uint64(f.queue.Slots())); err != nil && most > n {
		atMost = "at most "
		weights := &f.recent
		if sumOf(weights) == 0 {
			weights = &f.stored
		}
		distribute(&lost, most-n, weights)
	}
	if n := sumOf(&lost); n > 0 {
		e.config.Logf("queue %s: %s%d packets that nobody had taken are lost with its old file", f.queue.Name(), atMost, n)
	}
	for q := range lost {
		for p, n := range lost[q] {
			f.out.lost[q][p] += n
		}
	}
}

// empty takes all packets out of a former queue and calls fn for those that we have put in. n is
// the number of all packets.
func (f *former) empty(fn func(*shm.Record)) (n uint64, err error) {
	c, err := f.queue.NewConsumer("lost")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for n < 2*uint64(f.queue.Slots()) { // others may still put packets in
		k, err := c.Drain(batchSize, func(r *shm.Record) error {
			if slices.ContainsFunc(f.mine, func(p *shm.Producer) bool { return p.Wrote(r) }) {
				fn(r)
			}
			return nil
		})
		if n += uint64(k); err != nil || k == 0 {
			return n, err
		}
	}
	return n, nil
}

// distribute adds n to the sums in proportion to their weights. The largest gets the rest that
// rounding leaves.
func distribute(sums *[MaxQueues][2]uint64, n uint64, weights *[MaxQueues][2]uint64) {
	all, left := sumOf(weights), n
	if all == 0 {
		return
	}
	var largest *uint64
	most := uint64(0)
	for q := range weights {
		for p, w := range weights[q] {
			part := min(uint64(float64(n)*(float64(w)/float64(all))), left)
			sums[q][p] += part
			left -= part
			if w > most {
				most, largest = w, &sums[q][p]
			}
		}
	}
	*largest += left
}

func sumOf(sums *[MaxQueues][2]uint64) (n uint64) {
	for q := range sums {
		n += sums[q][0] + sums[q][1]
	}
	return n
}
