// SPDX-License-Identifier: BSD-3-Clause

package predicate

// simplify returns a cheaper tree with the same meaning. It computes operations on constants and
// puts constants on the right of comparisons. Bit operations on flags, which some languages use
// as logic, become And and Or where that cannot change what fails.
func simplify(e Expr) Expr {
	switch e := e.(type) {
	case Load:
		return Load{simplify(e.At), e.Size}
	case Need:
		return Need{e.Any, simplify(e.Then)}
	case And:
		return And{simplify(e.A), simplify(e.B)}
	case Or:
		return Or{simplify(e.A), simplify(e.B)}
	case Not:
		return Not{simplify(e.A)}
	case If:
		return If{simplify(e.Cond), simplify(e.Then), simplify(e.Else)}
	case Compare:
		return simplifyCompare(Compare{e.Op, simplify(e.A), simplify(e.B)})
	case Calculate:
		return simplifyCalculate(Calculate{e.Op, simplify(e.A), simplify(e.B), e.Narrow})
	}
	return e
}

// turned returns how b compares with a.
var turned = [...]Comparison{Equal: Equal, NotEqual: NotEqual, Less: Greater, Greater: Less, AtMost: AtLeast, AtLeast: AtMost, Below: Above, Above: Below}

func simplifyCompare(e Compare) Expr {
	if _, fixed := e.A.(Number); fixed {
		e = Compare{turned[e.Op], e.B, e.A}
	}
	switch {
	case e.B == Number(0) && e.Op == Equal && IsFlag(e.A):
		return Not{e.A}
	case e.B == Number(0) && e.Op == NotEqual && IsFlag(e.A):
		return e.A
	}
	return e
}

func simplifyCalculate(e Calculate) Expr {
	a, aFixed := e.A.(Number)
	b, bFixed := e.B.(Number)
	if aFixed && bFixed {
		if n, ok := e.Op.apply(int64(a), int64(b), e.Narrow); ok {
			return Number(n)
		}
	}
	if e.Narrow || e.Op != BitAnd && e.Op != BitOr || !IsFlag(e.A) || !IsFlag(e.B) {
		return e
	}
	first, second := e.A, e.B
	if Fails(second) {
		first, second = second, first
	}
	switch {
	case Fails(second):
		return e
	case e.Op == BitAnd:
		return And{first, second}
	}
	return Or{first, second}
}

// apply returns the result of an operator; ok is false if it fails.
func (op Operator) apply(a, b int64, narrow bool) (n int64, ok bool) {
	if narrow {
		return op.narrow(uint32(a), uint32(b))
	}
	switch op {
	case Add:
		return a + b, true
	case Subtract:
		return a - b, true
	case Multiply:
		return a * b, true
	case Divide, Modulo:
		return op.divide(a, b)
	case BitAnd:
		return a & b, true
	case BitOr:
		return a | b, true
	case BitXor:
		return a ^ b, true
	case ShiftLeft:
		return int64(uint64(a) << uint64(b)), true
	}
	return int64(uint64(a) >> uint64(b)), true
}

// divide rounds down, as Forth does.
func (op Operator) divide(a, b int64) (n int64, ok bool) {
	if b == 0 {
		return 0, false
	}
	q, m := a/b, a%b
	if m != 0 && (m < 0) != (b < 0) {
		q, m = q-1, m+b
	}
	if op == Divide {
		return q, true
	}
	return m, true
}

func (op Operator) narrow(a, b uint32) (n int64, ok bool) {
	var r uint32
	switch op {
	case Add:
		r = a + b
	case Subtract:
		r = a - b
	case Multiply:
		r = a * b
	case Divide, Modulo:
		switch {
		case b == 0:
			return 0, false
		case op == Divide:
			r = a / b
		default:
			r = a % b
		}
	case BitAnd:
		r = a & b
	case BitOr:
		r = a | b
	case BitXor:
		r = a ^ b
	case ShiftLeft:
		r = a << b
	default:
		r = a >> b
	}
	return int64(r), true
}

// holds says whether a comparison of two numbers holds.
func (op Comparison) holds(a, b int64) bool {
	switch op {
	case Equal:
		return a == b
	case NotEqual:
		return a != b
	case Less:
		return a < b
	case AtMost:
		return a <= b
	case Greater:
		return a > b
	case AtLeast:
		return a >= b
	case Below:
		return uint64(a) < uint64(b)
	}
	return uint64(a) > uint64(b)
}

// Fixed returns the number of a tree that is the same for every frame; ok is false if there is
// none.
func Fixed(e Expr) (n int64, ok bool) {
	k, ok := simplify(e).(Number)
	return int64(k), ok
}
