package collect

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// flushSize is the size of a write when packets come fast. Four times the
// default capacity of a pipe; a file gains nothing from more.
const flushSize = 256 << 10

// patience is how long a reader that does not read may hold up the end.
const patience = 2 * time.Second

// ErrReaderGone says that the other end of the pipe or socket was closed: the
// reader has all it wanted.
var ErrReaderGone = errors.New("reader gone")

// Output is where a stream goes: a file, a pipe, a terminal never. Packets are
// appended to a buffer that Flush writes in one piece. What stands in a file
// is a readable stream after any call, successful or not.
type Output struct {
	enc   Encoder
	f     *os.File
	given *os.File // what NewOutput was given, when f was opened anew
	name  string   // as in errors

	buf     []byte
	pending int    // packets in buf
	packets uint64 // packets written
	bytes   uint64 // of the stream so far, the buffer included
	header  bool   // the header is written
	failed  error  // after it nothing is written any more
}

// NewOutput starts a stream on f, which from then on belongs to the Output.
// The name is for errors. Nothing is written yet, but the header goes out with
// the first Flush, packets or not: a reader on a pipe waits for it.
func NewOutput(f *os.File, name string, enc Encoder) *Output {
	o := &Output{enc: enc, f: f, name: name}
	if again := interruptible(f); again != nil {
		o.f, o.given = again, f
	}
	o.buf = enc.AppendHeader(make([]byte, 0, flushSize+64<<10))
	o.bytes = uint64(len(o.buf))
	return o
}

// interruptible opens a pipe anew, so that writing to it can be given a
// deadline: that needs O_NONBLOCK, which would hit all others that share the
// descriptor we were given. It returns nil where that is not needed or cannot
// be had (a socket); then a reader that stops reading holds us up.
func interruptible(f *os.File) *os.File {
	st, err := f.Stat()
	if err != nil || st.Mode()&os.ModeNamedPipe == 0 || f.SetWriteDeadline(time.Time{}) == nil {
		return nil
	}
	again, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	return again
}

// Append adds one packet with its timestamp in ns since the epoch. It writes
// nothing.
func (o *Output) Append(timestamp int64, r *shm.Record) {
	before := len(o.buf)
	o.buf = o.enc.AppendRecord(o.buf, timestamp, r)
	o.bytes += uint64(len(o.buf) - before)
	o.pending++
}

// Room tells whether a record of n bytes fits below the limit of the stream's
// length; 0 is no limit.
func (o *Output) Room(n int, limit uint64) bool {
	return limit == 0 || o.bytes <= limit && uint64(n) <= limit-o.bytes
}

// Full tells whether it is time for a write, however fast packets come.
func (o *Output) Full() bool { return len(o.buf) >= flushSize }

// Pending tells whether Flush has something to write.
func (o *Output) Pending() bool { return len(o.buf) > 0 }

// Packets is how many packets were written out; those in the buffer are not.
func (o *Output) Packets() uint64 { return o.packets }

// Bytes is the length of the stream so far, header and buffer included.
func (o *Output) Bytes() uint64 { return o.bytes }

// Flush writes the buffer. After an error, which stays, the file ends with its
// last whole packet and takes no more. The error is ErrReaderGone if there is
// nobody to write for; any other tells how many packets are safe.
func (o *Output) Flush() error {
	if o.failed != nil || len(o.buf) == 0 {
		return o.failed
	}
	n, err := o.f.Write(o.buf)
	if err != nil {
		o.failed = o.salvage(n, err)
		return o.failed
	}
	o.header = true
	o.packets += uint64(o.pending)
	o.buf, o.pending = o.buf[:0], 0
	return nil
}

// salvage makes the best of a write of which only the first n bytes came
// through: it keeps the whole packets and cuts off the rest.
func (o *Output) salvage(n int, cause error) error {
	whole, packets := 0, 0
	switch {
	case o.header:
		whole, packets = o.enc.Whole(o.buf[:n])
	case n >= HeaderSize:
		whole, packets = o.enc.Whole(o.buf[HeaderSize:n])
		whole += HeaderSize
		o.header = true
	}
	o.packets += uint64(packets)
	lost := o.pending - packets
	o.bytes -= uint64(len(o.buf) - whole)
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
	err := fmt.Errorf("%s: %w; %s packets are safe, %s taken from the queue are not",
		o.name, cause, grouped(o.packets), grouped(uint64(lost)))
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
			err = fmt.Errorf("%w; the last packet is cut short: %w", err, terr)
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
	// A regular file knows no deadline and needs none.
	_ = o.f.SetWriteDeadline(time.Now().Add(patience))
}

// Close flushes and closes. The error is that of Flush, or what the file
// system has kept back until now.
func (o *Output) Close() error {
	err := o.Flush()
	if cerr := o.f.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("%s: %w", o.name, cerr)
	}
	if o.given != nil {
		o.given.Close() // shares the pipe, which is closed now; a reader waits for both
	}
	return err
}
