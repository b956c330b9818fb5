// SPDX-License-Identifier: BSD-3-Clause

package pcap

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"golang.org/x/sys/unix"
)

// written returns the path of a capture whose packets have these times, in ns since 1970.
func written(t *testing.T, times ...int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriterNanos(f)
	if err := w.WriteFileHeader(1<<18, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for _, at := range times {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Unix(0, at), CaptureLength: 60, Length: 60}, make([]byte, 60)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// opened returns the port of a capture, which is open.
func opened(t *testing.T, path string, o InOptions) *In {
	t.Helper()
	p, err := NewIn(Prefix+path, o)
	if err == nil {
		err = p.Inspect()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// next returns the time of the next packet, as the goroutine gets it. ok is false at the end.
func (p *In) next() (at int64, ok bool) {
	if !p.ready(&timer{}, &counts{}) {
		return 0, false
	}
	p.pending.here = false
	return p.pending.Time, true
}

// rest returns the times of the packets up to the end.
func (p *In) rest() (times []int64) {
	for at, ok := p.next(); ok; at, ok = p.next() {
		times = append(times, at)
	}
	return times
}

// A file that has gone when it is to be read again ends the reading with an error that says so.
func TestFileGoneBeforeItIsReadAgain(t *testing.T) {
	for name, again := range map[string]func(*In) error{
		"next round": func(*In) error { return nil },
		"seek back":  func(p *In) error { return p.Seek(0) },
	} {
		path := written(t, 1, 2, 3)
		p := opened(t, path, InOptions{Loop: 2})
		if at, ok := p.next(); !ok || at != 1 {
			t.Fatalf("%s: the first packet is at %d, %v", name, at, ok)
		}
		if err := errors.Join(os.Remove(path), again(p)); err != nil {
			t.Fatal(err)
		}
		if times := p.rest(); name == "next round" && !slices.Equal(times, []int64{2, 3}) || name == "seek back" && len(times) > 0 {
			t.Errorf("%s: packets at %v follow", name, times)
		}
		select {
		case <-p.Done():
		default:
			t.Errorf("%s: the reading has not ended", name)
		}
		if err := p.Err(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: it ends with %v", name, err)
		}
	}
}

// Each round comes after the one before, whatever the order of the packets in the file, and also after a seek back into the first
// one. A seek goes to a time, also where that is in a later round, or between packets that another seek left out.
func TestRounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		loop  int
		times []int64
		seeks map[int]time.Duration // before the packet with this number
		want  []int64
	}{
		{"in order", 3, []int64{1000, 1010, 1020}, nil, []int64{1000, 1010, 1020, 1030, 1040, 1050, 1060, 1070, 1080}},
		{"the latest first", 3, []int64{1090, 1000, 1010}, nil, []int64{1090, 1000, 1010, 1225, 1135, 1145, 1360, 1270, 1280}},
		{"one packet", 3, []int64{1000}, nil, []int64{1000, 2000, 3000}},
		{"seek back into the first round", 2, []int64{1000, 1010, 1020}, map[int]time.Duration{3: 10}, []int64{1000, 1010, 1020, 1010, 1020, 1030, 1040, 1050}},
		{"seek back out of the second round", 2, []int64{1000, 1010, 1020}, map[int]time.Duration{5: 20}, []int64{1000, 1010, 1020, 1030, 1040, 1020, 1030, 1040, 1050}},
		{"seek into the third round", 3, []int64{1000, 1010, 1020}, map[int]time.Duration{1: 65}, []int64{1000, 1070, 1080}},
		{"seek to a packet behind a later one", 1, []int64{1000, 1090, 1010, 1020}, map[int]time.Duration{3: 50}, []int64{1000, 1090, 1010, 1090, 1010, 1020}},
		{"seek beyond all times", 2, []int64{1000, 1010}, map[int]time.Duration{1: math.MaxInt64}, []int64{1000}},
	} {
		p := opened(t, written(t, c.times...), InOptions{Loop: c.loop})
		var got []int64
		for at, ok := p.next(); ok; at, ok = p.next() {
			got = append(got, at)
			if to, ok := c.seeks[len(got)]; ok {
				if err := p.Seek(to); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !slices.Equal(got, c.want) || p.Err() != nil {
			t.Errorf("%s: packets at %v, %v; want %v", c.name, got, p.Err(), c.want)
		}
	}
	for _, c := range []struct {
		times []int64
		want  int64
	}{{[]int64{math.MinInt64, math.MaxInt64}, math.MaxInt64}, {[]int64{-5, 5}, 20}} {
		var r round
		for _, at := range c.times {
			r.add(at, false)
		}
		if got := r.length(); got != c.want {
			t.Errorf("a round with packets at %v is %d long, not %d", c.times, got, c.want)
		}
	}
}

// A pipe is not read, since that may block for ever. It is refused though somebody has it open, and a header is there.
func TestPipesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	header, err := os.ReadFile(written(t))
	if err == nil {
		_, err = pipe.Write(header)
	}
	if err != nil {
		t.Fatal(err)
	}
	in, err := NewIn(Prefix+path, InOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := "port pcap:" + path + ": neither a file nor a link to one; write the packets to a file first, and give that"
	for name, f := range map[string]func() error{"Check": in.Check, "Inspect": in.Inspect} {
		if err := f(); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// Words and a stop do not wait until packets that a seek leaves out are behind.
func TestStopWhilePacketsAreLeftOut(t *testing.T) {
	p := opened(t, written(t, 1, 2, 3), InOptions{Loop: math.MaxInt})
	if _, ok := p.next(); !ok {
		t.Fatal("there is no packet")
	}
	if err := p.Seek(math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	left := make(chan bool)
	go func() { left <- p.ready(&timer{}, &counts{}) }()
	for p.Status().Round < 3 {
		runtime.Gosched()
	}
	p.set(func() { p.stop = true })
	if <-left {
		t.Error("there is a packet at the end of all times")
	}
}

// A frame check sequence that the header of the file speaks of is no part of the frame, also where a part of it was captured.
func TestFrameCheckSequenceIsLeftOut(t *testing.T) {
	for _, c := range []struct {
		link       byte // the highest byte of the link type
		captured   int
		data, wire int
	}{{0, 64, 64, 64}, {0x20, 64, 64, 64}, {0x24, 64, 60, 60}, {0x24, 62, 60, 60}, {0x24, 30, 30, 60}, {0xf4, 64, 34, 34}} {
		file := slices.Concat([]byte{
			0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, c.link, // the header
			1, 0, 0, 0, 0, 0, 0, 0, byte(c.captured), 0, 0, 0, 64, 0, 0, 0,
		}, make([]byte, c.captured))
		path := filepath.Join(t.TempDir(), "in.pcap")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		p := opened(t, path, InOptions{})
		if _, ok := p.next(); !ok || len(p.pending.Data) != c.data || int(p.pending.Wire) != c.wire {
			t.Errorf("%d bytes captured of 64, link type %#x: a frame of %d with %d bytes, %v; want %d with %d", c.captured, c.link, p.pending.Wire, len(p.pending.Data), p.Err(), c.wire, c.data)
		}
	}
}
