// SPDX-License-Identifier: BSD-3-Clause

package interp

import "fmt"

// This file shows what a compound word does, for a compiler outside of the VM: its instructions
// before any were fused, each with its place. They change with the VM, so nobody should keep
// them.

// StepKind is what a step does.
type StepKind uint8

const (
	StepWord       StepKind = iota // do the built-in word
	StepPush                       // push the value
	StepName                       // do what a name means when it runs; see Step.Meaning
	StepJump                       // go on at To
	StepJumpZero                   // take a flag; go on at To if it is 0
	StepOf                         // take a value; if it equals the one below, take that too, otherwise go on at To
	StepLocals                     // take N values, which become locals, the last one on top of the return stack; further ones, up to All, are 0
	StepLocal                      // push the local that lies N places below the mark, from 1
	StepToLocal                    // take a value and store it in the local N places below the mark
	StepDropLocals                 // end the N newest locals
	StepReturn                     // end; values above the mark on the return stack are removed
	StepLoop                       // an instruction of do, loop and the like
)

// Step is an instruction of a compound word. The mark is the height of the return stack when the
// word was called, raised by its locals: the word cannot take values from below it.
type Step struct {
	Kind    StepKind
	Word    string // as it was typed, nearly: `if` for its jump; "" for a value, a jump of `else` and the end
	Builtin *Word  // of StepWord
	Value   Value  // of StepPush
	To      int    // of StepJump, StepJumpZero and StepOf: an index into the steps
	N, All  int    // of the steps of locals
	Line    int    // from 1: in the file, or in the definition if it was typed at a prompt
	Col     int    // from 1, in bytes

	entry *Entry // of StepName
}

// Listing is a compound word as a list of steps.
type Listing struct {
	Name   string // `:noname` if it has none
	Source string // file that the lines of the steps refer to; "" if it was typed at a prompt
	Inputs string // stack comment, "" if the word has none that names its inputs
	Steps  []Step

	code *code
}

// Listing returns the steps of the compound word that a value names. ok is false if it names
// none; a deferred word does not count.
func (d *Dict) Listing(name Value) (l *Listing, ok bool) {
	e, _ := name.entry()
	if e == nil {
		if name.Kind() != KindString {
			return nil, false
		}
		if e = d.find(name.ref.bytes); e == nil {
			return nil, false
		}
	}
	def := e.def.Load()
	if def == nil || def.code == nil || def.action != nil {
		return nil, false
	}
	return def.code.listing(), true
}

// CheckInputs makes the check that the VM makes before it runs the word: whether the stack, given
// from the deepest value up, has what the stack comment requires.
func (l *Listing) CheckInputs(stack []Value) error {
	return l.code.inputs.check(len(stack), func(place int) Value { return stack[len(stack)-1-place] })
}

// Meaning is the meaning of a name at a moment. At most one of the two pointers is set.
type Meaning struct {
	Compound *Listing // a word to be called
	Builtin  *Word    // a word that was registered since the step was compiled, or the built-in word of a deferred word
	Value    Value    // otherwise: the value that is pushed, which is the name itself for a variable, a buffer, and a name without meaning
}

// Meaning returns what the name of a StepName means now.
func (st Step) Meaning() Meaning {
	switch def := st.entry.def.Load(); {
	case def == nil:
	case def.action != nil:
		return Meaning{Builtin: def.code.ins[0].word}
	case def.code != nil:
		return Meaning{Compound: def.code.listing()}
	case def.word != nil:
		return Meaning{Builtin: def.word}
	case def.value != nil:
		return Meaning{Value: def.value.load()}
	}
	return Meaning{Value: st.entry.self()}
}

func (c *code) listing() *Listing {
	l := &Listing{Name: c.name, Source: c.source, Inputs: c.inputs.comment, Steps: make([]Step, len(c.ins)), code: c}
	for i := range c.ins {
		l.Steps[i] = c.step(i)
	}
	return l
}

// step returns an instruction as a step.
func (c *code) step(i int) Step {
	in, at := &c.ins[i], c.pos[i]
	s := Step{Line: int(at.line), Col: int(at.col), N: int(in.n)}
	if in.word != nil {
		s.Word = in.word.Name
	}
	switch op := in.op.first(); op {
	case opInt:
		s.Kind, s.Value = StepPush, NewInt(in.k)
	case opLit:
		s.Kind, s.Value = StepPush, c.lits[in.n]
	case opCall:
		s.Kind, s.Word, s.entry = StepName, in.entry.name, in.entry
	case opJump:
		s.Kind, s.To = StepJump, int(in.n)
	case opJumpZero:
		s.Kind, s.To = StepJumpZero, int(in.n)
	case opOf:
		s.Kind, s.To = StepOf, int(in.n)
	case opLocals:
		s.Kind, s.All = StepLocals, int(in.k)
	case opLocal:
		s.Kind = StepLocal
	case opToLocal:
		s.Kind = StepToLocal
	case opDropLocals:
		s.Kind = StepDropLocals
	case opReturn:
		s.Kind = StepReturn
	case opDo, opAskDo, opLoop, opPlusLoop, opLeave, opUnloop, opI, opJ:
		s.Kind = StepLoop
	default:
		if in.word == nil { // an instruction that is newer than this switch
			panic(fmt.Sprintf("interp: no step for instruction %d", op))
		}
		s.Kind, s.Builtin = StepWord, in.word
	}
	return s
}

// first returns what an instruction was before it was fused with those after it.
func (op Op) first() Op {
	for _, f := range fusions {
		if f.fused == op {
			return f.ops[0]
		}
	}
	return op
}
