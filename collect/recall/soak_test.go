// SPDX-License-Identifier: BSD-3-Clause

package recall

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"ethertap/collect/index"
	"ethertap/lib/capture"
	"ethertap/lib/filter"
	"ethertap/tests/frames"
	"ethertap/tests/need"
)

var payload = make([]byte, 1500)

// generate writes files of traffic in the format that collect writes by default with pcapng, and
// returns their names.
func generate(t testing.TB, dir string, bytes, each int64) (names []string) {
	t.Helper()
	r := frames.NewTraffic(1)
	ns := int64(1.7e18)
	for at := int64(0); at < bytes; {
		name := filepath.Join(dir, fmt.Sprintf("tap_%05d.pcapng", len(names)+1))
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriterSize(f, 1<<20)
		w.Write(newSection("eth1", "eth2").b)
		var b []byte
		for n := int64(0); n < min(each, bytes-at); n += int64(len(b)) {
			head, rest := r.Next()
			size := len(head) + rest
			total := uint32(32+size+-size&3) + 8 + 12 + 4
			b = append(b[:0], u32(pcapngPacket, total, uint32(r.Flow()&1), uint32(ns>>32), uint32(ns), uint32(size), uint32(size))...)
			b = append(b, head...)
			b = append(b, payload[:rest]...)
			b = append(b, "\x00\x00\x00"[:-size&3]...)
			b = append(b, 2, 0, 4, 0, 1, 0, 0, 0, 5, 0, 8, 0)
			b = append(le.AppendUint64(b, uint64(ns)), 0, 0, 0, 0)
			b = le.AppendUint32(b, total)
			if _, err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			ns += 5000
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		st, _ := f.Stat()
		at += st.Size()
		f.Close()
		names = append(names, name)
	}
	return names
}

// amount is how much traffic a test generates: little, or in a soak as much as the environment or
// it says.
func amount(little, much int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv("ETHERTAP_SOAK_BYTES"), 10, 64); err == nil {
		return n
	}
	if os.Getenv("ETHERTAP_SOAK") != "" {
		return much
	}
	return little
}

// compress writes the same file as collect --zstd does, in frames of a MiB.
func compress(t testing.TB, from, to string) {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	b := make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(in, b)
		if n > 0 {
			if _, werr := out.Write(z.EncodeAll(b[:n], nil)); werr != nil {
				t.Fatal(werr)
			}
		}
		if err != nil {
			break
		}
	}
}

// sameOutput says whether two classic streams have the same packets; tcpdump's header may differ.
func sameOutput(t testing.TB, ours, theirs string) bool {
	t.Helper()
	a, err := os.Open(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := os.Open(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	one, other := bufio.NewReaderSize(a, 1<<20), bufio.NewReaderSize(b, 1<<20)
	one.Discard(24)
	other.Discard(24)
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, _ := io.ReadFull(one, x)
		m, _ := io.ReadFull(other, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false
		}
		if n == 0 {
			return true
		}
	}
}

// Two hundred random filters over two gigabytes: the packets are those of tcpdump, with the index
// and without it, plain and compressed.
func TestSoakRecallLikeTcpdump(t *testing.T) {
	need.Tool(t, "tcpdump")
	dir := t.TempDir()
	plain := generate(t, dir, amount(4<<20, 2<<30), 1<<40)[0]
	packed := plain + ".zst"
	compress(t, plain, packed)
	for _, name := range []string{plain, packed} {
		n, err := index.Make(name, t.Context().Err)
		if err != nil {
			t.Fatal(err)
		}
		st, _ := os.Stat(name)
		t.Logf("%s: %d bytes, index %d (%.2f %%)", filepath.Base(name), st.Size(), n, 100*float64(n)/float64(st.Size()))
	}
	r := frames.NewTraffic(7)
	filters := 8
	if os.Getenv("ETHERTAP_SOAK") != "" {
		filters = 200
	}
	for i := range filters {
		expr := r.Filter(2)
		switch i % 4 { // half of them are for hosts that there are
		case 0:
			expr = fmt.Sprintf("host 10.1.%d.%d", r.IntN(40), r.IntN(256))
		case 1:
			expr = fmt.Sprintf("(%s) and not host 10.1.%d.%d or src port %d", expr, r.IntN(40), r.IntN(256), 32768+r.IntN(28232))
		}
		f, err := filter.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		theirs := filepath.Join(dir, "theirs.pcap")
		if out, err := exec.Command("tcpdump", "-O", "-r", plain, "-w", theirs, "--", expr).CombinedOutput(); err != nil {
			if bytes.Contains(out, []byte("rejects all packets")) {
				continue
			}
			t.Fatalf("tcpdump %s: %v\n%s", expr, err, out)
		}
		for _, name := range []string{plain, packed} {
			for _, whole := range []bool{false, true} {
				ours := queryTo(t, dir, Query{Filter: f, Whole: whole}, name)
				if !sameOutput(t, ours, theirs) {
					t.Errorf("%s of %s, all of it %v, is not what tcpdump takes", expr, filepath.Base(name), whole)
				}
			}
		}
	}
}

// queryTo runs a query into a file.
func queryTo(t testing.TB, dir string, q Query, names ...string) string {
	t.Helper()
	q.From, q.To, q.Logf = Begin, Forever, t.Errorf
	files, _, err := Find(t.Context(), names, nil, q.Logf)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "ours.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := NewWriter(out, "ours.pcap", capture.PCAP, false, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Run(t.Context(), files, w, &Progress{}); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// One host of ten thousand in a set of files, and one that is not there: what tcpdump takes, and how
// long both need.
func TestSoakOneHost(t *testing.T) {
	need.Tool(t, "tcpdump")
	dir := t.TempDir()
	each := int64(2 << 20)
	if os.Getenv("ETHERTAP_SOAK") != "" {
		each = 1 << 30
	}
	names := generate(t, dir, amount(8<<20, 20e9), each)
	begin := time.Now()
	var total, indexed int64
	for _, name := range names {
		n, err := index.Make(name, t.Context().Err)
		if err != nil {
			t.Fatal(err)
		}
		st, _ := os.Stat(name)
		total, indexed = total+st.Size(), indexed+n
	}
	t.Logf("%d files, %d bytes; indexes %d (%.2f %%), made in %v", len(names), total, indexed, 100*float64(indexed)/float64(total), time.Since(begin))
	for _, expr := range []string{"host 10.1.7.77", "host 10.99.0.1", "tcp port 54321 and host 10.1.7.77"} {
		f, err := filter.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		ours := queryTo(t, dir, Query{Filter: f}, names...)
		recalled := time.Since(begin)
		begin = time.Now()
		var theirs bytes.Buffer
		for _, name := range names {
			out, err := exec.Command("tcpdump", "-r", name, "-w", "-", "--", expr).Output()
			if err != nil {
				t.Fatal(err)
			}
			theirs.Write(out[min(24, len(out)):])
		}
		t.Logf("%s: recall %v, tcpdump %v, %.0f times as long", expr, recalled, time.Since(begin), float64(time.Since(begin))/float64(recalled))
		b, err := os.ReadFile(ours)
		if err != nil || !bytes.Equal(b[24:], theirs.Bytes()) {
			t.Errorf("%s: %d bytes, not %d: %v", expr, len(b)-24, theirs.Len(), err)
		}
	}
}
