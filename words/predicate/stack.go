// SPDX-License-Identifier: BSD-3-Clause

package predicate

import "ethertap/interp"

// This file has the words of the stacks. The compiler has checked that their inputs are there,
// but not the values that pick and roll reach.

// pick copies the value i places below the top.
func (p *path) pick(i int) { p.push(p.stack[len(p.stack)-1-i]) }

// roll moves that value to the top.
func (p *path) roll(i int) {
	top := p.stack[len(p.stack)-1-i:]
	s := top[0]
	copy(top, top[1:])
	top[i] = s
}

// place takes the number of places for pick and roll.
func (p *path) place() int {
	word := p.step().Word
	k, ok := p.pop().(known)
	if !ok {
		p.fail("%s: how far down is to be known when the filter is made", word)
	}
	n, err := k.v.Int()
	if err != nil {
		p.fail("%s: %v", word, err)
	}
	if n < 0 || n >= int64(len(p.stack)) {
		p.fail("%s: %v", word, interp.ErrUnderflow)
	}
	return int(n)
}

// away moves n values to the return stack.
func (p *path) away(n int) {
	from := len(p.stack) - n
	p.rstack = append(p.rstack, p.stack[from:]...)
	p.stack = p.stack[:from]
}

// back copies n values from the return stack, and removes them there if take is set.
func (p *path) back(n int, take bool) {
	from := len(p.rstack) - n
	if from < p.calls[len(p.calls)-1].mark {
		p.fail("%s: without >r in the same word", p.step().Word)
	}
	p.push(p.rstack[from:]...)
	if take {
		p.rstack = p.rstack[:from]
	}
}

// dupIfTrue is ?dup: it duplicates a value that is not 0. Addresses are never 0.
func dupIfTrue(p *path) {
	switch s := p.stack[len(p.stack)-1].(type) {
	case known:
		if n, err := s.v.Int(); err == nil && n == 0 {
			return
		}
	case number:
		p.pick(0)
		p.split(s, func(other *path) {
			other.pop()
			other.stack[len(other.stack)-1] = flagSymbol(false)
		})
		return
	}
	p.pick(0)
}
