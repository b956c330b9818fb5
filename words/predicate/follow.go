// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"fmt"
	"io"
	"strings"

	"ethertap/interp"
	"ethertap/lib/predicate"
)

// These are the limits of a word that becomes a filter. If ways through a word meet again, the
// rest is followed once for each of them, so the number of steps is bounded, and not the length.
const (
	maxSteps   = 4096    // on all ways together
	maxNesting = 16      // words that call each other
	maxNodes   = 4096    // nodes of the tree of one number
	maxTree    = 1 << 16 // nodes of all conditions and results
)

// compiler follows one word.
type compiler struct {
	dict    *interp.Dict
	steps   int
	nodes   int             // nodes of the numbers in the tree so far
	scratch *interp.Session // for words whose inputs are known; nil until there is one
}

// path is one way through the word, as far as it was followed.
type path struct {
	stack, rstack []symbol
	calls         []call // the innermost last
	known         facts

	// These are requirements of the current step before the next one:
	need   predicate.Layers // without one of these the word fails; 0: none
	choice *choice
}

// call is a word on a path.
type call struct {
	*interp.Listing
	next int // step
	mark int // mark of the return stack; see interp.Step
}

// choice is where a path splits in two: itself if the condition holds, and other if not. A path
// that ends there, because the word fails, is nil.
type choice struct {
	cond  number
	other *path
}

// refusal is the reason why a word cannot be compiled, on its way up; compileWord recovers it.
type refusal struct{ error }

// compileWord makes the tree of a word.
func compileWord(d *interp.Dict, l *interp.Listing) (tree predicate.Expr, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(refusal)
			if !ok {
				panic(r)
			}
			err = f.error
		}
	}()
	c := &compiler{dict: d}
	p := &path{stack: []symbol{frame{}}}
	if err := l.CheckInputs(p.values()); err != nil {
		return nil, fmt.Errorf("%s: a filter is given a packet and nothing else: %w %s", l.Name, err, l.Inputs)
	}
	p.calls = append(p.calls, call{Listing: l})
	return c.follow(p), nil
}

// step returns the current step.
func (p *path) step() interp.Step {
	c := &p.calls[len(p.calls)-1]
	return c.Steps[c.next-1]
}

// fail refuses the current step.
func (p *path) fail(format string, args ...any) {
	c, st := p.calls[len(p.calls)-1], p.step()
	place := fmt.Sprintf("column %d", st.Col)
	switch {
	case c.Source != "":
		place = fmt.Sprintf("%s:%d:%d", interp.Printable(c.Source), st.Line, st.Col)
	case st.Line > 1:
		place = fmt.Sprintf("line %d, %s", st.Line, place)
	}
	panic(refusal{fmt.Errorf("in %s, %s: %s", c.Name, place, fmt.Sprintf(format, args...))})
}

func (p *path) push(s ...symbol) { p.stack = append(p.stack, s...) }

func (p *path) pop() symbol {
	n := len(p.stack) - 1
	if n < 0 {
		p.fail("%s: %v", p.step().Word, interp.ErrUnderflow)
	}
	s := p.stack[n]
	p.stack = p.stack[:n]
	return s
}

// fork returns a path that goes on from the same place.
func (p *path) fork() *path {
	return &path{
		stack: append([]symbol(nil), p.stack...), rstack: append([]symbol(nil), p.rstack...),
		calls: append([]call(nil), p.calls...), known: p.known.clone(),
	}
}

// follow follows a path to the end of the word and returns its result.
func (c *compiler) follow(p *path) predicate.Expr {
	for len(p.calls) > 0 {
		p.calls[len(p.calls)-1].next++
		if c.steps++; c.steps > maxSteps {
			p.fail("too long for a filter: more than %d steps on all ways through it together", maxSteps)
		}
		c.take(p, p.step())
		if p.need != 0 {
			return c.needed(p)
		}
		if p.choice != nil {
			return c.chosen(p)
		}
	}
	return c.result(p)
}

