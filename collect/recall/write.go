// SPDX-License-Identifier: BSD-3-Clause

package recall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"ethertap/lib/capture"
)

const (
	// flushSize is the size of a write, and of a zstd frame.
	flushSize = 1 << 20

	pcapngSection, pcapngInterface, pcapngStatistics, pcapngPacket = 0x0a0d0d0a, 1, 5, 6
	pcapngNames, pcapngSecrets                                     = 4, 10

	// Options: of any block, of a section, of an interface, of a packet, of statistics.
	optEnd, optComment                            = 0, 1
	shbApplication                                = 4
	ifSpeed, ifResolution, ifOffset, ifTX, ifRX   = 8, 9, 14, 16, 17
	epbFlags, epbDrops, epbID, epbQueue, epbOwner = 2, 4, 5, 6, 8
	isbStart, isbEnd                              = 2, 3
)

// ErrReaderGone says that nobody reads the output any more.
var ErrReaderGone = errors.New("the reader of the output is gone")

// Writer writes packets to a stream. It is for one goroutine. After an error a file ends with its
// last whole write, or is cut to it.
type Writer struct {
	f           *os.File
	name        string
	format      capture.Format
	application string
	z           *zstd.Encoder // nil: not compressed

	buf, frame []byte
	written    int64
	begun      bool
	failed     error

	interfaces []outInterface
	link       uint32 // of a classic stream
	numbers    map[string]int
}

// outInterface is an interface of the output. Interfaces of several files that are described alike
// are one.
type outInterface struct {
	linkType uint32
	stated   bool
	total    capture.Statistics
}

// NewWriter returns a writer to an open file, which remains the caller's.
func NewWriter(f *os.File, name string, format capture.Format, compress bool, application string) (*Writer, error) {
	w := &Writer{f: f, name: name, format: format, application: application, numbers: map[string]int{}}
	if compress {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			return nil, err
		}
		w.z = z
	}
	return w, nil
}

var le = binary.LittleEndian

// section begins the stream, with the comments of the first section that is read. Later calls do
// nothing.
func (w *Writer) section(comments []string) {
	if w.begun || w.format != capture.PCAPNG {
		return
	}
	w.begun = true
	at := w.block(pcapngSection)
	w.buf = le.AppendUint32(w.buf, 0x1a2b3c4d)
	w.buf = le.AppendUint32(w.buf, 1) // version 1.0
	w.buf = le.AppendUint64(w.buf, 1<<64-1)
	for _, c := range comments {
		w.option(optComment, []byte(c))
	}
	w.option(shbApplication, []byte(w.application))
	w.end(at, true)
}

// describe returns the number of an interface, and writes its description if it is a new one.
func (w *Writer) describe(on *capture.Interface) int {
	options := littleOptions(on.Options, interfaceNumbers)
	key := string(le.AppendUint32(le.AppendUint32(nil, on.LinkType), on.SnapLen)) + string(options)
	if n, ok := w.numbers[key]; ok {
		return n
	}
	n := len(w.interfaces)
	w.numbers[key] = n
	w.interfaces = append(w.interfaces, outInterface{linkType: on.LinkType})
	if w.format != capture.PCAPNG {
		return n
	}
	w.section(nil)
	at := w.block(pcapngInterface)
	w.buf = le.AppendUint32(w.buf, on.LinkType&0xffff)
	w.buf = le.AppendUint32(w.buf, on.SnapLen)
	w.buf = append(w.buf, options...)
	w.option(ifResolution, []byte{9})
	w.end(at, true)
	return n
}

// other copies names and secrets.
func (w *Writer) other(code uint32, big bool, body []byte) {
	if w.format != capture.PCAPNG || big || code != pcapngNames && code != pcapngSecrets {
		return
	}
	w.section(nil)
	at := w.block(code)
	w.buf = append(w.buf, body...)
	w.end(at, false)
}

