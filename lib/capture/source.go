// SPDX-License-Identifier: BSD-3-Clause

package capture

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Position is a place in a file from which reading can go on: an offset in the file, where a
// compressed file has the beginning of a zstd frame, and how many bytes of what follows there,
// uncompressed, are to be skipped. Raw is the offset in the uncompressed stream.
type Position struct{ File, Skip, Raw int64 }

// source gives the uncompressed bytes of a file.
type source interface {
	io.Reader
	kind() string
	// consumed returns how many bytes of the file are behind.
	consumed() int64
	// place returns where the byte at an offset of the stream can be read again. Offsets that it is
	// asked for do not decrease.
	place(raw int64) Position
	// within says whether a place can be reached by reading on, and no other way is shorter.
	within(p Position) bool
	// seek goes to a place. What follows has to be skipped by the caller.
	seek(p Position) error
	close()
}

var errNoSeek = errors.New("it can be read once only")

// newSource recognizes the compression.
func newSource(in io.Reader) (source, error) {
	b := bufio.NewReaderSize(in, 4096)
	magic, _ := b.Peek(4) // an error comes again
	file, _ := in.(io.Seeker)
	if file != nil {
		if at, err := file.Seek(0, io.SeekCurrent); err != nil || at != int64(b.Buffered()) {
			file = nil // a pipe, or a file of which a part was read before
		} else if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		} else {
			b.Reset(in)
		}
	}
	switch {
	case len(magic) == 4 && isZstd(binary.LittleEndian.Uint32(magic)):
		return newZstd(in, b, file)
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		counted := &counter{r: b}
		ahead := bufio.NewReader(counted)
		z, err := gzip.NewReader(ahead)
		if errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, ErrForeign // two bytes do not make a gzip file
		}
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		return &gzipSource{counted: counted, ahead: ahead, z: z}, nil
	case file != nil:
		return &plain{in: in, file: file}, nil // without the copy through the small buffer
	}
	return &plain{in: b}, nil
}

// plain is a file that is not compressed.
type plain struct {
	in   io.Reader
	file io.Seeker // nil: not seekable
}

func (s *plain) Read(b []byte) (int, error) { return s.in.Read(b) }
func (s *plain) kind() string               { return "" }
func (s *plain) consumed() int64            { return 0 } // the Reader knows
func (s *plain) place(raw int64) Position   { return Position{File: raw, Raw: raw} }
func (s *plain) close()                     {}

func (s *plain) within(p Position) bool { return false }

func (s *plain) seek(p Position) error {
	if s.file == nil {
		return errNoSeek
	}
	_, err := s.file.Seek(p.File, io.SeekStart)
	return err
}

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// gzipSource is a gzip file. It has no places to go back to.
type gzipSource struct {
	counted *counter
	ahead   *bufio.Reader // z reads no byte behind the member from it
	z       *gzip.Reader
}

func (s *gzipSource) Read(b []byte) (int, error) {
	n, err := s.z.Read(b)
	if err == io.EOF {
		err = s.next()
	}
	return n, err
}

// next goes to the next member of the file. Zeros between members and at the end fill up a block, and mean nothing, as for gzip(1).
func (s *gzipSource) next() error {
	for {
		next, err := s.ahead.Peek(1)
		if err != nil {
			return err
		}
		if next[0] != 0 {
			break
		}
		s.ahead.Discard(1)
	}
	if err := s.z.Reset(s.ahead); err != nil {
		return err
	}
	s.z.Multistream(false)
	return nil
}

func (s *gzipSource) kind() string             { return "gzip" }
func (s *gzipSource) consumed() int64          { return s.counted.n }
func (s *gzipSource) place(raw int64) Position { return Position{Skip: raw, Raw: raw} }
func (s *gzipSource) within(Position) bool     { return true }
func (s *gzipSource) seek(Position) error      { return errNoSeek }
func (s *gzipSource) close()                   {}

// zstdSource is a zstd file, which is a sequence of frames. It decodes one after the other, so it
// knows where each begins.
type zstdSource struct {
	in    io.Reader
	b     *bufio.Reader
	file  io.Seeker // nil: not seekable
	at    int64     // offset in the file behind what was taken from b
	raw   int64     // offset in the stream of the next byte
	d     *zstd.Decoder
	frame *frame  // nil: between two frames
	begun []Frame // the frames that contain the last bytes that were given
}

// Frame is where a zstd frame begins.
type Frame struct{ File, Raw int64 }

// window bounds what a frame may refer back to, as in zstd(1) without --long.
const window = 128 << 20

const zstdMagic, skippable, skippableMask = 0xfd2fb528, 0x184d2a50, 0xfffffff0

func isZstd(magic uint32) bool {
	return magic == zstdMagic || magic&skippableMask == skippable
}

func newZstd(in io.Reader, b *bufio.Reader, file io.Seeker) (*zstdSource, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	large := bufio.NewReaderSize(b, 128<<10)
	if file != nil {
		large.Reset(in)
	}
	return &zstdSource{in: in, b: large, file: file, d: d}, nil
}

func (s *zstdSource) kind() string    { return "zstd" }
func (s *zstdSource) consumed() int64 { return s.at }
func (s *zstdSource) close()          { s.d.Close() }

