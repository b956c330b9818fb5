// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"fmt"
	"time"

	"ethertap/lib/rate"
)

const (
	kept       = 600 // rates of each counter, of as many looks
	keptEvents = 500
)

// state is what is known of an ethertap: its last figures, and the rates and events since the view
// began.
type state struct {
	now     figures
	known   bool // there are figures
	rates   *rate.History[string]
	senders *rate.History[string]
	types   *rate.History[string]
	losing  map[string]int // looks since the last loss, by the keys of counters that grew lately
	events  []event        // the newest last
}

// event is something that happened between two looks.
type event struct {
	at   time.Time
	text string
	bad  bool
}

func newState() *state {
	return &state{rates: rate.NewHistory[string](kept), senders: rate.NewHistory[string](1), types: rate.NewHistory[string](1), losing: map[string]int{}}
}

// Keys of the rates. Those of an interface have its number.
func portKey(port int, counter string) string        { return fmt.Sprint(port, " ", counter) }
func furtherKey(name, counter string) string         { return "further " + name + " " + counter }
func senderKey(port int, mac, counter string) string { return fmt.Sprint(port, " ", mac, " ", counter) }
func typeKey(port int, label, counter string) string {
	return fmt.Sprint(port, " ", label, " ", counter)
}

// take adds the figures of a look.
func (s *state) take(f figures) {
	before, known, seen := s.now, s.known, f.tables
	f.tables = before.tables
	s.rates.Add(f.Stats.Time, f.counts())
	s.now, s.known = f, true
	s.takeTables(seen)
	if known {
		s.compare(&before, &s.now)
	}
}

// takeTables adds the tables that were read. Others remain as they were read last.
func (s *state) takeTables(t tables) {
	if t.Senders != nil {
		s.now.Senders = t.Senders
		s.senders.Add(t.At, s.now.senderCounts())
	}
	if t.Types != nil {
		s.now.Types = t.Types
		s.types.Add(t.At, s.now.typeCounts())
	}
}

// counts are all counters but those of the tables, by key.
func (f *figures) counts() map[string]uint64 {
	all := map[string]uint64{"tap inserted": f.Queue.Inserted, "tap retrieved": f.Queue.Retrieved, "tap full": f.Queue.Full}
	for i, p := range f.Stats.Interfaces {
		for key, n := range p.counts {
			if !gauges[key] {
				all[portKey(i, key)] = n
			}
		}
	}
	for _, q := range f.Further {
		all[furtherKey(q.Name, "tapped")], all[furtherKey(q.Name, "full")] = q.Tapped, q.Full
	}
	return all
}

func (f *figures) senderCounts() map[string]uint64 {
	all := map[string]uint64{}
	for i, table := range f.Senders {
		for _, r := range table {
			all[senderKey(i, r.MAC, "frames")], all[senderKey(i, r.MAC, "bytes")] = r.Frames, r.Bytes
		}
	}
	return all
}

func (f *figures) typeCounts() map[string]uint64 {
	all := map[string]uint64{}
	for i := range f.Types {
		for _, r := range f.typeRows(i) {
			all[typeKey(i, r.label, "frames")], all[typeKey(i, r.label, "bytes")] = r.Frames, r.Bytes
		}
	}
	return all
}

// happened adds an event.
func (s *state) happened(bad bool, at time.Time, format string, args ...any) {
	s.events = append(s.events, event{at, fmt.Sprintf(format, args...), bad})
	if len(s.events) > keptEvents {
		s.events = s.events[len(s.events)-keptEvents:]
	}
}
