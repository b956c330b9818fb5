// SPDX-License-Identifier: BSD-3-Clause

package interp

// This is the inner loop.
//
// It is threaded code with explicit frames: one switch for control flow and for the words that
// records mark as Inline, and an indirect call through its record for every other built-in word.
// Go recursion for calls would cost the same as frames, but give neither traces nor a limit of
// depth.
//
// The stack pointer and the base of the frame are local variables. An inline word checks whether
// its inputs are there and plain. If not, it breaks out of the switch and its function is called,
// which converts them or fails with the right message. The ref of a slot is written only when it
// changes, because that store has the write barrier of the garbage collector.
//
// No local variable lives across a Go call. The loop writes its variables back before, and reads
// them anew at resume: a variable that is used on both sides of one call anywhere in the loop is
// stored to memory at every instruction.
//
// Measured with the programs of tests/bench/vm: inline words instead of calls made loops of
// arithmetic 3 to 4 times as fast. Fusing instructions that often follow each other (op.go) took
// the sieve from 54 ms to 30. A case of their own for + and -, where the others share one, gave 3
// %. Calls that fill their frame in place took fib from 54 ms to 45: append copied the frame
// right after it was written, and the wait for that copy was a third of the time. No variable
// that lives across a call took fib from there to 39. A part of that is where the linker puts the
// loop: if its address is a multiple of 64, fib takes a sixth longer than if it lies between two.
// So compare only builds in which run has the same address modulo 64.

// put writes a value into a slot of the stack.
func put(slot *Value, v Value) {
	if slot.ref != v.ref {
		slot.ref = v.ref
	}
	slot.n = v.n
}

// putInt writes an integer into a slot of the stack.
func putInt(slot *Value, n int64) {
	if slot.ref != nil {
		slot.ref = nil
	}
	slot.n = n
}

// flag returns the number of NewFlag.
func flag(b bool) int64 {
	if b {
		return -1
	}
	return 0
}