// result returns the flag that a path has left.
func (c *compiler) result(p *path) predicate.Expr {
	switch s := p.stack[0].(type) {
	case known:
		if s.v.IsZero() {
			return predicate.Number(0)
		}
		return predicate.Number(-1)
	case number:
		return c.count(s)
	}
	panic("predicate: a word ended without a flag") // leave makes sure of it
}

// count returns the tree of a number that becomes a part of the tree of the word.
func (c *compiler) count(n number) predicate.Expr {
	if c.nodes += n.nodes; c.nodes > maxTree {
		panic(refusal{fmt.Errorf("too large for a filter: more than %d numbers and operations on all ways through it together", maxTree)})
	}
	return n.tree
}

// needed goes on if a frame without some layer fails.
func (c *compiler) needed(p *path) predicate.Expr {
	need := p.need
	p.need = 0
	switch there, sure := p.known.has(need); {
	case sure && there:
		return c.follow(p)
	case sure:
		return predicate.Number(0)
	}
	p.known.learn(need, true)
	return predicate.Need{Any: need, Then: c.follow(p)}
}

// chosen goes on both ways.
func (c *compiler) chosen(p *path) predicate.Expr {
	other, cond := p.choice.other, c.count(p.choice.cond)
	p.choice = nil
	p.known.learnTest(cond, true)
	then, otherwise := c.follow(p), predicate.Expr(predicate.Number(0))
	if other != nil {
		other.known.learnTest(cond, false)
		otherwise = c.follow(other)
	}
	return either(cond, then, otherwise)
}

// either is a choice between results of which it only matters whether they are 0. The condition
// cannot fail.
func either(cond, then, otherwise predicate.Expr) predicate.Expr {
	const no, yes = predicate.Number(0), predicate.Number(-1)
	switch {
	case isNumber(then) && then == otherwise:
		return then
	case otherwise == no && then == yes:
		return cond
	case otherwise == no:
		return predicate.And{A: cond, B: then}
	case then == yes:
		return predicate.Or{A: cond, B: otherwise}
	case then == no && otherwise == yes:
		return predicate.Not{A: cond}
	case then == no:
		return predicate.And{A: predicate.Not{A: cond}, B: otherwise}
	}
	return predicate.If{Cond: cond, Then: then, Else: otherwise}
}

func isNumber(e predicate.Expr) bool {
	_, ok := e.(predicate.Number)
	return ok
}

// take follows one step.
func (c *compiler) take(p *path, st interp.Step) {
	word := &p.calls[len(p.calls)-1]
	switch st.Kind {
	case interp.StepPush:
		p.push(known{st.Value})
	case interp.StepWord:
		c.word(p, st.Builtin)
	case interp.StepName:
		c.name(p, st)
	case interp.StepJump:
		p.jump(st.To)
	case interp.StepJumpZero:
		cond := p.pop()
		if k, ok := cond.(known); ok && k.isNumber() {
			if k.v.IsZero() {
				p.jump(st.To)
			}
			return
		}
		p.split(p.flag(cond), func(other *path) { other.jump(st.To) })
	case interp.StepOf:
		b, a := p.pop(), p.pop()
		switch eq := p.equal(a, b).(type) {
		case known:
			if eq.v.IsZero() {
				p.push(a)
				p.jump(st.To)
			}
		case number:
			p.split(eq, func(other *path) {
				other.push(a)
				other.jump(st.To)
			})
		}
	case interp.StepLocals:
		c.locals(p, st, word)
	case interp.StepLocal:
		p.push(p.rstack[word.mark-st.N])
	case interp.StepToLocal:
		p.rstack[word.mark-st.N] = p.pop()
	case interp.StepDropLocals:
		word.mark -= st.N
	case interp.StepReturn:
		p.leave()
	default:
		p.fail("%s cannot be compiled into a filter", st.Word)
	}
}

// jump goes on at a step, which must come after this one: a filter has no loops.
func (p *path) jump(to int) {
	word := &p.calls[len(p.calls)-1]
	if to < word.next {
		p.fail("loops cannot be compiled into a filter")
	}
	word.next = to
}

