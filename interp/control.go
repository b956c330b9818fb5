// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"slices"
)

// controlWords returns the words that the compiler itself knows. They work at the prompt too: a
// structure there is compiled until it is closed, then it runs once.
func controlWords() Set {
	return Set{
		Name:  "control",
		Help:  "control structures, definitions, comments",
		Words: slices.Concat(definitionWords(), structureWords(), localWords(), conditionWords()),
	}
}

func structureWords() []Word {
	return []Word{
		{Name: "if", Stack: "( flag - )", Help: "runs what follows, up to else or then, if the flag is not 0", compile: compileIf,
			Example: "1 if \"yes\" . then"},
		{Name: "else", Stack: "( - )", Help: "begins what runs when the flag of if is 0", compile: compileElse,
			Example: "0 if \"yes\" else \"no\" then ."},
		{Name: "then", Stack: "( - )", Help: "ends if", compile: compileThen,
			Example: "1 if \"yes\" . then"},

		{Name: "case", Stack: "( - )", Help: "begins a choice by the value on top, up to endcase", compile: compileCase,
			Example: ": name ( n - ) case 1 of \"one\" . endof 2 of \"two\" . endof \"many:\" . dup . endcase ;\n2 name 7 name"},
		{Name: "of", Stack: "( a b - a | )", Help: "runs what follows, up to endof, if the two values are equal, and drops both; otherwise drops only b", compile: compileOf,
			Example: "2 case 2 of \"two\" . endof endcase"},
		{Name: "endof", Stack: "( - )", Help: "ends the branch that of runs and goes on after endcase", compile: compileEndof,
			Example: "2 case 2 of \"two\" . endof endcase"},
		{Name: "endcase", Stack: "( a - )", Help: "ends case and drops the value, if no of has done so", compile: compileEndcase,
			Example: "3 case 2 of \"two\" . endof endcase"},

		{Name: "begin", Stack: "( - )", Help: "begins a loop, up to until, repeat or again", compile: compileBegin,
			Example: "3 begin dup . 1 - dup 0= until drop"},
		{Name: "until", Stack: "( flag - )", Help: "goes back to begin if the flag is 0", compile: compileUntil,
			Example: "3 begin dup . 1 - dup 0= until drop"},
		{Name: "while", Stack: "( flag - )", Help: "leaves the loop, after its repeat, if the flag is 0", compile: compileWhile,
			Example: "3 begin dup while dup . 1 - repeat drop"},
		{Name: "repeat", Stack: "( - )", Help: "goes back to begin", compile: compileRepeat,
			Example: "3 begin dup while dup . 1 - repeat drop"},
		{Name: "again", Stack: "( - )", Help: "goes back to begin, for ever", compile: compileAgain,
			Example: ": count ( - ) 1 begin dup . dup 3 = if drop exit then 1 + again ;\ncount"},

		{Name: "do", Stack: "( limit index - )", Help: "begins a loop that counts from index up to limit, limit excluded; it runs at least once", compile: compileDo,
			Example: "4 1 do i . loop"},
		{Name: "?do", Stack: "( limit index - )", Help: "is do, but skips the loop if the two are equal", compile: compileDo,
			Example: "0 0 ?do i . loop"},
		{Name: "loop", Stack: "( - )", Help: "ends do: goes on with the next index, or leaves at the limit", compile: compileLoop,
			Example: "4 1 do i . loop"},
		{Name: "+loop", Stack: "( step - )", Help: "ends do: adds step to the index and leaves when it crosses the limit", compile: compileLoop,
			Example: "10 0 do i . 5 +loop"},
		{Name: "i", Stack: "( - n )", Help: "index of the innermost do loop", compile: compileIndex,
			Example: "3 0 do i . loop"},
		{Name: "j", Stack: "( - n )", Help: "index of the do loop around the innermost one", compile: compileIndex,
			Example: "2 0 do 2 0 do j . loop loop"},
		{Name: "leave", Stack: "( - )", Help: "leaves the innermost do loop at once", compile: compileLeave,
			Example: "9 0 do i . i 2 = if leave then loop"},
		{Name: "unloop", Stack: "( - )", Help: "forgets the innermost do loop, for Forth's sake: exit does so by itself", compile: compileUnloop,
			Example: ": first ( - n ) 9 3 do i unloop exit loop ;\nfirst ."},
	}
}

// block returns the compiler at work; at the prompt it starts one.
func (s *Session) block(tok token) *compiler {
	if s.comp == nil {
		s.comp = s.newCompiler("")
		s.comp.at = position{int32(s.line), int32(tok.col)}
	}
	return s.comp
}

// record returns the record of the control word that is being compiled, for its errors.
func (s *Session) record(tok token) *Word {
	w, _ := s.dict.Word(tok.text)
	return w
}

func compileIf(s *Session, tok token) error {
	c := s.block(tok)
	c.push("if", c.here())
	return c.emit(instr{op: opJumpZero, word: s.record(tok)})
}

