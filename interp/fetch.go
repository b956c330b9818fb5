// SPDX-License-Identifier: BSD-3-Clause

package interp

// accessCall does a fetch or store that is fused with the name of its variable or buffer. If it
// cannot, it pushes the name for the word that comes next.
func (s *Session) accessCall(in *instr, def *definition) error {
	if !s.access(in.op-opCallFetch+OpFetch, in.entry, def) {
		if def.value != nil {
			return s.Push(def.value.load())
		}
		return s.Push(in.entry.self())
	}
	s.calls[len(s.calls)-1].ip++
	return nil
}

// accessWord does a fetch or store by a name that is on top of the stack.
func (s *Session) accessWord(in *instr) error {
	if s.sp > s.base {
		name := s.stack[s.sp-1]
		e, def := name.entry()
		if e == nil && name.Kind() == KindString {
			if e = s.look(name); e != nil {
				def = e.def.Load()
			}
		}
		if def != nil {
			if s.sp--; s.access(in.op, e, def) {
				return nil
			}
			s.sp++
		}
	}
	return s.callWord(in.word)
}

// access fetches from or stores to an entry whose name has been taken from the stack. If it
// returns false, the stack is as it was, and the word has to be called with the name.
func (s *Session) access(op Op, e *Entry, def *definition) bool {
	st, sp, base := s.stack, s.sp, s.base
	switch op {
	case OpFetch:
		if !def.variable || sp == MaxStack {
			return false
		}
		put(&st[sp], e.cell.load())
		s.sp = sp + 1
		return true
	case OpStore:
		if !def.variable || sp == base {
			return false
		}
		if v := st[sp-1]; v.held() > 0 || !e.cell.swapPlain(v) {
			return false
		}
		s.sp = sp - 1
		return true
	case OpPlusStore:
		if !def.variable || sp == base || st[sp-1].ref != nil {
			return false
		}
		if !e.cell.add(st[sp-1].n) {
			return false
		}
		s.sp = sp - 1
		return true
	}
	b := def.buffer
	if b == nil || sp == base || st[sp-1].ref != nil {
		return false
	}
	i := uint64(st[sp-1].n)
	switch op {
	case OpByteFetch:
		if i >= uint64(len(b.bytes)) {
			return false
		}
		st[sp-1].n = int64(b.bytes[i])
		return true
	case OpCellFetch:
		if i >= uint64(len(b.bytes))/cellSize {
			return false
		}
		st[sp-1].n = b.cell(i)
		return true
	}
	if sp-base < 2 || st[sp-2].ref != nil {
		return false
	}
	switch op {
	case OpByteStore:
		n := uint64(st[sp-2].n)
		if i >= uint64(len(b.bytes)) || n > 0xff {
			return false
		}
		b.bytes[i] = byte(n)
	case OpCellStore:
		if i >= uint64(len(b.bytes))/cellSize {
			return false
		}
		b.setCell(i, st[sp-2].n)
	}
	s.sp = sp - 2
	return true
}
