// SPDX-License-Identifier: BSD-3-Clause

package predicate

import "ethertap/lib/predicate"

// This file has the words for numbers of which at least one depends on the frame.

var zero = number{predicate.Number(0), 1}

// calculation takes two numbers, or one if the VM supplies a default for the other.
func calculation(op predicate.Operator) rule {
	return rule{pure: true, follow: func(p *path) {
		b := p.popNumber()
		if len(p.stack) == 0 {
			p.push(b)
			return
		}
		a := p.popNumber()
		p.pushNumber(calculate(op, a.tree, b.tree), a, b)
	}}
}

// calculate returns an operation on numbers that cannot fail. Bit operations on flags become And
// and Or, which need not evaluate both.
func calculate(op predicate.Operator, a, b predicate.Expr) predicate.Expr {
	if predicate.IsFlag(a) && predicate.IsFlag(b) {
		switch op {
		case predicate.BitAnd:
			return predicate.And{A: a, B: b}
		case predicate.BitOr:
			return predicate.Or{A: a, B: b}
		}
	}
	return predicate.Calculate{Op: op, A: a, B: b}
}

// constant is an operation with a constant on the right.
func constant(op predicate.Operator, k predicate.Number) rule {
	return rule{pure: true, follow: func(p *path) {
		a := p.popNumber()
		p.pushNumber(predicate.Calculate{Op: op, A: a.tree, B: k}, a)
	}}
}

// constantFirst is an operation with a constant on the left.
func constantFirst(op predicate.Operator, k predicate.Number) rule {
	return rule{pure: true, follow: func(p *path) {
		b := p.popNumber()
		if op == predicate.BitXor && predicate.IsFlag(b.tree) {
			p.pushNumber(predicate.Not{A: b.tree}, b)
			return
		}
		p.pushNumber(predicate.Calculate{Op: op, A: k, B: b.tree}, b)
	}}
}

// divide leaves the results of operations on the two numbers on top. A division by 0 fails, even
// if nobody uses its result.
func (p *path) divide(ops ...predicate.Operator) {
	b, a := p.popNumber(), p.popNumber()
	for _, op := range ops {
		p.pushNumber(predicate.Calculate{Op: op, A: a.tree, B: b.tree}, a, b)
	}
	switch k := b.tree.(type) {
	case predicate.Number:
		if k == 0 {
			p.fail("%s: division by zero", p.step().Word)
		}
	default:
		p.choice = &choice{cond: p.made(predicate.Compare{Op: predicate.NotEqual, A: b.tree, B: predicate.Number(0)}, b)}
	}
}

// magnitude is abs.
func magnitude(p *path) {
	a := p.popNumber()
	p.pushNumber(predicate.If{
		Cond: predicate.Compare{Op: predicate.Less, A: a.tree, B: predicate.Number(0)},
		Then: predicate.Calculate{Op: predicate.Subtract, A: predicate.Number(0), B: a.tree}, Else: a.tree,
	}, a, a, a)
}

// lesser is min and max.
func (p *path) lesser(op predicate.Comparison) {
	b, a := p.popNumber(), p.popNumber()
	p.pushNumber(predicate.If{Cond: predicate.Compare{Op: op, A: a.tree, B: b.tree}, Then: a.tree, Else: b.tree}, a, a, b, b)
}

// negate is 0=.
func (p *path) negate() {
	switch s := p.pop().(type) {
	case known:
		p.push(flagSymbol(p.number(s).tree == predicate.Number(0)))
	case number:
		if predicate.IsFlag(s.tree) {
			p.pushNumber(predicate.Not{A: s.tree}, s)
			return
		}
		p.compared(predicate.Equal, s, zero)
	default:
		p.fail("%s: a number is expected, not %s", p.step().Word, s)
	}
}

// test is 0<>.
func (p *path) test() {
	n := p.popNumber()
	if predicate.IsFlag(n.tree) {
		p.push(n)
		return
	}
	p.compared(predicate.NotEqual, n, zero)
}

func (p *path) compared(op predicate.Comparison, a, b number) {
	p.pushNumber(predicate.Compare{Op: op, A: a.tree, B: b.tree}, a, b)
}
