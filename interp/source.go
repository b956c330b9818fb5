// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

var (
	errLateControl = errors.New("control word registered after this was compiled; define the word again")
	errCloseParen  = errors.New("without (")
)

// Interpret evaluates one line typed at a prompt. A definition or structure may stay open at its
// end; see Open. The error is for Report. After an error the rest of the line, and what it
// opened, is abandoned.
func (s *Session) Interpret(line string) error {
	s.interrupt.Store(false)
	_, s.unknowns.before = s.unknownObjects()
	s.redefined = s.redefined[:0]
	if s.Open() == "" {
		line = s.dict.lead(line)
	}
	err := s.interpret(line)
	s.sayRedefined()
	s.sayHints(err)
	// The values that have left the stacks are released, and so are the names that only finished
	// code refers to.
	clear(s.calls[len(s.calls):cap(s.calls)])
	clear(s.stack[s.sp:])
	clear(s.rstack[s.rp:])
	return err
}

// OptionLines is the name of the lines of -e as a source; their numbers are those of the options.
const OptionLines = "-e"

// RunLine evaluates one line as a source of its own: an error, or a structure left open at its
// end, ends it. number is the number of the option -e it came from, from 1, or 0.
func (s *Session) RunLine(line string, number int) error {
	source, at := s.source, s.line
	if number > 0 {
		s.source, s.line = OptionLines, number
	}
	err := s.Interpret(line)
	if err == nil && s.Open() != "" {
		err = s.unclosed("the line ends while %s is open")
		s.Abandon()
	}
	s.source, s.line = source, at
	return notLeaving(err)
}

// notLeaving returns err, or nil if it says that the session was left.
func notLeaving(err error) error {
	if err == errLeave {
		return nil
	}
	return err
}

// interpret evaluates one line of any source.
func (s *Session) interpret(line string) error {
	frames := len(s.frames)
	err := s.tokens(line)
	if err != nil || s.Open() == "" {
		s.rp = s.returnFloor() // values that a line leaves on the return stack are removed, as with words
	}
	s.out.flush()
	if s.out.err != nil && err != errLeave {
		err = s.out.err
	}
	if err == nil {
		return nil
	}
	s.closeFrames(frames)
	s.Abandon()
	if err == errLeave {
		s.left = true
	}
	return err
}

// tokens evaluates the tokens of a text one by one, line by line.
func (s *Session) tokens(text string) error {
	if len(text) > MaxLine {
		return s.locate(token{col: 1}, errLine)
	}
	for line := range strings.SplitSeq(text, "\n") {
		s.scan = scanner{line: s.skipMark(line)}
		for {
			tok, ok, err := s.nextToken()
			if err == nil && ok {
				err = s.evaluate(tok)
			}
			if err != nil {
				return s.locate(tok, err)
			}
			if !ok {
				break
			}
		}
		if s.comp != nil && s.comp.colon {
			if err := s.comp.endLine(s.scan.line); err != nil {
				return s.locate(token{col: len(s.scan.line)}, err)
			}
		}
	}
	return nil
}

// locate makes err an Error with the position of the token.
func (s *Session) locate(tok token, err error) error {
	if err == errLeave {
		return err
	}
	name := tok.text
	if tok.quoted {
		name = ""
	}
	if l, ok := err.(*lookalike); ok { // it is shown by its column, since the token may look like another
		name, tok.col, l.shown = "", l.column, s.source == ""
	}
	err = fail(name, "", err)
	if e, ok := err.(*Error); ok {
		e.at(Place{s.source, s.line, max(tok.col, 1)})
	}
	return err
}

// nextToken returns the next token that is neither in a comment nor skipped by [if].
func (s *Session) nextToken() (token, bool, error) {
	if s.comment {
		if !s.scan.skipComment() {
			return token{}, false, nil
		}
		s.comment = false
		if s.comp != nil && s.comp.stack {
			s.comp.endStack(s.scan.line, s.scan.pos)
		}
	}
	if s.skip > 0 && !s.skipAhead() {
		return token{}, false, nil
	}
	return s.scan.next()
}

// evaluate runs or compiles one token.
func (s *Session) evaluate(tok token) error {
	if s.comp == nil {
		if err := s.interpretToken(tok); err != nil || s.comp == nil {
			return err
		}
	} else if err := s.compileToken(tok); err != nil {
		return err
	}
	if s.comp == nil || len(s.comp.open) > 0 {
		return nil
	}
	c := s.comp // a block at the prompt that has just been closed
	s.comp = nil
	if err := c.emit(instr{op: opWord, word: endBlock}); err != nil {
		return err
	}
	code, err := s.finish(c)
	if err != nil {
		return err
	}
	return s.executeBlock(code)
}

