// SPDX-License-Identifier: BSD-3-Clause

package vt

import (
	"cmp"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Patience is how long tests wait for an event. When it has passed, the test fails.
const Patience = 20 * time.Second

// Pty is a terminal that a test uses. The output of the program goes to a Screen.
type Pty struct {
	Master *os.File
	Slave  *os.File // the program's
	// Patience is how long Until waits; 0 means the constant Patience.
	Patience time.Duration

	t      testing.TB
	mu     sync.Mutex
	cond   *sync.Cond // mu: something was written
	screen *Screen
	seen   func([]byte)
	ended  bool
	paused bool // nothing is read
}

// Open makes a terminal, which is closed at the end of the test. If the size is 0, the terminal
// reports none, and the screen has 80 by 24. seen, if it is not nil, gets all output.
func Open(t testing.TB, cols, rows int, width func(rune) int, seen func([]byte)) *Pty {
	t.Helper()
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(m, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	s, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if seen == nil {
		seen = func([]byte) {}
	}
	p := &Pty{Master: os.NewFile(uintptr(m), "ptmx"), Slave: os.NewFile(uintptr(s), name), t: t, screen: New(cmp.Or(cols, 80), cmp.Or(rows, 24), width), seen: seen}
	p.cond = sync.NewCond(&p.mu)
	p.setSize(cols, rows)
	go p.read(m)
	t.Cleanup(func() {
		p.Pause(false)
		p.Slave.Close()
	})
	return p
}

// read reads the output until the last slave is closed.
func (p *Pty) read(m int) {
	buf := make([]byte, 4096)
	for {
		p.mu.Lock()
		for p.paused {
			p.cond.Wait()
		}
		p.mu.Unlock()
		n, err := unix.Read(m, buf)
		if err == unix.EINTR {
			continue
		}
		p.mu.Lock()
		if n > 0 {
			p.seen(buf[:n])
			p.screen.Write(buf[:n])
		}
		p.ended = err != nil || n <= 0
		ended := p.ended
		p.cond.Broadcast()
		p.mu.Unlock()
		if ended { // EIO: the last slave is closed
			p.Master.Close()
			return
		}
	}
}

// Pause stops reading the output, or continues. Writers wait when the terminal is full.
func (p *Pty) Pause(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = on
	p.cond.Broadcast()
}

// Type presses keys.
func (p *Pty) Type(keys string) {
	p.t.Helper()
	if _, err := unix.Write(int(p.Master.Fd()), []byte(keys)); err != nil {
		p.t.Fatal(err)
	}
}

// Resize changes the size of the terminal. The kernel sends SIGWINCH to its foreground processes.
func (p *Pty) Resize(cols, rows int) {
	p.t.Helper()
	p.mu.Lock()
	p.screen.Resize(cols, rows)
	p.mu.Unlock()
	p.setSize(cols, rows)
}

func (p *Pty) setSize(cols, rows int) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.Master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)}); err != nil {
		p.t.Fatal(err)
	}
}

// Mode returns the mode of the terminal.
func (p *Pty) Mode() unix.Termios {
	p.t.Helper()
	tio, err := unix.IoctlGetTermios(int(p.Slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *tio
}

// SetMode changes the mode of the terminal.
func (p *Pty) SetMode(tio unix.Termios) {
	p.t.Helper()
	if err := unix.IoctlSetTermios(int(p.Slave.Fd()), unix.TCSETS, &tio); err != nil {
		p.t.Fatal(err)
	}
}

// Look calls f with the screen, which does not change meanwhile.
func (p *Pty) Look(f func(*Screen)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.screen)
}

// Wake makes the methods that wait check their condition again.
func (p *Pty) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cond.Broadcast()
}

// Until waits until the screen is as wanted.
func (p *Pty) Until(what string, is func(*Screen) bool) {
	p.t.Helper()
	p.UntilOr(func() bool { return false }, what, is)
}

// UntilOr is Until, and also returns when over returns true. Whoever changes that calls Wake.
func (p *Pty) UntilOr(over func() bool, what string, is func(*Screen) bool) {
	p.t.Helper()
	p.Await(over, is, func(v *Screen) string {
		row, col := v.Cursor()
		return fmt.Sprintf("the screen is not %s, but (cursor at row %d, column %d)\n%s", what, row, col, v)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.screen.Unknown != nil {
		p.t.Errorf("sequences of another terminal: %v", p.screen.Unknown)
	}
}

// Await waits until is or over returns true. If that takes too long, the test fails with the text of
// otherwise.
func (p *Pty) Await(over func() bool, is func(*Screen) bool, otherwise func(*Screen) string) {
	p.t.Helper()
	patience := p.Patience
	if patience == 0 {
		patience = Patience
	}
	late := false
	timer := time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		late = true
		p.cond.Broadcast()
	})
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !is(p.screen) && !over() {
		if late || p.ended {
			p.t.Fatal(otherwise(p.screen))
		}
		p.cond.Wait()
	}
}
