// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/interp"
)

// Server serves prompts on a dictionary to other processes. Each client has a session and
// goroutines of its own: a client that loops, hangs, floods or sends garbage costs the others
// only the processor time that it uses.
type Server struct {
	dict     *interp.Dict
	instance string
	o        ServerOptions

	mu        sync.Mutex
	listeners map[*net.UnixListener]bool
	conns     map[*conn]bool
	closing   bool
	wg        sync.WaitGroup // of connections

	refused int       // clients since the last line of the log about them
	told    time.Time // when that was
}

// tellEvery is how often the log tells of clients that were refused, however often they come again.
const tellEvery = time.Minute

// ServerOptions are the limits of a Server; the zero value gives the defaults.
type ServerOptions struct {
	// MaxClients is how many clients are served at once; more are refused. Default 32.
	MaxClients int
	// WriteTimeout is how long a client may leave output unread. Default 1 minute.
	WriteTimeout time.Duration
	// ReadTimeout is how long a client may take to complete a frame. Default 10 s.
	ReadTimeout time.Duration
	// Logf gets a line for each event that matters: a client that was refused, a word that
	// crashed.
	Logf func(format string, args ...any)
}

// NewServer makes a server; instance is the name that it sends in its greeting.
func NewServer(d *interp.Dict, instance string, o ServerOptions) *Server {
	if o.MaxClients <= 0 {
		o.MaxClients = 32
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = time.Minute
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = 10 * time.Second
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	return &Server{
		dict: d, instance: instance, o: o,
		listeners: make(map[*net.UnixListener]bool), conns: make(map[*conn]bool),
	}
}

// OwnGroup is the group of this process, for Listen.
const OwnGroup = -1

// Listen makes a socket at path for root and a group, which is OwnGroup or a number, with mode 0660.
// It fails if there is a file; the owner of the directory removes stale ones. The socket is removed when
// the listener closes.
func Listen(path string, group int) (*net.UnixListener, error) {
	const longest = 107 // struct sockaddr_un, with the final 0
	if len(path) > longest {
		return nil, fmt.Errorf("socket %s: path longer than %d bytes", path, longest)
	}
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		// The file that bind makes takes its mode from the socket, less the umask.
		if cerr := rc.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o660) }); cerr != nil {
			return cerr
		}
		return err
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if group != OwnGroup {
		err = os.Chown(path, -1, group)
	}
	if err == nil {
		err = os.Chmod(path, 0o660) // restores the bits that the umask removed
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("socket: %w", err)
	}
	return l.(*net.UnixListener), nil
}

// Serve accepts connections until Close, and returns nil then. It goes on after an error of
// accept: a process that lacks descriptors may recover.
func (s *Server) Serve(l *net.UnixListener) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		l.Close()
		return nil
	}
	s.listeners[l] = true
	s.mu.Unlock()
	for {
		nc, err := l.AcceptUnix()
		switch {
		case err == nil:
			s.admit(nc)
		case errors.Is(err, net.ErrClosed):
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.closing {
				return nil
			}
			return fmt.Errorf("socket: %w", err)
		default:
			s.o.Logf("control: accept: %v", err)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// admit serves a connection, or refuses it.
func (s *Server) admit(nc *net.UnixConn) {
	refuse := func(reason string) {
		nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // fits into any socket buffer
		nc.Write(appendFrame(nil, kindGoodbye, reason))
		nc.Close()
	}
	if err := checkPeer(nc); err != nil {
		s.tellRefused(err.Error())
		refuse("refused: " + err.Error())
		return
	}
	s.mu.Lock()
	full := len(s.conns) >= s.o.MaxClients
	if s.closing || full {
		s.mu.Unlock()
		if full {
			s.tellRefused(fmt.Sprintf("%d are connected", s.o.MaxClients))
			refuse(fmt.Sprintf("refused: %d clients are connected already", s.o.MaxClients))
		} else {
			refuse("shutting down")
		}
		return
	}
	c := newConn(s, nc)
	s.conns[c] = true
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
}

// tellRefused logs that a client was refused, once a minute at most, since clients can come as fast as they like.
func (s *Server) tellRefused(why string) {
	s.mu.Lock()
	s.refused++
	n, now := s.refused, time.Now()
	tell := s.told.IsZero() || now.Sub(s.told) >= tellEvery
	if tell {
		s.refused, s.told = 0, now
	}
	s.mu.Unlock()
	switch {
	case !tell:
	case n == 1:
		s.o.Logf("control: client refused: %s", why)
	default:
		s.o.Logf("control: %d clients refused since the last such line; the last one: %s", n, why)
	}
}

// Close stops serving: running words are interrupted and clients are told. It waits for them, but
// not for ever: the error says how many clients run a word that does not stop.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closing = true
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.nc.CloseRead() // as if the client had left; output is still sent
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	for _, patience := range []time.Duration{time.Second, 5 * time.Second} {
		select {
		case <-done:
			return nil
		case <-time.After(patience):
		}
		s.mu.Lock()
		for c := range s.conns {
			c.nc.Close() // a write to a client that does not read fails
		}
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.conns); n > 0 {
		return fmt.Errorf("control: %d clients run words that do not stop", n)
	}
	return nil
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
