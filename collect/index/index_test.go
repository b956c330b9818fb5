// SPDX-License-Identifier: BSD-3-Clause

package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"ethertap/lib/capture"
	"ethertap/lib/filter"
	"ethertap/tests/frames"
)

var le = binary.LittleEndian

// stream returns a classic stream of frames.
func stream(n int, next func(i int) (data []byte, wire int)) []byte {
	var b []byte
	for _, v := range []uint32{0xa1b23c4d, 2 | 4<<16, 0, 0, 262144, 1} {
		b = le.AppendUint32(b, v)
	}
	for i := range n {
		data, wire := next(i)
		for _, v := range []uint32{uint32(1e9 + i/1000), uint32(i % 1000 * 1e6), uint32(len(data)), uint32(wire)} {
			b = le.AppendUint32(b, v)
		}
		b = append(b, data...)
	}
	return b
}

func random(seed uint64, n int) []byte {
	r := frames.New(seed)
	return stream(n, func(int) ([]byte, int) {
		data := r.Frame()
		if r.IntN(20) == 0 { // a frame of zeros
			data = make([]byte, 14+r.IntN(60))
		}
		if r.IntN(10) == 0 { // ARP with addresses that filters look for
			data = append([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01\x02\x00\x00\x00\x00\x01\x0a\x00\x00"), byte(r.IntN(4)), 0, 0, 0, 0, 0, 0, 10, 0, 0, byte(r.IntN(8)))
		}
		wire := len(data)
		if r.IntN(6) == 0 {
			data = data[:r.IntN(len(data)+1)]
		}
		return data, wire
	})
}

func write(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pcap")
	if err := os.WriteFile(path, b, 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func never() error { return nil }

// made makes an index with blocks of a length, and opens it.
func made(t testing.TB, path string, least int64, budget int64) *Index {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := capture.NewReader(f, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m := newMaker()
	m.least = least
	if err := m.read(r, never); err != nil {
		t.Fatal(err)
	}
	s, err := stateOf(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := save(path, f, m.encode(s, budget)); err != nil {
		t.Fatal(err)
	}
	x, err := Open(path, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

// packets calls f for each packet with its place in the stream.
func packets(t testing.TB, path string, f func(at int64, p *capture.Packet)) {
	t.Helper()
	r, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var p capture.Packet
	for {
		at := r.Offset()
		if err := r.Next(&p); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		f(at, &p)
	}
}

func in(runs []Run, at int64) bool {
	return slices.ContainsFunc(runs, func(r Run) bool { return at >= r.From.Raw && at < r.To })
}

const forever = 1<<63 - 1

// others are filters that Filter does not make.
var others = []string{
	"", "mpls and ip", "mpls and udp port 80", "pppoes and tcp", "vlan and mpls and ip", "not vlan and host 10.0.0.1", "vlan or host 10.0.0.1", "vlan and vlan and vlan and ip", "not vlan and vlan and ip",
	"vlan and not host 10.0.0.1", "(vlan 5 or vlan 7) and tcp", "not (vlan and not tcp)", "ip6 proto 6 and not tcp port 80", "not (not (not ip))", "ether[12:2] = 0x8100 and ether[16:2] = 0x800 and ether[30:4] = 0x0a000001",
	"1 = 1", "1 = 2", "1 = 2 or arp", "ether proto 46", "ether proto 5", "not ether proto 46", "ip[0:4] = 5 or tcp", "ether[26:4] & 0xffffff00 = 0x0a000000", "ether[26:4] & 0xff = 1 and ip",
	"ether[12:2] != 0x10800", "not ether[12:2] = 0x10800", "ether[12:2] = 0x10800 or arp", "not ip and not ip6 and not arp", "ether host 00:00:00:00:00:00", "ether proto 0",
	"net 10.0.0.0 mask 255.0.255.0", "net 0.0.0.0/0", "net ::/0", "host 10.0.0.1 or not (tcp or ip6)", "not (tcp or udp or arp or ip6)",
}

// wide returns a comparison of what the index knows with a number that may be longer than the field.
func wide(r frames.Random) string {
	fields := []string{"ether[0:2]", "ether[12:2]", "ether[16:2]", "ether[14:2] & 0xfff", "ether[23]", "ip[9]", "ip[16:4]", "ip6[6]", "ip6[40]", "ip6[40:2]", "tcp[0:2]", "udp[2:2]"}
	low := []int{0, 1, 5, 6, 17, 46, 80, 0x200, 0x800, 0x806, 0x86dd, 0x8100}
	high := []int{0, 1 << 8, 1 << 12, 1 << 16, 1 << 17, 0xffff << 16}
	return fmt.Sprintf("%s %s %#x", fields[r.IntN(len(fields))], []string{"=", "!="}[r.IntN(2)], low[r.IntN(len(low))]|high[r.IntN(len(high))])
}

// A plan has all packets that the filter takes: with a block for each packet, and with longer ones,
// whatever kind of keys is left out.
func TestPlanIsSure(t *testing.T) {
	path := write(t, random(1, 4000))
	r := frames.New(2)
	for _, least := range []int64{1, 500} {
		x := made(t, path, least, 1<<40)
		useful := 0
		for i := range 300 {
			expr := r.Filter(3)
			switch {
			case i < len(others):
				expr = others[i]
			case i%3 == 0:
				expr = []string{"", "not ", "vlan and ", "ip6 and not ", "(" + expr + ") or ", "(" + expr + ") and not "}[r.IntN(6)] + "(" + wide(r) + ")"
			}
			f, err := filter.Compile(expr)
			if err != nil {
				t.Fatal(err)
			}
			x.without = 0
			if i%4 == 3 {
				x.without = uint32(r.IntN(1 << classes))
			}
			runs, err := x.Plan(f.Tree(), -forever, forever)
			if err != nil {
				t.Fatal(expr, err)
			}
			taken, read := 0, 0
			packets(t, path, func(at int64, p *capture.Packet) {
				isIn := in(runs, at)
				if isIn {
					read++
				}
				if f.Match(p.Data, p.Wire, false) {
					if taken++; !isIn {
						t.Fatalf("%s, blocks of %d: the plan does not have the packet at %d\n%x", expr, least, at, p.Data)
					}
				}
			})
			if least == 1 && read < 2000 {
				useful++
			}
		}
		if least == 1 && useful < 80 {
			t.Errorf("only %d plans of 300 leave out more than half of the packets", useful)
		}
	}
}

// The plan of a filter that takes a frame of zeros has its block, though such a frame has the flow of a slot
// that is not in use.
func TestPlanOfZeros(t *testing.T) {
	const at = 70
	ip := append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45"), make([]byte, 585)...)
	path := write(t, stream(200, func(i int) ([]byte, int) {
		if i == at {
			return make([]byte, 60), 60
		}
		return ip, len(ip)
	}))
	x := made(t, path, leastBlock, 1<<40)
	for expr, want := range map[string]bool{
		"not ip and not ip6 and not arp": true, "ether host 00:00:00:00:00:00": true, "ether proto 0": true, // as the length of IEEE 802.3
		"ether[12:2] != 0x10800": true, "not ether[12:2] = 0x10800": true, "ether[12:2] = 0x10800": false, "ether[12:2] = 0x10000": false, "arp": false,
	} {
		f, err := filter.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := x.Plan(f.Tree(), -forever, forever)
		if err != nil {
			t.Fatal(err)
		}
		if got := in(runs, 24+at*616); got != want {
			t.Errorf("%s: the frame is in the plan: %v", expr, got)
		}
	}
}

// With a block for each packet, the plan of a primitive has few packets that it does not take: those
// that are cut by the snapshot, and those that have the same behind VLAN tags.
func TestPlanIsExact(t *testing.T) {
	r := frames.New(1)
	path := write(t, stream(4000, func(int) ([]byte, int) {
		for {
			if b := r.Frame(); len(b) > 60 && !isTag(binary.BigEndian.Uint16(b[12:])) {
				return b, len(b)
			}
		}
	}))
	x := made(t, path, 1, 1<<40)
	for _, expr := range []string{
		"host 10.0.0.1", "src host 10.0.0.2 or dst host 10.0.0.1", "net 10.0.0.0/31", "ip6 host 2001:db8::1", "ether host 02:00:00:00:00:01", "ether proto 0x1234", "arp", "udp", "not ip", "not (ip or ip6)",
		"ip6 proto 44", "host 10.0.0.1 and not udp", "icmp6", "vlan", "tcp port 80", "udp portrange 50-100", "host 10.0.0.1 and host 10.0.0.2", "ip and not tcp and not udp", "tcp dst port 443 or sctp", "host 10.8.8.8",
	} {
		f, err := filter.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := x.Plan(f.Tree(), -forever, forever)
		if err != nil {
			t.Fatal(err)
		}
		taken, read, all := 0, 0, 0
		packets(t, path, func(at int64, p *capture.Packet) {
			all++
			if in(runs, at) {
				read++
			}
			if f.Match(p.Data, p.Wire, false) {
				taken++
			}
		})
		// Keys have no direction, and a block may have both parts of a conjunction in different packets.
		if read > taken+taken/2+all/10 {
			t.Errorf("%s: %d packets of %d are read, %d are taken", expr, read, all, taken)
		}
	}
}

// Times leave out the blocks outside of them.
func TestTimes(t *testing.T) {
	path := write(t, random(1, 4000))
	x := made(t, path, 1, 1<<40)
	if x.Packets != 4000 || x.Min != 1e18 || x.Max != 1e18+3999e6 {
		t.Errorf("%d packets from %d to %d", x.Packets, x.Min, x.Max)
	}
	runs, err := x.Plan(nil, 1e18+1000e6, 1e18+1010e6)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	packets(t, path, func(at int64, p *capture.Packet) {
		if isIn := in(runs, at); isIn {
			n++
		} else if p.Time >= 1e18+1000e6 && p.Time < 1e18+1010e6 {
			t.Errorf("a packet of %d is missing", p.Time)
		}
	})
	if n > 12 {
		t.Errorf("%d packets are read of 10", n)
	}
}

// hosts returns a stream of packets of so many hosts, at random.
func hosts(n, hosts, length int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	return stream(n, func(int) ([]byte, int) {
		b := make([]byte, length)
		copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45")
		b[23] = 6
		binary.BigEndian.PutUint32(b[26:], 0x0a000000+uint32(r.IntN(hosts)))
		binary.BigEndian.PutUint32(b[30:], 0x0a000000+uint32(r.IntN(hosts)))
		binary.BigEndian.PutUint32(b[34:], r.Uint32())
		return b, length
	})
}

// An index is at most a hundredth of its file, however many hosts there are, and still of use.
func TestSize(t *testing.T) {
	for _, c := range []struct{ n, hosts, length int }{{100_000, 300, 64}, {100_000, 1 << 30, 64}, {20_000, 10_000, 1400}, {1000, 2, 1400}} {
		path := write(t, hosts(c.n, c.hosts, c.length))
		size, err := Make(path, never)
		if err != nil {
			t.Fatal(err)
		}
		st, _ := os.Stat(path)
		if size > max(st.Size()/share, leastSize) {
			t.Errorf("%+v: %d bytes of %d", c, size, st.Size())
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		x, err := Open(path, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, expr := range []string{"host 10.0.0.1", "udp", "port 77"} {
			f, err := filter.Compile(expr)
			if err != nil {
				t.Fatal(err)
			}
			runs, err := x.Plan(f.Tree(), -forever, forever)
			if err != nil {
				t.Fatal(err)
			}
			packets(t, path, func(at int64, p *capture.Packet) {
				if f.Match(p.Data, p.Wire, false) && !in(runs, at) {
					t.Fatalf("%+v: %s lacks the packet at %d", c, expr, at)
				}
			})
		}
		x.Close()
		f.Close()
	}
}

// An index that is not that of the file is noticed.
func TestOtherFile(t *testing.T) {
	b := random(1, 2000)
	path := write(t, b)
	if _, err := Make(path, never); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	x, err := os.ReadFile(Path(path))
	if err != nil {
		t.Fatal(err)
	}
	if ist, err := os.Stat(Path(path)); err != nil || ist.Mode() != st.Mode() {
		t.Errorf("%v, %v", ist.Mode(), err)
	}
	open := func() error {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		x, err := Open(path, f)
		if err == nil {
			x.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	changed := func(b []byte, when time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, b, 0o600), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	head, tail := slices.Clone(b), slices.Clone(b)
	head[100]++
	tail[len(tail)-1]++
	for name, c := range map[string]struct {
		b    []byte
		when time.Time
	}{"longer": {append(slices.Clone(b), 0), st.ModTime()}, "later": {b, st.ModTime().Add(1)}, "another beginning": {head, st.ModTime()}, "another end": {tail, st.ModTime()}} {
		changed(c.b, c.when)
		if err := open(); !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", name, err)
		}
	}
	changed(b, st.ModTime())
	if err := open(); err != nil {
		t.Fatal(err)
	}
	// Each byte of the index counts.
	for i := 0; i < len(x); i += 1 + len(x)/400 {
		bad := slices.Clone(x)
		bad[i] ^= 0x10
		if err := os.WriteFile(Path(path), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if ix, err := Open(path, f); err == nil {
			for c := range ix.chunks() {
				_, cerr := ix.chunk(c)
				err = errors.Join(err, cerr)
			}
			ix.Close()
			if err == nil {
				t.Errorf("byte %d of the index is another, and nothing notices", i)
			}
		}
		f.Close()
	}
	for _, n := range []int{0, 10, headerSize, len(x) - 1} {
		if err := os.WriteFile(Path(path), x[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); err == nil || !strings.HasPrefix(err.Error(), Path(path)+": ") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	os.Remove(Path(path))
	if err := open(); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// In a zstd file blocks begin with frames; a foreign file may have packets that lie in two.
func TestZstd(t *testing.T) {
	b := random(1, 20_000)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var c []byte
	for at := 0; at < len(b); at += 50_000 {
		c = z.EncodeAll(b[at:min(len(b), at+50_000)], c)
	}
	path := write(t, c)
	x := made(t, path, leastBlock, 1<<40)
	if len(x.blocks) < 20 {
		t.Fatalf("%d blocks", len(x.blocks))
	}
	var all [][]byte
	packets(t, path, func(_ int64, p *capture.Packet) { all = append(all, bytes.Clone(p.Data)) })
	r, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, blk := range x.blocks { // forwards
		var p capture.Packet
		if err := r.Seek(blk.at); err != nil {
			t.Fatal(err)
		}
		if err := r.Next(&p); err != nil {
			t.Fatalf("block %d: %v", i, err)
		}
		if !slices.ContainsFunc(all, func(d []byte) bool { return bytes.Equal(d, p.Data) }) {
			t.Errorf("block %d begins with no packet", i)
		}
	}
	for _, c := range []string{"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"} {
		if _, err := Make(write(t, []byte(c)), never); err == nil {
			t.Errorf("%q has an index", c)
		}
	}
}

// A file that breaks has an index of what is whole; the making can be ended.
func TestBreaks(t *testing.T) {
	b := random(1, 40_000)
	path := write(t, b[:len(b)-5])
	if _, err := Make(path, never); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := Open(path, f)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if x.Packets != 39_999 {
		t.Errorf("%d packets", x.Packets)
	}
	enough := errors.New("enough")
	if _, err := Make(path, func() error { return enough }); err != enough {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Dir(path) + "/*.new"); len(left) > 0 {
		t.Error(left)
	}
}

// Whatever is in an index whose checksums are right, reading it ends.
func FuzzIndex(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a.pcap")
	if err := os.WriteFile(path, random(1, 300), 0o600); err != nil {
		f.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { file.Close() })
	r, err := capture.NewReader(file, path)
	if err != nil {
		f.Fatal(err)
	}
	m := newMaker()
	m.least = 500
	if err := m.read(r, never); err != nil {
		f.Fatal(err)
	}
	s, err := stateOf(file)
	if err != nil {
		f.Fatal(err)
	}
	whole := m.encode(s, 1<<40)
	f.Add(whole)
	var trees []*filter.Filter
	for _, expr := range []string{"host 10.0.0.1 or ip6 net 2001::/16", "not tcp", "portrange 1-60000 and vlan 5"} {
		c, err := filter.Compile(expr)
		if err != nil {
			f.Fatal(err)
		}
		trees = append(trees, c)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerSize || len(b) > 1<<16 {
			return
		}
		copy(b, whole[:20])
		copy(b[24:48], whole[24:48])
		table, directory := int64(le.Uint32(b[72:])), int64(le.Uint32(b[76:]))
		le.PutUint64(b[80:], uint64(len(b)))
		if headerSize+table+directory <= int64(len(b)) {
			d := b[int64(len(b))-directory:]
			for ; len(d) >= entrySize; d = d[entrySize:] {
				if at, n := le.Uint64(d[17:]), uint64(le.Uint32(d[25:])); at <= uint64(len(b)) && n <= uint64(len(b))-at {
					le.PutUint64(d[29:], xxhash.Sum64(b[at:at+n]))
				}
			}
			le.PutUint64(b[88:], xxhash.Sum64(b[headerSize:headerSize+table]))
			le.PutUint64(b[96:], xxhash.Sum64(b[int64(len(b))-directory:]))
		}
		le.PutUint64(b[headerSize-8:], xxhash.Sum64(b[:headerSize-8]))
		if err := os.WriteFile(Path(path), b, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(path, file)
		if err != nil {
			return
		}
		defer x.Close()
		for _, c := range trees {
			runs, err := x.Plan(c.Tree(), -forever, forever)
			if err != nil {
				continue
			}
			for _, r := range runs {
				if r.From.Raw < 0 || r.To <= r.From.Raw && r.To != end {
					t.Errorf("%+v", r)
				}
			}
		}
	})
}

func BenchmarkMake(b *testing.B) {
	for _, c := range []struct{ n, hosts, length int }{{500_000, 100, 64}, {500_000, 10_000, 64}, {100_000, 10_000, 1500}} {
		b.Run(fmt.Sprintf("%d hosts %d bytes", c.hosts, c.length), func(b *testing.B) {
			path := write(b, hosts(c.n, c.hosts, c.length))
			for b.Loop() {
				if _, err := Make(path, never); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.n), "ns/packet")
		})
	}
}
