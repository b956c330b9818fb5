// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"
	"unicode/utf8"
)

// Terminal is an input that is a terminal: it has a keyboard that gives keys one by one while
// words run, and a screen.
type Terminal interface {
	// Live says whether the keyboard belongs to the session. Before a prompt has taken the
	// terminal, and after it has released it, the input is read like any other.
	Live() bool
	// Key waits at most so long for a key. ok is false when none came. An error says that none
	// will come, because the words are to stop or the terminal is gone.
	Key(wait time.Duration) (key byte, ok bool, err error)
	// Line returns a line that is typed and echoed while it waits, and io.EOF at the end.
	Line() (string, error)
	// Screen returns the size of the screen that the session prints to, or 0 if it prints to
	// none, or to one that does not obey cursor sequences.
	Screen() (columns, rows int)
	// Page shows text, of at most maxPage bytes, page by page on that screen. It returns when the
	// user has read it or given up.
	Page(text string) error
	// View makes the program at that terminal show one of its views, by name. It returns when the
	// user has left the view, or, if that program is another process, when the request was sent.
	View(name string) error
}

// input is what a session reads: its standard input, and every source. A goroutine makes the
// reads that may take long, so that an interrupt ends the wait for them. The bytes stay in the
// buffer for the next reader.
type input struct {
	term    Terminal // nil for files and pipes
	br      *bufio.Reader
	pending chan error // of the goroutine that reads into br; nil if there is none
	key     byte       // a key that KeyWaits has taken from the terminal
	hasKey  bool
}

// inputBuffer is the size of an input's buffer. A caller that passes a bufio.Reader of this size
// or more as the input of a session shares its buffer.
const inputBuffer = 64 << 10

// keySlice is how often a wait for a key checks for an interrupt.
const keySlice = 200 * time.Millisecond

func newInput(r io.Reader) *input {
	in := &input{br: bufio.NewReaderSize(r, inputBuffer)}
	in.term, _ = r.(Terminal)
	return in
}

// await waits until n bytes of an input are in its buffer, as bufio's Peek does.
func (s *Session) await(in *input, n int) error {
	for in.pending != nil || in.br.Buffered() < n {
		if in.pending == nil {
			ch := make(chan error, 1)
			in.pending = ch
			go func() {
				_, err := in.br.Peek(n)
				ch <- err
			}()
		}
		select {
		case err := <-in.pending:
			in.pending = nil
			if err != nil {
				return err
			}
		case <-s.wake:
			if s.interrupt.Load() {
				return ErrInterrupted
			}
		}
	}
	return nil
}

// readLine returns the next line of an input with its newline, at most MaxLine bytes and one. The
// last line may have no newline; it comes with io.EOF.
func (s *Session) readLine(in *input) (string, error) {
	var long []byte
	for n := 1; ; {
		err := s.await(in, n)
		if err == ErrInterrupted {
			return "", err
		}
		part, _ := in.br.Peek(in.br.Buffered())
		if i := bytes.IndexByte(part[min(n-1, len(part)):], '\n'); i >= 0 {
			long = append(long, part[:n+i]...)
			in.br.Discard(n + i)
			return string(long), nil
		}
		if err == nil && len(part) < in.br.Size() {
			n = len(part) + 1
			continue
		}
		long = append(long, part...)
		in.br.Discard(len(part))
		n = 1
		switch {
		case len(long) > MaxLine+1:
			return "", errLine
		case err != nil:
			return string(long), err
		}
	}
}

// ReadLine returns the next line of the session's input, without its end. ok is false at the end
// of the input.
func (s *Session) ReadLine() (line string, ok bool, err error) {
	s.Flush()
	if s.Keyboard() {
		line, err = s.in.term.Line()
	} else if line, err = s.readLine(s.in); err == io.EOF && line != "" {
		err = nil
	}
	switch {
	case err == io.EOF:
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	line = trimEnd(line)
	switch {
	case len(line) > MaxValue:
		return "", false, errTooLong
	case !utf8.ValidString(line):
		return "", false, errors.New("standard input is not UTF-8 text")
	}
	return line, true, nil
}

// trimEnd removes the end of a line, also in the form of DOS.
func trimEnd(line string) string {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
		if n > 0 && line[n-1] == '\r' {
			n--
		}
	}
	return line[:n]
}

// Key returns the next byte of the input: at a terminal the next key, as soon as it is typed. It
// waits at most so long, or for ever if wait is negative; ok is false when nothing came. At the
// end of the input it returns io.EOF.
func (s *Session) Key(wait time.Duration) (key byte, ok bool, err error) {
	s.Flush()
	if s.in.hasKey {
		s.in.hasKey = false
		return s.in.key, true, nil
	}
	if !s.Keyboard() {
		if wait >= 0 && s.in.br.Buffered() == 0 {
			return 0, false, s.Sleep(wait)
		}
		if err := s.await(s.in, 1); err != nil {
			return 0, false, err
		}
		key, err = s.in.br.ReadByte()
		return key, err == nil, err
	}
	for end := time.Now().Add(wait); ; {
		if s.interrupt.Load() {
			return 0, false, ErrInterrupted
		}
		slice := keySlice
		if wait >= 0 {
			slice = min(slice, max(0, time.Until(end)))
		}
		key, ok, err = s.in.term.Key(slice)
		if ok || err != nil || wait >= 0 && !time.Now().Before(end) {
			return key, ok, err
		}
	}
}

// KeyWaits says whether Key would return a key at once.
func (s *Session) KeyWaits() (bool, error) {
	in := s.in
	if !s.Keyboard() {
		return in.pending == nil && in.br.Buffered() > 0, nil
	}
	if in.hasKey {
		return true, nil
	}
	var err error
	if in.key, in.hasKey, err = s.Key(0); err == io.EOF {
		err = nil
	}
	return in.hasKey, err
}

// Keyboard says whether Key gives keys as they are typed.
func (s *Session) Keyboard() bool { return s.in.term != nil && s.in.term.Live() }

// Screen returns the size of the screen that the session prints to and where words may move the
// cursor, or 0 if there is none.
func (s *Session) Screen() (columns, rows int) {
	if s.in.term == nil {
		return 0, 0
	}
	return s.in.term.Screen()
}

// Sleep waits, and returns ErrInterrupted if Interrupt is called meanwhile.
func (s *Session) Sleep(d time.Duration) error {
	s.Flush()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if s.interrupt.Load() {
			return ErrInterrupted
		}
		select {
		case <-timer.C:
			return nil
		case <-s.wake:
		}
	}
}