// packet appends a packet of an interface of describe.
func (w *Writer) packet(p *capture.Packet, number int) error {
	if w.format == capture.PCAPNG {
		at := w.block(pcapngPacket)
		w.buf = le.AppendUint32(w.buf, uint32(number))
		w.buf = le.AppendUint32(w.buf, uint32(uint64(p.Time)>>32))
		w.buf = le.AppendUint32(w.buf, uint32(p.Time))
		w.buf = le.AppendUint32(w.buf, uint32(len(p.Data)))
		w.buf = le.AppendUint32(w.buf, p.Wire)
		w.buf = append(w.buf, p.Data...)
		w.pad(len(p.Data))
		before := len(w.buf)
		if p.Options.Big {
			w.buf = append(w.buf, littleOptions(p.Options, packetNumbers)...)
		} else {
			w.buf = appendOptions(w.buf, p.Options)
		}
		if p.Beside && p.Dropped != 0 {
			w.number(epbDrops, p.Dropped)
		}
		w.end(at, len(w.buf) > before)
	} else if err := w.classic(p, number); err != nil {
		return err
	}
	if len(w.buf) >= flushSize {
		return w.Flush()
	}
	return w.failed
}

// header begins a classic stream.
func (w *Writer) header(link uint32) {
	w.begun, w.link = true, link
	magic := uint32(0xa1b2c3d4)
	if w.format == capture.PCAPNano {
		magic = 0xa1b23c4d
	}
	for _, v := range []uint32{magic, 2 | 4<<16, 0, 0, 262144, link} {
		w.buf = le.AppendUint32(w.buf, v)
	}
}

func (w *Writer) classic(p *capture.Packet, number int) error {
	link := w.interfaces[number].linkType
	if !w.begun {
		w.header(link)
	}
	if link != w.link {
		return fmt.Errorf("%s: a pcap file has one link type, and there are packets of %d and %d; write pcapng", w.name, w.link, link)
	}
	fraction := p.Time % 1e9
	if w.format == capture.PCAP {
		fraction /= 1e3
	}
	for _, v := range []uint32{uint32(p.Time / 1e9), uint32(fraction), uint32(len(p.Data)), p.Wire} {
		w.buf = le.AppendUint32(w.buf, v)
	}
	w.buf = append(w.buf, p.Data...)
	return nil
}

// state adds the statistics of an interface of a file to those of the output.
func (w *Writer) state(number int, s *capture.Statistics) {
	o := &w.interfaces[number]
	t := &o.total
	if !o.stated {
		o.stated, o.total = true, *s
		return
	}
	t.Time, t.End = max(t.Time, s.Time), max(t.End, s.End)
	if s.Start != 0 && (t.Start == 0 || s.Start < t.Start) {
		t.Start = s.Start
	}
	for i := range t.Counts {
		t.Counts[i] += s.Counts[i]
		t.Has[i] = t.Has[i] || s.Has[i]
	}
}

// Finish ends the stream: an empty one has its header, and a pcapng one its statistics.
func (w *Writer) Finish() error {
	if w.format != capture.PCAPNG {
		if !w.begun {
			link := uint32(capture.Ethernet)
			if len(w.interfaces) > 0 {
				link = w.interfaces[0].linkType
			}
			w.header(link)
		}
		return w.Flush()
	}
	w.section(nil)
	for i, o := range w.interfaces {
		if !o.stated {
			continue
		}
		at := w.block(pcapngStatistics)
		w.buf = le.AppendUint32(w.buf, uint32(i))
		w.buf = le.AppendUint32(w.buf, uint32(uint64(o.total.Time)>>32))
		w.buf = le.AppendUint32(w.buf, uint32(o.total.Time))
		for code, t := range map[uint16]int64{isbStart: o.total.Start, isbEnd: o.total.End} {
			if t != 0 {
				w.option(code, le.AppendUint32(le.AppendUint32(nil, uint32(uint64(t)>>32)), uint32(t)))
			}
		}
		for code, has := range o.total.Has {
			if has {
				w.number(uint16(code), o.total.Counts[code])
			}
		}
		w.end(at, true)
	}
	return w.Flush()
}