func compileElse(s *Session, _ token) error {
	c := s.comp
	o, err := c.pop("if", "while", "else")
	if err != nil {
		return err
	}
	c.push("else", c.here())
	if err := c.emit(instr{op: opJump}); err != nil {
		return err
	}
	c.land(o.at)
	return nil
}

func compileThen(s *Session, _ token) error {
	o, err := s.comp.pop("if", "else", "while")
	if err == nil {
		s.comp.land(o.at)
	}
	return err
}

func compileCase(s *Session, tok token) error {
	s.block(tok).push("case", 0)
	return nil
}

func compileOf(s *Session, tok token) error {
	c := s.comp
	if c == nil || c.open[len(c.open)-1].word != "case" {
		return errors.New("without case")
	}
	c.push("of", c.here())
	return c.emit(instr{op: opOf, word: s.record(tok)})
}

func compileEndof(s *Session, _ token) error {
	c := s.comp
	o, err := c.pop("of")
	if err != nil {
		return err
	}
	outer := &c.open[len(c.open)-1]
	outer.leaves = append(outer.leaves, c.here())
	if err := c.emit(instr{op: opJump}); err != nil {
		return err
	}
	c.land(o.at)
	return nil
}

func compileEndcase(s *Session, tok token) error {
	c := s.comp
	o, err := c.pop("case")
	if err != nil {
		return err
	}
	if err := c.emit(instr{op: OpDrop, word: dropCase}); err != nil {
		return err
	}
	for _, at := range o.leaves {
		c.land(at)
	}
	return nil
}

// dropCase is the instruction of endcase.
var dropCase = &Word{Name: "endcase", Stack: "( a - )", min: 1, max: 1, Func: func(s *Session) error {
	_, err := s.Pop()
	return err
}}

func compileBegin(s *Session, tok token) error {
	c := s.block(tok)
	c.push("begin", c.here())
	return nil
}

func compileUntil(s *Session, tok token) error {
	o, err := s.comp.pop("begin")
	if err != nil {
		return err
	}
	return s.comp.emit(instr{op: opJumpZero, n: int32(o.at), word: s.record(tok)})
}

// compileWhile leaves the begin on top and its own jump below it, which ends at repeat, or at a
// then or else after the loop. So a loop may have several whiles, as in Forth.
func compileWhile(s *Session, tok token) error {
	c := s.comp
	begin, err := c.pop("begin")
	if err != nil {
		return err
	}
	c.push("while", c.here())
	c.open = append(c.open, begin)
	return c.emit(instr{op: opJumpZero, word: s.record(tok)})
}

// compileRepeat also closes what lies below begin: a while, or an if that was opened before the
// loop.
func compileRepeat(s *Session, tok token) error {
	if err := compileAgain(s, tok); err != nil {
		return err
	}
	o, err := s.comp.pop("while", "if", "else")
	if err == nil {
		s.comp.land(o.at)
	}
	return err
}

func compileAgain(s *Session, _ token) error {
	o, err := s.comp.pop("begin")
	if err != nil {
		return err
	}
	return s.comp.emit(instr{op: opJump, n: int32(o.at)})
}

func compileDo(s *Session, tok token) error {
	c := s.block(tok)
	op := opDo
	if tok.text == "?do" {
		op = opAskDo
	}
	c.push("do", c.here())
	return c.emit(instr{op: op, word: s.record(tok)})
}

func compileLoop(s *Session, tok token) error {
	c := s.comp
	o, err := c.pop("do")
	if err != nil {
		return err
	}
	op := opLoop
	if tok.text == "+loop" {
		op = opPlusLoop
	}
	if err := c.emit(instr{op: op, n: int32(o.at + 1), word: s.record(tok)}); err != nil {
		return err
	}
	c.land(o.at) // the jump of ?do; do has none
	for _, at := range o.leaves {
		c.land(at)
	}
	return nil
}

// inDo returns the n-th open do loop from inside, or nil.
func (c *compiler) inDo(n int) *opening {
	if c == nil {
		return nil
	}
	for i := len(c.open) - 1; i >= 0; i-- {
		if c.open[i].word == "do" {
			if n == 0 {
				return &c.open[i]
			}
			n--
		}
	}
	return nil
}

func compileIndex(s *Session, tok token) error {
	op, out, missing := opI, 0, errNoLoop
	if tok.text == "j" {
		op, out, missing = opJ, 1, errNoOuterLoop
	}
	if s.comp.inDo(out) == nil {
		return missing
	}
	return s.comp.emit(instr{op: op, word: s.record(tok)})
}

func compileLeave(s *Session, tok token) error {
	o := s.comp.inDo(0)
	if o == nil {
		return errNoLoop
	}
	o.leaves = append(o.leaves, s.comp.here())
	return s.comp.emit(instr{op: opLeave, word: s.record(tok)})
}

func compileUnloop(s *Session, tok token) error {
	if s.comp.inDo(0) == nil {
		return errNoLoop
	}
	return s.comp.emit(instr{op: opUnloop, word: s.record(tok)})
}
