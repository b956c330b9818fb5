// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/interp"
)

// terminal is the keyboard and screen of a console. From start to close it is the only reader of
// the keyboard: a goroutine takes bytes as they come, so that Ctrl-C is seen while a word runs,
// and keys that are typed or pasted ahead wait in order. Meanwhile the kernel sends no signal for
// Ctrl-C (ISIG is off): SIGINT always comes from outside and has the meaning that main gives it.
//
// The modes are set once and restored once. Readline by itself switches between raw and cooked
// mode around every line, which echoes pasted lines twice and turns Ctrl-C into a signal.
type terminal struct {
	in     *os.File
	screen *os.File // where the prompt is drawn: stdout, or stderr if only that is a terminal
	stderr io.Writer
	plain  bool            // the kernel edits the line: TERM=dumb, a narrow screen, or none
	draws  bool            // the output of words goes to the screen, which obeys cursor sequences
	styled bool            // the screen shows dim text and colours
	views  map[string]View // for words, by name

	mu       sync.Mutex
	cond     *sync.Cond // of mu: bytes came, or the state changed
	started  bool
	closed   bool
	away     bool         // it belongs to others; see job.go
	stopped  bool         // between suspend and resume
	orphan   bool         // it disappeared while it was away
	resumed  time.Time    // when the last stop ended
	lent     func()       // ends the program that has it for a while; nil: none has it
	resting  bool         // the pump reads no keys, since the terminal is lent
	keys     keyQueue     // typed and not yet consumed
	held     []byte       // typed, perhaps the beginning of the mark of a paste
	drop     bool         // the rest of the current paste is not wanted
	told     bool         // there was a note about that
	eof      bool         // no more keys will come
	editing  bool         // the editor may take keys; otherwise programs may
	broke    bool         // Ctrl-C came while words ran, and no reading word knows it yet
	stopping bool         // Ctrl-C came for the words that are running or ran last
	onBreak  func()       // action of Ctrl-C while words run; nil at the prompt
	lines    int          // how often onBreak has changed
	onSize   func()       // tells a server the size of the screen; otherwise nil. Set before start
	onKeys   func([]byte) // takes keys while words of a server want them; otherwise nil
	viewed   *Screen      // of the view that has the terminal; nil: none has it

	saved  unix.Termios
	wake   int // eventfd that ends the pump
	pumped sync.WaitGroup
	ed     *editor // nil if plain
}

const (
	ctrlC = 0x03
	ctrlD = 0x04
	// maxKeys bounds the keys typed ahead; more are dropped while a word runs.
	maxKeys = 8 << 20
)

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// dumb says whether the screen does not obey cursor sequences.
func dumb() bool {
	term := os.Getenv("TERM")
	return term == "dumb" || term == ""
}

func newTerminal(in *os.File, stdout, stderr io.Writer) *terminal {
	t := &terminal{in: in, stderr: stderr, wake: -1}
	t.cond = sync.NewCond(&t.mu)
	for _, w := range []io.Writer{stdout, stderr} {
		if f, ok := w.(*os.File); ok && isTerminal(f) {
			t.screen = f
			t.styled = styled(f)
			t.draws = w == stdout && !dumb()
			break
		}
	}
	return t
}

// start takes the terminal and returns the reader of its lines.
func (t *terminal) start(tg target, history string) (lineReader, error) {
	if ok, err := t.take(); err != nil || !ok {
		return closedReader{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.plain {
		return &plainReader{t}, nil
	}
	t.bracket(true)
	var err error
	if t.ed, err = newEditor(t, tg, history); err != nil {
		return nil, err
	}
	return t.ed, nil
}

// take sets the mode of the terminal and begins to read its keys. It returns false if the terminal
// is closed or gone.
func (t *terminal) take() (bool, error) {
	t.awaitForeground()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.started || t.orphan {
		return false, nil
	}
	tio, err := unix.IoctlGetTermios(int(t.in.Fd()), unix.TCGETS)
	if err != nil {
		return false, err
	}
	t.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return false, err
	}
	t.plain = t.screen == nil || dumb() || t.width() < minWidth
	t.saved = *tio
	if err := unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, t.mode(*tio)); err != nil {
		unix.Close(t.wake)
		return false, err
	}
	t.started = true
	t.pumped.Go(t.pump)
	return true, nil
}

// mode returns the mode of the terminal from start to close. Output processing stays on, so "\n"
// begins a new line whatever runs.
func (t *terminal) mode(m unix.Termios) *unix.Termios {
	m.Lflag &^= unix.ISIG
	m.Iflag |= unix.ICRNL
	if t.plain {
		m.Lflag |= unix.ICANON | unix.ECHO
		m.Cc[unix.VEOL] = ctrlC // it ends a line, so that it arrives at once
		return &m
	}
	m.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.IXON
	m.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.IEXTEN
	m.Cc[unix.VMIN] = 1
	m.Cc[unix.VTIME] = 0
	return &m
}

