// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// output collects the output of words into writes of whole lines. The first error stays; it stops
// the running words and is the error of their line.
type output struct {
	w     io.Writer
	stop  *atomic.Bool // the interrupt of the session
	buf   []byte
	err   error
	midst bool // the last byte written was not a newline
}

// outputFull is the length in bytes at which a line without end is written all the same.
const outputFull = 4096

func (o *output) write(p []byte) {
	if o.err != nil {
		o.stop.Store(true)
		return
	}
	if len(p) == 0 {
		return
	}
	o.buf = append(o.buf, p...)
	o.midst = p[len(p)-1] != '\n'
	if !o.midst || len(o.buf) >= outputFull {
		o.flush()
	}
}

func (o *output) flush() {
	if len(o.buf) > 0 && o.err == nil {
		if _, err := o.w.Write(o.buf); err != nil {
			o.err = fmt.Errorf("output: %w", err)
			o.stop.Store(true)
		}
	}
	o.buf = o.buf[:0]
}

// Write prints to the output of the session. It keeps an error, which then ends the current line.
func (s *Session) Write(p []byte) (int, error) {
	s.out.write(p)
	return len(p), s.out.err
}

// Print prints text, without adding a newline.
func (s *Session) Print(text string) { s.out.write([]byte(text)) }

// Printf prints as fmt.Printf does.
func (s *Session) Printf(format string, args ...any) {
	s.out.write(fmt.Appendf(nil, format, args...))
}

// Capture runs f and returns its output instead of writing it. More than MaxValue bytes are an
// error.
func (s *Session) Capture(f func() error) (string, error) {
	return s.capture(MaxValue, errTooLong, f)
}

// Page runs f and shows its output page by page if the session prints to a screen; otherwise it
// prints it.
func (s *Session) Page(f func() error) error {
	columns, _ := s.Screen()
	if _, captures := s.out.w.(*captured); captures || columns == 0 || !s.Keyboard() {
		return f()
	}
	text, err := s.capture(maxPage, errPage, f)
	if err != nil {
		s.Print(text)
		return err
	}
	s.out.flush()
	return s.in.term.Page(text)
}

// ErrNoTerminal is the error of View in a session without a keyboard and a screen.
var ErrNoTerminal = errors.New("needs a terminal")

// View makes the program at the session's terminal show one of its views, by name: a picture on the
// whole screen, until its user leaves it. The program defines the views. View returns
// ErrNoTerminal if the session does not print to a screen.
func (s *Session) View(name string) error {
	columns, _ := s.Screen()
	if _, captures := s.out.w.(*captured); captures || columns == 0 || !s.Keyboard() {
		return ErrNoTerminal
	}
	s.out.flush()
	return s.in.term.View(name)
}

func (s *Session) capture(most int, tooLong error, f func() error) (string, error) {
	s.out.flush()
	outer := s.out
	text := captured{most: most}
	s.out = output{w: &text, stop: &s.interrupt}
	err := f()
	s.out.flush()
	s.out = outer
	if err == nil && text.full {
		err = fmt.Errorf("printed text: %w", tooLong)
	}
	return string(text.b), err
}

// captured keeps the first bytes of the output.
type captured struct {
	most int // bytes
	b    []byte
	full bool
}

func (c *captured) Write(p []byte) (int, error) {
	n := min(len(p), c.most-len(c.b))
	c.b = append(c.b, p[:n]...)
	c.full = c.full || n < len(p)
	return len(p), nil
}

// Flush writes the output, even if its line has not ended. Words that wait call it first.
func (s *Session) Flush() { s.out.flush() }

// AtLineStart says whether the output ends with a newline.
func (s *Session) AtLineStart() bool { return !s.out.midst }

// Report prints an error to the error output of the session, as one line.
func (s *Session) Report(err error) {
	s.out.flush()
	fmt.Fprintf(s.err, "error: %v\n", err)
}
