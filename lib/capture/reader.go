// SPDX-License-Identifier: BSD-3-Clause

// Package capture reads capture files: pcap (microseconds and nanoseconds, both byte orders) and
// pcapng (several sections and interfaces), plain or compressed by zstd or gzip.
//
//	bytes → source (plain, zstd, gzip) → Reader.Next → Packet
//
// A Reader gives packets as they stand in the file. It copies no packet and allocates nothing for
// one. A file that is damaged or ends within a packet gives all packets before that place, and then
// a DamageError with the place.
//
// The package knows no queue, no filter and no command line.
package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Format is the format of a stream.
type Format uint8

const (
	PCAP     Format = iota // classic, timestamps in microseconds
	PCAPNano               // classic, in nanoseconds
	PCAPNG
)

var formatNames = [...]string{PCAP: "pcap", PCAPNano: "pcap-ns", PCAPNG: "pcapng"}

func (f Format) String() string { return formatNames[f] }

// Ethernet is the link type of Ethernet.
const Ethernet = 1

// Packet is a packet of a stream.
type Packet struct {
	// Time is in ns since the epoch. It is 0 if the file has no time for the packet (Untimed).
	Time    int64
	Untimed bool
	// Data are the captured bytes, and Wire the length on the wire in bytes, never less.
	Data []byte
	Wire uint32
	// Interface is the place of the interface in Reader.Interfaces.
	Interface int
	// Flags are those of epb_flags, or 0. See Direction.
	Flags uint32
	// Dropped is how many packets were lost between the packet before it of this interface and
	// this one, as the recorder says.
	Dropped uint64
	Beside  bool // Dropped is not among the options, but beside them, in an old kind of block
	// Options are all options of the packet, as they stand in the file. See Options.All.
	Options Options
}

// Direction is which way a packet went through an interface.
type Direction uint8

const (
	Unknown Direction = iota
	Inbound
	Outbound
)

// Direction returns the direction from the flags.
func (p *Packet) Direction() Direction {
	if d := Direction(p.Flags & 3); d <= Outbound {
		return d
	}
	return Unknown
}

// Interface is an interface that a stream describes. A classic stream has one, which has no name.
type Interface struct {
	LinkType uint32
	SnapLen  uint32 // 0: no limit
	FCS      int    // bytes of the frame check sequence at the end of each packet, if a classic stream says so
	Name     string
	Section  int // number of the section, from 0
	Options  Options
	// Statistics are the last ones that were read, or nil.
	Statistics *Statistics

	clock clock
}

// Statistics are what a recorder says of an interface at some time: how much it has received and
// lost since the start. A count that the file does not have is 0, and Has does not name it.
type Statistics struct {
	Time       int64 // ns since the epoch
	Start, End int64 // ns since the epoch, 0 if unknown
	// Counts are by the code of the option, of which there are those in CountCodes.
	Counts [9]uint64
	Has    [9]bool
}

// The codes of the counts of Statistics.
const (
	Received     = 4 // isb_ifrecv
	InterfDrop   = 5 // isb_ifdrop
	Accepted     = 6 // isb_filteraccept
	SystemDrop   = 7 // isb_osdrop
	Delivered    = 8 // isb_usrdeliv
	firstCounter = Received
)

// DamageError says where a stream breaks.
type DamageError struct {
	Name string // of the file
	// Offset is where the damage begins, in bytes; in a compressed file they are those of the
	// uncompressed stream.
	Offset     int64
	Compressed bool
	// Cut says that the stream ends within a packet or block, as that of a file that is still
	// being written may.
	Cut     bool
	What    string // what is wrong
	Packets uint64 // how many packets were read before
}

func (e *DamageError) Error() string {
	of := ""
	if e.Compressed {
		of = " of the uncompressed stream"
	}
	return fmt.Sprintf("%s: %s at byte %d%s, after %d whole packets", e.Name, e.What, e.Offset, of, e.Packets)
}

// ErrEmpty is returned for a file without a byte.
var ErrEmpty = errors.New("the file is empty")

// ErrForeign is returned for a file that is no capture.
var ErrForeign = errors.New("neither pcap nor pcapng, plain or compressed by zstd or gzip")

// bufferSize is how much is read at a time of a long stream. More gains nothing. The first reads
// are shorter, for those who want to see how a file begins.
const bufferSize, firstBuffer = 1 << 20, 64 << 10

// maxBlock bounds the length of a block or packet. USB captures have packets of 128 MiB. Memory is
// taken only for bytes that exist.
const maxBlock = 128<<20 + 64<<10

// maxEthernet bounds a packet of Ethernet, as in libpcap.
const maxEthernet = 262144

// Reader reads a stream. It is for one goroutine.
type Reader struct {
	name string
	src  source
	file io.Closer // nil: the caller closes it

	buf        []byte // buf[start:end] is read and not used yet
	start, end int
	base       int64 // offset of buf[0] in the stream
	ahead      int   // how much is read at a time
	ended      error // what the source said last
	failed     error // what every further Next returns

	format Format
	order  binary.ByteOrder
	big    bool
	// of a classic stream
	head  int   // length of the header of a packet
	scale int64 // ns in a unit of time
	// of pcapng
	interfaces []*Interface
	first      int // the first interface of this section
	sections   []Section
	other      func(code uint32, big bool, body []byte)

	packets uint64
	others  uint64
}

// Section is the header of a section of pcapng.
type Section struct{ Options Options }

// Open opens a file. If that fails, or the file is no capture, the error names it.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.file = f
	return r, nil
}

