// SPDX-License-Identifier: BSD-3-Clause

package recall

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"ethertap/collect/index"
	"ethertap/lib/capture"
	"ethertap/lib/filter"
	"ethertap/tests/frames"
	"ethertap/tests/need"
)

// pcapng appends blocks in little-endian order, as a recorder does.
type pcapng struct{ b []byte }

func (m *pcapng) block(code uint32, body ...[]byte) {
	all := slices.Concat(body...)
	all = append(all, make([]byte, -len(all)&3)...)
	m.b = le.AppendUint32(le.AppendUint32(m.b, code), uint32(len(all)+12))
	m.b = le.AppendUint32(append(m.b, all...), uint32(len(all)+12))
}

func u32(v ...uint32) (b []byte) {
	for _, v := range v {
		b = le.AppendUint32(b, v)
	}
	return b
}

func opt(code uint16, value []byte) []byte { return appendOption(nil, code, value) }

// newSection begins a stream with interfaces of these names.
func newSection(names ...string) *pcapng {
	m := &pcapng{}
	m.block(pcapngSection, u32(0x1a2b3c4d, 1, ^uint32(0), ^uint32(0)), opt(optComment, []byte("a recording")))
	for _, name := range names {
		m.iface(name)
	}
	return m
}

func (m *pcapng) iface(name string) {
	m.block(pcapngInterface, u32(1, 0), opt(2, []byte(name)), opt(ifResolution, []byte{9}), opt(optEnd, nil))
}

func (m *pcapng) packet(number int, ns int64, data []byte, options ...[]byte) {
	body := slices.Concat(u32(uint32(number), uint32(ns>>32), uint32(ns), uint32(len(data)), uint32(len(data))), data, make([]byte, -len(data)&3))
	m.block(pcapngPacket, append([][]byte{body}, options...)...)
}

func (m *pcapng) statistics(number int, ns int64, counts ...uint64) {
	body := [][]byte{u32(uint32(number), uint32(ns>>32), uint32(ns))}
	for i, n := range counts {
		body = append(body, opt(uint16(capture.Received+i), le.AppendUint64(nil, n)))
	}
	m.block(pcapngStatistics, body...)
}

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// query runs a query over files and returns the output.
func query(t testing.TB, q Query, format capture.Format, names ...string) ([]byte, Result) {
	t.Helper()
	if q.To == 0 {
		q.From, q.To = Begin, Forever
	}
	if q.Logf == nil {
		q.Logf = t.Errorf
	}
	files, broken, err := Find(t.Context(), names, nil, q.Logf)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := NewWriter(out, "out", format, false, "test")
	if err != nil {
		t.Fatal(err)
	}
	result, err := q.Run(t.Context(), files, w, &Progress{})
	if err != nil {
		t.Fatal(err)
	}
	result.Broken += broken
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, result
}

// text returns the packets of a stream, one a line.
func text(t testing.TB, b []byte) string {
	t.Helper()
	r, err := capture.NewReader(bytes.NewReader(b), "output")
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for {
		var p capture.Packet
		if err := r.Next(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&s, "%d %s", p.Time, p.Data[min(14, len(p.Data)):])
		if name := r.Interfaces()[p.Interface].Name; name != "" {
			fmt.Fprintf(&s, " %s", name)
		}
		if d := p.Direction(); d != capture.Unknown {
			fmt.Fprintf(&s, " %s", [...]string{"", "in", "out"}[d])
		}
		if p.Dropped > 0 {
			fmt.Fprintf(&s, " dropped %d", p.Dropped)
		}
		for _, c := range p.Options.Comments() {
			fmt.Fprintf(&s, " (%s)", c)
		}
		s.WriteString("\n")
	}
	for _, on := range r.Interfaces() {
		if st := on.Statistics; st != nil {
			fmt.Fprintf(&s, "%s: %d received %d lost at %d\n", on.Name, st.Counts[capture.Received], st.Counts[capture.InterfDrop], st.Time)
		}
	}
	return s.String()
}

// frame is a frame with a text.
func frame(etype uint16, text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, etype)
	return append(b, text...)
}

var flags = func(f uint32) []byte { return opt(epbFlags, u32(f)) }

