// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"errors"
	"fmt"
	"math"

	"github.com/cilium/ebpf/asm"

	"ethertap/lib/predicate"
)

// question is a predicate in a filter program, and the bit of the verdict that it decides.
type question struct {
	code     *predicate.Code
	bit      objectVerdict
	outbound bool // frames are looked at as sent
}

// Registers of a filter program. The numbers of a predicate are in r0 to r2, further ones on
// the stack; r3 to r5 are for one step.
const (
	dataReg   = asm.R6
	endReg    = asm.R7
	layersReg = asm.R8
	maskReg   = asm.R9

	numberRegs = 3
)

// Where what is on the stack begins, downwards from r10.
const (
	contextSlot = -8
	headersSlot = contextSlot - int16(objectHeadersLayoutHEADERS_SIZE)
	lengthSlot  = headersSlot - 8
	firstSlot   = lengthSlot - 8 // two for a division
	secondSlot  = firstSlot - 8
	numbersSlot = secondSlot - 8
)

const (
	// reach is how far behind the start of the first buffer a program looks. Longer first
	// buffers there are none with pages of 4096 bytes; where there are, what is
	// beyond is for the thread.
	reach = 0x7f00

	// maxInstructions bounds the time that a program takes to load: 0.4 s with sums of hundreds
	// of numbers, of which the verifier follows the most states; 0.1 s otherwise.
	maxInstructions = 4096
)

// errComplex is the error for predicates that are too much for one program.
var errComplex = errors.New("the filters of a port are too complex together for the kernel")

// emitter writes the program of some predicates. Jumps go forward only, to labels that are
// placed later.
type emitter struct {
	ins     asm.Instructions
	pending string            // the label of the next instruction
	same    map[string]string // labels at the place of another one
	used    map[string]bool   // labels that are jumped to
	dead    bool              // nothing comes to what is emitted next

	name      string // prefix of the labels of the predicate
	question  *question
	states    []state // before each step of it
	now       state
	fail      string // where it goes on when the predicate fails
	short     string // and when bytes are not in the first buffer
	undecided string

	shape *shape // of the frames for which it writes; nil: any
	far   bool   // the verifier may know of more bytes than those of the shape
}

// state is what is known before a step on each way to it.
type state struct {
	reached bool
	bytes   int              // so many are in the first buffer
	layers  predicate.Layers // one of these is there; 0: not known
}

func (s *state) meet(o state) {
	if !s.reached {
		*s = o
		return
	}
	s.bytes = min(s.bytes, o.bytes)
	if s.layers != o.layers {
		s.layers = 0
	}
}

// emit writes a program that returns rest with the bits of those predicates that match.
func emit(questions []question, rest objectVerdict) (asm.Instructions, error) {
	depth := predicate.ToNothing
	for _, q := range questions {
		depth = max(depth, q.code.Depth)
	}
	var shapes []*shape
	if depth > predicate.ToNothing || len(questions) > 1 { // one predicate that dissects nothing is faster alone
		shapes = shapesOf(depth)
	}
	ins := write(questions, rest, depth, shapes)
	if len(ins) > maxInstructions {
		ins = write(questions, rest, depth, nil)
	}
	if len(ins) > maxInstructions {
		return nil, errComplex
	}
	return ins, nil
}

// write writes a program that tells some shapes apart. It stops when it has more instructions than a program may have.
func write(questions []question, rest objectVerdict, depth predicate.Depth, shapes []*shape) asm.Instructions {
	e := &emitter{same: make(map[string]string), used: make(map[string]bool), undecided: "undecided"}
	e.add(asm.StoreMem(asm.R10, contextSlot, asm.R1, asm.DWord), asm.Mov.Imm(maskReg, int32(rest)))
	e.length(questions)
	e.shapes(shapes, questions)
	e.dissect(depth)
	for i := range questions {
		e.predicate(i, &questions[i])
	}
	e.add(asm.Mov.Reg(asm.R0, maskReg), asm.Return())
	e.dead = true
	if e.used[e.undecided] {
		e.place(e.undecided)
		e.add(asm.Mov.Imm(asm.R0, int32(objectVerdictVERDICT_UNKNOWN)), asm.Return())
	}
	for i := range e.ins {
		if to, ok := e.same[e.ins[i].Reference()]; ok {
			e.ins[i] = e.ins[i].WithReference(to)
		}
	}
	return e.ins
}

// length asks for the length of the frame, if one of the predicates needs it.
func (e *emitter) length(questions []question) {
	for _, q := range questions {
		for _, s := range q.code.Steps {
			if s.Do == predicate.PutLength {
				e.loadContext()
				e.add(asm.FnXdpGetBuffLen.Call(), asm.StoreMem(asm.R10, lengthSlot, asm.R0, asm.DWord))
				return
			}
		}
	}
}