func (s *zstdSource) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		if s.frame == nil {
			f, err := s.next()
			if err != nil {
				return 0, err
			}
			s.frame = f
			s.begun = append(s.begun, Frame{f.at, s.raw})
			if err := s.d.Reset(f); err != nil {
				return 0, s.failed(err)
			}
		}
		// To the end of the frame, if there is room: place then knows that the next one follows.
		n, err := 0, error(nil)
		for n < len(b) && err == nil {
			var more int
			more, err = s.d.Read(b[n:])
			n += more
		}
		s.raw += int64(n)
		if err == io.EOF {
			err = s.frame.rest()
			s.frame = nil
		}
		if err != nil {
			err = s.failed(err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

var errNoFrame = errors.New("no frame begins there")

// foreign says whether what has failed is that no frame ever began.
func (s *zstdSource) foreign(err error) bool {
	return len(s.begun) == 0 && (errors.Is(err, errNoFrame) || errors.Is(err, io.ErrUnexpectedEOF))
}

func (s *zstdSource) failed(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("zstd, near byte %d of the file: %w", s.at, err)
}

// next finds the next frame, and passes those that are to be skipped.
func (s *zstdSource) next() (*frame, error) {
	for {
		h, err := s.b.Peek(8)
		switch {
		case len(h) == 0:
			return nil, err
		case len(h) < 8 && err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case len(h) < 8:
			return nil, err
		}
		magic := binary.LittleEndian.Uint32(h)
		if magic&skippableMask != skippable {
			if magic != zstdMagic {
				return nil, s.failed(errNoFrame)
			}
			return &frame{s: s, at: s.at, state: inHeader}, nil
		}
		n, err := io.CopyN(io.Discard, s.b, 8+int64(binary.LittleEndian.Uint32(h[4:])))
		s.at += n
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *zstdSource) place(raw int64) Position {
	if raw == s.raw && s.frame == nil {
		return Position{File: s.at, Raw: raw}
	}
	// The frames before the one that has the byte are of no use any more.
	for len(s.begun) > 1 && s.begun[1].Raw <= raw {
		s.begun = slices.Delete(s.begun, 0, 1)
	}
	if len(s.begun) == 0 {
		return Position{}
	}
	return Position{File: s.begun[0].File, Skip: raw - s.begun[0].Raw, Raw: raw}
}

func (s *zstdSource) within(p Position) bool { return s.frame != nil && s.frame.at == p.File }

func (s *zstdSource) seek(p Position) error {
	if s.file == nil {
		return errNoSeek
	}
	if _, err := s.file.Seek(p.File, io.SeekStart); err != nil {
		return err
	}
	s.b.Reset(s.in)
	s.at, s.raw, s.frame, s.begun = p.File, p.Raw-p.Skip, nil, s.begun[:0]
	return nil
}

// frame gives the bytes of one zstd frame, and then io.EOF. It follows the headers of its blocks
// (RFC 8878), since the decoder does not say where a frame ends.
type frame struct {
	s     *zstdSource
	at    int64 // where it begins in the file
	state frameState
	left  int // bytes of this state that may be passed on
	last  bool
	sum   bool // a checksum follows the last block
}

type frameState uint8

const (
	inHeader frameState = iota
	betweenBlocks
	inBlock
	inChecksum
	atEnd
)

func (f *frame) Read(b []byte) (int, error) {
	for f.left == 0 {
		if err := f.advance(); err != nil {
			return 0, err
		}
	}
	n, err := f.s.b.Read(b[:min(len(b), f.left)])
	f.left -= n
	f.s.at += int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// advance goes to the next part of the frame.
func (f *frame) advance() error {
	peek := func(n int) ([]byte, error) {
		b, err := f.s.b.Peek(n)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return b, err
	}
	switch f.state {
	case inHeader:
		b, err := peek(5)
		if err != nil {
			return err
		}
		descriptor := b[4]
		single := descriptor>>5&1 == 1
		n := 5 + [4]int{0, 1, 2, 4}[descriptor&3] + [4]int{0, 2, 4, 8}[descriptor>>6]
		if single && descriptor>>6 == 0 {
			n++
		} else if !single {
			n++ // the window
		}
		f.sum = descriptor>>2&1 == 1
		f.left, f.state = n, betweenBlocks
	case inBlock, betweenBlocks:
		if f.last {
			f.state = atEnd
			if f.sum {
				f.state, f.left = inChecksum, 4
			}
			return nil
		}
		b, err := peek(3)
		if err != nil {
			return err
		}
		h := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		f.last = h&1 == 1
		size := h >> 3
		if h>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		f.left, f.state = 3+size, inBlock
	case inChecksum:
		f.state = atEnd
	case atEnd:
		return io.EOF
	}
	return nil
}

// rest passes what the decoder has left of the frame.
func (f *frame) rest() error {
	_, err := io.Copy(io.Discard, f)
	return err
}

// Position returns where the next packet or block is.
func (r *Reader) Position() Position { return r.src.place(r.Offset()) }

// Seek goes on at a Position of the same file. What the file describes in between, sections and
// interfaces, must have been read, and nothing that was read before may be read again except
// packets and statistics.
func (r *Reader) Seek(p Position) error {
	if r.failed != nil && r.failed != io.EOF {
		return r.failed
	}
	// What is in the buffer already need not be read again.
	if p.Raw >= r.Offset() && p.Raw <= r.base+int64(r.end) {
		r.start += int(p.Raw - r.Offset())
		return nil
	}
	if !r.src.within(p) || p.Raw < r.Offset() {
		if err := r.src.seek(p); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		r.base, r.start, r.end, r.ended, r.failed = p.Raw-p.Skip, 0, 0, nil, nil
	}
	for left := p.Raw - r.Offset(); left > 0; {
		n := int(min(left, firstBuffer))
		if !r.need(n) {
			r.failed = r.broken()
			return r.failed
		}
		r.start += n
		left -= int64(n)
	}
	return nil
}

// SetAhead sets how many bytes are read at a time after a Seek, at most a MiB and at least 4 KiB,
// so that a few packets do not cost more. It has no effect on compressed files, where a frame is
// decoded from its beginning.
func (r *Reader) SetAhead(n int) { r.ahead = min(max(n, 4<<10), bufferSize) }