// recordings makes a set of three files whose times overlap, and what else lies beside them.
func recordings(t *testing.T) (dir string) {
	dir = t.TempDir()
	a := newSection("eth1", "eth2")
	a.packet(0, 10, frame(0x806, "a"), flags(1))
	a.packet(1, 20, frame(0x88b5, "b"), flags(2), opt(epbDrops, le.AppendUint64(nil, 3)), opt(optComment, []byte("why")))
	a.packet(0, 40, frame(0x806, "c"))
	a.statistics(0, 41, 2, 5)
	a.statistics(1, 41, 1, 3)
	write(t, dir+"/a.pcapng", a.b)
	b := newSection("eth1", "eth3")
	b.packet(1, 30, frame(0x806, "d"))
	b.packet(0, 40, frame(0x806, "e"))
	b.statistics(0, 50, 100, 0) // a later one counts
	b.packet(0, 50, frame(0x88b5, "f"))
	b.statistics(0, 60, 101, 7)
	if err := os.MkdirAll(dir+"/deeper/down", 0o700); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/deeper/down/b.pcapng.zst", z.EncodeAll(b.b, nil))
	c := newSection("eth1")
	c.packet(0, 35, frame(0x806, "g"))
	lock(t, write(t, dir+"/c.pcapng.part", append(c.b, 6, 0, 0, 0, 60))) // being written
	write(t, dir+"/empty", nil)
	write(t, dir+"/notes.txt", []byte("no capture"))
	write(t, dir+"/odd", []byte("\x1f\x8bxx")) // begins like gzip
	return dir
}

// lock locks a file as its collector does, until the test ends or the lock is closed.
func lock(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

const allOfThem = `10 a eth1 in
20 b eth2 out dropped 3 (why)
30 d eth3
35 g eth1
40 c eth1
40 e eth1
50 f eth1
eth1: 103 received 12 lost at 60
eth2: 1 received 3 lost at 41
`

// Files of a directory are merged, with all that belongs to their packets.
func TestMerge(t *testing.T) {
	dir := recordings(t)
	b, r := query(t, Query{}, capture.PCAPNG, dir)
	if got := text(t, b); got != allOfThem || r.Packets != 7 || r.Files != 3 {
		t.Errorf("%+v\n%s\nnot\n%s", r, got, allOfThem)
	}
	out, _ := capture.NewReader(bytes.NewReader(b), "")
	var p capture.Packet
	for out.Next(&p) == nil {
	}
	if len(out.Sections()) != 1 || len(out.Interfaces()) != 3 || out.Sections()[0].Options.Comments()[0] != "a recording" {
		t.Errorf("%d sections, %d interfaces", len(out.Sections()), len(out.Interfaces()))
	}
}

// Each part of a query takes what it says.
func TestQuery(t *testing.T) {
	dir := recordings(t)
	arp, err := filter.Compile("arp")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Filter: arp}, "a d g c e"},
		{Query{From: 20, To: 40}, "b d g"},
		{Query{From: 40, To: Forever}, "c e f"},
		{Query{Limit: 2}, "a b"},
		{Query{Limit: 2, Last: true}, "e f"},
		{Query{Limit: 20, Last: true}, "a b d g c e f"},
		{Query{Filter: arp, Limit: 3, Last: true}, "g c e"},
		{Query{Interfaces: []string{"eth2", "eth3"}}, "b d"},
		{Query{Direction: capture.Inbound}, "a"},
		{Query{Direction: capture.Outbound}, "b"},
		{Query{From: 60, To: Forever}, ""},
	} {
		b, r := query(t, c.q, capture.PCAPNano, dir)
		var got []string
		for line := range strings.Lines(text(t, b)) {
			got = append(got, strings.Fields(line)[1])
		}
		if strings.Join(got, " ") != c.want || int(r.Packets) != len(got) {
			t.Errorf("%+v: %q, not %q", c.q, got, c.want)
		}
	}
}

