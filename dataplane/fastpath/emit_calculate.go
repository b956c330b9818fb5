// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"github.com/cilium/ebpf/asm"

	"ethertap/lib/predicate"
)

var operations = [...]asm.ALUOp{
	predicate.Add: asm.Add, predicate.Subtract: asm.Sub, predicate.Multiply: asm.Mul, predicate.Divide: asm.Div, predicate.Modulo: asm.Mod,
	predicate.BitAnd: asm.And, predicate.BitOr: asm.Or, predicate.BitXor: asm.Xor, predicate.ShiftLeft: asm.LSh, predicate.ShiftRight: asm.RSh,
}

// calculate writes an operation: of two registers, or of one and a constant.
func (e *emitter) calculate(n int, s *predicate.Step) {
	a := e.source(s.A, asm.R3)
	op := predicate.Operator(s.Op)
	simple := op != predicate.Divide && op != predicate.Modulo && op != predicate.ShiftLeft && op != predicate.ShiftRight
	bits := int64(64)
	if s.Narrow {
		bits = 32
	}
	switch {
	case s.Do == predicate.CalculatedBy && simple && (fits(s.K) || s.Narrow), // of a narrow one the lowest 32 bits count
		s.Do == predicate.CalculatedBy && (op == predicate.ShiftLeft || op == predicate.ShiftRight) && s.K >= 0 && s.K < bits:
		if s.Narrow {
			e.add(operations[op].Imm32(a, int32(s.K)))
		} else {
			e.add(operations[op].Imm(a, int32(s.K)))
		}
		e.keep(s.A)
		return
	}
	b := asm.R4
	if s.Do == predicate.CalculatedBy {
		e.constant(b, s.K)
	} else {
		b = e.source(s.B, b)
	}
	end := e.step(n) + "end"
	switch {
	case simple && s.Narrow:
		e.add(operations[op].Reg32(a, b))
	case simple:
		e.add(operations[op].Reg(a, b))
	case op == predicate.ShiftLeft || op == predicate.ShiftRight:
		e.shift(op, a, b, s.Narrow, end)
	case s.Narrow:
		e.add(asm.Mov.Reg32(b, b))
		e.jumpImm(asm.JEq, b, 0, e.fail)
		e.add(operations[op].Reg32(a, b))
	case op == predicate.Divide:
		e.divide(a, b, end)
	default:
		e.modulo(a, b, end)
	}
	e.place(end)
	e.keep(s.A)
}

// shift leaves 0 where the kernel would count modulo the width.
func (e *emitter) shift(op predicate.Operator, a, b asm.Register, narrow bool, end string) {
	most, big := int32(63), end+"big"
	if narrow {
		most = 31
		e.add(asm.Mov.Reg32(b, b))
	}
	e.jumpImm(asm.JGT, b, most, big)
	if narrow {
		e.add(operations[op].Reg32(a, b))
	} else {
		e.add(operations[op].Reg(a, b))
	}
	e.jump(end)
	e.place(big)
	e.add(asm.Mov.Imm(a, 0))
}

// absolute takes the sign of a register away.
func (e *emitter) absolute(r asm.Register, label string) {
	e.jumpImm(asm.JSGE, r, 0, label)
	e.add(asm.Neg.Imm(r, 0))
	e.place(label)
}

// divide rounds down, of what the kernel has: division without sign. It leaves b destroyed.
func (e *emitter) divide(a, b asm.Register, end string) {
	e.jumpImm(asm.JEq, b, 0, e.fail)
	e.add(asm.Mov.Reg(asm.R5, a), asm.Xor.Reg(asm.R5, b), asm.StoreMem(asm.R10, firstSlot, asm.R5, asm.DWord))
	e.absolute(a, end+"a")
	e.absolute(b, end+"b")
	same := end + "same"
	e.add(asm.LoadMem(asm.R5, asm.R10, firstSlot, asm.DWord))
	e.jumpImm(asm.JSGE, asm.R5, 0, same)
	e.add(asm.Add.Reg(a, b), asm.Sub.Imm(a, 1), asm.Div.Reg(a, b), asm.Neg.Imm(a, 0))
	e.jump(end)
	e.place(same)
	e.add(asm.Div.Reg(a, b))
}

// modulo has the sign of b.
func (e *emitter) modulo(a, b asm.Register, end string) {
	e.jumpImm(asm.JEq, b, 0, e.fail)
	e.add(asm.StoreMem(asm.R10, firstSlot, a, asm.DWord), asm.StoreMem(asm.R10, secondSlot, b, asm.DWord))
	e.absolute(a, end+"a")
	e.absolute(b, end+"b")
	e.add(asm.Mod.Reg(a, b))
	e.jumpImm(asm.JEq, a, 0, end)
	positive := end + "positive"
	e.add(asm.LoadMem(asm.R5, asm.R10, firstSlot, asm.DWord))
	e.jumpImm(asm.JSGE, asm.R5, 0, positive)
	e.add(asm.Neg.Imm(a, 0))
	e.place(positive)
	e.add(asm.LoadMem(b, asm.R10, secondSlot, asm.DWord), asm.Mov.Reg(asm.R5, a), asm.Xor.Reg(asm.R5, b))
	e.jumpImm(asm.JSGE, asm.R5, 0, end)
	e.add(asm.Add.Reg(a, b))
}
