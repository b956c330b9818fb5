package interp

// access does a fetch or store that is fused with the name of its variable or
// buffer; false says that the name is to be pushed and the next word called.
func (s *Session) access(in *instr, def *definition, st *[MaxStack]Value, sp, base int) (int, bool) {
	return s.accessBy(in.op-opCallFetch+OpFetch, in.entry, def, st, sp, base)
}

// accessBy fetches from or stores to the entry: sp is the stack pointer without
// the name, and with the results on success.
func (s *Session) accessBy(op Op, e *Entry, def *definition, st *[MaxStack]Value, sp, base int) (int, bool) {
	switch op {
	case OpFetch:
		if !def.variable || sp == MaxStack {
			return sp, false
		}
		put(&st[sp], e.cell.load())
		return sp + 1, true
	case OpStore:
		if !def.variable || sp == base {
			return sp, false
		}
		e.cell.store(st[sp-1])
		return sp - 1, true
	case OpPlusStore:
		if !def.variable || sp == base || st[sp-1].ref != nil {
			return sp, false
		}
		return sp - 1, e.cell.add(st[sp-1].n)
	}
	b := def.buffer
	if b == nil || sp == base || st[sp-1].ref != nil {
		return sp, false
	}
	i := uint64(st[sp-1].n)
	switch op {
	case OpByteFetch:
		if i >= uint64(len(b.bytes)) {
			return sp, false
		}
		st[sp-1].n = int64(b.bytes[i])
		return sp, true
	case OpCellFetch:
		if i >= uint64(len(b.bytes))/cellSize {
			return sp, false
		}
		st[sp-1].n = b.cell(i)
		return sp, true
	}
	if sp-base < 2 || st[sp-2].ref != nil {
		return sp, false
	}
	switch op {
	case OpByteStore:
		n := uint64(st[sp-2].n)
		if i >= uint64(len(b.bytes)) || n > 0xff {
			return sp, false
		}
		b.bytes[i] = byte(n)
	case OpCellStore:
		if i >= uint64(len(b.bytes))/cellSize {
			return sp, false
		}
		b.setCell(i, st[sp-2].n)
	}
	return sp - 2, true
}
