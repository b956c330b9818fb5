// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"ethertap/lib/predicate"
)

// read returns what a table shows to others.
func (t *table) read() *sum {
	s := newSum()
	s.add(t)
	return s
}

// total returns everything that a sum has, including the frames whose keys found no room.
func (s *sum) total() (u usage) {
	u = s.over
	for _, r := range s.rows {
		u = u.plus(r)
	}
	return u
}

func TestTableCountsWhatIsAdded(t *testing.T) {
	tb := newTable(1024, 64)
	random := rand.New(rand.NewPCG(1, 2))
	want := map[uint64]usage{}
	for range 500 {
		for range 64 {
			key := 1 + random.Uint64N(300)*0x10000
			n, last := 60+random.Uint64N(1000), random.Uint64()
			tb.add(key, 1, n, last)
			u := want[key]
			want[key] = usage{frames: u.frames + 1, bytes: u.bytes + n, last: last}
		}
		tb.publish(1e9)
	}
	got := tb.read()
	if len(got.rows) != len(want) || got.over != (usage{}) {
		t.Fatalf("%d rows, want %d; no room for %+v", len(got.rows), len(want), got.over)
	}
	for key, u := range want {
		if u.seen = 1; got.rows[key] != u {
			t.Errorf("key %x: %+v, want %+v", key, got.rows[key], u)
		}
	}
}

// A table fills up, counts the frames whose keys find no room, and keeps counting the keys that
// came before the flood.
func TestTableUnderAFlood(t *testing.T) {
	tb := newTable(1024, 64)
	const early = 0xabcdef
	tb.add(early, 1, 60, 0)
	tb.publish(0)
	random := rand.New(rand.NewPCG(3, 4))
	flood := func() {
		for range 1000 {
			for range 64 {
				tb.add(random.Uint64()|1, 1, 60, 0)
			}
			tb.publish(0)
		}
	}
	if n := testing.AllocsPerRun(1, flood); n != 0 {
		t.Errorf("%v allocations", n)
	}
	tb.add(early, 1, 60, 0)
	tb.publish(0)
	s := tb.read()
	if n := len(s.rows); n > 1024 || n < 900 {
		t.Errorf("%d of 1024 places are used", n)
	}
	if all := s.total(); all.frames != 2*64000+2 || all.bytes != 60*all.frames {
		t.Errorf("%+v in all", all)
	}
	if s.rows[early].frames != 2 {
		t.Errorf("the early key: %+v", s.rows[early])
	}
}

// A quarter as many keys as places all find room.
func TestTableHoldsItsShare(t *testing.T) {
	for seed := range uint64(20) {
		tb := newTable(macPlaces, 64)
		random := rand.New(rand.NewPCG(seed, 0))
		for range macPlaces / 4 {
			tb.add(1<<48|random.Uint64N(1<<48), 1, 0, 0)
			tb.publish(0)
		}
		if tb.overEntry.frames.Load() > 0 {
			t.Errorf("seed %d: %d of %d found no room", seed, tb.overEntry.frames.Load(), macPlaces/4)
		}
	}
	// These addresses are as in practice: of one vendor, in a row.
	tb := newTable(macPlaces, 64)
	for i := range uint64(macPlaces / 4) {
		tb.add(1<<48|0x00237d000000+i, 1, 0, 0)
		tb.publish(0)
	}
	if tb.overEntry.frames.Load() > 0 {
		t.Errorf("in a row: %d found no room", tb.overEntry.frames.Load())
	}
}

// Every VLAN of a trunk finds room.
func TestTableHoldsAllVLANs(t *testing.T) {
	tb := newTables()
	for id := range uint16(4096) {
		f := testFrame(64, 1, 0)
		binary.BigEndian.PutUint16(f[12:], predicate.TagC)
		binary.BigEndian.PutUint16(f[14:], id)
		tb.countFrame(f, len(f))
		tb.publish(0)
	}
	if n := len(tb.vlans.read().rows); n != 4096 {
		t.Errorf("%d VLANs of 4096", n)
	}
}