// Flush writes the buffer.
func (w *Writer) Flush() error {
	if w.failed != nil || len(w.buf) == 0 {
		return w.failed
	}
	out := w.buf
	if w.z != nil {
		w.frame = w.z.EncodeAll(w.buf, w.frame[:0])
		out = w.frame
	}
	n, err := w.f.Write(out)
	w.buf = w.buf[:0]
	if err == nil {
		w.written += int64(n)
		return nil
	}
	switch {
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		w.failed = ErrReaderGone
	default:
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		w.failed = fmt.Errorf("%s: %w; it ends with the last packet that is whole", w.name, err)
		if terr := w.cut(n); terr != nil {
			w.failed = fmt.Errorf("%s: %w; its last packet is cut short", w.name, err)
		}
	}
	return w.failed
}

// cut takes a write that failed after n bytes back.
func (w *Writer) cut(n int) error {
	if st, err := w.f.Stat(); err != nil || !st.Mode().IsRegular() {
		return err
	}
	end, err := w.f.Seek(int64(-n), io.SeekCurrent)
	if err != nil {
		return err
	}
	return w.f.Truncate(end)
}

func (w *Writer) block(code uint32) (at int) {
	at = len(w.buf)
	w.buf = le.AppendUint64(w.buf, uint64(code)) // the length comes at the end
	return at
}

func (w *Writer) end(at int, options bool) {
	if options {
		w.buf = le.AppendUint32(w.buf, optEnd)
	}
	n := uint32(len(w.buf) - at + 4)
	le.PutUint32(w.buf[at+4:], n)
	w.buf = le.AppendUint32(w.buf, n)
}

func (w *Writer) option(code uint16, value []byte) {
	w.buf = appendOption(w.buf, code, value)
}

func (w *Writer) number(code uint16, n uint64) {
	w.option(code, le.AppendUint64(nil, n))
}

func (w *Writer) pad(n int) { w.buf = append(w.buf, "\x00\x00\x00"[:-n&3]...) }

func appendOption(b []byte, code uint16, value []byte) []byte {
	b = le.AppendUint16(b, code)
	b = le.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, "\x00\x00\x00"[:-len(value)&3]...)
}

// appendOptions copies options without their end.
func appendOptions(b []byte, o capture.Options) []byte {
	for code, value := range o.All() {
		b = appendOption(b, code, value)
	}
	return b
}

// numbered says which options are numbers, whose byte order has to be turned: their length, by
// their code.
type numbered map[uint16]int

var (
	interfaceNumbers = numbered{ifSpeed: 8, ifTX: 8, ifRX: 8}
	packetNumbers    = numbered{epbFlags: 4, epbDrops: 8, epbID: 8, epbQueue: 4, epbOwner: 4}
)

// littleOptions returns options in little-endian order, without those of the clock of an
// interface if numbers are those of interfaces: the output has its own.
func littleOptions(o capture.Options, numbers numbered) []byte {
	var b []byte
	ofInterface := numbers[ifSpeed] == 8 && numbers[ifTX] == 8
	for code, value := range o.All() {
		if ofInterface && (code == ifResolution || code == ifOffset) {
			continue
		}
		if size := numbers[code]; o.Big && size > 0 && len(value)%size == 0 {
			value = bytes.Clone(value)
			for at := 0; at < len(value); at += size {
				if size == 4 {
					le.PutUint32(value[at:], binary.BigEndian.Uint32(value[at:]))
				} else {
					le.PutUint64(value[at:], binary.BigEndian.Uint64(value[at:]))
				}
			}
		} else if o.Big && isCustom(code) && len(value) >= 4 { // begins with the number of an enterprise
			value = bytes.Clone(value)
			le.PutUint32(value, bits.ReverseBytes32(le.Uint32(value)))
		}
		b = appendOption(b, code, value)
	}
	return b
}

func isCustom(code uint16) bool { return code&0x7fff == 2988 || code&0x7fff == 2989 }
