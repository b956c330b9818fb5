package interp

import "errors"

// execute runs code until it returns, with the stack frames it opened closed.
func (s *Session) execute(c *code) error {
	floor := len(s.calls)
	if err := s.enter(c); err != nil {
		return fail(c.name, nil, err)
	}
	err := s.run(floor)
	if err != nil {
		s.unwind(floor)
	}
	return err
}

// enter pushes a call.
func (s *Session) enter(c *code) error {
	if len(s.calls) == MaxNesting {
		return errNesting
	}
	s.calls = append(s.calls, call{code: c, frames: int32(len(s.frames)), rp: int32(s.rp), lp: int32(s.lp)})
	return nil
}

// unwind takes back the calls above floor, with what they left open.
func (s *Session) unwind(floor int) {
	c := &s.calls[floor]
	s.closeFrames(int(c.frames))
	s.rp, s.lp = int(c.rp), int(c.lp)
	s.calls = s.calls[:floor]
}

// step adds to the index; false says that the loop ends: the index has crossed from
// limit-1 to limit or back, on the circle of 64-bit numbers.
func (l *doLoop) step(n int64) bool {
	before := l.i - l.limit
	after := before + n
	l.i += n
	return (before^after)&(before^n) >= 0
}

// halt ends run with the error of an instruction.
func (s *Session) halt(floor int, fr *call, ip, sp int, in *instr, err error) error {
	fr.ip, s.sp = int32(ip), sp
	name := ""
	switch {
	case in.word != nil:
		name = in.word.Name
	case in.entry != nil:
		name = in.entry.name
	case in.op == opLit:
		name = fr.code.lits[in.n].Source()
	case in.op != opJump:
		name = NewInt(in.k).Source()
	}
	return s.trace(floor, fail(name, in.word, err))
}

// callWord checks the inputs of a built-in word and calls it. On error the stack
// is as it was.
func (s *Session) callWord(w *Word) error {
	if s.sp-s.base < w.min {
		return fail(w.Name, w, ErrUnderflow)
	}
	sp, base := s.sp, s.base
	err := w.Func(s)
	if err == nil {
		return nil
	}
	// An error that has its place already comes from source that the word ran: the
	// stack is as that source left it.
	if err != errLeave && !errors.As(err, new(*Error)) && s.base == base {
		s.sp = sp
	}
	return fail(w.Name, w, err)
}

// trace adds to an error the compound words that were running above floor, and
// the position when a block at the prompt or in a file was.
func (s *Session) trace(floor int, err error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	for i := len(s.calls) - 1; i >= floor; i-- {
		c := s.calls[i]
		switch {
		case c.code.name != "":
			e.Trace = append(e.Trace, c.code.name)
		case e.Line == 0 && s.source != "" && c.ip > 0:
			p := c.code.pos[c.ip-1]
			e.Source, e.Line, e.Col = s.source, int(p.line), int(p.col)
		}
	}
	return e
}

// isZero tells whether a value counts as false: the integer 0 alone does, and what
// reads as it.
func (v Value) isZero() bool {
	if v.ref == nil {
		return v.n == 0
	}
	n, err := v.Int()
	return err == nil && n == 0
}
