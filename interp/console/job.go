// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"time"

	"golang.org/x/sys/unix"
)

// This file handles a terminal under a shell with job control. The terminal is away while it
// belongs to others: the process is stopped, or is not in the terminal's foreground process
// group. Then its mode is not changed and no key is read, since for either the kernel would stop
// the process; the prompt waits.

// foregroundCheck is how often to check whether a terminal that is away has come back: a shell's
// fg sends nothing to a running job.
const foregroundCheck = 100 * time.Millisecond

// sameResume is the time after a suspend and its resume in which another resume is ignored: it
// comes from the SIGCONT that ended the stop between the two.
const sameResume = time.Second

// background says whether another process group has the terminal. It returns false if the
// terminal is not the process's controlling terminal (any more).
func (t *terminal) background() bool {
	group, err := unix.IoctlGetUint32(int(t.in.Fd()), unix.TIOCGPGRP)
	return err == nil && int(group) != unix.Getpgrp()
}

// awaitForeground waits until the terminal may be taken, is closed, or is gone.
func (t *terminal) awaitForeground() {
	for waited := false; ; waited = true {
		if closed, _, _, _ := t.pumpState(); closed {
			return
		}
		if !t.background() {
			if waited {
				t.missing()
			}
			return
		}
		time.Sleep(foregroundCheck)
	}
}

// missing notes and returns that the terminal has disappeared while others had it, for instance
// because its shell has ended without a hangup for its jobs.
func (t *terminal) missing() bool {
	_, err := unix.IoctlGetUint32(int(t.in.Fd()), unix.TIOCGPGRP)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.orphan = t.orphan || err != nil
	return t.orphan
}

// Orphaned says whether the terminal disappeared while the process was in the background: then
// nobody wanted the end of the input.
func (c *Console) Orphaned() bool {
	if c.tty == nil {
		return false
	}
	c.tty.mu.Lock()
	defer c.tty.mu.Unlock()
	return c.tty.orphan
}

// present waits while the terminal is away.
func (t *terminal) present() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.away && !t.closed && !t.eof {
		t.cond.Wait()
	}
}

// suspend gives the terminal back as it was, before the process is stopped. The edited line is
// kept.
func (t *terminal) suspend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.started || t.closed || t.lent != nil { // the other program decides about its mode
		return
	}
	if !t.away && !t.background() {
		if t.viewed != nil {
			t.screen.WriteString(leaveScreen)
		}
		t.bracket(false)
		unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, &t.saved)
	}
	t.away, t.stopped = true, true
	t.rouse()
}

// resume takes the terminal again if it may, and shows the edited line. Otherwise the pump does
// so, as soon as the process is in the foreground.
func (t *terminal) resume() {
	t.mu.Lock()
	if !t.started || t.closed || t.lent != nil {
		t.mu.Unlock()
		return
	}
	again := !t.stopped && !t.away && time.Since(t.resumed) < sameResume
	if t.stopped {
		t.resumed = time.Now()
	}
	t.stopped = false
	if t.background() {
		t.away = true
		t.rouse()
		t.mu.Unlock()
		return
	}
	if t.away { // others may have changed the mode to be restored
		if now, err := unix.IoctlGetTermios(int(t.in.Fd()), unix.TCGETS); err == nil {
			t.saved = *now
		}
	}
	unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, t.mode(t.saved))
	t.away = false
	t.cond.Broadcast()
	t.rouse()
	t.bracket(true)
	ed := t.ed
	if t.viewed != nil {
		t.screen.WriteString(enterScreen)
		t.viewed.change()
		ed = nil
	}
	t.mu.Unlock()
	if ed != nil && !again {
		ed.view.again()
	}
}

// rouse makes the pump look at the state again.
func (t *terminal) rouse() { unix.Write(t.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// lost notes that the terminal went to others without a signal.
func (t *terminal) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = true
}

// pumpState returns what the pump has to know: whether it has to end, whether it may read,
// whether it may ask for the terminal, and whether another program has it for a while.
func (t *terminal) pumpState() (closed, away, stopped, lent bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.resting = t.lent != nil; t.resting {
		t.cond.Broadcast()
	}
	return t.closed, t.away, t.stopped, t.resting
}

// Suspend gives the terminal back before the process is stopped; Resume takes it again when the
// process goes on, or as soon as it is in the foreground. Both do nothing without a terminal.
func (c *Console) Suspend() {
	if c.tty != nil {
		c.tty.suspend()
	}
}

// Resume takes the terminal again; see Suspend.
func (c *Console) Resume() {
	if c.tty != nil {
		c.tty.resume()
	}
}
