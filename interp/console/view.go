// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// This file gives the terminal to a view: a picture on the whole screen that changes until its
// user leaves it. The console remains the reader of the keyboard, so job control, hangups and the
// end of the process work as at the prompt. The view gets its keys from the console.

// View draws on a screen until its user leaves it. It returns an error only if it could not be
// shown. It writes the sequences that begin and end the alternate screen, so the main screen is
// unchanged afterwards.
type View func(*Screen) error

// ErrNoScreen is the error when there is no terminal that can show a view.
var ErrNoScreen = errors.New("no terminal to show it on")

// leaveScreen ends the alternate screen and shows the cursor, as a view does at its end;
// enterScreen is the opposite.
const (
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	enterScreen = "\x1b[?1049h\x1b[?25l"
)

// heldLog is how many bytes of log lines wait for the end of a view. Later lines are dropped.
const heldLog = 64 << 10

// viewPatience is how long a view may take to end after its terminal was closed. Then its writes
// fail, and it has that time again.
const viewPatience = time.Second

// Screen is the terminal of a view. Its methods may be called from any goroutine.
type Screen struct {
	t       *terminal
	out     *os.File      // an open file of its own, or that of the terminal
	changed chan struct{} // holds one
	over    bool          // under t.mu: the view wants no more keys
	held    []byte        // under t.mu: log lines that wait
	ended   bool          // under t.mu: the view has returned
}

// newScreen opens the terminal once more, without blocking: writes to that file can have a
// deadline, so a terminal whose output nobody reads does not delay the end of the process. The
// file that the terminal came with is shared with other programs, which a change of its flags
// would affect.
func newScreen(t *terminal) *Screen {
	s := &Screen{t: t, out: t.screen, changed: make(chan struct{}, 1)}
	again := fmt.Sprintf("/proc/self/fd/%d", t.screen.Fd())
	if f, err := os.OpenFile(again, os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0); err == nil {
		s.out = f
	}
	return s
}

// Key waits for a key, at most so long, for ever if wait is negative. ok is false when none
// came. It fails with io.EOF when the terminal is closed or gone, or Over was called, and with
// interp.ErrInterrupted on Ctrl-C.
func (s *Screen) Key(wait time.Duration) (key byte, ok bool, err error) {
	return s.t.key(wait, &s.over)
}

// Over has Key fail from now on.
func (s *Screen) Over() {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	s.over = true
	s.t.cond.Broadcast()
}

// Size returns the size of the screen: 80 by 24 if the terminal does not report one.
func (s *Screen) Size() (columns, rows int) { return screenSize(s.t.screen) }

// Styled tells whether the screen shows colours and other styles. NO_COLOR in the environment
// forbids them.
func (s *Screen) Styled() bool { return s.t.styled }

// Changed receives a value when the size of the screen has changed, and when everything has to be
// drawn anew.
func (s *Screen) Changed() <-chan struct{} { return s.changed }

// Write writes to the screen. While other programs have the terminal, it drops the output and
// returns no error. It fails when the terminal is gone, or accepts no output while it is being
// closed.
func (s *Screen) Write(p []byte) (int, error) {
	s.t.mu.Lock()
	away := s.t.away
	s.t.mu.Unlock()
	if away {
		return len(p), nil
	}
	return s.out.Write(p)
}

func (s *Screen) change() {
	select {
	case s.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// Show gives the terminal to a view until its user leaves it. There is no prompt before or after.
// It returns ErrNoScreen if there is no terminal.
func (c *Console) Show(v View) error {
	if c.tty == nil {
		return ErrNoScreen
	}
	if ok, err := c.tty.take(); err != nil || !ok {
		return err
	}
	defer c.tty.close()
	return c.tty.show(v)
}

// View implements interp.Terminal.
func (t *terminal) View(name string) error {
	v := t.views[name]
	if v == nil {
		return fmt.Errorf("%s is not shown here", name)
	}
	return t.show(v)
}

// show gives the terminal to a view and takes it back.
func (t *terminal) show(v View) error {
	t.mu.Lock()
	if !t.started || t.plain || !t.draws || t.viewed != nil {
		t.mu.Unlock()
		return ErrNoScreen
	}
	s := newScreen(t)
	t.viewed = s
	t.mu.Unlock()

	err := v(s)

	t.mu.Lock()
	t.viewed, s.ended = nil, true
	t.cond.Broadcast()
	held := s.held
	t.mu.Unlock()
	if s.out != t.screen {
		s.out.Close()
	}
	if len(held) > 0 {
		logWriter{t}.Write(held)
	}
	return err
}

// hold keeps log lines until the view that has the terminal ends. It returns false if none has it.
func (t *terminal) hold(p []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.viewed == nil {
		return false
	}
	if s := t.viewed; len(s.held)+len(p) <= heldLog {
		s.held = append(s.held, p...)
	}
	return true
}

// endView waits for the end of the view while the terminal is being closed. If the terminal accepts
// no output, it makes the writes of the view fail and restores the screen itself.
func (t *terminal) endView() {
	t.mu.Lock()
	s := t.viewed
	t.mu.Unlock()
	if s == nil {
		return
	}
	s.Over() // keys that were typed ahead are dropped
	if t.viewEnds(s) {
		return
	}
	s.out.SetWriteDeadline(time.Now()) // fails if it is the file that is shared; that one has no deadline
	if t.viewEnds(s) {
		const output = 1 // TCOFLUSH: drops the output that nobody has read
		unix.IoctlSetInt(int(t.screen.Fd()), unix.TCFLSH, output)
		t.screen.WriteString(leaveScreen)
	}
}

// viewEnds waits for the end of a view and returns whether it has ended.
func (t *terminal) viewEnds(s *Screen) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	late := false
	timer := time.AfterFunc(viewPatience, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		late = true
		t.cond.Broadcast()
	})
	defer timer.Stop()
	for !s.ended && !late {
		t.cond.Wait()
	}
	return s.ended
}
