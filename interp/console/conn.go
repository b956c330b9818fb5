// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"ethertap/interp"
)

// conn is one client of a server. The reader goroutine (serve) takes frames and never waits for
// words, so it always sees an interrupt; the runner goroutine evaluates.
type conn struct {
	srv     *Server
	nc      *net.UnixConn
	out     *outbox
	session *interp.Session

	jobs chan job
	data chan []byte // pieces of the running source; capacity 1
	keys chan byte   // typed at the client while a word wants keys

	mu      sync.Mutex
	busy    uint32        // id of the request that is running or about to; 0: none
	stopped chan struct{} // of that request; closed when it has to stop
	wants   bool          // its source has asked for more
	forget  bool          // the open structure has to be forgotten before the next request
	asked   bool          // the running request has asked for keys
	columns int           // size of the client's screen; 0 if it has none
	rows    int
}

// job is a request for the runner.
type job struct {
	kind byte // kindLine or kindRun
	id   uint32
	text string // the line, or the name of the source
}

// These are violations of the protocol; the client is told and disconnected.
var (
	errBusy     = errors.New("protocol: request while another runs")
	errZeroID   = errors.New("protocol: id 0")
	errUnwanted = errors.New("protocol: data nobody asked for")
)

func newConn(s *Server, nc *net.UnixConn) *conn {
	c := &conn{
		srv: s, nc: nc, out: newOutbox(nc, s.o.WriteTimeout),
		jobs: make(chan job, 1), data: make(chan []byte, 1), keys: make(chan byte, keysAhead),
	}
	c.session = interp.NewSession(s.dict, keyboard{strings.NewReader(""), c}, stream{c.out, kindOutput}, stream{c.out, kindErrors})
	return c
}

// serve greets the client and serves it until it leaves or is disconnected. When it returns, all
// goroutines of the connection have ended.
func (c *conn) serve() {
	var runner sync.WaitGroup
	runner.Go(c.run)
	h := hello{protocolVersion, uint32(os.Getpid()), c.srv.instance}
	err := c.out.say(h.append)
	if err == nil {
		err = c.listen()
	}
	close(c.jobs)
	if id := c.running(); id != 0 {
		c.stop(id)
	}
	switch {
	case c.srv.isClosing():
		err = errors.New("shutting down")
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		err = nil
	}
	if err == nil {
		c.out.close() // a word that prints gets an error
	}
	runner.Wait()
	if err != nil {
		c.out.say(func(b []byte) []byte { return appendFrame(b, kindGoodbye, err.Error()) })
		c.out.close()
	}
}

// listen handles frames until the client leaves (io.EOF) or breaks the protocol.
func (c *conn) listen() error {
	br := bufio.NewReader(c.nc)
	for {
		// A client may be silent as long as it likes, except within a frame.
		c.nc.SetReadDeadline(time.Time{})
		if _, err := br.Peek(1); err != nil {
			return err
		}
		c.nc.SetReadDeadline(time.Now().Add(c.srv.o.ReadTimeout))
		f, err := readFrame(br)
		if err != nil {
			return fmt.Errorf("protocol: %w", err)
		}
		if err := c.handle(f); err != nil {
			return err
		}
	}
}

// handle executes a frame. After an error the client is disconnected.
func (c *conn) handle(f frame) error {
	switch f.kind {
	case kindBye:
		return io.EOF
	case kindScreen:
		columns, rows, err := parseScreen(f.payload)
		if err != nil {
			return fmt.Errorf("protocol: %w", err)
		}
		c.mu.Lock()
		c.columns, c.rows = columns, rows
		c.mu.Unlock()
		return nil
	}
	id, rest, err := f.withID()
	if err != nil {
		return fmt.Errorf("protocol: %w", err)
	}
	switch f.kind {
	case kindLine, kindRun:
		return c.begin(job{f.kind, id, string(rest)})
	case kindData:
		return c.feed(id, rest)
	case kindKeys:
		c.typed(id, rest)
		return nil
	case kindInterrupt:
		c.stop(id)
		return nil
	case kindComplete:
		words := completions(c.srv.dict, string(rest))
		c.out.say(func(b []byte) []byte { return appendWords(b, id, words) })
		return nil
	case kindAbout:
		stack := stackOf(c.srv.dict, string(rest))
		c.out.say(func(b []byte) []byte { return appendFrame(b, kindAbout, idBytes(id), stack) })
		return nil
	}
	return fmt.Errorf("protocol: unknown frame type %#02x", f.kind)
}

