// SPDX-License-Identifier: BSD-3-Clause

package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"ethertap/tests/need"
)

// maker appends blocks in either byte order.
type maker struct {
	order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}
	b []byte
}

// put appends numbers of their own size, and bytes as they are.
func (m *maker) put(values ...any) *maker {
	for _, v := range values {
		switch v := v.(type) {
		case uint16:
			m.b = m.order.AppendUint16(m.b, v)
		case uint32:
			m.b = m.order.AppendUint32(m.b, v)
		case uint64:
			m.b = m.order.AppendUint64(m.b, v)
		case []byte:
			m.b = append(m.b, v...)
		case string:
			m.b = append(m.b, v...)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	return m
}

// option returns an option.
func (m *maker) option(code uint16, value ...any) []byte {
	v := (&maker{order: m.order}).put(value...).b
	b := (&maker{order: m.order}).put(code, uint16(len(v)), v).b
	return append(b, make([]byte, -len(v)&3)...)
}

// block appends a block with its lengths.
func (m *maker) block(code uint32, values ...any) *maker {
	body := (&maker{order: m.order}).put(values...).b
	body = append(body, make([]byte, -len(body)&3)...)
	return m.put(code, uint32(len(body)+12), body, uint32(len(body)+12))
}

func (m *maker) section(options ...any) *maker {
	return m.block(blockSection, append([]any{uint32(byteOrderMagic), uint16(1), uint16(0), ^uint64(0)}, options...)...)
}

func (m *maker) iface(link uint16, options ...any) *maker {
	return m.block(blockInterface, append([]any{link, uint16(0), uint32(0)}, options...)...)
}

func padded(b []byte) []byte { return append(slices.Clone(b), make([]byte, -len(b)&3)...) }

func (m *maker) packet(number uint32, stamp uint64, data []byte, wire uint32, options ...any) *maker {
	return m.block(blockPacket, append([]any{number, uint32(stamp >> 32), uint32(stamp), uint32(len(data)), wire, padded(data)}, options...)...)
}

func little() *maker { return &maker{order: binary.LittleEndian} }
func big() *maker    { return &maker{order: binary.BigEndian} }

// classic returns a classic stream of packets.
func classic(m *maker, magic uint32, link uint32, packets ...[]byte) []byte {
	m.put(magic, uint16(2), uint16(4), uint64(0), uint32(65535), link)
	for i, data := range packets {
		m.put(uint32(1000+i), uint32(i+1), uint32(len(data)), uint32(len(data)+i))
		if magic == magicModified {
			m.put(uint64(0))
		}
		m.put(data)
	}
	return m.b
}

// described is a packet as text.
func described(r *Reader, p *Packet) string {
	s := fmt.Sprintf("%d.%09d %q wire %d", p.Time/1e9, p.Time%1e9, p.Data, p.Wire)
	if on := r.Interfaces()[p.Interface]; on.Name != "" {
		s += " on " + on.Name
	}
	if p.Flags != 0 {
		s += fmt.Sprintf(" flags %x", p.Flags)
	}
	if p.Dropped != 0 {
		s += fmt.Sprintf(" dropped %d", p.Dropped)
	}
	if c := p.Options.Comments(); c != nil {
		s += fmt.Sprintf(" %q", c)
	}
	return s
}

// readAll reads a stream to its end.
func readAll(in io.Reader) (packets []string, r *Reader, err error) {
	if r, err = NewReader(in, "test"); err != nil {
		return nil, nil, err
	}
	defer r.Close()
	for {
		var p Packet
		if err := r.Next(&p); err == io.EOF {
			return packets, r, nil
		} else if err != nil {
			return packets, r, err
		}
		packets = append(packets, described(r, &p))
	}
}

func check(t *testing.T, b []byte, want ...string) *Reader {
	t.Helper()
	// Whole, and byte by byte as a pipe may give it.
	for _, in := range []io.Reader{bytes.NewReader(b), iotest.OneByteReader(bytes.NewReader(b))} {
		got, _, err := readAll(in)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v\n%s\nnot\n%s", err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	_, r, _ := readAll(bytes.NewReader(b))
	return r
}

// All magic numbers in both byte orders give the same packets.
func TestClassic(t *testing.T) {
	for _, make := range []func() *maker{little, big} {
		check(t, classic(make(), magicMicro, 1, []byte("ab"), []byte("cde")),
			`1000.000001000 "ab" wire 2`, `1001.000002000 "cde" wire 4`)
		r := check(t, classic(make(), magicNano, 1|0x50000000, []byte("ab"), []byte("cde")),
			`1000.000000001 "ab" wire 2`, `1001.000000002 "cde" wire 4`)
		if r.Format() != PCAPNano || r.Interfaces()[0].LinkType != Ethernet {
			t.Errorf("%v, link type %d", r.Format(), r.Interfaces()[0].LinkType)
		}
		check(t, classic(make(), magicModified, 113, []byte("ab"), []byte("cde")),
			`1000.000001000 "ab" wire 2`, `1001.000002000 "cde" wire 4`)
		check(t, classic(make(), magicMicro, 1))
	}
}

// Sections have interfaces of their own, each with its resolution and offset, in either byte order.
func TestSections(t *testing.T) {
	var all []byte
	var want []string
	for i, make := range []func() *maker{little, big, little} {
		m := make()
		m.section(m.option(optComment, "section"), m.option(0))
		m.iface(1, m.option(ifName, fmt.Sprint("eth", i)), m.option(ifResolution, []byte{9}), m.option(0))
		m.packet(0, 5_000000007, []byte("abc"), 60, m.option(epbFlags, uint32(1)), m.option(epbDropCount, uint64(3)), m.option(optComment, "one"), m.option(optComment, "two"), m.option(0))
		m.iface(1, m.option(ifName, "usual"))
		m.iface(1, m.option(ifName, "offset"), m.option(ifOffset, uint64(100)), m.option(ifResolution, []byte{3}))
		m.iface(1, m.option(ifName, "binary"), m.option(ifResolution, []byte{0x80 | 10}))
		m.iface(1, m.option(ifName, "pico"), m.option(ifResolution, []byte{12}))
		m.block(4, []byte("names")) // NRB: passed over
		m.packet(1, 5_000007, []byte("de"), 2)
		m.packet(2, 5_007, []byte("f"), 1)
		m.packet(3, 5<<10|512, []byte("g"), 1, m.option(epbFlags, uint32(2)))
		m.packet(4, 5_000000007_999, []byte("h"), 1)
		m.block(blockOldPacket, uint16(1), uint16(9), uint32(0), uint32(6_000001), uint32(2), uint32(3), []byte("ij\x00\x00"), m.option(epbFlags, uint32(2)))
		m.block(blockOldPacket, uint16(1), uint16(0xffff), uint32(0), uint32(6_000001), uint32(2), uint32(3), []byte("ij\x00\x00"))
		m.block(blockSimple, uint32(2), []byte("kl"))
		m.block(blockStatistics, uint32(0), uint32(1), uint32(705032704), // 2³² + that: 5 s
			m.option(isbStart, uint32(0), uint32(7)), m.option(Received, uint64(11)), m.option(SystemDrop, uint64(12)), m.option(0))
		all = append(all, m.b...)
		name := fmt.Sprint("eth", i)
		want = append(want,
			`5.000000007 "abc" wire 60 on `+name+` flags 1 dropped 3 ["one" "two"]`,
			`5.000007000 "de" wire 2 on usual`,
			`105.007000000 "f" wire 1 on offset`,
			`5.500000000 "g" wire 1 on binary flags 2`,
			`5.000000007 "h" wire 1 on pico`,
			`6.000001000 "ij" wire 3 on usual flags 2 dropped 9`,
			`6.000001000 "ij" wire 3 on usual`,
			`0.000000000 "kl" wire 2 on `+name)
	}
	r := check(t, all, want...)
	if len(r.Sections()) != 3 || len(r.Interfaces()) != 15 || r.Interfaces()[5].Section != 1 {
		t.Errorf("%d sections, %d interfaces, %+v", len(r.Sections()), len(r.Interfaces()), r.Interfaces()[5])
	}
	for i, s := range r.Sections() {
		st := r.Interfaces()[5*i].Statistics
		if c := s.Options.Comments(); len(c) != 1 || c[0] != "section" {
			t.Errorf("section %d: %q", i, c)
		}
		if st == nil || st.Time != 5e9 || st.Start != 7 || st.End != 0 || st.Counts[Received] != 11 || st.Counts[SystemDrop] != 12 || !st.Has[SystemDrop] || st.Has[Delivered] {
			t.Errorf("section %d: %+v", i, st)
		}
	}
}

// A stamp that 64 bits of ns do not hold gives the last time, and none overflows.
func TestClock(t *testing.T) {
	for _, c := range []struct {
		resolution byte
		offset     int64
		stamp      uint64
		want       int64
	}{
		{6, 0, 1, 1000}, {9, 0, 1, 1}, {0, 0, 2, 2e9}, {12, 0, 1999, 1}, {30, 0, 1<<64 - 1, 0}, {127, 0, 1<<64 - 1, 0},
		{6, 0, 1<<64 - 1, 1<<63 - 1}, {9, 0, 1<<64 - 1, 1<<63 - 1}, {0x80, 0, 3, 3e9}, {0x80 | 1, 0, 3, 15e8}, {0x80 | 64, 0, 1 << 63, 5e8},
		{0x80 | 70, 0, 1 << 63, 5e8 >> 6}, {0x80 | 127, 0, 1<<64 - 1, 0}, {0x80 | 1, 0, 1<<64 - 1, 1<<63 - 1},
		{9, 5, 1, 5e9 + 1}, {9, -5, 6e9, 1e9}, {6, 1 << 62, 1, 1000}, {6, 9e9, 1<<64 - 1, 1<<63 - 1},
	} {
		m := little()
		o := Options{Raw: slices.Concat(m.option(ifResolution, []byte{c.resolution}), m.option(ifOffset, uint64(c.offset)))}
		clock := newClock(o, binary.LittleEndian)
		if got := clock.time(c.stamp); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// Whatever is wrong is told with its place, after all that is whole.
func TestDamage(t *testing.T) {
	m := func() *maker { return little().section().iface(1) }
	whole := m().packet(0, 1, []byte("ab"), 2)
	at := len(whole.b)
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{m().b[:20], "test: the file ends within a packet or block, of which there are 20 bytes, at byte 0, after 0 whole packets"},
		{append(slices.Clone(whole.b), 6), fmt.Sprintf("test: the file ends within a packet or block, of which there are 1 bytes, at byte %d, after 1 whole packets", at)},
		{whole.packet(0, 1, []byte("abcd"), 4).b[:at+35], fmt.Sprintf("test: the file ends within a packet or block, of which there are 35 bytes, at byte %d, after 1 whole packets", at)},
		{m().packet(1, 1, []byte("ab"), 2).b, "test: a packet of interface 1, which is not described, at byte 48, after 0 whole packets"},
		{m().block(blockStatistics, uint32(7), uint64(0)).b, "test: statistics of interface 7, which is not described, at byte 48, after 0 whole packets"},
		{m().block(blockPacket, uint32(0), uint64(0), uint32(9), uint32(9), []byte("abcd")).b, "test: a packet of 9 bytes in a block of 36 at byte 48, after 0 whole packets"},
		{m().put(uint32(6), uint32(14), uint64(0), uint64(0)).b, "test: a block of 14 bytes at byte 48, after 0 whole packets"},
		{m().put(uint32(6), uint32(8), uint64(0), uint64(0)).b, "test: a block of 8 bytes at byte 48, after 0 whole packets"},
		{m().put(uint32(9), uint32(16), uint32(0), uint32(12)).b, "test: a block whose lengths differ, 16 and 12, at byte 48, after 0 whole packets"},
		{m().put(uint32(blockSection), uint32(28), uint32(5), uint64(0)).b, "test: a section with the byte-order magic 00000005 at byte 48, after 0 whole packets"},
		{m().block(blockSection, uint32(byteOrderMagic), uint16(2), uint16(0), uint64(0)).b, "test: version 2 of pcapng, not 1, at byte 48, after 0 whole packets"},
		{little().section().block(blockSimple, uint32(1), []byte("a")).b, "test: a packet without an interface at byte 28, after 0 whole packets"},
		{little().section().packet(0, 1, nil, 0).b, "test: a packet of interface 0, which is not described, at byte 28, after 0 whole packets"},
		{classic(little(), magicMicro, 1, []byte("abc"))[:30], "test: the file ends within a packet or block, of which there are 6 bytes, at byte 24, after 0 whole packets"},
		{classic(little(), magicMicro, 1)[:23], "test: the file ends within a packet or block, of which there are 23 bytes, at byte 0, after 0 whole packets"},
		{little().put(classic(little(), magicMicro, 1), uint32(0), uint32(0), uint32(262145), uint32(0)).b, "test: a packet of 262145 bytes at byte 24, after 0 whole packets"},
		{little().put(uint32(magicMicro), uint16(3), uint16(0), make([]byte, 16)).b, "test: version 3 of pcap, not 2, at byte 0, after 0 whole packets"},
	} {
		_, _, err := readAll(bytes.NewReader(c.b))
		var d *DamageError
		if !errors.As(err, &d) || err.Error() != c.want {
			t.Errorf("%v\nnot %s", err, c.want)
			continue
		}
		if cut := strings.Contains(c.want, "ends within"); d.Cut != cut {
			t.Errorf("%s: cut is %v", c.want, d.Cut)
		}
	}
	for text, want := range map[string]error{"": ErrEmpty, "abc": ErrForeign, "#!/bin/sh\n": ErrForeign,
		"\x1f\x8b": ErrForeign, "\x1f\x8bxx": ErrForeign, "\x1f\x8bno gzip at all": ErrForeign, // only begin as a compressed file
		"\x28\xb5\x2f\xfd": ErrForeign, "\x28\xb5\x2f\xfdxx": ErrForeign, "\x50\x2a\x4d\x18\x02\x00\x00\x00xxno frame": ErrForeign, "\x50\x2a\x4d\x18\x20\x00\x00\x00xx": ErrForeign,
	} {
		if _, _, err := readAll(strings.NewReader(text)); !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "test: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A stream that ends anywhere gives the packets before that place, and the rest when it grows.
func TestGrowing(t *testing.T) {
	whole := little().section().iface(1, little().option(ifName, "a")).packet(0, 1e6, []byte("abc"), 3).packet(0, 2e6, []byte("defgh"), 5).iface(1).packet(1, 3e6, nil, 0).b
	path := filepath.Join(t.TempDir(), "a.part")
	for n := range len(whole) {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			if n >= 4 {
				t.Fatalf("%d bytes: %v", n, err)
			}
			continue
		}
		var got []string
		var p Packet
		for {
			if err = r.Next(&p); err != nil {
				break
			}
			got = append(got, string(p.Data))
		}
		var d *DamageError
		if err != io.EOF && (!errors.As(err, &d) || !d.Cut) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil { // the same file, longer
			t.Fatal(err)
		}
		r.Again()
		for {
			if err = r.Next(&p); err != nil {
				break
			}
			got = append(got, string(p.Data))
		}
		if err != io.EOF || strings.Join(got, ",") != "abc,defgh," {
			t.Fatalf("%d bytes and the rest: %v, %q", n, err, got)
		}
		r.Close()
	}
}

// compressed returns a stream in zstd frames of n bytes each, some of them to be skipped.
func compressed(t testing.TB, b []byte, n int, level zstd.EncoderLevel) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(n%2 == 0), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var out []byte
	for i := 0; len(b) > 0; i++ {
		m := min(n, len(b))
		if i%3 == 1 {
			out = append(little().put(out, uint32(skippable), uint32(5)).b, "hello"...)
		}
		out = z.EncodeAll(b[:m], out)
		b = b[m:]
	}
	return out
}

// many returns a stream, and its packets as text.
func many(n int) ([]byte, []string) {
	m := little().section().iface(1)
	var want []string
	for i := range n {
		data := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, i%700)
		m.packet(0, uint64(i), data, uint32(len(data)))
		want = append(want, fmt.Sprintf("%d.%09d %q wire %d", i/1e6, i%1e6*1000, data, len(data)))
	}
	return m.b, want
}

// Compressed streams are the same, however they are divided into frames.
func TestCompressed(t *testing.T) {
	b, want := many(1500)
	for _, n := range []int{999, 4096, 100_001, len(b)} {
		r := check(t, compressed(t, b, n, zstd.SpeedFastest), want...)
		if r.Compression() != "zstd" {
			t.Error(r.Compression())
		}
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b[:len(b)/2])
	w.Close()
	w.Reset(&z)
	w.Write(b[len(b)/2:])
	w.Close()
	check(t, z.Bytes(), want...)
	check(t, append(z.Bytes(), make([]byte, 10_000)...), want...) // filled up, as by tar and dd
	var d *DamageError
	packets, _, err := readAll(bytes.NewReader(z.Bytes()[:z.Len()-100]))
	if !errors.As(err, &d) || !d.Cut || !slices.Equal(packets, want[:len(packets)]) || len(packets) < 1000 {
		t.Errorf("gzip: %v after %d packets", err, len(packets))
	}
	c := compressed(t, b, 4096, zstd.SpeedFastest)
	packets, _, err = readAll(bytes.NewReader(c[:len(c)-1]))
	if !errors.As(err, &d) || !d.Cut || !slices.Equal(packets, want[:len(packets)]) || len(packets) < 1400 {
		t.Errorf("zstd: %v after %d packets", err, len(packets))
	}
	packets, _, err = readAll(bytes.NewReader(append(slices.Clone(c), "something else"...)))
	if !errors.As(err, &d) || !strings.Contains(err.Error(), "no frame begins there") || len(packets) != len(want) {
		t.Errorf("zstd: %v after %d packets", err, len(packets))
	}
}

// From each position the rest of the stream can be read, plain and compressed.
func TestSeek(t *testing.T) {
	b, want := many(3000)
	for name, b := range map[string][]byte{"plain": b, "zstd": compressed(t, b, 50_000, zstd.SpeedFastest), "one frame": compressed(t, b, len(b), zstd.SpeedDefault)} {
		r, err := NewReader(bytes.NewReader(b), name)
		if err != nil {
			t.Fatal(err)
		}
		var places []Position
		var p Packet
		for {
			places = append(places, r.Position())
			if err := r.Next(&p); err != nil {
				break
			}
		}
		r.Close()
		if len(places) != len(want)+1 {
			t.Fatalf("%s: %d places", name, len(places))
		}
		for _, ahead := range []int{0, 1 << 20} {
			if r, err = NewReader(bytes.NewReader(b), name); err != nil {
				t.Fatal(err)
			}
			r.SetAhead(ahead)
			if err := r.Next(&p); err != nil { // the interface
				t.Fatal(err)
			}
			for _, i := range []int{1, 2, 3, 500, 501, 900, 1700, 1701, 2999} {
				if err := r.Seek(places[i]); err != nil {
					t.Fatal(name, err)
				}
				if err := r.Next(&p); err != nil || described(r, &p) != want[i] {
					t.Fatalf("%s: packet %d: %v, %s", name, i, err, described(r, &p))
				}
				if i < 2999 && r.Position() != places[i+1] {
					t.Fatalf("%s: %+v, not %+v", name, r.Position(), places[i+1])
				}
			}
			r.Close()
		}
	}
}

// What tcpdump, dumpcap's editcap and zstd write is read as tcpdump reads it.
func TestLikeOthers(t *testing.T) {
	editcap, tcpdump := need.Tool(t, "editcap"), need.Tool(t, "tcpdump")
	dir := t.TempDir()
	var packets [][]byte
	for i := range 200 {
		packets = append(packets, append([]byte{2, 0, 0, 0, 0, byte(i), 2, 0, 0, 0, 0, 1, 0x12, 0x34}, bytes.Repeat([]byte{byte(i)}, 46+i)...))
	}
	from := filepath.Join(dir, "from.pcap")
	if err := os.WriteFile(from, classic(big(), magicMicro, 1, packets...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-F", "pcap"}, {"-F", "nsecpcap"}, {"-F", "pcapng"}, {"-F", "modpcap"}, {"-F", "pcapng", "-s", "60", "-a", "3:hello"}} {
		to := filepath.Join(dir, strings.Join(args, ""))
		if out, err := exec.Command(editcap, append(args, from, to)...).CombinedOutput(); err != nil {
			t.Fatalf("editcap: %v\n%s", err, out)
		}
		theirs, err := exec.Command(tcpdump, "-r", to, "-w", "-").Output()
		if err != nil {
			t.Fatalf("tcpdump: %v", err)
		}
		want, _, err := readAll(bytes.NewReader(theirs))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(to)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := readAll(f)
		f.Close()
		for i := range got {
			got[i] = strings.Replace(got[i], ` ["hello"]`, "", 1)
		}
		if err != nil || len(got) != len(packets) || !slices.Equal(got, want) {
			t.Errorf("%v: %v, %d packets\n%.300q\nnot\n%.300q", args, err, len(got), got, want)
		}
	}
}

// No packet costs an allocation.
func TestNoAllocation(t *testing.T) {
	b, want := many(3000)
	r, err := NewReader(bytes.NewReader(b), "test")
	if err != nil {
		t.Fatal(err)
	}
	var p Packet
	if err := r.Next(&p); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(len(want)-10, func() {
		if err := r.Next(&p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{64, 1500} {
		m := little().section().iface(1, little().option(ifResolution, []byte{9}))
		for i := range 32 << 20 / size {
			m.packet(0, uint64(i), make([]byte, size), uint32(size), m.option(epbFlags, uint32(1)), m.option(5, uint64(i)), m.option(0))
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			var p Packet
			for n := 0; n < b.N; {
				r, err := NewReader(bytes.NewReader(m.b), "test")
				if err != nil {
					b.Fatal(err)
				}
				for ; n < b.N && r.Next(&p) == nil; n++ {
				}
			}
		})
	}
}

// Whatever a file has in it, the reader ends, and gives the same packets if it gets the file in
// pieces, and from each position.
func fuzz(f *testing.F, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		packets, r, err := readAll(bytes.NewReader(b))
		again, _, aerr := readAll(iotest.HalfReader(bytes.NewReader(b)))
		if !slices.Equal(packets, again) || fmt.Sprint(err) != fmt.Sprint(aerr) {
			t.Fatalf("%q, %v\nand in pieces\n%q, %v", packets, err, again, aerr)
		}
		var d *DamageError
		if err != nil && r != nil && !errors.As(err, &d) {
			t.Fatalf("%v is no damage", err)
		}
		if r == nil {
			return
		}
		for _, on := range r.Interfaces() {
			on.Options.Comments()
		}
		for i, want := range packets {
			r, err := NewReader(bytes.NewReader(b), "test")
			if err != nil {
				t.Fatal(err)
			}
			var p Packet
			for range i {
				r.Next(&p)
			}
			if err := r.Seek(r.Position()); err != nil {
				t.Fatal(err)
			}
			if err := r.Next(&p); err != nil || described(r, &p) != want {
				t.Fatalf("%v, %s, not %s", err, described(r, &p), want)
			}
			r.Close()
			if i > 3 {
				break
			}
		}
	})
}

func FuzzClassic(f *testing.F) {
	fuzz(f, classic(little(), magicMicro, 1, []byte("abc"), nil), classic(big(), magicNano, 101, []byte("abc"), []byte("de")), classic(little(), magicModified, 1, []byte("abc")))
}

func FuzzNG(f *testing.F) {
	m := big()
	m.section(m.option(optComment, "x")).iface(1, m.option(ifName, "a"), m.option(ifResolution, []byte{0x8a}), m.option(ifOffset, uint64(7)))
	m.packet(0, 1, []byte("abc"), 3, m.option(epbFlags, uint32(2)), m.option(epbDropCount, uint64(2)))
	m.block(blockOldPacket, uint16(0), uint16(9), uint64(0), uint32(2), uint32(3), []byte("ij"))
	m.block(blockStatistics, uint32(0), uint64(7), m.option(Received, uint64(11)))
	fuzz(f, little().section().iface(1).packet(0, 1, []byte("abc"), 3).block(blockSimple, uint32(2), []byte("kl")).b, m.b)
}

func FuzzCompressed(f *testing.F) {
	b, _ := many(20)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	fuzz(f, compressed(f, b, 100, zstd.SpeedFastest), compressed(f, b, len(b), zstd.SpeedDefault), z.Bytes())
}