// What cannot be written is an error, also of the last packets, which are given at the end. What is written
// before it is there.
func TestUnwritable(t *testing.T) {
	m := newSection("eth1")
	m.block(pcapngInterface, u32(113, 0), opt(ifResolution, []byte{9})) // Linux cooked
	m.packet(0, 10, frame(0x806, "a"))
	m.packet(1, 20, frame(0x806, "b"))
	m.packet(0, 30, frame(0x806, "c"))
	dir := t.TempDir()
	files := []File{{Path: write(t, dir+"/a.pcapng", m.b)}}
	for _, q := range []Query{{}, {Limit: 3}, {Limit: 3, Last: true}} {
		q.From, q.To, q.Logf = Begin, Forever, t.Errorf
		out, err := os.Create(dir + "/out.pcap")
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWriter(out, "out", capture.PCAP, false, "test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Run(t.Context(), files, w, &Progress{}); err == nil || err.Error() != "out: a pcap file has one link type, and there are packets of 1 and 113; write pcapng" {
			t.Errorf("the last ones %v: %v", q.Last, err)
		}
		out.Close()
		b, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, b); got != "0 a\n" {
			t.Errorf("the last ones %v: written are\n%s", q.Last, got)
		}
	}
}

// An interface that is in no file is an error, unless the limit has ended the search before all was read.
func TestMissing(t *testing.T) {
	dir := recordings(t)
	files, _, err := Find(t.Context(), []string{dir}, nil, t.Errorf)
	if err != nil {
		t.Fatal(err)
	}
	const none = "no file has packets of an interface eth9; there are eth1, eth2, eth3"
	for _, c := range []struct {
		interfaces string
		limit      uint64
		last       bool
		want       string
	}{
		{"eth1,eth3", 1, false, ""}, {"eth1,eth3", 0, false, ""}, {"eth1,eth9", 1, false, ""},
		{"eth1,eth9", 0, false, none}, {"eth1,eth9", 100, false, none}, {"eth1,eth9", 1, true, none},
	} {
		q := Query{From: Begin, To: Forever, Interfaces: strings.Split(c.interfaces, ","), Limit: c.limit, Last: c.last, Logf: t.Errorf}
		_, err := q.Run(t.Context(), files, nil, &Progress{})
		if err == nil && c.want != "" || err != nil && err.Error() != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// What is wrong with a file is logged, and the others are read.
func TestDamagedFiles(t *testing.T) {
	dir := recordings(t)
	b, err := os.ReadFile(dir + "/a.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/a.pcapng", b[:len(b)-7])
	write(t, dir+"/z.pcap", append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 3}, make([]byte, 19)...))
	var said []string
	q := Query{Logf: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}
	out, r := query(t, q, capture.PCAPNG, dir, dir+"/absent", dir+"/notes.txt")
	want := strings.Replace(strings.Replace(allOfThem, "103 received 12", "103 received 12", 1), "eth2: 1 received 3 lost at 41\n", "", 1)
	if got := text(t, out); got != want || r.Broken != 4 {
		t.Errorf("%d are broken\n%s\nnot\n%s", r.Broken, got, want)
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{"a.pcapng: the file ends within a packet or block", "z.pcap: version 3 of pcap", "absent: no such file", "notes.txt: neither pcap nor pcapng"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not said in\n%s", want, all)
		}
	}
	if len(said) != 4 {
		t.Errorf("%d messages:\n%s", len(said), all)
	}
}

