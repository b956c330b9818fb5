// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ethertap/lib/capture"
)

// corpus names a directory with captures that others have made, for TestOfflineCorpus. They are not part of this project: the
// test captures of tcpdump, Wireshark, Zeek or nDPI serve well.
const corpus = "ETHERTAP_CORPUS"

// Captures that others have made come out as they went in, frame by frame and time by time. Of damaged ones everything whole does.
// What is no capture, or not of Ethernet, is said in a line.
func TestOfflineCorpus(t *testing.T) {
	t.Parallel()
	from := os.Getenv(corpus)
	if from == "" {
		t.Skipf("%s names no directory with captures", corpus)
	}
	dir := t.TempDir()
	kinds := map[string]int{}
	packets := 0
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		kind, n := crosses(t, dir, strings.TrimPrefix(path, from), b)
		kinds[kind]++
		packets += n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d frames of %v", packets, kinds)
	if kinds["whole"] == 0 {
		t.Errorf("no capture of Ethernet is in %s", from)
	}
}

// crosses passes a file through ethertap and compares what comes out. It returns of which kind the file is, and how many frames
// came out. name is for errors.
func crosses(t *testing.T, dir, name string, file []byte) (kind string, packets int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "in"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	want, left, err := expected(filepath.Join(dir, "in"))
	_, errs, status := offline(t, dir, "pcap:in", "pcap:out")
	fail := func(format string, args ...any) { t.Errorf("%s: %s\n%s", name, fmt.Sprintf(format, args...), errs) }
	var damage *capture.DamageError
	lines := strings.Split(strings.TrimSuffix(errs, "\n"), "\n")
	switch {
	case err == nil:
		kind = "whole"
		if left > 0 {
			kind = "partly foreign"
			if len(want) == 0 {
				kind = "foreign"
			}
			if !strings.Contains(lines[0], fmt.Sprintf("; %d left out, which ", left)) {
				fail("it does not say that %d packets are left out", left)
			}
		}
		if status != 0 || len(lines) != 2 {
			fail("status %d", status)
		}
	case errors.As(err, &damage) && left >= 0:
		kind = "damaged"
		if status != 1 || len(lines) != 3 || lines[2] != "ethertap: port pcap:in: "+strings.TrimPrefix(damage.Error(), dir+"/") {
			fail("status %d, want 1 and %v", status, err)
		}
	default:
		if status != 1 || len(lines) != 1 || !strings.HasPrefix(errs, "ethertap: port pcap:in: ") {
			fail("status %d, want 1 and a line with %v", status, err)
		}
		return "no capture", 0
	}
	got := readCapture(t, filepath.Join(dir, "out"))
	if len(got) != len(want) {
		fail("%d frames, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if g, w := got[i], want[i]; g.at != w.at || g.missing != w.missing || !bytes.Equal(g.data, w.data) {
			fail("frame %d: at %d, %d bytes cut off, %x\nwant at %d, %d, %x", i, g.at, g.missing, g.data, w.at, w.missing, w.data)
			break
		}
	}
	return kind, len(got)
}

// expected returns the frames of a capture that ethertap reads, and how many packets it leaves out; -1 if it is no capture. Frames
// without a time have that of the one before.
func expected(path string) (want []recorded, left int, err error) {
	r, err := capture.Open(path)
	if err != nil {
		return nil, -1, err
	}
	defer r.Close()
	last := int64(0)
	for p := new(capture.Packet); ; {
		err := r.Next(p)
		switch {
		case err == io.EOF:
			return want, left, nil
		case err != nil:
			return want, left, err
		case p.Direction() == capture.Outbound, r.Interfaces()[p.Interface].LinkType&0xffff != capture.Ethernet:
			left++
			continue
		case p.Untimed:
			p.Time = last
		}
		last = p.Time
		want = append(want, recorded{p.Time, bytes.Clone(p.Data), p.Wire - uint32(len(p.Data))})
	}
}

