// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"time"

	"ethertap/shm"
)

// Output is where the packets of a run go. Files is the one that writes them; another is a type with
// these methods, and a case in openOutput of cmd/collect. The Collector calls them from one
// goroutine, but for HurryUp.
type Output interface {
	// Append adds a packet with its timestamp, in ns since the epoch. The record's data are valid
	// until it returns. The packet may stay in a buffer until Flush. After ErrLimit the run ends
	// without an error, and the packet counts as not written; any other error should say how many
	// packets are safe.
	Append(now time.Time, timestamp int64, r *shm.Record) error
	// Skipped notes a packet that the filter dropped.
	Skipped(r *shm.Record)
	// Room says whether another packet can be appended. If not, the run ends.
	Room() bool

	// Flush passes on what is in the buffer. The first one comes before any packet. Its error may
	// be errReaderGone, which ends the run without an error.
	Flush() error
	// Full says whether Flush is due, however fast packets come.
	Full() bool
	// Hold says whether Flush should wait for more packets though they come slowly.
	Hold() bool
	// Due does what is due at a time. It is called for each batch of packets, ten times a second at
	// least.
	Due(now time.Time) error
	// Reopen does what a rotator of logs asks for.
	Reopen(now time.Time) error
	// ReaderGone says whether nobody takes the packets any more. It is asked while none come.
	ReaderGone() bool

	// Describes says whether there is a place for the queue's interfaces, which Describe sets, and
	// Knows whether that of a packet has been set.
	Describes() bool
	Describe(list []shm.Interface)
	Knows(r *shm.Record) bool

	// Counts returns how many packets were appended, and how many bytes they are there.
	Counts() (packets, bytes uint64)
	// Title names the output for a summary at the end.
	Title() string
	// HurryUp begins the end: what the other side does not take within the patience of the output, two
	// seconds of a pipe, is given up. It may be called from any goroutine.
	HurryUp()
	// Close passes on what is in the buffer, and ends. Calls after the first do nothing.
	Close(now time.Time) error
}
