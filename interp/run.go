package interp

import "errors"

// The inner loop.
//
// Threaded code with explicit frames: one switch for what moves the instruction
// pointer, an indirect call through its record for every built-in word. An
// interface call per word costs about twice as much, and Go recursion for calls
// would cost the same as frames but give neither traces nor a limit of depth.

// execute runs code until it returns, with the stack frames it opened closed.
func (s *Session) execute(c *code) error {
	floor := len(s.calls)
	if err := s.enter(c); err != nil {
		return fail(c.name, nil, err)
	}
	err := s.run(floor)
	if err != nil {
		s.closeFrames(s.calls[floor].frames)
		s.calls = s.calls[:floor]
	}
	return err
}

// enter pushes a call.
func (s *Session) enter(c *code) error {
	if len(s.calls) == MaxNesting {
		return errNesting
	}
	s.calls = append(s.calls, call{code: c, frames: len(s.frames)})
	return nil
}

// run executes the innermost call and those below it until floor calls are left.
// An error leaves the calls as they were when it happened.
func (s *Session) run(floor int) error {
resume:
	fr := &s.calls[len(s.calls)-1]
	ins, lits, ip := fr.code.ins, fr.code.lits, fr.ip
	for {
		in := &ins[ip]
		ip++
		w := in.word
		switch in.op {
		case opLit:
			if s.sp == MaxStack {
				fr.ip = ip
				return s.trace(floor, fail(lits[in.n].Source(), nil, errStack))
			}
			s.stack[s.sp] = lits[in.n]
			s.sp++
			continue

		case opWord:

		case opCall:
			def := in.entry.def.Load()
			switch {
			case def == nil || def.variable:
				if err := s.Push(in.entry.self); err != nil {
					fr.ip = ip
					return s.trace(floor, fail(in.entry.name, nil, err))
				}
				continue
			case def.word != nil: // registered since this was compiled
				if w = def.word; w.compile != nil {
					fr.ip = ip
					return s.trace(floor, fail(w.Name, nil, errLateControl))
				}
			default:
				fr.ip = ip
				err := s.enter(def.code)
				if err == nil && s.interrupt.Load() {
					err = ErrInterrupted
				}
				if err != nil {
					return s.trace(floor, fail(in.entry.name, nil, err))
				}
				goto resume
			}

		case opJump:
			if int(in.n) < ip && s.interrupt.Load() {
				fr.ip = ip
				return s.trace(floor, fail("", nil, ErrInterrupted))
			}
			ip = int(in.n)
			continue

		case opJumpZero:
			flag, err := s.Pop()
			if err == nil && int(in.n) < ip && s.interrupt.Load() {
				err = ErrInterrupted
			}
			if err != nil {
				fr.ip = ip
				return s.trace(floor, fail(w.Name, w, err))
			}
			if flag.isZero() {
				ip = int(in.n)
			}
			continue

		case opReturn:
			s.closeFrames(fr.frames)
			s.calls = s.calls[:len(s.calls)-1]
			if len(s.calls) == floor {
				return nil
			}
			goto resume
		}

		fr.ip = ip
		if err := s.callWord(w); err != nil {
			return s.trace(floor, err)
		}
	}
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
