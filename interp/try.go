// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"fmt"
)

// Execute runs a word by its name, or a line of source.
func (s *Session) Execute(line Value) error {
	e, text, err := s.named(line)
	if err != nil {
		return err
	}
	if e != nil {
		switch def := e.def.Load(); {
		case def == nil:
		case def.code != nil:
			return s.callCode(def.code)
		case def.word != nil && def.word.compile == nil && def.word.takes == takesNothing:
			if s.interrupt.Load() {
				return ErrInterrupted
			}
			return s.callWord(def.word)
		}
	}
	return s.Evaluate(text)
}

// callCode runs code as a word that a built-in word calls.
func (s *Session) callCode(c *code) error {
	if s.interrupt.Load() {
		return ErrInterrupted
	}
	return s.execute(c)
}

// Evaluate interprets source, of one line or more, in the middle of a word.
func (s *Session) Evaluate(source string) error {
	if err := s.enter(sourceCode); err != nil {
		return err
	}
	floor := len(s.calls) - 1
	outer := s.begin("") // the place is that of the word that runs the line
	err := s.tokens(source)
	if err == nil && s.Open() != "" {
		err = fmt.Errorf("the line ends while %s is open", s.Open())
	}
	s.unwind(floor)
	s.restore(outer)
	return err
}

// Try is Execute with errors caught: then the stack is as it was before, and the number of the
// error is returned, which is not 0. Caught returns the error. Interruption, leaving, and failing
// output are not caught; they are returned as err.
func (s *Session) Try(line Value) (code int64, err error) {
	at, sp, base, frames := len(s.saved), s.sp, s.base, len(s.frames)
	rp, lp := s.rp, s.lp
	s.saved = append(s.saved, s.stack[base:sp]...)
	surveyed := s.mistake
	s.mistake = nil
	err = s.Execute(line)
	s.mistake = surveyed
	kept := s.saved[at:]
	s.saved = s.saved[:at]
	defer clear(kept)
	if err == nil || err == errLeave || errors.Is(err, ErrInterrupted) || s.out.err != nil {
		return 0, err
	}
	s.closeFrames(frames)
	s.base, s.sp, s.rp, s.lp = base, sp, rp, lp
	copy(s.stack[base:sp], kept)
	s.caught = err
	return errorCode(err), nil
}

// Caught returns the error that the last Try of this session caught, or nil.
func (s *Session) Caught() error { return s.caught }

// Thrown returns the error that `throw` raises for a value: nil for 0, the error last caught for
// its number, and an error of that text for a string.
func (s *Session) Thrown(v Value) error {
	const abort = -2 // ABORT" in Forth 2012
	n, err := v.Int()
	switch {
	case err != nil && v.Kind() == KindString:
		return &thrown{coded{abort, v.ref.bytes}}
	case err != nil || n == 0:
		return err
	case s.caught != nil && errorCode(s.caught) == n:
		if t := new(thrown); errors.As(s.caught, &t) { // its text, without places: they would add up
			return &thrown{coded{n, t.text}}
		}
		return &thrown{coded{n, s.caught.Error()}}
	}
	return &thrown{coded{n, fmt.Sprintf("error %d", n)}}
}