// A file that collect closes during the search, and so gives its name, is read under that name, wherever the
// search is at that time; one that a ring removes is passed.
func TestClosedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"1.pcapng", "2.pcapng.part", "3.pcapng.part"} {
		m := newSection("eth1")
		m.packet(0, int64(10+i), frame(0x806, name))
		write(t, dir+"/"+name, m.b)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(dir+"/2.pcapng.part", dir+"/2.pcapng"), os.Remove(dir+"/3.pcapng.part")); err != nil {
		t.Fatal(err)
	}
	// The directory is read before, and the files are looked at behind that.
	var all []File
	for range 2 { // both names are there
		for _, e := range entries[1:] {
			if f, is := found(dir+"/"+e.Name(), e, all); is {
				all = append(all, f)
			}
		}
	}
	if len(all) != 1 || all[0].Path != dir+"/2.pcapng" || all[0].Size == 0 {
		t.Errorf("found are %+v", all)
	}
	// The files are found before, and read behind that.
	var before []File
	for _, e := range entries {
		before = append(before, File{Path: dir + "/" + e.Name(), Found: true})
	}
	begun, broken, err := begin(t.Context(), before, t.Errorf)
	if err != nil || broken != 0 || len(begun) != 2 || begun[1].Path != dir+"/2.pcapng" || begun[1].first != 11 {
		t.Errorf("%+v, %d are broken: %v", begun, broken, err)
	}
	q := Query{From: Begin, To: Forever, Logf: t.Errorf}
	if r, err := q.Run(t.Context(), before, nil, &Progress{}); err != nil || r.Packets != 2 || r.Files != 2 || r.Broken != 0 {
		t.Errorf("%+v: %v", r, err)
	}
	var listed, made []string
	lerr := List(t.Context(), before, &Progress{}, func(l Listing) {
		listed = append(listed, fmt.Sprintf("%s %d %v %v", filepath.Base(l.Path), l.Packets, l.Growing, l.Err))
	})
	ierr := Index(t.Context(), before, &Progress{}, func(path string, _ int64, err error) {
		made = append(made, fmt.Sprintf("%s %v", filepath.Base(path), err))
	})
	if want := []string{"1.pcapng 1 false <nil>", "2.pcapng 1 false <nil>"}; lerr != nil || !slices.Equal(listed, want) {
		t.Errorf("listed are %q, not %q: %v", listed, want, lerr)
	}
	if want := []string{"1.pcapng.index <nil>", "2.pcapng.index <nil>"}; ierr != nil || !slices.Equal(made, want) {
		t.Errorf("indexes are made: %q, not %q: %v", made, want, ierr)
	}
}

