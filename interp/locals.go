// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// localWords declare and set the locals of a definition. Locals live on the return stack, below
// the values that the definition itself puts there: {: moves the mark below which r> cannot go,
// and the end of the definition moves it back. So calls need no more memory than without locals.
func localWords() []Word {
	return []Word{
		{Name: "{:", Stack: "( item… - )", Help: "names the values on top as locals, up to :}; those after | begin as 0, and the text after - or -- is a comment", compile: compileLocals,
			Example: ": hypot2 ( a b - n ) {: a b | sum :} a a * b b * + to sum sum ;\n3 4 hypot2 ."},
		{Name: "to", Stack: `( item "name" - )`, Help: "gives a value or a local another value", compile: compileTo,
			Example: "5 value five\n6 to five\nfive ."},
	}
}

// localList is a list of locals that is being read.
type localList struct {
	args  int // the first ones, which are taken from the stack
	names []string
	part  string // what comes next: "" for arguments, "|" for others, "-" for a comment
	pos   position
}

func compileLocals(s *Session, tok token) error {
	c := s.comp
	if c == nil || c.code.name == "" {
		return errors.New("outside a definition")
	}
	if len(c.open) > 1 || len(c.open) == 1 && !c.colon {
		return fmt.Errorf("inside %s; locals are named outside of structures", c.open[len(c.open)-1].word)
	}
	c.list = &localList{pos: c.at}
	return nil
}

// listToken reads a token between {: and :}.
func (s *Session) listToken(tok token) error {
	c := s.comp
	l := c.list
	switch {
	case tok.quoted:
		return errors.New("the name of a local has no quotes")
	case tok.text == ":}":
		c.list = nil
		return c.declare(l)
	case tok.text == "(":
		return compileComment(s, tok)
	case l.part == "-":
	case tok.text == "-", tok.text == "--":
		l.part = "-"
	case tok.text == "|":
		l.part = "|"
	default:
		if err := checkName(tok.text, `"\`); err != nil {
			return err
		}
		if slices.Contains(l.names, tok.text) || c.local(tok.text) > 0 {
			return errors.New("there is a local of that name already")
		}
		if len(c.locals)+len(l.names) == MaxLocals {
			return errLocals
		}
		l.names = append(l.names, strings.Clone(tok.text))
		if l.part == "" {
			l.args++
		}
	}
	return nil
}

// localWord is the word of a local, for errors.
var localWord = &Word{Name: "local", Stack: "( - item )"}

// declare emits the instructions that make the locals of a list.
func (c *compiler) declare(l *localList) error {
	if len(l.names) == 0 {
		return nil
	}
	c.locals = append(c.locals, l.names...)
	at := c.at
	c.at = l.pos
	defer func() { c.at = at }()
	stack := "( " + strings.Join(append(slices.Clone(l.names[:l.args]), "-", ")"), " ")
	return c.emit(instr{op: opLocals, n: int32(l.args), k: int64(len(l.names)), word: &Word{Name: "{:", Stack: stack}})
}

// local returns how far below the mark of the call a local lies, or 0 if there is none of that
// name.
func (c *compiler) local(name string) int {
	if i := slices.Index(c.locals, name); i >= 0 {
		return len(c.locals) - i
	}
	return 0
}

// leaveCode emits the end of a definition.
func (c *compiler) leaveCode() error {
	if len(c.locals) > 0 {
		if err := c.emit(instr{op: opDropLocals, n: int32(len(c.locals))}); err != nil {
			return err
		}
	}
	return c.emit(instr{op: opReturn})
}

// enterLocals does opLocals.
func (s *Session) enterLocals(in *instr) error {
	args, all := int(in.n), int(in.k)
	fr := &s.calls[len(s.calls)-1]
	switch {
	case s.Depth() < args:
		return ErrUnderflow
	case s.rp != int(fr.rp):
		return errors.New("values that >r has put away are in the way; take them back first")
	case s.rp+all > maxReturn:
		return errReturn
	}
	s.sp -= args
	for i := range all {
		v := Value{}
		if i < args {
			v = s.stack[s.sp+i]
		}
		put(&s.rstack[s.rp+i], v)
	}
	s.rp += all
	fr.rp = int32(s.rp)
	return nil
}

func compileTo(s *Session, tok token) error {
	w := s.record(tok)
	name, err := s.scan.take(w)
	if err != nil {
		return err
	}
	if s.comp != nil {
		if n := s.comp.local(name); n > 0 {
			return s.comp.emit(instr{op: opToLocal, n: int32(n), word: &Word{Name: "to", Stack: "( item - )"}})
		}
	}
	e := s.dict.find(name)
	if e == nil {
		return noValue(name)
	}
	if err := e.assignable(); err != nil {
		return err
	}
	if s.comp == nil {
		v, err := s.Pop()
		if err != nil {
			return fail(tok.text, w.Stack, err)
		}
		return s.dict.assign(e, v)
	}
	if e, err = s.refer(name); err != nil {
		return err
	}
	return s.comp.emit(instr{op: opWord, entry: e, word: &Word{Name: "to", Stack: "( item - )", min: 1, max: 1, Func: func(s *Session) error {
		v, err := s.Pop()
		if err != nil {
			return err
		}
		return s.dict.assign(e, v)
	}}})
}
