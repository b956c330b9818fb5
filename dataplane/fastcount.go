// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/fastpath"
)

// The counters of the fast path are added to those of the threads.

// readCounters returns what the fast path has counted since its first use, by queue and interface.
// If the kernel's maps cannot be read, it logs that and returns the last result.
func (f *fastPath) readCounters() *[MaxQueues][2]tally {
	if f.stats == nil {
		return &f.last
	}
	all, err := f.stats.Read()
	if err != nil {
		f.logf("fast path: counters: %v", err)
		return &f.last
	}
	var sums [MaxQueues][2]tally
	f.missed = [fastpath.MaxTaps]uint64{}
	for i := range all {
		for q := range all[i] {
			c, t := &all[i][q], &sums[q][i]
			t[countFIDropped] = c.Lost()
			t[countRX] = c.Forwarded + c.Dropped + c.NoIf + c.Mirrored + c.Lost()
			for fault, n := range c.Suffered {
				t[countFault+fault] = n
			}
			t[countDrop], t[countNoIf], t[countMirrored], t[countBypassed] = c.Dropped, c.NoIf, c.Mirrored, c.Bypassed
			t[countRXBytes] = c.Bytes
			t[countHeld] = c.Held()
			for errno, n := range c.Errors {
				t[countErr+int(fastReason(errno))] += n
			}
			o := &sums[q][1-i]
			o[countTX], o[countTXBytes] = c.Sent, c.SentBytes
			t[countTapQualified] += c.MissedRX[0]
			t[countTapRefused] += c.MissedRX[0]
			o[countTapQualified] += c.MissedTX[0]
			o[countTapRefused] += c.MissedTX[0]
			for tap := range f.missed {
				f.missed[tap] += c.MissedRX[tap] + c.MissedTX[tap]
			}
		}
	}
	f.last = sums
	return &f.last
}

// fastReason returns the reason that stands for an errno counted by the fast path.
func fastReason(errno int) reason {
	if errno == 0 {
		return reasonFull
	}
	return reasonOf(unix.Errno(errno))
}

// unserved returns the number of frames that came in on queues of an interface without a thread.
func (f *fastPath) unserved(number int) uint64 {
	if f.stats == nil {
		return 0
	}
	n, err := f.stats.Unserved(number)
	if err != nil {
		return 0
	}
	return n
}

// addTable adds a table of the fast path to a sum.
func (f *fastPath) addTable(s *sum, number int, which fastpath.Table) error {
	if f.stats == nil {
		return nil
	}
	rest, err := f.stats.Sum(number, which, func(key uint64, u fastpath.Usage) {
		s.rows[key] = s.rows[key].plus(usage{u.Frames, u.Bytes, u.Last, u.Seen})
	})
	if err != nil {
		return fmt.Errorf("fast path: %w", err)
	}
	s.over = s.over.plus(usage{rest.Frames, rest.Bytes, rest.Last, rest.Seen})
	return nil
}

// resetTables empties tables of the fast path.
func (f *fastPath) resetTables(which ...fastpath.Table) {
	if f.stats == nil {
		return
	}
	for _, t := range which {
		if err := f.stats.Reset(t); err != nil {
			f.logf("fast path: %v", err)
		}
	}
}
