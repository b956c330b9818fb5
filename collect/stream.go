// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"ethertap/collect/index"
	"ethertap/lib/capture"
	"ethertap/shm"
)

const (
	// flushSize is the size of a write when packets come fast: four times the default capacity of
	// a pipe. A file gains nothing from more.
	flushSize = 256 << 10
	// frameSize is the size of a write of a compressed stream. Each write is a zstd frame of its
	// own, and longer frames compress better.
	frameSize = 1 << 20
)

// patience is how long a reader that does not read may delay the end.
const patience = 2 * time.Second

// errReaderGone says that the other end of the pipe or socket was closed: the reader wants no
// more.
var errReaderGone = errors.New("reader gone")

// stream is a file or a pipe. Packets are appended to a buffer, which Flush writes in
// one piece. A file is a readable stream after every call, whether it succeeds or fails.
type stream struct {
	enc    *encoder
	z      *zstd.Encoder // nil: not compressed
	f      *os.File
	given  *os.File     // the file that newStream got, if f was opened anew
	socket bool         // see write
	hurry  atomic.Int64 // end of the time of a socket's reader, ns since the epoch; 0: not set
	name   string       // for errors
	limit  uint64       // the most bytes of the stream; 0: no limit

	buf     []byte
	frame   []byte // buf compressed
	pending int    // packets in buf
	before  uint64 // packets in the streams before this one
	packets uint64 // packets written
	written uint64 // bytes written
	begun   bool   // the header is written
	ended   bool   // the trailer is written
	failed  error  // the error after which nothing more is written
	early   *early // nil: the kernel decides when to write to the disk
	noted   *noted // nil: no index is made of it
	raw     int64  // bytes flushed, uncompressed
}

// noted is where what was noted for the index of a stream goes.
type noted struct {
	index.Digest
	to func(digest []byte) // see Options
}

// newStream begins a stream on f, which belongs to it from then on. The name is for
// errors; now (ns since the epoch) is when the stream begins. Nothing is written yet. The first
// Flush writes the header even if there are no packets, since a reader of a pipe waits for it.
// The stream is compressed if z is not nil.
func newStream(f *os.File, name string, enc *encoder, z *zstd.Encoder, limit uint64, now int64) *stream {
	o := &stream{enc: enc, z: z, f: f, name: name, limit: limit}
	if again := interruptible(f); again != nil {
		o.f, o.given = again, f
	}
	o.socket = isSocket(f)
	o.buf = enc.AppendHeader(make([]byte, 0, o.fullSize()+64<<10), now)
	return o
}