// begin hands a request to the runner.
func (c *conn) begin(j job) error {
	if j.id == 0 {
		return errZeroID
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy != 0 {
		return errBusy
	}
	c.busy, c.stopped = j.id, make(chan struct{})
	c.jobs <- j // there is room, since the runner is idle
	return nil
}

// feed hands a piece to the running source. A piece for a source that has ended meanwhile is
// dropped.
func (c *conn) feed(id uint32, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != c.busy {
		return nil
	}
	if !c.wants {
		return errUnwanted
	}
	c.wants = false
	c.data <- p // there is room, since one piece is requested at a time
	return nil
}

func (c *conn) running() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy
}

// stop interrupts request id if it is running. With id 0 it forgets the open structure instead.
func (c *conn) stop(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case id == 0:
		c.forget = true
	case id == c.busy && !c.stoppingLocked():
		close(c.stopped)
		c.insistLocked(id)
	}
}

// stoppingLocked says whether the running request has to stop. The caller holds c.mu.
func (c *conn) stoppingLocked() bool {
	select {
	case <-c.stopped:
		return true
	default:
		return false
	}
}

// insistLocked interrupts request id until it has ended, since an interrupt just before the
// interpreter begins is lost. The caller holds c.mu.
func (c *conn) insistLocked(id uint32) {
	c.session.Interrupt()
	time.AfterFunc(5*time.Millisecond, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.busy == id {
			c.insistLocked(id)
		}
	})
}

// run evaluates one request after the other until there are no more.
func (c *conn) run() {
	over := false
	for j := range c.jobs {
		r := Result{Failed: true, Left: true, Status: 1} // the result of a request that follows a bye
		if !over {
			var err error
			if r, err = c.evaluate(j); err != nil {
				c.srv.o.Logf("control: %v", err)
			}
			over = r.Left
		}
		c.mu.Lock()
		c.busy, c.wants, c.asked = 0, false, false
		for len(c.keys) > 0 { // typed when no word wanted keys any more
			<-c.keys
		}
		select {
		case <-c.data: // a piece that came after the source had stopped waiting
		default:
		}
		c.mu.Unlock()
		c.out.say(func(b []byte) []byte { return r.append(b, j.id) })
	}
}

// evaluate runs one request. A word that panics ends its session, and not the daemon, which
// forwards packets meanwhile; the stack is logged.
func (c *conn) evaluate(j job) (r Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(stream{c.out, kindErrors}, "error: internal error: %v\n", p)
			err = fmt.Errorf("panic in a word: %v\n%s", p, debug.Stack())
			r = Result{Failed: true, Left: true, Status: 1}
		}
	}()
	c.mu.Lock()
	forget := c.forget
	c.forget = false
	c.mu.Unlock()
	if forget {
		c.session.Abandon()
	}
	nothing := func() {}
	if j.kind == kindLine {
		return interpret(c.session, j.text, nothing), nil
	}
	c.session.Interpret("") // forgets an interrupt of an earlier request
	err = c.session.Run(j.text, &source{c: c, id: j.id})
	return result(c.session, err, nothing), nil
}

// source is the text of request R, which is requested from the client piece by piece, so that the
// reader goroutine never has to wait for the runner.
type source struct {
	c    *conn
	id   uint32
	rest []byte
	end  bool
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.rest) == 0 && !s.end {
		s.c.mu.Lock()
		s.c.wants = true
		stopped := s.c.stopped
		s.c.mu.Unlock()
		s.c.out.say(func(b []byte) []byte { return appendFrame(b, kindMore, idBytes(s.id)) })
		select {
		case s.rest = <-s.c.data:
			s.end = len(s.rest) == 0
		case <-stopped:
		}
		select {
		case <-stopped: // takes precedence over a piece or an end that came with it
			return 0, interp.ErrInterrupted
		default:
		}
	}
	if s.end {
		return 0, io.EOF
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