// A file that ends within a packet is damaged, whatever its name, unless a collector is writing it.
func TestCut(t *testing.T) {
	m := newSection("eth1")
	m.packet(0, 10, frame(0x806, "a"))
	m.packet(0, 20, frame(0x806, "b"))
	for _, name := range []string{"a.pcapng", "a.pcapng.part", "a.pcapng.zst.part"} {
		path := filepath.Join(t.TempDir(), name)
		b := m.b
		if strings.Contains(name, "zst") {
			z, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			b = z.EncodeAll(b, z.EncodeAll(b, nil))
		}
		write(t, path, b[:len(b)-5])
		check := func(growing bool) {
			t.Helper()
			var said []string
			q := Query{From: Begin, To: Forever, Logf: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}
			r, err := q.Run(t.Context(), []File{{Path: path, Found: true}}, nil, &Progress{})
			if told := r.Broken == 1 && len(said) == 1 && strings.HasPrefix(said[0], path+": "); err != nil || r.Packets == 0 || told == growing || r.Broken != len(said) {
				t.Errorf("%s, being written %v: %+v, %q: %v", name, growing, r, said, err)
			}
			err = List(t.Context(), []File{{Path: path, Found: true}}, &Progress{}, func(l Listing) {
				if l.Growing != growing || (l.Err == nil) != growing || l.Packets == 0 {
					t.Errorf("%s, being written %v: %+v", name, growing, l)
				}
			})
			if err != nil {
				t.Error(err)
			}
		}
		check(false)
		collector := lock(t, path)
		check(true)
		// The collector ends when the reader is at the place.
		h, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		f := &file{r: &run{Query: &Query{From: Begin, To: Forever}, ctx: t.Context(), progress: &Progress{}, seen: map[string]bool{}}, path: path, handle: h}
		if f.reader, err = capture.NewReader(h, path); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			err = f.next()
		}
		if !f.unfinished(err) {
			t.Errorf("%s: it is damaged: %v", name, err)
		}
		if _, err := collector.Write(b[len(b)-5:]); err != nil {
			t.Fatal(err)
		}
		collector.Close()
		if f.growing() || !f.unfinished(err) {
			t.Errorf("%s: it is damaged, though its collector has ended it: %v", name, err)
		}
		// The index of a part would keep its name.
		err = Index(t.Context(), []File{{Path: path}}, &Progress{}, func(made string, _ int64, err error) {
			if strings.HasSuffix(path, part) || err != nil {
				t.Errorf("%s: %v", made, err)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A compressed file of which nothing is whole yet is passed while a collector is writing it.
func TestJustBegun(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := z.EncodeAll(newSection("eth1").b, nil)
	dir := t.TempDir()
	path := write(t, dir+"/a.pcapng.zst.part", b[:len(b)-5])
	for _, growing := range []bool{false, true} {
		if growing {
			lock(t, path)
		}
		var said []string
		logf := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
		files, broken, err := Find(t.Context(), []string{dir}, nil, logf)
		if err != nil || len(files) != 0 || broken != len(said) || growing != (broken == 0) {
			t.Errorf("being written %v: %+v, %d are broken, %q: %v", growing, files, broken, said, err)
		}
	}
}

// Options of a big-endian file have the same meaning in the output.
func TestBigEndian(t *testing.T) {
	be := binary.BigEndian
	var b []byte
	block := func(code uint32, body ...[]byte) {
		all := slices.Concat(body...)
		all = append(all, make([]byte, -len(all)&3)...)
		b = be.AppendUint32(be.AppendUint32(b, code), uint32(len(all)+12))
		b = be.AppendUint32(append(b, all...), uint32(len(all)+12))
	}
	option := func(code uint16, value []byte) []byte {
		o := append(be.AppendUint16(be.AppendUint16(nil, code), uint16(len(value))), value...)
		return append(o, make([]byte, -len(value)&3)...)
	}
	block(pcapngSection, be.AppendUint64(be.AppendUint64(nil, 0x1a2b3c4d_00010000), 1<<64-1))
	block(pcapngInterface, be.AppendUint64(nil, 1<<48), option(2, []byte("eth1")), option(ifSpeed, be.AppendUint64(nil, 1e9)), option(ifOffset, be.AppendUint64(nil, 7)))
	fixed := be.AppendUint32(be.AppendUint64(be.AppendUint64(nil, 0), 5<<32|4), 4)
	block(pcapngPacket, fixed, []byte("abcd"),
		option(epbFlags, be.AppendUint32(nil, 2)), option(epbDrops, be.AppendUint64(nil, 9)), option(epbID, be.AppendUint64(nil, 8)),
		option(epbQueue, be.AppendUint32(nil, 7)), option(optComment, []byte("hello")), option(2988, append(be.AppendUint32(nil, 6), "x"...)))
	b = slices.Clone(b)
	be.PutUint32(b[len(b)-4:], be.Uint32(b[len(b)-4:]))
	out, _ := query(t, Query{}, capture.PCAPNG, write(t, t.TempDir()+"/big", b))
	r, err := capture.NewReader(bytes.NewReader(out), "out")
	if err != nil {
		t.Fatal(err)
	}
	var p capture.Packet
	if err := r.Next(&p); err != nil {
		t.Fatal(err)
	}
	on := r.Interfaces()[0]
	if p.Time != 7e9+5000 || p.Flags != 2 || p.Dropped != 9 || string(p.Data) != "abcd" || on.Options.Text(ifSpeed) != string(le.AppendUint64(nil, 1e9)) || on.Options.Text(ifOffset) != "" {
		t.Errorf("%+v, %+v", p, on)
	}
	for code, want := range map[uint16]string{epbID: string(le.AppendUint64(nil, 8)), epbQueue: string(u32(7)), optComment: "hello", 2988: string(u32(6)) + "x"} {
		if got := p.Options.Text(code); got != want {
			t.Errorf("option %d: %q, not %q", code, got, want)
		}
	}
}

// corpus writes random frames as pcap, with times in order, some of them cut by the snapshot.
func corpus(t testing.TB, path string, seed uint64, n int) {
	r := frames.New(seed)
	b := u32(0xa1b2c3d4, 2|4<<16, 0, 0, 262144, 1)
	for i := range n {
		data := r.Frame()
		wire := len(data)
		if r.IntN(8) == 0 {
			data = data[:r.IntN(len(data))]
		}
		b = append(b, u32(uint32(1e9+i/1e6), uint32(i%1e6), uint32(len(data)), uint32(wire))...)
		b = append(b, data...)
	}
	write(t, path, b)
}

// tcpdump returns what it takes of a file. Its optimiser drops loads whose value is not needed, and
// so takes packets that were cut short where the expression does not; it is off.
func tcpdump(t testing.TB, expr string, files ...string) []byte {
	t.Helper()
	var all []byte
	for _, f := range files {
		var errs strings.Builder
		cmd := exec.Command("tcpdump", "-O", "-r", f, "-w", "-", "--", expr)
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil && !strings.Contains(errs.String(), "rejects all packets") {
			t.Fatalf("tcpdump %s: %v\n%s", expr, err, errs.String())
		}
		if len(out) > 24 {
			all = append(all, out[24:]...)
		}
	}
	return all
}

// What a filter takes is what tcpdump takes, packet by packet, of whatever kind the file is.
func TestLikeTcpdump(t *testing.T) {
	need.Tool(t, "tcpdump")
	editcap, zst := need.Tool(t, "editcap"), need.Tool(t, "zstd")
	dir := t.TempDir()
	plain := dir + "/a.pcap"
	corpus(t, plain, 1, 5000)
	others := []string{plain}
	for _, kind := range []string{"pcapng", "nsecpcap"} {
		to := dir + "/a." + kind
		if out, err := exec.Command(editcap, "-F", kind, plain, to).CombinedOutput(); err != nil {
			t.Fatalf("editcap: %v\n%s", err, out)
		}
		others = append(others, to)
	}
	if out, err := exec.Command(zst, "-q", plain).CombinedOutput(); err != nil {
		t.Fatalf("zstd: %v\n%s", err, out)
	}
	others = append(others, plain+".zst")
	for _, name := range others {
		if _, err := index.Make(name, t.Context().Err); err != nil {
			t.Fatal(err)
		}
	}
	r := frames.New(19)
	for range 12 {
		expr := r.Filter(2)
		f, err := filter.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		want := tcpdump(t, expr, plain)
		for _, name := range others {
			for _, whole := range []bool{false, true} {
				got, r := query(t, Query{Filter: f, Whole: whole}, capture.PCAP, name)
				if !bytes.Equal(got[24:], want) {
					t.Errorf("%s of %s, all of it %v: %d bytes, tcpdump has %d", expr, name, whole, len(got)-24, len(want))
				}
				if indexed := r.Indexed == 1; indexed == whole {
					t.Errorf("%s, all of it %v: an index was used: %v", name, whole, indexed)
				}
			}
		}
	}
}

// A full disk leaves a file that can be read, with what is in it.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	corpus(t, dir+"/a.pcap", 1, 50000)
	files, _, err := Find(t.Context(), []string{dir + "/a.pcap"}, nil, t.Errorf)
	if err != nil {
		t.Fatal(err)
	}
	for _, compress := range []bool{false, true} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWriter(full, "out", capture.PCAPNG, compress, "test")
		if err != nil {
			t.Fatal(err)
		}
		q := Query{From: Begin, To: Forever, Logf: t.Logf}
		if _, err := q.Run(t.Context(), files, w, &Progress{}); err == nil || err.Error() != "out: no space left on device; it ends with the last packet that is whole" {
			t.Error(err)
		}
		full.Close()
	}
}

// A run that is told to end while its input waits leaves a readable output.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	corpus(t, dir+"/a.pcap", 1, 5000)
	b, err := os.ReadFile(dir + "/a.pcap")
	if err != nil {
		t.Fatal(err)
	}
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer feed.Close()
	go feed.Write(b)
	ctx, cancel := context.WithCancel(t.Context())
	files, _, err := Find(ctx, []string{"-"}, in, t.Errorf)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := NewWriter(out, "out", capture.PCAPNG, false, "test")
	if err != nil {
		t.Fatal(err)
	}
	p := &Progress{}
	go func() {
		for p.Packets.Load() < 5000 {
			runtime.Gosched()
		}
		cancel()
	}()
	q := Query{From: Begin, To: Forever, Logf: t.Logf}
	r, err := q.Run(ctx, files, w, p)
	if err != context.Canceled || r.Packets != 5000 {
		t.Fatalf("%v after %d packets", err, r.Packets)
	}
	if b, err = os.ReadFile(dir + "/out"); err != nil {
		t.Fatal(err)
	}
	again, result := query(t, Query{}, capture.PCAP, write(t, dir+"/again", b))
	if result.Packets != 5000 || result.Broken != 0 || len(again) == 0 {
		t.Errorf("%+v", result)
	}
}