// interruptible opens a pipe anew, so that writes to it can have a deadline. That needs
// O_NONBLOCK, which would affect all others that share the descriptor we got. It returns nil
// where that is not needed or not possible (a socket, see write).
func interruptible(f *os.File) *os.File {
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeNamedPipe == 0 || f.SetWriteDeadline(time.Time{}) == nil {
		return nil
	}
	again, err := os.OpenFile(descriptor(f), os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	return again
}

// descriptor returns the path under which an open file can be opened again.
func descriptor(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// Append adds one packet with its timestamp in ns since the epoch. If the limit leaves no room
// for it, ok is false and nothing has changed. It writes only to find out how well the buffer
// compresses.
func (o *stream) Append(timestamp int64, r *shm.Record) (ok bool, err error) {
	before := len(o.buf)
	o.buf = o.enc.AppendRecord(o.buf, timestamp, r)
	if o.fits(0) {
		o.pending++
		if o.noted != nil {
			o.note(before, timestamp)
		}
		return true, nil
	}
	o.enc.Undo()
	o.buf = o.buf[:before]
	if o.z == nil || before == 0 {
		return false, nil
	}
	if err := o.Flush(); err != nil {
		return false, err
	}
	return o.Append(timestamp, r)
}

// note notes the packet that was appended at an offset of the buffer. It takes what is in the buffer, as
// in the file: the record is in shared memory, where others may change it.
func (o *stream) note(at int, timestamp int64) {
	if o.Appended() == 1 {
		if o.enc.Describes() {
			o.noted.Begin(capture.Position{}, true) // sections and interfaces are read with what follows
		} else {
			o.noted.Begin(o.position(at), false)
		}
	}
	data, other := o.enc.Appended(o.buf[at:])
	o.noted.Packet(o.position(at), other, o.enc.Time(timestamp), data)
}

// position returns where an offset of the buffer will be in the file.
func (o *stream) position(at int) capture.Position {
	raw := o.raw + int64(at)
	if o.z != nil {
		return capture.Position{File: int64(o.written), Skip: int64(at), Raw: raw}
	}
	return capture.Position{File: raw, Raw: raw}
}

// fits says whether the stream, ended now with n more bytes, keeps the limit.
func (o *stream) fits(n int) bool { return o.limit == 0 || o.length(n) <= o.limit }

// length returns how long the stream would be if it ended now with n more bytes. For a compressed
// one it is an upper bound.
func (o *stream) length(n int) uint64 {
	n += len(o.buf) + o.enc.TrailerSize()
	if o.z != nil && n > 0 {
		n = o.z.MaxEncodedSize(n)
	}
	return o.written + uint64(n)
}

// Room says whether even an empty packet fits below the limit.
func (o *stream) Room() bool { return o.fits(o.enc.Least()) || o.z != nil && len(o.buf) > 0 }

func (o *stream) fullSize() int {
	if o.z != nil {
		return frameSize
	}
	return flushSize
}

// Full says whether the buffer should be written, however fast packets come.
func (o *stream) Full() bool { return len(o.buf) >= o.fullSize() }

// Packets returns how many packets were written, not counting the buffer.
func (o *stream) Packets() uint64 { return o.packets }

// Appended returns how many packets are in the stream, including the buffer.
func (o *stream) Appended() uint64 { return o.packets + uint64(o.pending) }

// Bytes returns the length of the stream so far. For a compressed one it does not include the
// buffer.
func (o *stream) Bytes() uint64 {
	if o.z != nil {
		return o.written
	}
	return o.written + uint64(len(o.buf))
}

// Flush writes the buffer. After an error the file ends with its last whole packet, and every
// later call returns the same error. The error is errReaderGone if nobody reads any more; any
// other says how many packets are safe.
func (o *stream) Flush() error {
	if o.failed != nil || len(o.buf) == 0 {
		return o.failed
	}
	out := o.buf
	if o.z != nil {
		o.frame = o.z.EncodeAll(o.buf, o.frame[:0])
		out = o.frame
	}
	n, err := o.write(out)
	if err != nil {
		o.failed = o.salvage(n, err)
		if o.noted != nil {
			o.noted.Fail()
			o.noted.to(o.noted.Take())
		}
		return o.failed
	}
	o.begun = true
	o.written += uint64(n)
	if o.early != nil {
		o.early.wrote(o.f, int64(o.written))
	}
	o.packets += uint64(o.pending)
	o.raw += int64(len(o.buf))
	o.buf, o.pending = o.buf[:0], 0
	if o.noted != nil {
		o.noted.to(o.noted.Take())
	}
	return nil
}

// lost is the error about packets that could not be written.
type lost struct {
	name  string
	cause error
	safe  uint64
	gone  uint64
}

func (e *lost) Error() string {
	return fmt.Sprintf("%s: %v; %s packets are safe, %s more are lost", e.name, e.cause, grouped(e.safe), grouped(e.gone))
}

func (e *lost) Unwrap() error { return e.cause }

// salvage handles a write of which only the first n bytes succeeded: it keeps the whole packets
// and cuts off the rest. A part of a zstd frame cannot be kept.
func (o *stream) salvage(n int, cause error) error {
	whole, packets := 0, 0
	if o.z == nil {
		whole, packets = o.enc.Whole(o.buf[:n], !o.begun)
		o.begun = o.begun || whole > 0
	}
	o.packets += uint64(packets)
	o.written += uint64(whole)
	gone := o.pending - packets
	o.buf, o.pending = o.buf[:0], 0

	if errors.Is(cause, unix.EPIPE) || errors.Is(cause, unix.ECONNRESET) {
		return errReaderGone
	}
	var pe *os.PathError
	if errors.Is(cause, os.ErrDeadlineExceeded) {
		cause = errors.New("the reader does not read")
	} else if errors.As(cause, &pe) {
		cause = pe.Err // the path is in the name already
	}
	err := &lost{o.name, cause, o.before + o.packets, uint64(gone)}
	if st, serr := o.f.Stat(); serr != nil || !st.Mode().IsRegular() {
		return err
	}
	// The position is the end of the written bytes, also when the stream is appended to a file.
	if n -= whole; n > 0 {
		end, terr := o.f.Seek(int64(-n), 1)
		if terr == nil {
			terr = o.f.Truncate(end)
		}
		if terr != nil {
			err.cause = fmt.Errorf("%w; the last packet is cut short: %w", cause, terr)
		}
	}
	return err
}

// ReaderGone says whether the other end of a pipe or socket is closed, without writing to it.
func (o *stream) ReaderGone() bool {
	var events int16
	conn, err := o.f.SyscallConn()
	if err != nil {
		return false
	}
	conn.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		if _, err := unix.Poll(p, 0); err == nil {
			events = p[0].Revents
		}
	})
	return events&(unix.POLLERR|unix.POLLHUP) != 0
}

// HurryUp begins the end: a reader of a pipe has two seconds to take the rest. It may be called
// from any goroutine.
func (o *stream) HurryUp() {
	o.hurry.Store(time.Now().Add(patience).UnixNano())
	// A regular file has no deadline and needs none.
	_ = o.f.SetWriteDeadline(time.Now().Add(patience))
}

// end writes the trailer, once, and the buffer.
func (o *stream) end(now int64) error {
	if o.failed == nil && !o.ended {
		o.buf = o.enc.AppendTrailer(o.buf, now)
	}
	first := !o.ended
	o.ended = true
	err := o.Flush()
	if first && err == nil && o.noted != nil {
		o.noted.End()
		o.noted.to(o.noted.Take())
	}
	return err
}

// Close writes the trailer and the buffer, and closes the file. It returns the error of Flush, or
// one that the file system reports only now.
func (o *stream) Close(now int64) error {
	err := o.end(now)
	o.early.end()
	if cerr := o.f.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("%s: %w", o.name, cerr)
	}
	if o.given != nil {
		o.given.Close() // it shares the pipe, and the reader waits until both are closed
	}
	return err
}