// run executes the innermost call and those below it until s.floor calls are left. An error
// leaves the calls as they were when it happened.
func (s *Session) run() error {
resume:
	for {
		fr := &s.calls[len(s.calls)-1]
		ins, ip := fr.code.ins, int(fr.ip)
		st, sp, base := s.stack, s.sp, s.base
		for {
			in := &ins[ip]
			ip++
			switch in.op {
			case opInt:
				if sp == MaxStack {
					return s.halt(fr, ip, sp, in, errStack)
				}
				putInt(&st[sp], in.k)
				sp++
				continue
			case opLit:
				if sp == MaxStack {
					return s.halt(fr, ip, sp, in, errStack)
				}
				put(&st[sp], fr.code.lits[in.n])
				sp++
				continue

			case opCall, opCallFetch, opCallStore, opCallPlusStore, opCallByteFetch, opCallByteStore, opCallCellFetch, opCallCellStore:
				def := in.entry.def.Load()
				if def != nil && def.code != nil {
					fr.ip = int32(ip)
					if len(s.calls) == maxNesting {
						return s.halt(fr, ip, sp, in, errNesting)
					}
					if s.interrupt.Load() {
						return s.halt(fr, ip, sp, in, ErrInterrupted)
					}
					n := def.code.inputs.plain // no loop: it would cost a branch at every call
					if sp-base < def.code.inputs.enough || n > 0 && (st[sp-1].ref != nil || n > 1 && (st[sp-2].ref != nil || n > 2)) {
						s.sp = sp
						if err := s.enterChecked(def.code); err != nil {
							return s.stop(err)
						}
						continue resume
					}
					depth := len(s.calls)
					s.calls = s.calls[:depth+1]
					fr = &s.calls[depth]
					if fr.code != def.code {
						fr.code = def.code
					}
					fr.frames, fr.rp, fr.lp = int32(len(s.frames)), int32(s.rp), int32(s.lp)
					ins, ip = def.code.ins, 0
					continue
				}
				if def != nil && def.word != nil { // registered since this was compiled
					if def.word.compile != nil {
						return s.halt(fr, ip, sp, in, errLateControl)
					}
					fr.ip, s.sp = int32(ip), sp
					if err := s.callWord(def.word); err != nil {
						return s.trace(err)
					}
					continue resume
				}
				if in.op != opCall && def != nil {
					fr.ip, s.sp = int32(ip), sp
					if err := s.accessCall(in, def); err != nil {
						return s.stop(err)
					}
					continue resume
				}
				if sp == MaxStack {
					return s.halt(fr, ip, sp, in, errStack)
				}
				fr.ip, s.sp = int32(ip), sp
				s.pushMeant(in.entry, def)
				continue resume

			case opLocal:
				if sp == MaxStack {
					return s.halt(fr, ip, sp, in, errStack)
				}
				put(&st[sp], s.rstack[fr.rp-in.n])
				sp++
				continue
			case opToLocal:
				if sp == base {
					return s.halt(fr, ip, sp, in, ErrUnderflow)
				}
				sp--
				put(&s.rstack[fr.rp-in.n], st[sp])
				continue
			case opLocals:
				fr.ip, s.sp = int32(ip), sp
				if err := s.enterLocals(in); err != nil {
					return s.stop(err)
				}
				continue resume

			case opDropLocals:
				fr.rp -= in.n
				continue

			case opReturn:
				if len(s.frames) > int(fr.frames) {
					s.closeFrames(int(fr.frames))
					base = s.base
				}
				s.rp, s.lp = int(fr.rp), int(fr.lp)
				s.calls = s.calls[:len(s.calls)-1]
				if len(s.calls) == s.floor {
					s.sp = sp
					return nil
				}
				fr = &s.calls[len(s.calls)-1]
				ins, ip = fr.code.ins, int(fr.ip)
				continue

			case opJump:
				if int(in.n) < ip && s.interrupt.Load() {
					return s.halt(fr, ip, sp, in, ErrInterrupted)
				}
				ip = int(in.n)
				continue
			case opJumpZero:
				if sp == base {
					return s.halt(fr, ip, sp, in, ErrUnderflow)
				}
				if int(in.n) < ip && s.interrupt.Load() {
					return s.halt(fr, ip, sp, in, ErrInterrupted)
				}
				sp--
				if st[sp].ref != nil {
					fr.ip, s.sp = int32(ip), sp
					s.jumpZero(in.n)
					continue resume
				}
				if st[sp].n == 0 {
					ip = int(in.n)
				}
				continue

			case opDo, opAskDo:
				if sp-base < 2 {
					return s.halt(fr, ip, sp, in, ErrUnderflow)
				}
				if s.lp == maxLoops {
					return s.halt(fr, ip, sp, in, errLoops)
				}
				if st[sp-1].ref != nil || st[sp-2].ref != nil {
					fr.ip, s.sp = int32(ip), sp
					if err := s.toInts(2); err != nil {
						return s.stop(err)
					}
					continue resume
				}
				sp -= 2
				limit, i := st[sp].n, st[sp+1].n
				if in.op == opAskDo && i == limit {
					ip = int(in.n)
					continue
				}
				s.loops[s.lp] = doLoop{i: i, limit: limit}
				s.lp++
				continue
			case opLoop:
				if s.lp == int(fr.lp) {
					return s.halt(fr, ip, sp, in, errNoLoop)
				}
				l := &s.loops[s.lp-1]
				l.i++
				if l.i == l.limit {
					s.lp--
					continue
				}
				if s.interrupt.Load() {
					return s.halt(fr, ip, sp, in, ErrInterrupted)
				}
				ip = int(in.n)
				continue
			case opPlusLoop:
				if sp == base {
					return s.halt(fr, ip, sp, in, ErrUnderflow)
				}
				if s.lp == int(fr.lp) {
					return s.halt(fr, ip, sp, in, errNoLoop)
				}
				if s.interrupt.Load() {
					return s.halt(fr, ip, sp, in, ErrInterrupted)
				}
				if st[sp-1].ref != nil {
					fr.ip, s.sp = int32(ip), sp
					if err := s.toInts(1); err != nil {
						return s.stop(err)
					}
					continue resume
				}
				sp--
				if s.loops[s.lp-1].advance(st[sp].n) {
					ip = int(in.n)
				} else {
					s.lp--
				}
				continue
			case opLeave, opUnloop:
				if s.lp == int(fr.lp) {
					return s.halt(fr, ip, sp, in, errNoLoop)
				}
				s.lp--
				if in.op == opLeave {
					ip = int(in.n)
				}
				continue
			case opIByteFetch, opIByteStore, opICellFetch, opICellStore:
				if def := ins[ip].entry.def.Load(); def != nil && def.buffer != nil && s.lp > int(fr.lp) {
					bytes, n := def.buffer.bytes, uint64(s.loops[s.lp-1].i)
					switch {
					case in.op == opIByteFetch && n < uint64(len(bytes)) && sp < MaxStack:
						putInt(&st[sp], int64(bytes[n]))
						sp++
						ip += 2
						continue
					case in.op == opIByteStore && n < uint64(len(bytes)) && sp > base && st[sp-1].ref == nil && uint64(st[sp-1].n) <= 0xff:
						sp--
						bytes[n] = byte(st[sp].n)
						ip += 2
						continue
					case in.op == opICellFetch && n < uint64(len(bytes))/cellSize && sp < MaxStack:
						putInt(&st[sp], def.buffer.cell(n))
						sp++
						ip += 2
						continue
					case in.op == opICellStore && n < uint64(len(bytes))/cellSize && sp > base && st[sp-1].ref == nil:
						sp--
						def.buffer.setCell(n, st[sp].n)
						ip += 2
						continue
					}
				}
				fallthrough
			case opI, opIPlusLoop:
				if s.lp == int(fr.lp) {
					return s.halt(fr, ip, sp, in, errNoLoop)
				}
				l := &s.loops[s.lp-1]
				if in.op == opIPlusLoop && !s.interrupt.Load() {
					if l.advance(l.i) {
						ip = int(ins[ip].n)
					} else {
						s.lp--
						ip++
					}
					continue
				}
				if sp == MaxStack {
					return s.halt(fr, ip, sp, in, errStack)
				}
				putInt(&st[sp], l.i)
				sp++
				continue
			case opJ, opJPlusLoop:
				if s.lp < int(fr.lp)+2 {
					return s.halt(fr, ip, sp, in, errNoOuterLoop)
				}
				if in.op == opJPlusLoop && !s.interrupt.Load() {
					if s.loops[s.lp-1].advance(s.loops[s.lp-2].i) {
						ip = int(ins[ip].n)
					} else {
						s.lp--
						ip++
					}
					continue
				}
				if sp == MaxStack {
					return s.halt(fr, ip, sp, in, errStack)
				}
				putInt(&st[sp], s.loops[s.lp-2].i)
				sp++
				continue
			case opOf:
				if sp-base < 2 {
					return s.halt(fr, ip, sp, in, ErrUnderflow)
				}
				a, b := &st[sp-2], &st[sp-1]
				if a.ref != nil || b.ref != nil {
					fr.ip, s.sp = int32(ip), sp
					s.of(in.n)
					continue resume
				}
				if sp--; a.n == b.n {
					sp--
				} else {
					ip = int(in.n)
				}
				continue

			// Here are the words of the stack.
			case OpDup, opDupIntEqualJump, opDupIntLessJump, opDupIntGreatJump, opDupZeroEqualJump:
				if sp == base {
					break
				}
				top := &st[sp-1]
				if in.op != OpDup && top.ref == nil && !s.interrupt.Load() {
					var jump *instr
					var holds bool
					switch in.op {
					case opDupZeroEqualJump:
						holds, jump = top.n == 0, &ins[ip+1]
						ip += 2
					case opDupIntEqualJump:
						holds, jump = top.n == ins[ip].k, &ins[ip+2]
						ip += 3
					case opDupIntLessJump:
						holds, jump = top.n < ins[ip].k, &ins[ip+2]
						ip += 3
					default:
						holds, jump = top.n > ins[ip].k, &ins[ip+2]
						ip += 3
					}
					if !holds {
						ip = int(jump.n)
					}
					continue
				}
				if sp == MaxStack {
					break
				}
				put(&st[sp], *top)
				sp++
				continue
			case OpDrop:
				if sp == base {
					break
				}
				sp--
				continue
			case OpSwap:
				if sp-base < 2 {
					break
				}
				a, b := &st[sp-2], &st[sp-1]
				if a.ref != b.ref {
					a.ref, b.ref = b.ref, a.ref
				}
				a.n, b.n = b.n, a.n
				continue
			case OpOver:
				if sp-base < 2 || sp == MaxStack {
					break
				}
				put(&st[sp], st[sp-2])
				sp++
				continue
			case OpRot:
				if sp-base < 3 {
					break
				}
				a := st[sp-3]
				put(&st[sp-3], st[sp-2])
				put(&st[sp-2], st[sp-1])
				put(&st[sp-1], a)
				continue
			case OpBackRot:
				if sp-base < 3 {
					break
				}
				c := st[sp-1]
				put(&st[sp-1], st[sp-2])
				put(&st[sp-2], st[sp-3])
				put(&st[sp-3], c)
				continue
			case OpNip:
				if sp-base < 2 {
					break
				}
				put(&st[sp-2], st[sp-1])
				sp--
				continue
			case OpTuck:
				if sp-base < 2 || sp == MaxStack {
					break
				}
				b := st[sp-1]
				put(&st[sp-1], st[sp-2])
				put(&st[sp-2], b)
				put(&st[sp], b)
				sp++
				continue
			case OpTwoDup:
				if sp-base < 2 || sp > MaxStack-2 {
					break
				}
				put(&st[sp], st[sp-2])
				put(&st[sp+1], st[sp-1])
				sp += 2
				continue
			case OpTwoDrop:
				if sp-base < 2 {
					break
				}
				sp -= 2
				continue
			case OpToR:
				if sp == base || s.rp == maxReturn {
					break
				}
				sp--
				put(&s.rstack[s.rp], st[sp])
				s.rp++
				continue
			case OpFromR:
				if s.rp == int(fr.rp) || sp == MaxStack {
					break
				}
				s.rp--
				put(&st[sp], s.rstack[s.rp])
				sp++
				continue
			case OpRFetch:
				if s.rp == int(fr.rp) || sp == MaxStack {
					break
				}
				put(&st[sp], s.rstack[s.rp-1])
				sp++
				continue

			// Here are an integer and the operation with it.
			case opIntAdd:
				if sp > base && st[sp-1].ref == nil {
					st[sp-1].n += in.k
					ip++
					continue
				}
				goto push
			case opIntDiv, opIntMod:
				if k := in.k; k > 0 && sp > base && st[sp-1].ref == nil {
					a := &st[sp-1]
					switch {
					case in.op == opIntMod && k&(k-1) == 0: // a division takes ten times as long
						a.n &= k - 1
					case in.op == opIntMod:
						if a.n %= k; a.n < 0 {
							a.n += k
						}
					default:
						q := a.n / k
						if a.n%k < 0 {
							q--
						}
						a.n = q
					}
					ip++
					continue
				}
				goto push
			case opIntSub, opIntMul, opIntAnd, opIntEqual, opIntLess, opIntGreater:
				if sp > base && st[sp-1].ref == nil {
					a := &st[sp-1]
					switch in.op {
					case opIntSub:
						a.n -= in.k
					case opIntMul:
						a.n *= in.k
					case opIntAnd:
						a.n &= in.k
					case opIntEqual:
						a.n = flag(a.n == in.k)
					case opIntLess:
						a.n = flag(a.n < in.k)
					default:
						a.n = flag(a.n > in.k)
					}
					ip++
					continue
				}
				goto push
			case opIntEqualJump, opIntLessJump, opIntGreaterJump:
				if sp > base && st[sp-1].ref == nil && !s.interrupt.Load() {
					sp--
					var holds bool
					switch n := st[sp].n; in.op {
					case opIntEqualJump:
						holds = n == in.k
					case opIntLessJump:
						holds = n < in.k
					default:
						holds = n > in.k
					}
					if holds {
						ip += 2
					} else {
						ip = int(ins[ip+1].n)
					}
					continue
				}
				goto push

			case OpZeroEqual, opZeroEqualJump:
				if sp == base || st[sp-1].ref != nil {
					break
				}
				if in.op == opZeroEqualJump && !s.interrupt.Load() {
					sp--
					if st[sp].n == 0 {
						ip++
					} else {
						ip = int(ins[ip].n)
					}
					continue
				}
				st[sp-1].n = flag(st[sp-1].n == 0)
				continue
			case OpInvert, OpNegate, OpOnePlus, OpOneMinus, OpTwoTimes, OpTwoSlash, OpZeroLess, OpZeroGreater:
				if sp == base || st[sp-1].ref != nil {
					break
				}
				a := &st[sp-1]
				switch in.op {
				case OpInvert:
					a.n = ^a.n
				case OpNegate:
					a.n = -a.n
				case OpOnePlus:
					a.n++
				case OpOneMinus:
					a.n--
				case OpTwoTimes:
					a.n <<= 1
				case OpTwoSlash:
					a.n >>= 1
				case OpZeroLess:
					a.n = flag(a.n < 0)
				default:
					a.n = flag(a.n > 0)
				}
				continue

			case OpAdd:
				if sp-base < 2 || st[sp-1].ref != nil || st[sp-2].ref != nil {
					break
				}
				sp--
				st[sp-1].n += st[sp].n
				continue
			case OpSub:
				if sp-base < 2 || st[sp-1].ref != nil || st[sp-2].ref != nil {
					break
				}
				sp--
				st[sp-1].n -= st[sp].n
				continue
			case OpMul, OpDiv, OpMod, OpAnd, OpOr, OpXor, OpLShift, OpRShift, OpMin, OpMax,
				OpEqual, OpNotEqual, OpLess, OpGreater, OpAtMost, OpAtLeast, opEqualJump, opLessJump, opGreaterJump:
				if sp-base < 2 {
					break
				}
				a, b := &st[sp-2], &st[sp-1]
				if a.ref != nil || b.ref != nil {
					break
				}
				switch in.op {
				case OpMul:
					a.n *= b.n
				case OpDiv:
					if b.n <= 0 {
						goto call
					}
					q := a.n / b.n
					if a.n%b.n < 0 {
						q--
					}
					a.n = q
				case OpMod:
					if b.n <= 0 {
						goto call
					}
					if a.n %= b.n; a.n < 0 {
						a.n += b.n
					}
				case OpAnd:
					a.n &= b.n
				case OpOr:
					a.n |= b.n
				case OpXor:
					a.n ^= b.n
				case OpLShift:
					a.n <<= uint64(b.n)
				case OpRShift:
					a.n = int64(uint64(a.n) >> uint64(b.n))
				case OpMin:
					a.n = min(a.n, b.n)
				case OpMax:
					a.n = max(a.n, b.n)
				case OpEqual:
					a.n = flag(a.n == b.n)
				case OpNotEqual:
					a.n = flag(a.n != b.n)
				case OpLess:
					a.n = flag(a.n < b.n)
				case OpGreater:
					a.n = flag(a.n > b.n)
				case OpAtMost:
					a.n = flag(a.n <= b.n)
				case OpAtLeast:
					a.n = flag(a.n >= b.n)
				default:
					var holds bool
					switch in.op {
					case opEqualJump:
						holds = a.n == b.n
					case opLessJump:
						holds = a.n < b.n
					default:
						holds = a.n > b.n
					}
					if s.interrupt.Load() {
						a.n = flag(holds)
						break
					}
					sp -= 2
					if holds {
						ip++
					} else {
						ip = int(ins[ip].n)
					}
					continue
				}
				sp--
				continue

			case OpFetch, OpStore, OpPlusStore, OpByteFetch, OpByteStore, OpCellFetch, OpCellStore:
				fr.ip, s.sp = int32(ip), sp
				if err := s.accessWord(in); err != nil {
					return s.trace(err)
				}
				continue resume
			}

		call:
			fr.ip, s.sp = int32(ip), sp
			if err := s.callWord(in.word); err != nil {
				return s.trace(err)
			}
			continue resume

		push: // for a number and an operation: push only the number
			if sp == MaxStack {
				return s.halt(fr, ip, sp, in, errStack)
			}
			putInt(&st[sp], in.k)
			sp++
		}
	}
}