// interpretToken runs one token.
func (s *Session) interpretToken(tok token) error {
	if tok.quoted {
		return s.Push(NewPart(tok.text, s.scan.line))
	}
	if e := s.dict.find(tok.text); e != nil {
		if def := e.def.Load(); def != nil {
			switch {
			case def.variable, def.buffer != nil:
				return s.Push(e.self())
			case def.value != nil:
				return s.Push(def.value.load())
			case def.code != nil:
				if s.interrupt.Load() {
					return ErrInterrupted
				}
				return s.execute(def.code)
			case def.word.compile != nil:
				return def.word.compile(s, tok)
			case def.word.takes != takesNothing:
				text, err := s.scan.take(def.word)
				if err != nil {
					return err
				}
				return s.callWord(def.word.with(text))
			}
			return s.callWord(def.word)
		}
	}
	if v, ok, err := ParseLiteral(tok.text); ok {
		if err != nil {
			return err
		}
		return s.Push(v)
	}
	if tok.text == ")" {
		return errCloseParen
	}
	if err := s.dict.unknown(tok.text); err != nil {
		return err
	}
	return s.pushUnknown(tok)
}

// Open returns what is still open at the end of a line, the innermost: the name of a definition
// or structure, or "(" for a comment. "" means that nothing is open.
func (s *Session) Open() string {
	word, _ := s.opened()
	return word
}

// unclosed returns the error that something is open that may not be, with the place where it
// begins.
func (s *Session) unclosed(format string) error {
	open, at := s.opened()
	e := &Error{Err: fmt.Errorf(format, open)}
	e.at(Place{s.source, int(at.line), int(at.col)})
	return e
}

// opened returns what Open returns, and the place where it was opened.
func (s *Session) opened() (word string, at position) {
	switch c := s.comp; {
	case s.comment:
		return "(", s.commentAt
	case s.skip == 0 && c != nil && c.list != nil:
		return "{:", c.list.pos
	case s.skip == 0 && c != nil && len(c.open) > 0:
		o := c.open[len(c.open)-1]
		return o.word, o.pos
	case len(s.conditions) > 0:
		return "[if]", s.conditions[len(s.conditions)-1]
	}
	return "", position{}
}

// Abandon forgets the open definition, structure, comment or [if].
func (s *Session) Abandon() {
	s.comp, s.comment, s.conditions, s.skip = nil, false, nil, 0
}

// Run evaluates a source to its end: a file, standard input, a default of the program. Error
// messages contain its name. The first error ends it; `bye` ends it too, and then Left returns
// true. Run is for programs; words that run sources call Load.
func (s *Session) Run(name string, r io.Reader) error {
	return notLeaving(s.Load(name, r))
}

// RunInput evaluates the input of the session itself as a source. Words that read a line of the
// input read the next line of the source.
func (s *Session) RunInput(name string) error {
	return notLeaving(s.load(name, func() (string, error) { return s.readLine(s.in) }))
}

// Load is Run for words: if a source that a word runs is left, the caller of the word is left
// too.
func (s *Session) Load(name string, r io.Reader) error {
	in := newInput(r)
	return s.load(name, func() (string, error) { return s.readLine(in) })
}

// load evaluates a source whose lines next returns, each with its newline, and the last with
// io.EOF.
func (s *Session) load(name string, next func() (string, error)) error {
	if err := s.enter(sourceCode); err != nil {
		return err
	}
	floor := len(s.calls) - 1
	outer := s.begin(name)
	s.line = 0
	left := s.beginUnknowns()
	err := s.lines(next)
	if err == nil && s.Open() != "" {
		err = s.unclosed("%s is not closed at the end of the source")
	}
	left(err)
	if e, ok := err.(*Error); ok {
		e.Calls = append(e.Calls, Call{}) // the word that loads
	}
	s.unwind(floor)
	s.restore(outer)
	if floor == 0 {
		s.sayHints(err)
	}
	return err
}

// sourceCode represents a source among the calls.
var sourceCode = &code{}

// sourceState is where a session stands in its source.
type sourceState struct {
	scan       scanner
	comp       *compiler  // while a definition or structure is open
	comment    bool       // inside a ( comment
	commentAt  position   // where it begins
	conditions []position // [if]s that are open
	skip       int        // how many [if]s deep the source is being skipped, 0 if it is not
	skipElse   bool       // [else] began to skip it
	source     string     // name of the current file; "" at the prompt
	line       int        // in source, from 1; 0 at the prompt
}

// begin prepares the session for another source; restore returns to the current one.
func (s *Session) begin(source string) sourceState {
	outer := s.sourceState
	s.sourceState = sourceState{source: source, line: s.line}
	return outer
}

func (s *Session) restore(outer sourceState) { s.sourceState = outer }

// lines interprets the lines of a source.
func (s *Session) lines(next func() (string, error)) error {
	for {
		line, err := next()
		s.line++
		if err != nil && err != io.EOF {
			if p := new(fs.PathError); errors.As(err, &p) {
				err = p.Err // the place names the file
			}
			return &Error{Place: Place{s.source, s.line, 1}, Err: err}
		}
		if line != "" {
			if s.interrupt.Load() {
				return &Error{Place: Place{s.source, s.line, 1}, Err: ErrInterrupted}
			}
			if err := s.interpretLine(strings.TrimSuffix(line, "\n"), next); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}