// close interrupts the running words, ends the input and gives the terminal back.
func (t *terminal) close() {
	t.mu.Lock()
	if t.closed || !t.started {
		t.closed = true
		t.mu.Unlock()
		return
	}
	t.closed, t.eof = true, true
	t.cond.Broadcast()
	onBreak, ed := t.onBreak, t.ed
	if t.lent != nil {
		t.lent()
	}
	t.mu.Unlock()

	if onBreak != nil {
		onBreak()
	}
	t.endView()
	t.rouse()
	t.pumped.Wait()
	unix.Close(t.wake)
	if ed != nil {
		ed.close()
	}
	// TCSADRAIN would wait for a screen stopped with Ctrl-S, which is not needed.
	if !t.away && !t.background() {
		t.bracket(false)
		unix.IoctlSetTermios(int(t.in.Fd()), unix.TCSETS, &t.saved)
	}
}

// pump moves keys from the kernel to t.keys until the terminal ends or close is called.
func (t *terminal) pump() {
	fds := []unix.PollFd{
		{Fd: int32(t.in.Fd()), Events: unix.POLLIN},
		{Fd: int32(t.wake), Events: unix.POLLIN},
	}
	buf := make([]byte, 4096)
	for {
		closed, away, stopped, lent := t.pumpState()
		if closed {
			break
		}
		wait := -1
		switch fds[0].Fd = int32(t.in.Fd()); {
		case lent:
			fds[0].Fd = -1
		case away:
			fds[0].Fd, wait = -1, int(foregroundCheck.Milliseconds())
		}
		if _, err := unix.Poll(fds, wait); err != nil && err != unix.EINTR {
			break
		}
		if fds[1].Revents != 0 { // close, suspend or resume
			unix.Read(t.wake, buf[:8])
			continue
		}
		if away && !lent {
			if stopped || t.background() {
				continue
			}
			if t.missing() {
				break
			}
			t.resume()
			continue
		}
		if fds[0].Revents == 0 {
			continue
		}
		if t.background() {
			t.lost()
			continue
		}
		n, err := unix.Read(int(t.in.Fd()), buf)
		if err == unix.EINTR || err == unix.EAGAIN || err == unix.EIO && t.background() {
			continue
		}
		if err != nil || n <= 0 { // a hangup, or Ctrl-D at the start of a plain line
			break
		}
		if f := t.typed(buf[:n]); f != nil {
			f()
		}
	}
	t.mu.Lock()
	t.eof = true
	f := t.onBreak
	t.cond.Broadcast()
	t.mu.Unlock()
	if f != nil && !t.plain { // the terminal is gone, so nobody can stop the word
		f()
	}
}

// waits says whether the kernel has keys that were not read yet.
func (t *terminal) waits() bool {
	n, err := unix.IoctlGetUint32(int(t.in.Fd()), unix.TIOCINQ)
	return err == nil && n > 0
}

// running says that words run from now on, and how Ctrl-C stops them; nil says that they have
// ended.
func (t *terminal) running(onBreak func()) {
	t.mu.Lock()
	t.onBreak = onBreak
	t.lines++
	line := t.lines
	t.broke = false
	if onBreak != nil {
		t.stopping = false
	}
	if i := bytes.LastIndexByte(t.keys.b, ctrlC); onBreak != nil && i >= 0 { // typed ahead of its words
		t.keys.take(i + 1)
		t.broke, t.stopping = true, true
	}
	stop := onBreak != nil && (t.closed || t.broke)
	t.mu.Unlock()
	if stop {
		t.insist(line, firstInsist)
	}
}

// wereStopped says whether the words that ran last were to stop.
func (t *terminal) wereStopped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stopping
}

// Read gives keys to words that read their session's input.
func (t *terminal) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t.mu.Lock()
	if !t.started {
		t.mu.Unlock()
		return t.in.Read(p)
	}
	defer t.mu.Unlock()
	for (len(t.keys.b) == 0 || t.editing) && !t.broke && !t.eof {
		t.cond.Wait()
	}
	switch {
	case t.broke:
		t.broke = false
		return 0, interp.ErrInterrupted
	case len(t.keys.b) == 0 || t.editing:
		return 0, io.EOF
	}
	n := copy(p, t.keys.b)
	t.keys.take(n)
	return n, nil
}

// resized draws the line anew if the screen has another width.
func (t *terminal) resized() {
	t.mu.Lock()
	if t.viewed != nil {
		t.viewed.change()
	}
	if t.onSize != nil && !t.plain {
		go t.onSize() // the server may not read
	}
	t.mu.Unlock()
	if ed := t.edited(); ed != nil {
		ed.view.resized()
	}
}

// edited returns the editor that may draw, nil if none may.
func (t *terminal) edited() *editor {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.away {
		return nil
	}
	return t.ed
}

// bracket makes the terminal mark pasted text, or stop that.
func (t *terminal) bracket(on bool) {
	switch {
	case t.plain:
	case on:
		t.screen.WriteString(bracketPaste)
	default:
		t.screen.WriteString(plainPaste)
	}
}

// width returns the width of the screen in columns, 80 if it is not known.
func (t *terminal) width() int {
	if t.screen == nil {
		return 80
	}
	columns, _ := screenSize(t.screen)
	return columns
}

// above writes text above the edited line; it returns false if there is none.
func (t *terminal) above(p []byte) bool {
	ed := t.edited()
	return ed != nil && ed.view.above(p)
}

// logWriter writes lines that come at any time above the edited line.
type logWriter struct{ t *terminal }

func (w logWriter) Write(p []byte) (int, error) {
	if w.t.hold(p) || w.t.above(p) {
		return len(p), nil
	}
	return w.t.stderr.Write(p)
}
