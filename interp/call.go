// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"fmt"
	"strings"
)

// execute runs code until it returns, and closes the stack frames that it opened.
func (s *Session) execute(c *code) error {
	if err := s.enterChecked(c); err != nil {
		return fail(c.name, c.inputs.comment, err)
	}
	return s.runInnermost()
}

// endBlock ends a block at the prompt. Values that the block leaves on the return stack stay for
// the rest of the line.
var endBlock = &Word{Name: "end", Stack: "( - )", Func: func(s *Session) error {
	s.calls[len(s.calls)-1].rp = int32(s.rp)
	return nil
}}

// executeBlock runs a block at the prompt. The block sees the values that its line has put on the
// return stack.
func (s *Session) executeBlock(c *code) error {
	rp := s.returnFloor()
	if err := s.enter(c); err != nil {
		return fail("", "", err)
	}
	s.calls[len(s.calls)-1].rp = int32(rp)
	return s.runInnermost()
}

// runInnermost runs the call that was entered last until it returns.
func (s *Session) runInnermost() error {
	floor, outer := len(s.calls)-1, s.floor
	s.floor = floor
	err := s.run()
	s.floor = outer
	if err != nil {
		s.unwind(floor)
	}
	return err
}

// enter pushes a call.
func (s *Session) enter(c *code) error {
	if len(s.calls) == maxNesting {
		return errNesting
	}
	s.calls = append(s.calls, call{code: c, frames: int32(len(s.frames)), rp: int32(s.rp), lp: int32(s.lp)})
	return nil
}

// enterChecked pushes the call of a compound word if its inputs are there.
func (s *Session) enterChecked(c *code) error {
	if err := s.checkInputs(c); err != nil {
		return err
	}
	return s.enter(c)
}

// unwind removes the calls above floor, and what they left open.
func (s *Session) unwind(floor int) {
	c := &s.calls[floor]
	s.closeFrames(int(c.frames))
	s.rp, s.lp = int(c.rp), int(c.lp)
	s.calls = s.calls[:floor]
}

// advance adds n to the index. It returns false if the loop ends: the index has crossed from limit-1
// to limit or back, on the circle of 64-bit numbers.
func (l *doLoop) advance(n int64) bool {
	before := l.i - l.limit
	after := before + n
	l.i += n
	return (before^after)&(before^n) >= 0
}

// halt ends run with the error of an instruction.
func (s *Session) halt(fr *call, ip, sp int, in *instr, err error) error {
	fr.ip, s.sp = int32(ip), sp
	name, stack := "", ""
	switch {
	case in.word != nil:
		name, stack = in.word.Name, in.word.Stack
		err = s.nameArgument(in.word, sp, err)
	case in.entry != nil:
		name = in.entry.name
		if def := in.entry.def.Load(); def != nil && def.code != nil {
			stack = def.code.inputs.comment
		}
	case in.op == opLit:
		name = fr.code.lits[in.n].Source()
	case in.op != opJump:
		name = NewInt(in.k).Source()
	}
	return s.trace(fail(name, stack, err))
}

// stop is halt for a place where the inner loop has written its variables back.
func (s *Session) stop(err error) error {
	fr := &s.calls[len(s.calls)-1]
	return s.halt(fr, int(fr.ip), s.sp, &fr.code.ins[fr.ip-1], err)
}

// callWord checks the inputs of a built-in word and calls it. If it fails, the stack is as it
// was.
func (s *Session) callWord(w *Word) error {
	if s.sp-s.base < w.min {
		return fail(w.Name, w.Stack, ErrUnderflow)
	}
	sp, base := s.sp, s.base
	err := w.Func(s)
	if err == nil {
		return nil
	}
	err = s.nameArgument(w, sp, err)
	// An error that has its place already comes from source that the word ran, and the stack
	// stays as that source left it. The inputs of a word that throws are gone too.
	if err != errLeave && !isThrown(err) && !errors.As(err, new(*Error)) && s.base == base {
		s.sp = sp
	}
	return fail(w.Name, w.Stack, err)
}

// nameArgument adds to the error of a value that did not convert which input of the word it was,
// by the stack comment. The inputs lay below sp.
func (s *Session) nameArgument(w *Word, sp int, err error) error {
	u, ok := err.(*unfit)
	if !ok || len(w.inputs) == 0 {
		return err
	}
	i := s.sp // where the value lay that was taken last
	if i >= sp || s.stack[i] != u.value {
		for i = sp - 1; i >= s.base && s.stack[i] != u.value; i-- {
		}
	}
	n := len(w.inputs) - (sp - i)
	if i < s.base || n < 0 || strings.Contains(w.inputs[n], "…") {
		return err
	}
	return fmt.Errorf("%s: %w", w.inputs[n], err)
}

// trace adds to an error the compound words that were running in this run, with the places where
// they stood. A block is not a word: its place is that of the source.
func (s *Session) trace(err error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	for i := len(s.calls) - 1; i >= s.floor; i-- {
		c := s.calls[i]
		if c.ip > 0 {
			p := c.code.pos[c.ip-1]
			e.at(Place{c.code.source, int(p.line), int(p.col)})
		}
		if c.code.name != "" {
			e.Calls = append(e.Calls, Call{Word: c.code.name})
		}
	}
	return e
}

// IsZero says whether a value counts as false: only the integer 0 does, and a value that reads as
// it.
func (v Value) IsZero() bool {
	if v.ref == nil {
		return v.n == 0
	}
	n, err := v.Int()
	return err == nil && n == 0
}

// The rest of this file is the part of the inner loop for values that are not integers. It works
// on the session, not on the registers of the loop.

// jumpZero continues at n if the flag that was just taken from the stack is 0.
func (s *Session) jumpZero(n int32) {
	if s.stack[s.sp].IsZero() {
		s.calls[len(s.calls)-1].ip = n
	}
}

// of drops both values on top if they are equal; otherwise it drops one and continues at n.
func (s *Session) of(n int32) {
	s.sp--
	if s.stack[s.sp-1].Same(s.stack[s.sp]) {
		s.sp--
	} else {
		s.calls[len(s.calls)-1].ip = n
	}
}

// toInts converts the n values on top to integers, so that the instruction can be repeated; or it
// leaves everything as it is.
func (s *Session) toInts(n int) error {
	top := s.stack[s.sp-n : s.sp]
	for _, v := range top {
		if _, err := v.Int(); err != nil {
			return err
		}
	}
	for i, v := range top {
		m, _ := v.Int()
		top[i] = NewInt(m)
	}
	s.calls[len(s.calls)-1].ip--
	return nil
}
