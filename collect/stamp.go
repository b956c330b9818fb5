// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"fmt"
	"time"

	"ethertap/shm"
)

// stamper gives packets their time: the time of writing or the time of reception.
type stamper struct {
	received bool

	base time.Time // time of the batch, and the same in ns since the epoch
	wall int64
	last int64 // the time of writing of the previous packet

	late   uint64        // packets that have the time of writing, more than lateAfter after their reception
	oldest time.Duration // the longest of these delays
}

// lateAfter is the delay between reception and writing after which a packet counts as late.
const lateAfter = time.Second

// readClock reads the clock for the next batch.
func (s *stamper) readClock(now time.Time) { s.base, s.wall = now, now.UnixNano() }

// stamp returns the time of a packet, ns since the epoch. A packet without a time of reception
// gets the time of writing.
func (s *stamper) stamp(r *shm.Record) int64 {
	if s.received && r.Timestamp > 0 {
		return r.Timestamp
	}
	// Reading only the monotonic clock costs half of time.Now.
	s.last = following(s.last, s.wall+int64(time.Since(s.base)))
	if r.Timestamp > 0 {
		if age := time.Duration(s.last - r.Timestamp); age > lateAfter {
			s.late++
			s.oldest = max(s.oldest, age)
		}
	}
	return s.last
}

// Remark returns a warning about the times of a run, or "".
func (t Tally) Remark() string {
	if t.Late == 0 {
		return ""
	}
	return fmt.Sprintf("%s packets were written more than a second after they were received (up to %.1f s) and have the time of writing; --timestamp receive gives that of reception",
		grouped(t.Late), t.Oldest.Seconds())
}

// following returns now, or last if the clock went back by a small correction, since readers
// expect rising timestamps. If the clock was set back by more, its time is right from then on.
func following(last, now int64) int64 {
	if now < last && last-now < int64(time.Second) {
		return last
	}
	return now
}
