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

	"ethertap/shm"
)

const (
	// flushSize is the size of a write when packets come fast. Four times the
	// default capacity of a pipe; a file gains nothing from more.
	flushSize = 256 << 10
	// frameSize is the same where the stream is compressed: each write is a zstd
	// frame of its own, and a longer one is smaller.
	frameSize = 1 << 20
)

// patience is how long a reader that does not read may hold up the end.
const patience = 2 * time.Second

// ErrReaderGone says that the other end of the pipe or socket was closed: the
// reader has all it wanted.
var ErrReaderGone = errors.New("reader gone")

// Output is one stream: a file, a pipe, a terminal never. Packets are appended to a
// buffer that Flush writes in one piece. What stands in a file is a readable stream
// after any call, successful or not.
type Output struct {
	enc    *Encoder
	z      *zstd.Encoder // nil: not compressed
	f      *os.File
	given  *os.File     // what NewOutput was given, when f was opened anew
	socket bool         // see write
	hurry  atomic.Int64 // when a socket's reader has had its time, ns since the epoch; 0 never
	name   string       // as in errors
	limit  uint64       // length that is not exceeded; 0 none

	buf     []byte
	frame   []byte // buf compressed
	pending int    // packets in buf
	before  uint64 // packets in the streams before this one
	packets uint64 // packets written
	written uint64 // bytes written
	begun   bool   // the header is written
	ended   bool   // the trailer is
	failed  error  // after it nothing is written any more
}

// NewOutput starts a stream on f, which from then on belongs to the Output. The
// name is for errors, now (ns since the epoch) the time at which the stream begins.
// Nothing is written yet, but the header goes out with the first Flush, packets or
// not: a reader on a pipe waits for it. z compresses if it is not nil.
func NewOutput(f *os.File, name string, enc *Encoder, z *zstd.Encoder, limit uint64, now int64) *Output {
	o := &Output{enc: enc, z: z, f: f, name: name, limit: limit}
	if again := interruptible(f); again != nil {
		o.f, o.given = again, f
	}
	o.socket = isSocket(f)
	o.buf = enc.AppendHeader(make([]byte, 0, o.fullSize()+64<<10), now)
	return o
}

// interruptible opens a pipe anew, so that writing to it can be given a
// deadline: that needs O_NONBLOCK, which would hit all others that share the
// descriptor we were given. It returns nil where that is not needed, or cannot
// be had (a socket, see write).
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

// descriptor is the path under which an open file can be opened again.
func descriptor(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// Append adds one packet with its timestamp in ns since the epoch, unless the limit
// leaves no room for it: then ok is false and all is as before. It writes only to
// find out what compression makes of what it has.
func (o *Output) Append(timestamp int64, r *shm.Record) (ok bool, err error) {
	before := len(o.buf)
	o.buf = o.enc.AppendRecord(o.buf, timestamp, r)
	if o.fits(0) {
		o.pending++
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

// fits says whether the stream with n more bytes, ended now, keeps the limit.
func (o *Output) fits(n int) bool { return o.limit == 0 || o.length(n) <= o.limit }

// length is how long the stream would be, ended now with n more bytes; at most, if it
// is compressed.
func (o *Output) length(n int) uint64 {
	n += len(o.buf) + o.enc.TrailerSize()
	if o.z != nil && n > 0 {
		n = o.z.MaxEncodedSize(n)
	}
	return o.written + uint64(n)
}

// Room says whether the limit lets in a packet at all, were it empty.
func (o *Output) Room() bool { return o.fits(o.enc.Least()) || o.z != nil && len(o.buf) > 0 }

func (o *Output) fullSize() int {
	if o.z != nil {
		return frameSize
	}
	return flushSize
}

// Full tells whether it is time for a write, however fast packets come.
func (o *Output) Full() bool { return len(o.buf) >= o.fullSize() }

// Packets is how many packets were written out; those in the buffer are not.
func (o *Output) Packets() uint64 { return o.packets }

// Appended is how many packets are in the stream, the buffer included.
func (o *Output) Appended() uint64 { return o.packets + uint64(o.pending) }

// Bytes is the length of the stream so far; of a compressed one, of what is written.
func (o *Output) Bytes() uint64 {
	if o.z != nil {
		return o.written
	}
	return o.written + uint64(len(o.buf))
}

// Flush writes the buffer. After an error, which stays, the file ends with its
// last whole packet and takes no more. The error is ErrReaderGone if there is
// nobody to write for; any other tells how many packets are safe.
func (o *Output) Flush() error {
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
		return o.failed
	}
	o.begun = true
	o.written += uint64(n)
	o.packets += uint64(o.pending)
	o.buf, o.pending = o.buf[:0], 0
	return nil
}

// lost is the error of packets that did not get to where they should.
type lost struct {
	name  string
	cause error
	safe  uint64
	gone  uint64
}

func (e *lost) Error() string {
	return fmt.Sprintf("%s: %v; %s packets are safe, %s taken from the queue are not", e.name, e.cause, grouped(e.safe), grouped(e.gone))
}

func (e *lost) Unwrap() error { return e.cause }

// salvage makes the best of a write of which only the first n bytes came
// through: it keeps the whole packets and cuts off the rest. Of a zstd frame there
// is no part to keep.
func (o *Output) salvage(n int, cause error) error {
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
		return ErrReaderGone
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
	// The position is the end of what was written, also when appending to a
	// file that was not empty.
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

// ReaderGone asks, without writing, whether the other end of a pipe or socket
// is closed.
func (o *Output) ReaderGone() bool {
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

// HurryUp says that the end has come: a reader of a pipe has two seconds to
// take the rest. It may be called from any goroutine.
func (o *Output) HurryUp() {
	o.hurry.Store(time.Now().Add(patience).UnixNano())
	// A regular file knows no deadline and needs none.
	_ = o.f.SetWriteDeadline(time.Now().Add(patience))
}

// end writes the trailer, once, and what waits.
func (o *Output) end(now int64) error {
	if o.failed == nil && !o.ended {
		o.buf = o.enc.AppendTrailer(o.buf, now)
	}
	o.ended = true
	return o.Flush()
}

// Close ends the stream with its trailer, flushes and closes. The error is that of
// Flush, or what the file system has kept back until now.
func (o *Output) Close(now int64) error {
	err := o.end(now)
	if cerr := o.f.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("%s: %w", o.name, cerr)
	}
	if o.given != nil {
		o.given.Close() // shares the pipe, which is closed now; a reader waits for both
	}
	return err
}
