// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"fmt"

	"ethertap/shm"
)

// Sections encodes packets as whole PCAPNG sections, one after the other. Each can be read without the
// others, and all of them in their order are a file. Drop counts and statistics go on from one to the
// next: a loss is told once. It is for one goroutine.
type Sections struct {
	enc   *encoder
	limit int
	buf   []byte // the section under way; empty: none

	packets     uint64
	first, last int64
}

// Section is what is known of a section beside its bytes.
type Section struct {
	Packets     uint64
	First, Last int64 // the earliest and the latest time of a packet, ns since the epoch; 0 without packets
}

// leastSection is the least limit of a section, in bytes.
const leastSection = 64 << 10

// NewSections returns an encoder of sections of at most limit bytes, 65,536 at least. Of a packet it keeps
// at most half as much.
func NewSections(o Options, limit int) (*Sections, error) {
	if limit < leastSection {
		return nil, fmt.Errorf("sections of %d bytes are too short for packets, %d is the least", limit, leastSection)
	}
	enc := newEncoder(PCAPNG, o.Application, o.Filter)
	snap := min(MaxSnapLen, limit/2)
	if o.SnapLen > 0 {
		snap = min(snap, o.SnapLen)
	}
	enc.SetSnapLen(snap)
	enc.SetInterfaces(o.Interfaces)
	return &Sections{enc: enc, limit: limit}, nil
}

// SetPlace sets what the names of interfaces begin with, such as "host/instance/".
func (s *Sections) SetPlace(place string) { s.enc.ng.setPlace(place) }

// Describe sets the queue's table of interfaces.
func (s *Sections) Describe(list []shm.Interface) { s.enc.SetInterfaces(list) }

// Knows says whether the interface of a packet has been described.
func (s *Sections) Knows(r *shm.Record) bool { return s.enc.Knows(r) }

// Begin begins a section at a time, ns since the epoch, unless one is under way.
func (s *Sections) Begin(now int64) {
	if len(s.buf) == 0 {
		s.buf = s.enc.AppendHeader(s.buf, now)
	}
}

// Append adds a packet with its timestamp, in ns since the epoch, to the section under way. If it does not
// fit below the limit, ok is false and nothing has changed. The first packet of a section fits.
func (s *Sections) Append(timestamp int64, r *shm.Record) (ok bool) {
	before := len(s.buf)
	s.buf = s.enc.AppendRecord(s.buf, timestamp, r)
	if s.packets > 0 && len(s.buf)+s.enc.TrailerSize() > s.limit {
		s.enc.Undo()
		s.buf = s.buf[:before]
		return false
	}
	if s.packets == 0 {
		s.first, s.last = timestamp, timestamp
	}
	s.first, s.last = min(s.first, timestamp), max(s.last, timestamp)
	s.packets++
	return true
}

// Skipped counts a packet that the filter dropped.
func (s *Sections) Skipped(r *shm.Record) { s.enc.Skipped(r) }

// Size returns how long the section under way would be if it ended now, 0 if there is none.
func (s *Sections) Size() int {
	if len(s.buf) == 0 {
		return 0
	}
	return len(s.buf) + s.enc.TrailerSize()
}

// Untold says whether packets were refused that no section has told of.
func (s *Sections) Untold() bool {
	for i := range s.enc.ng.table {
		if t := &s.enc.ng.table[i]; t.known && t.iface.Refused > t.stated {
			return true
		}
	}
	return false
}

// End ends the section under way and returns it. The bytes are the caller's.
func (s *Sections) End(now int64) ([]byte, Section) {
	b := s.enc.AppendTrailer(s.buf, now)
	about := Section{Packets: s.packets, First: s.first, Last: s.last}
	s.buf = make([]byte, 0, cap(b))
	s.packets, s.first, s.last = 0, 0, 0
	return b, about
}
