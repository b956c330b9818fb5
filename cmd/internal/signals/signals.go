// SPDX-License-Identifier: BSD-3-Clause

// Package signals handles the signals of the five programs.
//
// SIGINT, SIGTERM and a terminal that hangs up ask for the end. A signal within a second of the
// first one is the same wish: timeout(1) sends two, to its child and to the child's group, and so
// does a shell whose terminal hangs up. A later signal shows impatience, and kills the process
// while it ends.
//
// Programs that record or forward end in order (Catch); shells and clients give up what they run
// (Shell).
package signals

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// sameWish is the time within which another signal is the same wish; a variable for tests.
var sameWish = time.Second

// patience is how long words that a SIGINT has stopped may take to end; a variable for tests.
var patience = 2 * time.Second

// Status returns the exit status of work that a signal has ended, by the convention of shells.
func Status(s os.Signal) int {
	n, _ := s.(unix.Signal)
	return 128 + int(n)
}

// Caught delivers signals from Catch to the end of the process.
type Caught struct {
	// Stop delivers the signal that ends the program, once.
	Stop <-chan os.Signal
	// Hangup delivers each SIGHUP that does not end the program.
	Hangup <-chan struct{}

	ctx context.Context
}

// stopped is the cause of a context that a signal has ended.
type stopped struct{ s os.Signal }

func (e stopped) Error() string { return "ended by signal: " + e.s.String() }

// Catch begins to catch signals. A SIGHUP that is ignored (nohup) stays ignored in the
// foreground. Otherwise SIGHUP asks for the next file, or to load the configuration again, unless
// it comes because the terminal is gone. SIGPIPE and SIGXFSZ do nothing: a write returns an error
// instead.
func Catch(daemon bool) *Caught {
	// Ignored signals would also be ignored by every program that is started.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE, unix.SIGXFSZ)
	caught := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if daemon || !signal.Ignored(unix.SIGHUP) {
		caught = append(caught, unix.SIGHUP)
	}
	terminal := hasTerminal()
	stop, hangup, raw := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan os.Signal, 4)
	ctx, cancel := context.WithCancelCause(context.Background())
	signal.Notify(raw, caught...)
	go func() {
		for s := range raw {
			if s == unix.SIGHUP && !(terminal && !hasTerminal()) {
				select {
				case hangup <- struct{}{}:
				default: // one is pending already
				}
				continue
			}
			cancel(stopped{s}) // before Stop, so that a caller that was told by Stop is not told again
			stop <- s
			break
		}
		time.Sleep(sameWish)
		signal.Reset(caught...) // from now on a signal kills, in case the end hangs
	}()
	return &Caught{Stop: stop, Hangup: hangup, ctx: ctx}
}

// Context returns a context that is done when a signal has asked for the end. It is for waits on
// the way.
func (c *Caught) Context() context.Context { return c.ctx }

// By returns the signal that has ended a context of Caught, or nil.
func By(ctx context.Context) os.Signal {
	var e stopped
	if errors.As(context.Cause(ctx), &e) {
		return e.s
	}
	return nil
}

// Shell handles the signals of a shell or a client, from CatchShell to the end of the process.
// SIGINT stops the running words, and ends the program if they have not ended two seconds later.
// SIGTERM and SIGHUP end it at once, SIGHUP not under nohup.
type Shell struct {
	// Interrupt stops the running words. It returns false if there are none, so that the program
	// ends. Leave gives back what the program has taken (the terminal) before the process ends.
	// Interactive says whether a prompt goes on after a SIGINT for the running words; nil means
	// never. All are called by another goroutine, at any time after CatchShell.
	Interrupt   func() bool
	Leave       func()
	Interactive func() bool

	cut  atomic.Int32 // the number of the first SIGINT of a shell that is not interactive
	held atomic.Bool

	mu      sync.Mutex
	leaving bool // a signal ends the process, whatever happens else
	ended   bool // the program ended first
}

// leave ends the process with the status of a signal, unless the program has ended.
func (s *Shell) leave(sig os.Signal) {
	s.mu.Lock()
	s.leaving = !s.ended
	leaving := s.leaving
	s.mu.Unlock()
	if leaving {
		s.Leave()
		os.Exit(Status(sig))
	}
}

// finish marks the end of the program. It does not return if a signal ends the process, since the
// result of work for which Leave has given back the terminal is not the status.
func (s *Shell) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended = true; s.leaving {
		select {}
	}
}

// CatchShell begins to catch signals. The program calls end when it ends; then signals have their
// default actions again, unless one has come.
func CatchShell(s *Shell) (end func()) {
	caught := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) {
		caught = append(caught, unix.SIGHUP)
	}
	raw := make(chan os.Signal, 4)
	signal.Notify(raw, caught...)
	var came atomic.Bool
	go func() {
		var first time.Time
		for sig := range raw {
			again := !first.IsZero()
			if again && time.Since(first) < sameWish {
				continue
			}
			switch {
			case sig == unix.SIGINT && s.Interactive != nil && s.Interactive() && s.Interrupt():
				continue
			case s.held.Load() && !again:
				s.cut.Store(int32(sig.(unix.Signal)))
			case sig == unix.SIGINT && !again && s.interrupt():
				time.AfterFunc(patience, func() { s.leave(sig) })
			default:
				s.leave(sig)
			}
			first = time.Now()
			came.Store(true)
		}
	}()
	return func() {
		s.finish()
		if !came.Load() {
			signal.Stop(raw)
			close(raw)
		}
	}
}

// interrupt stops the running words, and returns false if there are none. What has stopped them is known
// before, since the program may ask for its status as soon as they have ended.
func (s *Shell) interrupt() bool {
	s.cut.Store(int32(unix.SIGINT))
	if s.Interrupt() {
		return true
	}
	s.cut.Store(0)
	return false
}

// Hold delays the first signal while fn does work that must not stay incomplete; a later signal
// ends it all the same.
func (s *Shell) Hold(fn func()) {
	s.held.Store(true)
	defer s.held.Store(false)
	fn()
}

// Status returns the exit status of a program that would end with this one: if a signal has
// stopped its words, that of the signal instead of 1.
func (s *Shell) Status(status int) int {
	if n := s.cut.Load(); n != 0 && status == 1 {
		return Status(unix.Signal(n))
	}
	return status
}

// hasTerminal says whether the process has a controlling terminal. It loses the terminal when
// that hangs up.
func hasTerminal() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}