// NewReader reads the header of a stream. The name is for errors. The Reader can go back to a
// Position only if in is an io.Seeker that succeeds, such as a file.
func NewReader(in io.Reader, name string) (*Reader, error) {
	r := &Reader{name: name, ahead: bufferSize}
	var err error
	if r.src, err = newSource(in); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r.buf = make([]byte, firstBuffer)
	if err := r.begin(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close releases what the Reader has, and closes the file of Open.
func (r *Reader) Close() error {
	r.failed = errClosed
	if r.src != nil {
		r.src.close()
	}
	if r.file != nil {
		return r.file.Close()
	}
	return nil
}

var errClosed = errors.New("the reader is closed")

// Format returns the format of the stream.
func (r *Reader) Format() Format { return r.format }

// Compression returns "", "zstd" or "gzip".
func (r *Reader) Compression() string { return r.src.kind() }

// Interfaces returns all interfaces described so far. The Reader appends to them.
func (r *Reader) Interfaces() []*Interface { return r.interfaces }

// Sections returns the headers of all sections so far. A classic stream has none.
func (r *Reader) Sections() []Section { return r.sections }

// Other sets a function that gets the blocks of pcapng which are neither sections, interfaces,
// statistics nor packets, such as names and secrets. The body has no length fields and is valid
// during the call; big is the byte order of its numbers.
func (r *Reader) Other(f func(code uint32, big bool, body []byte)) { r.other = f }

// Packets returns how many packets were read.
func (r *Reader) Packets() uint64 { return r.packets }

// Others returns how many blocks were read that are no packets.
func (r *Reader) Others() uint64 { return r.others }

// Offset returns how much of the stream, uncompressed, was used: it is the offset of the next
// packet or block.
func (r *Reader) Offset() int64 { return r.base + int64(r.start) }

// Consumed returns how many bytes of the file were read so far, compressed ones if it is.
func (r *Reader) Consumed() int64 {
	if r.src.kind() == "" {
		return r.Offset()
	}
	return r.src.consumed()
}

// begin recognizes the format.
func (r *Reader) begin() error {
	if !r.need(4) {
		z, _ := r.src.(*zstdSource)
		switch {
		case z != nil && z.foreign(r.ended):
		case r.end == 0 && r.ended == io.EOF:
			return fmt.Errorf("%s: %w", r.name, ErrEmpty)
		case r.ended != io.EOF:
			return r.broken()
		}
		return fmt.Errorf("%s: %w", r.name, ErrForeign)
	}
	magic := binary.LittleEndian.Uint32(r.buf)
	if magic == blockSection {
		r.format = PCAPNG
		return nil // Next reads it
	}
	return r.beginClassic(magic)
}

// Next reads the next packet. What p has of it is valid until the next call. At the end the error
// is io.EOF; where the stream breaks it is a DamageError.
func (r *Reader) Next(p *Packet) error {
	if r.failed != nil {
		return r.failed
	}
	var err error
	if r.format == PCAPNG {
		err = r.nextNG(p)
	} else {
		err = r.nextClassic(p)
	}
	if err != nil {
		r.failed = err
		return err
	}
	r.packets++
	return nil
}

// need makes n bytes available in buf[start:end], or returns false if the stream has no more.
func (r *Reader) need(n int) bool {
	return r.end-r.start >= n || r.fill(n)
}

func (r *Reader) fill(n int) bool {
	if r.start > 0 {
		into := r.buf
		if size := len(r.buf); size < bufferSize && r.base+int64(r.start) > int64(size) {
			into = make([]byte, 2*size)
		}
		r.base += int64(r.start)
		copy(into, r.buf[r.start:r.end])
		r.end -= r.start
		r.buf, r.start = into, 0
	}
	for idle := 0; r.end < n; {
		if r.ended != nil {
			return false
		}
		if r.end == len(r.buf) { // a longer block: no more memory is taken than twice what there is of it
			r.buf = slices.Grow(r.buf, len(r.buf))
			r.buf = r.buf[:cap(r.buf)]
		}
		got, err := r.src.Read(r.buf[r.end:min(len(r.buf), max(n, r.end+r.ahead))])
		r.end += got
		r.ended = err
		if idle++; got > 0 {
			idle = 0
		} else if idle > 100 {
			r.ended = io.ErrNoProgress
		}
	}
	return true
}

// damage returns the error of a stream that breaks at the block that begins at start.
func (r *Reader) damage(format string, args ...any) error {
	return &DamageError{Name: r.name, Offset: r.Offset(), Compressed: r.src.kind() != "", What: fmt.Sprintf(format, args...), Packets: r.packets}
}

// broken returns the error of a stream that has no more bytes and should have.
func (r *Reader) broken() error {
	left := r.end - r.start
	if r.ended == io.EOF {
		if left == 0 {
			return io.EOF
		}
		err := r.damage("the file ends within a packet or block, of which there are %d bytes,", left).(*DamageError)
		err.Cut = true
		return err
	}
	err := r.damage("%v", r.ended).(*DamageError)
	err.Cut = errors.Is(r.ended, io.ErrUnexpectedEOF)
	if err.Cut {
		err.What = "the compressed data end early"
	}
	return err
}

// FCS returns how many bytes of frame check sequence a packet has at the end of its length on the wire, as far as the stream says so.
func (r *Reader) FCS(p *Packet) int {
	if n := int(p.Flags >> 5 & 0xf); n > 0 {
		return n
	}
	return r.interfaces[p.Interface].FCS
}

// Again lets Next try again after io.EOF or an error with Cut, for a plain file that grows.
func (r *Reader) Again() {
	if r.src.kind() == "" && r.ended == io.EOF {
		r.ended, r.failed = nil, nil
	}
}
