package console

import (
	"io"
	"net"
	"sync"
	"time"
)

// outbox sends frames to one client. Output is gathered into frames of a decent
// size and leaves when one is full, when something else is to be said, or a
// moment after it was printed. A client that does not read makes the writer wait,
// and its connection ends when it waits for longer than the limit.
type outbox struct {
	nc    *net.UnixConn
	limit time.Duration

	mu      sync.Mutex
	kind    byte   // of what is gathered: kindOutput or kindErrors
	text    []byte // gathered
	frames  []byte // encoded, to be written now
	pending bool   // the timer is set
	timer   *time.Timer
	err     error // the first error; nothing is sent after it
}

// gather is how long output may wait for more of it.
const gather = 10 * time.Millisecond

func newOutbox(nc *net.UnixConn, limit time.Duration) *outbox {
	o := &outbox{nc: nc, limit: limit}
	o.timer = time.AfterFunc(time.Hour, o.flush)
	o.timer.Stop()
	return o
}

// stream is a session's output or error output.
type stream struct {
	o    *outbox
	kind byte
}

func (s stream) Write(p []byte) (int, error) {
	o := s.o
	o.mu.Lock()
	defer o.mu.Unlock()
	written := 0
	for len(p) > 0 && o.err == nil {
		if o.kind != s.kind {
			o.encode()
			o.kind = s.kind
		}
		n := min(len(p), chunk-len(o.text))
		o.text = append(o.text, p[:n]...)
		written += n
		p = p[n:]
		if len(o.text) == chunk {
			o.send()
		}
	}
	if len(o.text) > 0 && !o.pending {
		o.pending = true
		o.timer.Reset(gather)
	}
	return written, o.err
}

// say sends a frame, after the output that came before it.
func (o *outbox) say(encode func([]byte) []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.encode()
	o.frames = encode(o.frames)
	o.send()
	return o.err
}

func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = false
	o.send()
}

// encode makes a frame of what is gathered. o.mu is held.
func (o *outbox) encode() {
	if len(o.text) > 0 {
		o.frames = appendFrame(o.frames, o.kind, string(o.text))
		o.text = o.text[:0]
	}
}

// send writes all there is. o.mu is held, so that frames keep their order.
func (o *outbox) send() {
	o.encode()
	if len(o.frames) > 0 && o.err == nil {
		o.nc.SetWriteDeadline(time.Now().Add(o.limit))
		if _, err := o.nc.Write(o.frames); err != nil {
			o.err = err
			o.nc.Close() // wakes the reader, which ends the connection
		}
	}
	o.frames = o.frames[:0]
	if cap(o.frames) > 4*chunk {
		o.frames = nil
	}
}

// close ends the connection; nothing is sent any more when it returns.
func (o *outbox) close() {
	o.nc.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.timer.Stop()
	if o.err == nil {
		o.err = io.ErrClosedPipe
	}
}
