// SPDX-License-Identifier: BSD-3-Clause

package pcap

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
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
