// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"fmt"

	"github.com/cilium/ebpf/asm"

	"ethertap/lib/predicate"
)

// write writes one step of a predicate.
func (e *emitter) write(n int, s *predicate.Step) {
	s = e.placed(s)
	switch s.Do {
	case predicate.PutNumber:
		r := e.target(s.A)
		e.constant(r, s.K)
		e.keep(s.A)
	case predicate.PutLength:
		e.add(asm.LoadMem(e.target(s.A), asm.R10, lengthSlot, asm.DWord))
		e.keep(s.A)
	case predicate.PutLoad:
		if e.have(s.At + int(s.Size)) {
			e.fetch(e.target(s.A), dataReg, int16(s.At), s.Size)
			e.keep(s.A)
		}
	case predicate.PutLoadBehind:
		if e.behind(s) {
			e.fetch(e.target(s.A), asm.R3, int16(s.At), s.Size)
			e.keep(s.A)
		}
	case predicate.PutLoadAt:
		e.loadAt(s)
	case predicate.PutField:
		e.field(s)
	case predicate.Calculated, predicate.CalculatedBy:
		e.calculate(n, s)
	case predicate.TestRegisters:
		a, b := e.source(s.A, asm.R3), e.source(s.B, asm.R4)
		yes, no := jumps(predicate.Comparison(s.Op))
		e.branch(n, s, func(op bool, label string) {
			if op {
				e.add(yes.Reg(a, b, label))
			} else {
				e.add(no.Reg(a, b, label))
			}
		})
	case predicate.TestNumber:
		a := e.source(s.A, asm.R3)
		e.compare(n, s, a)
	case predicate.TestLoad:
		if holds, ok := e.known(s); ok {
			e.settled(n, s, holds)
		} else if e.have(s.At + int(s.Size)) {
			e.fetch(asm.R3, dataReg, int16(s.At), s.Size)
			e.masked(n, s)
		}
	case predicate.TestBehind:
		if e.behind(s) {
			e.fetch(asm.R3, asm.R3, int16(s.At), s.Size)
			e.masked(n, s)
		}
	case predicate.TestLayers:
		if e.shape != nil {
			e.settled(n, s, e.shape.layers&s.Layers != 0)
			return
		}
		e.layers(s.Layers)
		e.branch(n, s, func(op bool, label string) {
			if op {
				e.jumpImm(asm.JNE, asm.R3, 0, label)
			} else {
				e.jumpImm(asm.JEq, asm.R3, 0, label)
			}
		})
		if s.Yes == n+1 && s.No != n+1 {
			e.now.layers = s.Layers
		}
	case predicate.NeedLayers:
		e.need(s.Layers)
	case predicate.TestAddress:
		e.address(n, s)
	case predicate.TestInbound:
		e.settled(n, s, !e.question.outbound)
	case predicate.Go:
		e.goOn(n, s.Yes)
	case predicate.Accept:
		e.add(asm.Or.Imm(maskReg, int32(e.question.bit)))
		e.jump(e.fail)
	case predicate.Reject:
		e.jump(e.fail)
	}
}

// settled goes on at a step of a test whose answer is known.
func (e *emitter) settled(n int, s *predicate.Step, holds bool) {
	if holds {
		e.goOn(n, s.Yes)
	} else {
		e.goOn(n, s.No)
	}
}

// goOn goes on at a step.
func (e *emitter) goOn(n, to int) {
	if to != n+1 {
		label := e.goTo(to)
		e.jump(label)
	}
}

// target is the register in which a number is made, keep puts it where it belongs.
func (e *emitter) target(n uint8) asm.Register {
	if n < numberRegs {
		return asm.Register(n)
	}
	return asm.R3
}

func (e *emitter) keep(n uint8) {
	if n >= numberRegs {
		e.add(asm.StoreMem(asm.R10, spilled(n), asm.R3, asm.DWord))
	}
}

// source is the register that a number is in, which is the given one if it was on the stack.
func (e *emitter) source(n uint8, to asm.Register) asm.Register {
	if n < numberRegs {
		return asm.Register(n)
	}
	e.add(asm.LoadMem(to, asm.R10, spilled(n), asm.DWord))
	return to
}

func spilled(n uint8) int16 { return numbersSlot - 8*int16(n-numberRegs) }

func (e *emitter) constant(r asm.Register, k int64) {
	if fits(k) {
		e.add(asm.Mov.Imm(r, int32(k)))
	} else {
		e.add(asm.LoadImm(r, k, asm.DWord))
	}
}

var sizes = [...]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word, 8: asm.DWord}