func TestTableIsReadWhileWritten(t *testing.T) {
	tb := newTables()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for before := uint64(0); ; {
			all := tb.macs.read().total()
			if all.frames < before || all.bytes > 60*20000 {
				t.Errorf("%+v read, %d frames before", all, before)
			}
			before = all.frames
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for i := range uint32(20000) {
		f := testFrame(60, byte(i/3), i)
		tb.countFrame(f, len(f))
		if i%32 == 31 {
			tb.publish(int64(i))
		}
	}
	close(stop)
	wg.Wait()
	if all := tb.macs.read().total(); all.frames != 20000 || all.bytes != 60*20000 {
		t.Errorf("%+v in all", all)
	}
}

func TestAccountOfTagsAndTypes(t *testing.T) {
	frame := func(tags ...uint16) []byte { // tags are pairs of TPID and TCI, then the type
		f := testFrame(12, 1, 0)
		for _, v := range tags {
			f = binary.BigEndian.AppendUint16(f, v)
		}
		return f
	}
	const q, s, stagKey = predicate.TagC, predicate.TagS, 1 << tpidAt
	for _, c := range []struct {
		name  string
		frame []byte
		kind  uint64
		vlans []uint64
	}{
		{"IPv4", frame(0x0800), typeKey | 0x0800, nil},
		{"length", frame(0x002e), lengthKey, nil},
		{"largest length", frame(1500), lengthKey, nil},
		{"above it", frame(1501), typeKey | 1501, nil},
		{"tag", frame(q, 0xe064, 0x86dd), typeKey | 1<<16 | 0x86dd, []uint64{100}},
		{"QinQ", frame(s, 5, q, 6, 0x0806), typeKey | 2<<16 | 0x0806, []uint64{stagKey | 5, 1<<16 | 6}},
		{"four", frame(s, 1, s, 2, q, 3, q, 4, 0x0800), typeKey | 4<<16 | 0x0800, []uint64{stagKey | 1, stagKey | 1<<16 | 2, 2<<16 | 3, 3<<16 | 4}},
		{"five", frame(q, 1, q, 2, q, 3, q, 4, q, 5, 0x0800), typeKey | 4<<16 | q, []uint64{1, 1<<16 | 2, 2<<16 | 3, 3<<16 | 4}},
		{"old tags", frame(0x9100, 5, 0x9200, 6, q, 7, 0x0800), typeKey | 3<<16 | 0x0800, []uint64{2<<tpidAt | 5, 3<<tpidAt | 1<<16 | 6, 2<<16 | 7}},
		{"tag alone", frame(q), shortKey, nil},
		{"tag without type", frame(q, 7), shortKey, nil},
		{"second tag cut off", frame(s, 7, q), shortKey | 1<<16, []uint64{stagKey | 7}},
		{"tagged length", frame(q, 7, 46), lengthKey | 1<<16, []uint64{7}},
		{"no type", testFrame(13, 1, 0), shortKey, nil},
		{"nothing", nil, shortKey, nil},
	} {
		tb := newTables()
		for range 2 {
			tb.countFrame(c.frame, len(c.frame))
		}
		tb.publish(0)
		if all := tb.macs.read().total(); all.frames != 2 || all.bytes != uint64(2*len(c.frame)) {
			t.Errorf("%s: sources %+v", c.name, all)
		}
		types := tb.types.read()
		if u := types.rows[c.kind]; len(types.rows) != 1 || u.frames != 2 || u.last != source(c.frame) {
			t.Errorf("%s: types %x", c.name, types.rows)
		}
		vlans := tb.vlans.read()
		if len(vlans.rows) != len(c.vlans) {
			t.Errorf("%s: VLANs %x", c.name, vlans.rows)
		}
		for _, v := range c.vlans {
			if vlans.rows[vlanKey|v].frames != 2 {
				t.Errorf("%s: VLAN %x: %+v", c.name, v, vlans.rows)
			}
		}
	}
}

// The sum over the threads counts all of them. The last source is that of the thread that saw a
// frame last.
func TestSumOfThreads(t *testing.T) {
	e, err := New(Config{Interfaces: []string{"a"}, Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	for q := range 2 {
		tb := newTables()
		e.tables[q][0].Store(tb)
		for i := range 3 {
			f := testFrame(60, byte(10*q+i%2), 0)
			tb.countFrame(f, len(f))
		}
		tb.publish(int64(100-q) * 1e9)
	}
	m, err := e.MACs(0)
	if err != nil || len(m.Rows) != 4 || m.Rows[0].MAC != mac(0) || m.Rows[0].Frames != 2 || m.Rows[1].MAC != mac(10) || m.Rows[3].Bytes != 60 {
		t.Errorf("%+v, %v", m, err)
	}
	types, err := e.Types(0)
	if err != nil || len(types.Types) != 1 || types.Types[0].Frames != 6 || types.Types[0].Last != mac(0) || types.Types[0].Type != 0x88b5 {
		t.Errorf("%+v, %v", types, err)
	}
	e.ResetMACs()
	m, _ = e.MACs(0)
	types, _ = e.Types(0)
	if len(m.Rows) != 0 || len(types.Types) != 1 {
		t.Errorf("after the reset of sources: %+v, %+v", m, types)
	}
	e.ResetTypes()
	if types, _ = e.Types(0); len(types.Types) != 0 {
		t.Errorf("after the reset of types: %+v", types)
	}
	if _, err := e.MACs(1); err == nil {
		t.Error("sources of an interface that is none")
	}
}

func TestTypesAreInOrder(t *testing.T) {
	s := newSum()
	for _, key := range []uint64{typeKey | 1<<16 | 0x0800, shortKey | 1<<16, typeKey | 0x0806, lengthKey, typeKey | 0x0800} {
		s.rows[key] = usage{frames: 1}
	}
	want := []uint64{typeKey | 0x0800, typeKey | 0x0806, lengthKey, typeKey | 1<<16 | 0x0800, shortKey | 1<<16}
	if got := sortedKeys(s); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func BenchmarkAccount(b *testing.B) {
	for _, c := range []struct {
		name    string
		sources int
		run     int
	}{{"one source", 1, 64}, {"two sources", 2, 1}, {"1000 sources", 1000, 1}, {"flood", 1 << 20, 1}} {
		b.Run(c.name, func(b *testing.B) {
			tb := newTables()
			frames := make([][]byte, c.sources)
			for i := range frames {
				frames[i] = testFrame(14, byte(i), 0)
				binary.BigEndian.PutUint32(frames[i][7:], uint32(i))
			}
			i := 0
			for b.Loop() {
				for range 64 / c.run {
					if i++; i >= len(frames) {
						i = 0
					}
					for range c.run {
						tb.countFrame(frames[i], 60)
					}
				}
				tb.publish(0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(64*b.N), "ns/frame")
		})
	}
}
