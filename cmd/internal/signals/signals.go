// Package signals is what the four programs make of signals.
//
// SIGINT, SIGTERM and a terminal that hangs up ask for the end. A signal that comes
// within a second of the first one is the same wish: timeout(1) sends two, to its child
// and to the child's group, and so does a shell whose terminal hangs up. A later one is
// impatience, and kills in the middle of the end.
//
// Programs that record or forward end well then (Catch), shells and clients give up
// what they run (Shell).
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

// sameWish is how long after a signal another one is the same wish; a variable for tests.
var sameWish = time.Second

// patience is how long what a SIGINT has stopped may take to end; likewise.
var patience = 2 * time.Second

// Status is the exit status of work that a signal has cut short, as a shell has it.
func Status(s os.Signal) int {
	n, _ := s.(unix.Signal)
	return 128 + int(n)
}

// Caught delivers signals from Catch to the end of the process.
type Caught struct {
	// Stop gives the one that ends the program, once.
	Stop <-chan os.Signal
	// Hangup gives the SIGHUPs that do not.
	Hangup <-chan struct{}

	ctx context.Context
}

// stopped is the cause of a context that a signal has ended.
type stopped struct{ s os.Signal }

func (e stopped) Error() string { return "ended by signal: " + e.s.String() }

// Catch begins. A SIGHUP that is ignored (nohup) stays so in the foreground, and
// otherwise asks for the next file or the configuration anew, unless it comes because
// the terminal is gone. SIGPIPE and SIGXFSZ do nothing: writing returns an error instead.
func Catch(daemon bool) *Caught {
	// To ignore them would have every program ignore them that is started.
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
				default: // one is waiting already
				}
				continue
			}
			cancel(stopped{s}) // before: who has seen the end on Stop is not told of it again
			stop <- s
			break
		}
		time.Sleep(sameWish)
		signal.Reset(caught...) // from now on one kills, should the end hang
	}()
	return &Caught{Stop: stop, Hangup: hangup, ctx: ctx}
}

// Context is done when a signal has asked for the end: for waits on the way.
func (c *Caught) Context() context.Context { return c.ctx }

// By is the signal that has ended a context of Caught, or nil.
func By(ctx context.Context) os.Signal {
	var e stopped
	if errors.As(context.Cause(ctx), &e) {
		return e.s
	}
	return nil
}

// Shell is what a shell or a client makes of signals, from CatchShell to the end of
// the process. SIGINT stops what runs, and ends the program when that has not ended
// two seconds later; SIGTERM and SIGHUP end it at once, SIGHUP not under nohup.
type Shell struct {
	// Interrupt stops what runs, if something does: false says that there is nothing to
	// stop, so that the program ends. Leave gives back what the program has taken (the
	// terminal) before the process ends. Interactive tells whether a prompt goes on after
	// a SIGINT, which is for the words that run; nil is never. All are called by another
	// goroutine, at any time after CatchShell.
	Interrupt   func() bool
	Leave       func()
	Interactive func() bool

	cut  atomic.Int32 // the first SIGINT of a shell that is not interactive, its number
	held atomic.Bool

	mu      sync.Mutex
	leaving bool // a signal ends the process, whatever else does
	ended   bool // it has been quicker
}

// leave ends the process with the status of a signal, unless it has come to its end.
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

// finish says that the program has come to its end. It does not return if a signal ends
// the process: what comes of work that Leave has taken the ground from is no status.
func (s *Shell) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended = true; s.leaving {
		select {}
	}
}

// CatchShell begins. end is called at the end of the program; then signals do again what
// they do by themselves, unless one has come.
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
			case sig == unix.SIGINT && !again && s.Interrupt():
				s.cut.Store(int32(unix.SIGINT))
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

// Hold has the first signal wait while fn does what must not be left half done; a later
// one ends it all the same.
func (s *Shell) Hold(fn func()) {
	s.held.Store(true)
	defer s.held.Store(false)
	fn()
}

// Status is the exit status of a program that would end with this one: that of the
// signal instead of 1, if one has stopped what ran.
func (s *Shell) Status(status int) int {
	if n := s.cut.Load(); n != 0 && status == 1 {
		return Status(unix.Signal(n))
	}
	return status
}

// hasTerminal says whether the process has a controlling terminal. It loses it when
// that hangs up.
func hasTerminal() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}
