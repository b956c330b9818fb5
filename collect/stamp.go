package collect

import (
	"fmt"
	"time"

	"ethertap/shm"
)

// stamper gives packets their time: that of writing or that of reception.
type stamper struct {
	received bool

	base time.Time // of the batch, and the same in ns since the epoch
	wall int64
	last int64 // the time of writing of the packet before

	late   uint64        // packets that were written more than lateAfter after their reception, with the time of writing
	oldest time.Duration // the longest of these delays
}

// lateAfter is how far behind reception a time of writing is told of.
const lateAfter = time.Second

// batch reads the clock for the packets that follow.
func (s *stamper) batch(now time.Time) { s.base, s.wall = now, now.UnixNano() }

// stamp is the time of a packet, ns since the epoch. One whose producer tells no time of
// reception has that of writing.
func (s *stamper) stamp(r *shm.Record) int64 {
	if s.received && r.Timestamp > 0 {
		return r.Timestamp
	}
	// A look at the monotonic clock alone costs half of time.Now.
	s.last = following(s.last, s.wall+int64(time.Since(s.base)))
	if r.Timestamp > 0 {
		if age := time.Duration(s.last - r.Timestamp); age > lateAfter {
			s.late++
			s.oldest = max(s.oldest, age)
		}
	}
	return s.last
}

// Remark is what is to be said of a run's times, "" for nothing.
func (t Tally) Remark() string {
	if t.Late == 0 {
		return ""
	}
	return fmt.Sprintf("%s packets were written more than a second after they were received (up to %.1f s) and have the time of writing; --timestamp receive gives that of reception",
		grouped(t.Late), t.Oldest.Seconds())
}

// following keeps timestamps from going back by the little a clock is corrected
// by, as readers expect. A clock that was set back is followed: from then on
// it is right.
func following(last, now int64) int64 {
	if now < last && last-now < int64(time.Second) {
		return last
	}
	return now
}
