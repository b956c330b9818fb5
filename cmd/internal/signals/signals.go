// Package signals is what the long-running programs make of signals: SIGINT and
// SIGTERM end them in good order, a second one at once; SIGHUP asks for the next
// file or the configuration anew, unless it comes because the terminal is gone:
// then it ends them too.
package signals

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Caught delivers signals from Catch to Release.
type Caught struct {
	// Stop gives the one that ends the program. From then on signals have their
	// default action again, should ending hang.
	Stop <-chan os.Signal
	// Hangup gives the SIGHUPs that do not.
	Hangup <-chan struct{}

	raw chan os.Signal
}

// Catch begins. A SIGHUP that is ignored (nohup) stays so in the foreground. SIGPIPE
// and SIGXFSZ are ignored: writing returns an error instead.
func Catch(daemon bool) *Caught {
	signal.Ignore(unix.SIGPIPE, unix.SIGXFSZ)
	caught := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if daemon || !signal.Ignored(unix.SIGHUP) {
		caught = append(caught, unix.SIGHUP)
	}
	terminal := hasTerminal()
	stop, hangup, raw := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan os.Signal, 4)
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
			signal.Reset(caught...)
			stop <- s
			return
		}
	}()
	return &Caught{Stop: stop, Hangup: hangup, raw: raw}
}

// Release ends it.
func (c *Caught) Release() {
	signal.Stop(c.raw)
	close(c.raw)
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