// fetch reads a big-endian number.
func (e *emitter) fetch(to, from asm.Register, at int16, size uint8) {
	e.add(asm.LoadMem(to, from, at, sizes[size]))
	if size > 1 {
		e.add(asm.HostTo(asm.BE, to, sizes[size]))
	}
}

// have checks that the first n bytes are there. It returns false when no program finds out.
func (e *emitter) have(n int) bool {
	switch {
	case n <= e.now.bytes:
	case n > reach:
		e.jump(e.short)
		return false
	default:
		e.bound(dataReg, int32(n))
		e.now.bytes, e.far = n, true
	}
	return true
}

// bound checks that n bytes from a pointer on are there. It uses r5.
func (e *emitter) bound(from asm.Register, n int32) {
	e.add(asm.Mov.Reg(asm.R5, from), asm.Add.Imm(asm.R5, n), asm.JGT.Reg(asm.R5, endReg, e.use(e.short)))
}

// behind makes r3 the end of an IPv4 header, from which At counts on, less the start of the frame,
// and checks the load.
func (e *emitter) behind(s *predicate.Step) bool {
	if !e.have(int(s.B) + 1) {
		return false
	}
	if s.At+int(s.Size) > reach-60 {
		e.jump(e.short)
		return false
	}
	e.add(asm.LoadMem(asm.R3, dataReg, int16(s.B), asm.Byte), asm.And.Imm(asm.R3, 15), asm.LSh.Imm(asm.R3, 2), asm.Add.Reg(asm.R3, dataReg))
	e.bound(asm.R3, int32(s.At)+int32(s.Size))
	return true
}

// loadAt loads from an offset that is in a register.
func (e *emitter) loadAt(s *predicate.Step) {
	a := e.source(s.A, asm.R3)
	e.jumpImm(asm.JGT, a, reach, e.short)
	e.add(asm.Mov.Reg(asm.R4, dataReg), asm.Add.Reg(asm.R4, a))
	e.bound(asm.R4, int32(s.Size))
	e.fetch(e.target(s.A), asm.R4, 0, s.Size)
	e.keep(s.A)
}

// layers makes r3 those of some layers that are there.
func (e *emitter) layers(l predicate.Layers) {
	e.add(asm.Mov.Reg(asm.R3, layersReg), asm.And.Imm(asm.R3, int32(l)))
}

// need goes to fail unless one of the layers is there.
func (e *emitter) need(l predicate.Layers) {
	switch {
	case l&predicate.Ethernet != 0 || e.now.layers != 0 && e.now.layers&^l == 0 || e.shape != nil && e.shape.layers&l != 0:
		return
	case e.shape != nil:
		e.jump(e.fail)
		return
	}
	e.layers(l)
	e.jumpImm(asm.JEq, asm.R3, 0, e.fail)
	e.now.layers = l
}

// headerFields says where the dissector has put a field, and its size.
var headerFields = map[predicate.Field]struct {
	at   objectHeadersLayout
	size uint8
}{
	predicate.EtherType:          {objectHeadersLayoutHEADERS_TYPE, 2},
	predicate.VLAN:               {objectHeadersLayoutHEADERS_VLAN, 4},
	predicate.ARPOperation:       {objectHeadersLayoutHEADERS_OPERATION, 2},
	predicate.IPProtocol:         {objectHeadersLayoutHEADERS_PROTOCOL, 1},
	predicate.IPTTL:              {objectHeadersLayoutHEADERS_TTL, 1},
	predicate.IPTOS:              {objectHeadersLayoutHEADERS_TOS, 1},
	predicate.SourcePort:         {objectHeadersLayoutHEADERS_SOURCE, 2},
	predicate.DestinationPort:    {objectHeadersLayoutHEADERS_DESTINATION, 2},
	predicate.TCPFlags:           {objectHeadersLayoutHEADERS_FLAGS, 1},
	predicate.TCPSequence:        {objectHeadersLayoutHEADERS_SEQUENCE, 4},
	predicate.TCPAcknowledgement: {objectHeadersLayoutHEADERS_ACKNOWLEDGEMENT, 4},
	predicate.ICMPType:           {objectHeadersLayoutHEADERS_ICMP_TYPE, 1},
	predicate.ICMPCode:           {objectHeadersLayoutHEADERS_ICMP_CODE, 1},
}

