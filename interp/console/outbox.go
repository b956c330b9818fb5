// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"io"
	"net"
	"sync"
	"time"
)

// outbox sends frames to one client. It collects output into large frames, which are sent when
// they are full, when another frame is to be sent, or a moment after the output was printed. If a
// client does not read, the writer waits; if it waits longer than the limit, the connection ends.
type outbox struct {
	nc    *net.UnixConn
	limit time.Duration

	mu      sync.Mutex
	kind    byte   // of the collected text: kindOutput or kindErrors
	text    []byte // collected
	frames  []byte // encoded, to be written next
	pending bool   // the timer is set
	timer   *time.Timer
	err     error // the first error; nothing is sent after it
}

// gather is how long output may wait for more.
const gather = 10 * time.Millisecond

func newOutbox(nc *net.UnixConn, limit time.Duration) *outbox {
	o := &outbox{nc: nc, limit: limit}
	o.timer = time.AfterFunc(time.Hour, o.flush)
	o.timer.Stop()
	return o
}

// stream is the output or the error output of a session.
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
			o.encodeLocked()
			o.kind = s.kind
		}
		n := min(len(p), chunk-len(o.text))
		o.text = append(o.text, p[:n]...)
		written += n
		p = p[n:]
		if len(o.text) == chunk {
			o.sendLocked()
		}
	}
	if len(o.text) > 0 && !o.pending {
		o.pending = true
		o.timer.Reset(gather)
	}
	return written, o.err
}

// say sends a frame, after the output before it.
func (o *outbox) say(encode func([]byte) []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.encodeLocked()
	o.frames = encode(o.frames)
	o.sendLocked()
	return o.err
}

func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = false
	o.sendLocked()
}

// encodeLocked makes a frame of the collected text. The caller holds o.mu.
func (o *outbox) encodeLocked() {
	if len(o.text) > 0 {
		o.frames = appendFrame(o.frames, o.kind, string(o.text))
		o.text = o.text[:0]
	}
}

// sendLocked writes everything. The caller holds o.mu, so that frames keep their order.
func (o *outbox) sendLocked() {
	o.encodeLocked()
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

// close ends the connection; when it returns, nothing is sent any more.
func (o *outbox) close() {
	o.nc.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.timer.Stop()
	if o.err == nil {
		o.err = io.ErrClosedPipe
	}
}
