// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"io"
	"testing"

	"ethertap/lib/capture"
	"ethertap/shm"
)

// Sections are whole, keep their limit, and add up: each loss is told once by drop counts and once by
// statistics, whichever section it is in.
func TestSections(t *testing.T) {
	const limit = 64 << 10
	s, err := NewSections(Options{Interfaces: []shm.Interface{{Index: 0, Name: "eth1"}}, Application: "test"}, limit)
	if err != nil {
		t.Fatal(err)
	}
	s.SetPlace("host/a/")
	var all []byte
	var sections, packets uint64
	end := func() {
		b, about := s.End(1)
		if len(b) > limit {
			t.Errorf("%d bytes", len(b))
		}
		sections, packets, all = sections+1, packets+about.Packets, append(all, b...)
	}
	refused := uint64(0)
	for i := range uint64(1000) {
		r := &shm.Record{PacketID: i, Data: make([]byte, 300), OrigLen: 300}
		if i%100 == 50 {
			refused += 7
			s.Describe([]shm.Interface{{Index: 0, Name: "eth1", Refused: refused}})
			if !s.Untold() {
				t.Error("the loss is told already")
			}
		}
		if i%3 == 0 {
			s.Skipped(r)
			continue
		}
		for s.Begin(1); !s.Append(int64(i), r); s.Begin(1) {
			end()
		}
	}
	end()
	refused += 5 // after the last packet
	s.Describe([]shm.Interface{{Index: 0, Name: "eth1", Refused: refused}})
	s.Begin(1)
	end()
	if s.Untold() || s.Size() != 0 {
		t.Errorf("untold %v, size %d", s.Untold(), s.Size())
	}
	if packets != 666 || sections < 4 {
		t.Errorf("%d packets, %d sections", packets, sections)
	}
	r, err := capture.NewReader(bytes.NewReader(all), "sections")
	if err != nil {
		t.Fatal(err)
	}
	var p capture.Packet
	var told, stated uint64
	for err = r.Next(&p); err == nil; err = r.Next(&p) {
		told += p.Dropped
	}
	if err != io.EOF || r.Packets() != 666 || len(r.Sections()) != int(sections) {
		t.Errorf("%v, %d packets, %d sections", err, r.Packets(), len(r.Sections()))
	}
	for _, on := range r.Interfaces() {
		if on.Name != "host/a/eth1" {
			t.Error(on.Name)
		}
		stated += on.Statistics.Counts[capture.InterfDrop]
	}
	if told != refused-5 || stated != refused {
		t.Errorf("%d told by packets, %d by statistics, of %d", told, stated, refused)
	}
	if _, err := NewSections(Options{}, limit-1); err == nil {
		t.Error("a limit that is too short")
	}
}
