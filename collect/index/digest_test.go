// SPDX-License-Identifier: BSD-3-Clause

package index

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ethertap/lib/capture"
	"ethertap/tests/frames"
)

// Frames of one flow have the same keys.
func TestFlow(t *testing.T) {
	r := frames.New(3)
	keys := map[flow]string{}
	same, none := 0, 0
	m := newMaker()
	m.blocks = make([]block, 1)
	keysOf := func(b []byte) string {
		m.given = m.given[:0]
		m.dissect(b, 1)
		return keyText(m, m.given)
	}
	for range 20_000 {
		b := r.Frame()
		if r.IntN(8) == 0 {
			b = b[:r.IntN(len(b)+1)]
		}
		var f flow
		if !f.of(b) {
			none++
			continue
		}
		got := keysOf(b)
		if want, ok := keys[f]; !ok {
			keys[f] = got
		} else if same++; got != want {
			t.Fatalf("%x has the keys\n%s, and others of its flow\n%s", b, got, want)
		}
		if len(m.given) > len(known{}.ids) {
			t.Fatalf("%d keys", len(m.given))
		}
		var again flow
		if head := b[:min(len(b), headSize)]; !again.of(head) || again != f || !again.is(&f) {
			t.Fatalf("the flow of %x is another one when it is cut to %d bytes", b, headSize)
		}
		if keysOf(b[:min(len(b), headSize)]) != got {
			t.Fatalf("the keys of %x are others when it is cut to %d bytes", b, headSize)
		}
	}
	if same < 1000 || none > 10_000 {
		t.Errorf("only %d frames of a flow that was known, %d without one", same, none)
	}
}

func keyText(m *maker, ids []uint32) string {
	var b bytes.Buffer
	all := make([]Key, 0, len(ids))
	for _, id := range ids {
		all = append(all, m.keys[id])
	}
	slices.SortFunc(all, Key.compare)
	fmt.Fprint(&b, all)
	return b.String()
}

// digested takes the digest of a file as its recorder would, in parts.
func digested(t testing.TB, path string) *Digested {
	t.Helper()
	r, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var d Digest
	var taken Digested
	d.Begin(r.Position(), r.Format() == capture.PCAPNG)
	var p capture.Packet
	for n := 0; ; n++ {
		at, others := r.Position(), r.Others()
		if err := r.Next(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		d.Packet(at, r.Others() != others, p.Time, p.Data)
		if n%100 == 0 {
			taken.Take(d.Take())
		}
	}
	d.End()
	taken.Take(d.Take())
	return &taken
}

func stateFor(t testing.TB, path string) state {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := stateOf(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The index of a digest is that of the file, byte by byte; of a file that was changed since, or of a
// digest that is not whole, too.
func TestDigest(t *testing.T) {
	path := write(t, random(1, 40_000))
	if _, err := Make(path, never); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(Path(path))
	if err != nil {
		t.Fatal(err)
	}
	s := stateFor(t, path)
	d := digested(t, path)
	for _, c := range []struct {
		name     string
		prepare  func()
		size     int64
		byDigest bool
	}{
		{"whole", func() {}, s.size, true},
		{"taken again", func() { d = digested(t, path) }, s.size, true},
		{"used before", func() {}, s.size, false},
		{"of another length", func() { d = digested(t, path) }, s.size + 1, false},
		{"lost", func() { d = digested(t, path); d.Lost() }, s.size, false},
		{"failed", func() { d = digested(t, path); d.Take([]byte{noteFailed}) }, s.size, false},
		{"damaged", func() { d = digested(t, path); d.Take([]byte{noteHead + 10, 1}) }, s.size, false},
	} {
		c.prepare()
		if err := os.Remove(Path(path)); err != nil {
			t.Fatal(err)
		}
		read := false
		if err := d.Make(path, c.size, s.changed, func() error { read = true; return nil }); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got, err := os.ReadFile(Path(path)); err != nil || !bytes.Equal(got, want) || read == c.byDigest {
			t.Errorf("%s: %d bytes, not %d, the same %v, the file was read %v: %v", c.name, len(got), len(want), bytes.Equal(got, want), read, err)
		}
	}
}

// A frame of zeros is noted in each block, also behind the number of blocks that has 32 bits.
func TestDigestZeros(t *testing.T) {
	var d Digest
	d.block = 1<<32 - 1
	d.Begin(capture.Position{File: 24, Raw: 24}, false)
	for i := range int64(3) {
		d.Take()
		at := capture.Position{File: 24 + i*leastBlock, Raw: 24 + i*leastBlock}
		d.Packet(at, false, 0, make([]byte, 60))
		if !bytes.Contains(d.Take(), append([]byte{noteHead + 60}, make([]byte, 60)...)) {
			t.Errorf("block %d lacks it", i)
		}
		if d.Packet(at, false, 0, make([]byte, 60)); len(d.Take()) > 0 {
			t.Errorf("block %d has it twice", i)
		}
	}
}

// Whatever a digest has in it, taking it ends.
func FuzzDigest(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a.pcap")
	if err := os.WriteFile(path, random(1, 50), 0o600); err != nil {
		f.Fatal(err)
	}
	s := stateFor(f, path)
	f.Add([]byte{noteBegin, noteBlock, 24, 0, 24, noteHead + 2, 1, 2, noteEnd, 2, 4, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Digested
		d.Take(b)
		if err := d.Make(path, s.size, s.changed, never); err != nil {
			t.Fatal(err)
		}
		of, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer of.Close()
		if x, err := Open(path, of); err == nil {
			x.Close()
		}
	})
}

// The time that noting takes, and that of making the index of it, for each packet of ten thousand hosts.
func BenchmarkDigest(b *testing.B) {
	for _, size := range []int{60, 846, 1500} { // the second is the average of a usual mixture
		traffic := frames.NewTraffic(1)
		traffic.Sizes = []int{size}
		var all []byte // one behind the other, as in the buffer of a recorder
		packets := make([][]byte, 300_000)
		for i := range packets {
			head, _ := traffic.Next()
			all = append(all, head...)
			packets[i] = all[len(all)-len(head):]
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var d Digest
			var taken Digested
			var parts []byte
			noting := time.Duration(0)
			for b.Loop() {
				begin := time.Now()
				parts = parts[:0]
				at := capture.Position{File: 24, Raw: 24}
				d.Begin(at, false)
				for i, p := range packets {
					d.Packet(at, false, int64(i), p)
					at.Raw += int64(size + 56)
					at.File = at.Raw
				}
				d.End()
				parts = append(parts, d.Take()...)
				noting += time.Since(begin)
				taken.Take(parts)
				taken.m.end()
				taken.m.encode(state{}, at.Raw)
			}
			n := float64(b.N * len(packets))
			b.ReportMetric(float64(noting.Nanoseconds())/n, "ns-noting/packet")
			b.ReportMetric(float64((b.Elapsed()-noting).Nanoseconds())/n, "ns-making/packet")
			b.ReportMetric(float64(len(parts))/float64(len(packets)), "bytes/packet")
		})
	}
}