// split splits the path in two, unless the condition is known. away moves the path on which the
// condition does not hold to where it goes on.
func (p *path) split(cond number, away func(other *path)) {
	if holds, sure := p.known.holds(cond.tree); sure {
		if !holds {
			away(p)
		}
		return
	}
	other := p.fork()
	away(other)
	p.choice = &choice{cond, other}
}

// leave ends a word.
func (p *path) leave() {
	last := len(p.calls) - 1
	if last == 0 {
		name := p.calls[0].Name
		switch n := len(p.stack); {
		case n == 0:
			panic(refusal{fmt.Errorf("%s leaves nothing, not a flag", name)})
		case n > 1:
			panic(refusal{fmt.Errorf("%s leaves %d values, not one flag", name, n)})
		}
		s := p.stack[0]
		_, isNumber := s.(number)
		if k, ok := s.(known); !isNumber && !(ok && k.isNumber()) {
			panic(refusal{fmt.Errorf("%s leaves %s, not a flag", name, s)})
		}
	}
	p.rstack = p.rstack[:p.calls[last].mark]
	p.calls = p.calls[:last]
}

// name follows the use of a name that is not a built-in word.
func (c *compiler) name(p *path, st interp.Step) {
	m := st.Meaning()
	switch {
	case m.Builtin != nil:
		c.word(p, m.Builtin)
	case m.Compound == nil:
		p.push(known{m.Value})
	case len(p.calls) == maxNesting:
		p.fail("words nested deeper than %d; recursion cannot be compiled", maxNesting)
	default:
		if err := m.Compound.CheckInputs(p.values()); err != nil {
			p.fail("%s: %v %s", st.Word, err, m.Compound.Inputs)
		}
		p.calls = append(p.calls, call{Listing: m.Compound, mark: len(p.rstack)})
	}
}

func (c *compiler) locals(p *path, st interp.Step, word *call) {
	if len(p.rstack) > word.mark {
		p.fail("{: values that >r has put away are in the way; take them back first")
	}
	if len(p.stack) < st.N {
		p.fail("{: %v", interp.ErrUnderflow)
	}
	from := len(p.stack) - st.N
	p.rstack = append(p.rstack, p.stack[from:]...)
	p.stack = p.stack[:from]
	for range st.All - st.N {
		p.rstack = append(p.rstack, known{interp.NewInt(0)})
	}
	word.mark = len(p.rstack)
}

// word follows a built-in word.
func (c *compiler) word(p *path, w *interp.Word) {
	r, ok := ruleOf(w.Name)
	if !ok {
		why := ""
		if w.Name == "packet.has" {
			why = ", since it decodes every layer; packet.udp? and its like can"
		}
		p.fail("%s cannot be compiled into a filter%s", w.Name, why)
	}
	least, most := w.Inputs()
	if len(p.stack) < least {
		p.fail("%s: %v %s", w.Name, interp.ErrUnderflow, w.Stack)
	}
	if r.pure && c.carryOut(p, w, min(most, len(p.stack))) {
		return
	}
	if r.follow == nil {
		p.fail("%s: what it is given has to be known when the filter is made", w.Name)
	}
	r.follow(p)
}

// carryOut makes the VM run a word whose n inputs are known; it returns false if they are not.
func (c *compiler) carryOut(p *path, w *interp.Word, n int) bool {
	inputs := p.stack[len(p.stack)-n:]
	for _, s := range inputs {
		if _, ok := s.(known); !ok {
			return false
		}
	}
	if c.scratch == nil {
		c.scratch = interp.NewSession(c.dict, strings.NewReader(""), io.Discard, io.Discard)
	}
	s := c.scratch
	s.Clear()
	for _, in := range inputs {
		if err := s.Push(in.(known).v); err != nil {
			p.fail("%s: %v", w.Name, err)
		}
	}
	if err := w.Func(s); err != nil {
		p.fail("%s: %v", w.Name, err)
	}
	p.stack = p.stack[:len(p.stack)-n]
	for i := s.Depth() - 1; i >= 0; i-- {
		p.push(known{s.Peek(i)})
	}
	return true
}