// dissect dissects the frame as far as one of the predicates needs it.
func (e *emitter) dissect(depth predicate.Depth) {
	if depth == predicate.ToNothing {
		return
	}
	e.add(asm.Mov.Imm(asm.R0, 0))
	for at := headersSlot; at < contextSlot; at += 8 {
		e.add(asm.StoreMem(asm.R10, at, asm.R0, asm.DWord))
	}
	e.loadContext()
	e.add(asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, int32(headersSlot)), asm.Mov.Imm(asm.R3, int32(depth)))
	e.add(asm.Call.Label(dissector))
	e.jumpImm(asm.JEq, asm.R0, int32(objectDissectedDISSECTED), "dissected")
	e.jumpImm(asm.JEq, asm.R0, int32(objectDissectedDISSECTED_NOT), e.undecided)
	e.loadPointers()
	e.oneBuffer()
	e.place("dissected")
}

func (e *emitter) loadContext() { e.add(asm.LoadMem(asm.R1, asm.R10, contextSlot, asm.DWord)) }

// loadPointers loads where the first buffer begins and ends.
func (e *emitter) loadPointers() {
	e.loadContext()
	e.add(asm.LoadMem(dataReg, asm.R1, 0, asm.Word), asm.LoadMem(endReg, asm.R1, 4, asm.Word))
}

func (e *emitter) add(ins ...asm.Instruction) {
	for _, in := range ins {
		if e.dead {
			return
		}
		if e.pending != "" {
			in = in.WithSymbol(e.pending)
			e.pending = ""
		}
		e.ins = append(e.ins, in)
	}
}

// place puts a label in front of the next instruction, if something jumps there.
func (e *emitter) place(label string) {
	if !e.used[label] {
		return
	}
	e.dead = false
	if e.pending != "" {
		e.same[label] = e.pending
		return
	}
	e.pending = label
}

func (e *emitter) use(label string) string {
	if !e.dead {
		e.used[label] = true
	}
	return label
}

func (e *emitter) jump(label string) {
	e.add(asm.Ja.Label(e.use(label)))
	e.dead = true
}

func (e *emitter) jumpImm(op asm.JumpOp, r asm.Register, k int32, label string) {
	e.add(op.Imm(r, k, e.use(label)))
}

// predicate writes the i-th predicate. What the verifier learned before it is forgotten: it has
// one state to follow from here on, whatever the predicates before did.
func (e *emitter) predicate(i int, q *question) {
	if len(e.ins) > maxInstructions {
		return
	}
	e.name, e.question = fmt.Sprintf("p%d-", i), q
	first := state{reached: true}
	if e.shape != nil {
		e.name = e.shape.name + "-" + e.name
		first.bytes, first.layers = e.shape.bytes, e.shape.layers
	}
	e.fail, e.short = e.name+"next", e.name+"short"
	e.states = make([]state, len(q.code.Steps))
	e.states[0] = first
	switch {
	case e.shape == nil:
		e.loadPointers()
		if q.code.Depth > predicate.ToNothing {
			e.add(asm.LoadMem(layersReg, asm.R10, headersSlot+int16(objectHeadersLayoutHEADERS_LAYERS), asm.Word))
		}
	case e.far:
		e.loadPointers()
		e.short = e.undecided // for the verifier: the bytes are there
		e.bound(dataReg, int32(e.shape.bytes))
		e.short, e.far = e.name+"short", false
	}
	for n := range q.code.Steps {
		if !e.states[n].reached {
			continue
		}
		if e.now = e.states[n]; e.used[e.step(n)] {
			e.place(e.step(n))
		}
		e.dead = false
		e.write(n, &q.code.Steps[n])
		if !e.dead && n+1 < len(e.states) {
			e.states[n+1].meet(e.now)
		}
	}
	e.dead = true
	if e.used[e.short] { // the frame ends there, or its first buffer
		e.place(e.short)
		e.oneBuffer()
	}
	e.dead = false
	e.place(e.fail)
}

// oneBuffer goes on if the frame is all in its first buffer.
func (e *emitter) oneBuffer() {
	e.loadContext()
	e.add(asm.FnXdpGetBuffLen.Call(), asm.Mov.Reg(asm.R1, endReg), asm.Sub.Reg(asm.R1, dataReg))
	e.jumpImm(asm.JGT, asm.R1, reach, e.undecided)
	e.add(asm.JNE.Reg(asm.R0, asm.R1, e.use(e.undecided)))
}

// step is the label of a step.
func (e *emitter) step(n int) string { return fmt.Sprintf("%s%d", e.name, n) }

// goTo is the label of a step that is jumped to from here.
func (e *emitter) goTo(n int) string {
	if !e.dead {
		e.states[n].meet(e.now)
	}
	return e.step(n)
}

// branch goes on at the steps of a test: the jump goes to the first of them if op says so.
// The compiler of trees has put one of the two behind the test most often.
func (e *emitter) branch(n int, s *predicate.Step, jump func(op bool, label string)) {
	switch {
	case s.Yes == s.No:
		if s.Yes != n+1 {
			e.jump(e.goTo(s.Yes))
		}
	case s.No == n+1:
		jump(true, e.use(e.goTo(s.Yes)))
	default:
		jump(false, e.use(e.goTo(s.No)))
		if s.Yes != n+1 {
			e.jump(e.goTo(s.Yes))
		}
	}
}

// fits tells whether a number is an immediate value of an instruction.
func fits(k int64) bool { return k >= math.MinInt32 && k <= math.MaxInt32 }
