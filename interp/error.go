package interp

import (
	"errors"
	"fmt"
	"strings"
)

// Error says where evaluation failed, in which word, and why. It prints on one line:
//
//	/etc/ethertap.rpcl:12:3: tap.hash.insert: stack underflow ( mac - )
type Error struct {
	Source string   // file; "" at the prompt
	Line   int      // from 1; 0 at the prompt
	Col    int      // from 1, in bytes
	Word   string   // the word or token that failed
	Err    error    // what went wrong
	Stack  string   // stack comment of the word, when the stack was at fault
	Trace  []string // compound words that were running, innermost first
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Source != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", Printable(e.Source), e.Line, e.Col)
	}
	if e.Word != "" {
		b.WriteString(Printable(abbreviate(e.Word)) + ": ")
	}
	b.WriteString(Printable(e.Err.Error()))
	if e.Stack != "" {
		b.WriteString(" " + e.Stack)
	}
	for i, w := range e.Trace {
		if i == traceShown {
			fmt.Fprintf(&b, " in %d more", len(e.Trace)-i)
			break
		}
		b.WriteString(" in " + w)
	}
	return b.String()
}

// Unwrap returns what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// traceShown is how many running words an error line names.
const traceShown = 8

// ErrUnderflow is the error of a word that found too few values in its stack frame.
var ErrUnderflow = Coded(-4, "stack underflow")

// errNoLoop is the error of i, loop and their kin where no do is open.
var errNoLoop = Coded(-26, "without do")

var errNoOuterLoop = Coded(-26, "without a second do around it")

// Coded returns an error with a number that `try` leaves and `throw` raises.
// Numbers from -1 to -255 have the meaning that Forth 2012 gives them.
func Coded(code int64, text string) error { return &coded{code, text} }

type coded struct {
	code int64
	text string
}

func (e *coded) Error() string { return e.text }

// thrown is an error of the user's own, so that `throw` is not named as its cause.
type thrown struct{ coded }

// otherCode is the number of errors that have none of their own.
const otherCode = -256

// Code returns the number of an error: that of a Coded one, or -256.
func Code(err error) int64 {
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

// errLeave unwinds everything after `bye`, or `exit` outside a definition.
var errLeave = errors.New("leaving")

// fail makes the Error of a word or token that failed; stack is its stack comment, if it
// has one.
func fail(word, stack string, err error) error {
	if err == errLeave {
		return err
	}
	var located *Error
	if errors.As(err, &located) { // from source that the word ran
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