// Captures of all formats come out as they went in: what TestOfflineCorpus does with those of others.
func TestOfflineFormats(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packets := traffic(6, 200, 50*time.Microsecond)
	for i := range packets {
		packets[i].at -= packets[i].at % 1000 // µs in all formats
	}
	kinds := map[string]int{}
	for name, file := range formats(packets) {
		kind, n := crosses(t, dir, name, file)
		kinds[kind]++
		if kind == "whole" && n < len(packets)/2 {
			t.Errorf("%s: %d frames", name, n)
		}
	}
	if want := map[string]int{"whole": 7, "partly foreign": 1, "foreign": 1, "damaged": 2, "no capture": 2}; fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}

// formats writes packets in all formats that are read.
func formats(packets []recorded) map[string][]byte {
	classic := func(order binary.AppendByteOrder, magic uint32, unit int64, link uint32) (b []byte) {
		b = order.AppendUint32(b, magic)
		b = order.AppendUint16(order.AppendUint16(b, 2), 4)
		b = order.AppendUint32(append(b, make([]byte, 8)...), 65535)
		b = order.AppendUint32(b, link)
		for _, p := range packets {
			b = order.AppendUint32(order.AppendUint32(b, uint32(p.at/1e9)), uint32(p.at%1e9/unit))
			b = order.AppendUint32(order.AppendUint32(b, uint32(len(p.data))), uint32(len(p.data))+p.missing)
			if magic == 0xa1b2cd34 {
				b = append(b, make([]byte, 8)...)
			}
			b = append(b, p.data...)
		}
		return b
	}
	// ng is a section with two interfaces, of which the second one counts time in another unit and is of another link. Packets are in
	// three kinds of blocks.
	ng := func(order binary.AppendByteOrder, link uint16) (b []byte) {
		block := func(code uint32, body []byte) {
			body = append(body, make([]byte, -len(body)&3)...)
			b = order.AppendUint32(order.AppendUint32(b, code), uint32(len(body)+12))
			b = order.AppendUint32(append(b, body...), uint32(len(body)+12))
		}
		block(0x0a0d0d0a, append(order.AppendUint16(order.AppendUint16(order.AppendUint32(nil, 0x1a2b3c4d), 1), 0), bytes.Repeat([]byte{255}, 8)...))
		describe := func(link uint16, resolution byte) {
			body := order.AppendUint32(order.AppendUint16(order.AppendUint16(nil, link), 0), 0)
			body = append(order.AppendUint16(order.AppendUint16(body, 9), 1), resolution, 0, 0, 0)
			block(1, append(body, 0, 0, 0, 0))
		}
		describe(1, 6)
		describe(link, 9)
		for i, p := range packets {
			unit := []int64{1000, 1}[i%2]
			head := order.AppendUint32(nil, uint32(i%2))
			if i%4 == 2 {
				head = order.AppendUint16(order.AppendUint16(nil, 0), 0xffff)
			}
			head = order.AppendUint32(order.AppendUint32(head, uint32(p.at/unit>>32)), uint32(p.at/unit))
			head = order.AppendUint32(order.AppendUint32(head, uint32(len(p.data))), uint32(len(p.data))+p.missing)
			switch {
			case i%4 == 0 && i%8 == 0 && p.missing == 0:
				block(3, append(order.AppendUint32(nil, uint32(len(p.data))), p.data...))
			case i%4 == 2:
				block(2, append(head, p.data...))
			default:
				block(6, append(head, p.data...))
			}
		}
		return b
	}
	le, be := binary.AppendByteOrder(binary.LittleEndian), binary.AppendByteOrder(binary.BigEndian)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(ng(be, 1))
	z.Close()
	whole := classic(le, 0xa1b2c3d4, 1000, 1)
	return map[string][]byte{
		"µs":                     whole,
		"µs, big-endian":         classic(be, 0xa1b2c3d4, 1000, 1),
		"ns, big-endian":         classic(be, 0xa1b23c4d, 1, 1),
		"of old distributions":   classic(le, 0xa1b2cd34, 1000, 1),
		"raw IP":                 classic(le, 0xa1b2c3d4, 1000, 101),
		"pcapng":                 ng(le, 1),
		"pcapng, gzip":           zipped.Bytes(),
		"pcapng, two sections":   slices.Concat(ng(le, 1), ng(be, 1)),
		"pcapng, half of it PPP": ng(le, 9),
		"cut":                    whole[:len(whole)-5],
		"damaged":                slices.Concat(ng(le, 1), []byte("no block")),
		"empty":                  {},
		"text":                   []byte("hello, world"),
	}
}
