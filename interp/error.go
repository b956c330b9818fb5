// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Error says where evaluation failed, in which word, why, and through which calls. It prints on
// one line:
//
//	/etc/ethertap.rpcl:12:3: tap.hash.insert: stack underflow ( mac - ) in watch-host, called at /etc/ethertap.rpcl:20:1
type Error struct {
	Place
	Word  string // the word or token that failed
	Err   error  // the reason
	Stack string // stack comment of the word, if the stack was the reason
	Calls []Call // the running calls, the innermost first
}

// Place is where a token stands in a source. It is zero for lines typed at a prompt.
type Place struct {
	Source string // file, or -e
	Line   int    // from 1; of -e the number of the option
	Col    int    // from 1, in bytes
}

// Call is a compound word or a source that was running.
type Call struct {
	Place        // where it was called or loaded
	Word  string // "" for a source
}

func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", Printable(p.Source), p.Line, p.Col) }

func (e *Error) Error() string {
	var b strings.Builder
	calls, at := e.Calls, e.Place
	named := 0 // calls whose place is printed in front, since the word that they called has none
	for at.Source == "" && named < len(calls) {
		at = calls[named].Place
		named++
	}
	if at.Source != "" {
		b.WriteString(at.String() + ": ")
	}
	if e.Word != "" {
		b.WriteString(Printable(abbreviate(e.Word)) + ": ")
	}
	text := e.Err.Error()
	if !errors.As(e.Err, new(*thrown)) {
		text = shorten(OneLine(text), mostText)
	}
	b.WriteString(Printable(text))
	if e.Stack != "" {
		b.WriteString(" " + Printable(e.Stack))
	}
	for shown, i := 0, 0; i < len(calls); shown++ {
		if shown == callsShown {
			fmt.Fprintf(&b, " in %d more", len(calls)-i)
			break
		}
		c, n := calls[i], 1
		for i+n < len(calls) && calls[i+n] == c {
			n++
		}
		if c.Word != "" {
			b.WriteString(" in " + c.Word)
		}
		switch {
		case c.Source == "" || i < named:
		case c.Word != "":
			b.WriteString(", called at " + c.Place.String())
		default:
			b.WriteString(", loaded at " + c.Place.String())
		}
		if n > 1 {
			fmt.Fprintf(&b, " (%d times)", n)
		}
		i += n
	}
	return b.String()
}

// at sets the place where the running word or named source last stood. It does nothing if the
// place is known already or has no name.
func (e *Error) at(p Place) {
	last := &e.Place
	if n := len(e.Calls); n > 0 {
		last = &e.Calls[n-1].Place
	}
	if last.Source == "" && p.Source != "" {
		*last = p
	}
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// OneLine puts a text of several lines, such as that of errors.Join, on one line. A line that has been
// said is left out.
func OneLine(text string) string {
	if !strings.Contains(text, "\n") {
		return text
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// mostText bounds the text of an error in bytes, unless it is the user's own.
const mostText = 400

// FileError converts an error of package os to the form of all other errors: which file, and why.
func FileError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", abbreviate(Quote(p.Path)), p.Err)
	}
	return err
}

// callsShown is how many running words an error line names.
const callsShown = 8

// ErrUnderflow is the error of a word that found too few values in its stack frame.
var ErrUnderflow = Coded(-4, "stack underflow")

// errNoLoop is the error of i, j, loop and leave where no do is open.
var errNoLoop = Coded(-26, "without do")

var errNoOuterLoop = Coded(-26, "without a second do around it")

// Coded returns an error with a number that `try` leaves and `throw` raises. Numbers from -1 to
// -255 have the meaning that Forth 2012 gives them.
func Coded(code int64, text string) error { return &coded{code, text} }

type coded struct {
	code int64
	text string
}

func (e *coded) Error() string { return e.text }

// thrown is an error that the user has raised, so `throw` is not named as its cause.
type thrown struct{ coded }

func isThrown(err error) bool { _, ok := err.(*thrown); return ok }

// unfit is the error of a value that is not of the wanted type and does not convert to it.
type unfit struct {
	value Value
	why   string
}

func (e *unfit) Error() string { return abbreviate(e.value.Source()) + " is not " + e.why }

// Unfit returns the error that a value is not what is wanted, such as "a number". If a word fails
// with it, the message names the input, by the stack comment.
func (v Value) Unfit(what string) error { return &unfit{v, what} }

// otherCode is the number of errors that have none of their own.
const otherCode = -256

// errorCode returns the number of an error: that of a Coded one, or -256.
func errorCode(err error) int64 {
	var c *coded
	var t *thrown
	switch {
	case errors.As(err, &c):
		return c.code
	case errors.As(err, &t):
		return t.code
	}
	return otherCode
}

// ErrInterrupted is the error of words stopped by Session.Interrupt.
var ErrInterrupted = errors.New("interrupted")

// errLeave unwinds everything after `bye`, or after `exit` outside a definition.
var errLeave = errors.New("leaving")

// fail makes the Error of a word or token that failed; stack is its stack comment, if it has one.
func fail(word, stack string, err error) error {
	if err == errLeave {
		return err
	}
	var located *Error
	if errors.As(err, &located) { // it comes from source that the word ran
		return err
	}
	if errors.As(err, new(*thrown)) {
		word = ""
	}
	e := &Error{Word: word, Err: err}
	if errors.Is(err, ErrUnderflow) || errors.Is(err, errStack) {
		e.Stack = stack
	}
	return e
}