func (e *emitter) field(s *predicate.Step) {
	r := e.target(s.A)
	switch s.Field {
	case predicate.MACDestination, predicate.MACSource:
		at := 0
		if s.Field == predicate.MACSource {
			at = 6
		}
		e.have(14)
		e.fetch(r, dataReg, int16(at), 8)
		e.add(asm.RSh.Imm(r, 16))
	default:
		f, ok := headerFields[s.Field]
		if !ok {
			panic(fmt.Sprintf("no field %d", s.Field))
		}
		e.need(s.Field.Needs())
		if e.shape != nil {
			e.shapedField(r, s.Field)
			break
		}
		e.add(asm.LoadMem(r, asm.R10, headersSlot+int16(f.at), sizes[f.size]))
		if s.Field == predicate.VLAN {
			e.add(asm.LSh.Imm(r, 32), asm.ArSh.Imm(r, 32))
		}
	}
	e.keep(s.A)
}

// jumps are those of a comparison that holds and of one that does not.
func jumps(op predicate.Comparison) (yes, no asm.JumpOp) {
	switch op {
	case predicate.Equal:
		return asm.JEq, asm.JNE
	case predicate.NotEqual:
		return asm.JNE, asm.JEq
	case predicate.Less:
		return asm.JSLT, asm.JSGE
	case predicate.AtMost:
		return asm.JSLE, asm.JSGT
	case predicate.Greater:
		return asm.JSGT, asm.JSLE
	case predicate.AtLeast:
		return asm.JSGE, asm.JSLT
	case predicate.Below:
		return asm.JLT, asm.JGE
	}
	return asm.JGT, asm.JLE
}

// compare compares a register with the constant of a step.
func (e *emitter) compare(n int, s *predicate.Step, a asm.Register) {
	yes, no := jumps(predicate.Comparison(s.Op))
	if !fits(s.K) {
		e.add(asm.LoadImm(asm.R5, s.K, asm.DWord))
	}
	e.branch(n, s, func(op bool, label string) {
		jump := no
		if op {
			jump = yes
		}
		if fits(s.K) {
			e.add(jump.Imm(a, int32(s.K), label))
		} else {
			e.add(jump.Reg(a, asm.R5, label))
		}
	})
}

// masked compares what was loaded into r3.
func (e *emitter) masked(n int, s *predicate.Step) {
	if all := uint32(1)<<(8*s.Size%32) - 1; s.Mask&all != all || s.Size == 4 && s.Mask != 1<<32-1 {
		e.add(asm.And.Imm32(asm.R3, int32(s.Mask)))
	}
	equal := *s
	equal.Op = uint8(predicate.Equal)
	e.compare(n, &equal, asm.R3)
}

// address compares an IP address with a range.
func (e *emitter) address(n int, s *predicate.Step) {
	e.need(predicate.IP)
	r := e.question.code.Ranges[s.K]
	layer, header, size, at := predicate.IP4, 20, uint8(4), int16(12)
	if r.Six {
		layer, header, size, at = predicate.IP6, 40, 8, 8
	}
	if s.Field == predicate.IPDestination {
		at += int16(size)
		if r.Six {
			at += 8
		}
	}
	if e.shape != nil && e.shape.layers&layer == 0 {
		e.settled(n, s, false)
		return
	}
	yes, no := e.use(e.goTo(s.Yes)), e.use(e.goTo(s.No))
	from := asm.R4
	if e.shape != nil {
		from, at = dataReg, at+shapeNetwork
	} else {
		e.layers(layer)
		e.jumpImm(asm.JEq, asm.R3, 0, no)
		e.add(asm.LoadMem(asm.R4, asm.R10, headersSlot+int16(objectHeadersLayoutHEADERS_NETWORK), asm.Half),
			asm.And.Imm(asm.R4, 63), asm.Add.Reg(asm.R4, dataReg))
		e.bound(asm.R4, int32(header))
	}
	test := func(op asm.JumpOp, k uint64, label string) {
		e.constant(asm.R5, int64(k))
		e.add(op.Reg(asm.R3, asm.R5, e.use(label)))
	}
	e.fetch(asm.R3, from, at, size)
	switch {
	case !r.Six && r.LowLow == r.HighLow:
		test(asm.JNE, r.LowLow, no)
	case !r.Six:
		test(asm.JLT, r.LowLow, no)
		test(asm.JGT, r.HighLow, no)
	default:
		above := e.step(n) + "above"
		test(asm.JLT, r.LowHigh, no)
		test(asm.JGT, r.LowHigh, above)
		e.fetch(asm.R3, from, at+8, 8)
		test(asm.JLT, r.LowLow, no)
		e.fetch(asm.R3, from, at, 8)
		e.place(above)
		test(asm.JGT, r.HighHigh, no)
		test(asm.JLT, r.HighHigh, yes)
		e.fetch(asm.R3, from, at+8, 8)
		test(asm.JGT, r.HighLow, no)
	}
	e.jump(yes)
}
