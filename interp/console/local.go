// SPDX-License-Identifier: BSD-3-Clause

package console

import "ethertap/interp"

// local is a session of this process as the target of its prompt.
type local struct{ s *interp.Session }

func (l local) eval(line string) (Result, error) {
	return interpret(l.s, line, l.freshLine), nil
}

func (l local) interrupt() { l.s.Interrupt() }

func (l local) abandon() { l.s.Abandon() }

func (l local) complete(before string) completion { return completions(l.s.Dict(), before) }

func (l local) stackOf(word string) string { return stackOf(l.s.Dict(), word) }

func (l local) here() bool { return true }

func (l local) state() Result { return state(l.s) }

func (l local) freshLine() {
	if !l.s.AtLineStart() {
		l.s.Print("\n")
		l.s.Flush()
	}
}

// interpret runs a line in s and reports its error; before that it calls beforeError.
func interpret(s *interp.Session, line string, beforeError func()) Result {
	err := s.Interpret(line)
	return result(s, err, beforeError)
}

// result reports err, unless it says that the session was left, and returns the state of s.
func result(s *interp.Session, err error, beforeError func()) Result {
	r := state(s)
	if err != nil && !r.Left {
		r.Failed = true
		r.Unknown = interp.Unsaid(r.Unknown, err)
		beforeError()
		s.Report(err)
	}
	return r
}

// state returns the state of a session.
func state(s *interp.Session) Result {
	return Result{
		Left: s.Left(), Open: s.Open(), Status: s.Status(),
		Depth: s.Depth(), Frames: s.Frames(), Unknown: s.Unknown(),
	}
}
