// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"ethertap/interp"
)

var arithmeticWords = []interp.Word{
	{Name: "+", Stack: "( [n1] n2 - sum )", Help: "sum of two numbers; n1 is 0 if it is not there", Example: "3 4 + .", Inline: interp.OpAdd, Func: add},
	{Name: "-", Stack: "( n1 n2 - difference )", Help: "n1 less n2", Example: "3 4 - .", Inline: interp.OpSub, Func: sub},
	{Name: "*", Stack: "( [n1] n2 - product )", Help: "product of two numbers; n1 is 1 if it is not there", Example: "3 4 * .", Inline: interp.OpMul, Func: mul},
	{Name: "/", Stack: "( n1 n2 - quotient )", Help: "n1 divided by n2, rounded down", Example: "-7 2 / .", Inline: interp.OpDiv, Func: div},
	{Name: "mod", Stack: "( n1 n2 - remainder )", Help: "remainder of n1 divided by n2, with the sign of n2", Example: "-7 2 mod .", Inline: interp.OpMod, Func: mod},
	{Name: "/mod", Stack: "( n1 n2 - remainder quotient )", Help: "remainder and quotient, as mod and / give them", Example: "-7 2 /mod .s", Func: divMod},
	{Name: "*/", Stack: "( n1 n2 n3 - n )", Help: "n1 times n2 divided by n3, rounded down, with a product of 128 bits", Example: "1000000000000 1000000000000 1000000000001 */ .", Func: mulDiv},
	{Name: "*/mod", Stack: "( n1 n2 n3 - remainder n )", Help: "remainder of n1 times n2 divided by n3, and the quotient that */ gives", Example: "7 3 2 */mod .s", Func: mulDivMod},
	{Name: "negate", Stack: "( n - n )", Help: "n with the other sign", Example: "5 negate .", Inline: interp.OpNegate, Func: negate},
	{Name: "abs", Stack: "( n - n )", Help: "n without its sign", Example: "-5 abs .", Func: abs},
	{Name: "1+", Stack: "( n - n )", Help: "adds 1", Example: "5 1+ .", Inline: interp.OpOnePlus, Func: onePlus},
	{Name: "1-", Stack: "( n - n )", Help: "subtracts 1", Example: "5 1- .", Inline: interp.OpOneMinus, Func: oneMinus},
	{Name: "2*", Stack: "( n - n )", Help: "shifts left by one bit", Example: "5 2* .", Inline: interp.OpTwoTimes, Func: twoTimes},
	{Name: "2/", Stack: "( n - n )", Help: "shifts right by one bit and keeps the sign", Example: "-5 2/ .", Inline: interp.OpTwoSlash, Func: twoSlash},
	{Name: "lshift", Stack: "( n bits - n )", Help: "shifts left; 64 bits and more leave 0", Example: "1 4 lshift .", Inline: interp.OpLShift, Func: lshift},
	{Name: "rshift", Stack: "( n bits - n )", Help: "shifts right without sign; 64 bits and more leave 0", Example: "-1 60 rshift .", Inline: interp.OpRShift, Func: rshift},
	{Name: "and", Stack: "( n1 n2 - n )", Help: "bits that are in both", Example: "12 10 and .", Inline: interp.OpAnd, Func: and},
	{Name: "or", Stack: "( n1 n2 - n )", Help: "bits that are in either", Example: "12 10 or .", Inline: interp.OpOr, Func: or},
	{Name: "xor", Stack: "( n1 n2 - n )", Help: "bits that are in one alone", Example: "12 10 xor .", Inline: interp.OpXor, Func: xor},
	{Name: "invert", Stack: "( n - n )", Help: "all bits inverted", Example: "0 invert .", Inline: interp.OpInvert, Func: invert},
	{Name: "=", Stack: "( a b - flag )", Help: "whether two values are equal; a string that reads as a number or an address is one", Example: "00:00:5e:00:53:01 \"00:00:5e:00:53:01\" = .", Inline: interp.OpEqual, Func: equal},
	{Name: "<>", Stack: "( a b - flag )", Help: "whether two values differ", Example: "1 2 <> .", Inline: interp.OpNotEqual, Func: notEqual},
	{Name: "<", Stack: "( a b - flag )", Help: "whether a is less than b: numbers, addresses and ranges by value, and strings that read as such too; other strings and data byte by byte", Example: "1 2 < .", Inline: interp.OpLess, Func: less},
	{Name: ">", Stack: "( a b - flag )", Help: "whether a is greater than b", Example: "1 2 > .", Inline: interp.OpGreater, Func: greater},
	{Name: "<=", Stack: "( a b - flag )", Help: "whether a is at most b", Example: "2 2 <= .", Inline: interp.OpAtMost, Func: atMost},
	{Name: ">=", Stack: "( a b - flag )", Help: "whether a is at least b", Example: "2 2 >= .", Inline: interp.OpAtLeast, Func: atLeast},
	{Name: "0=", Stack: "( n - flag )", Help: "whether n is 0", Example: "0 0= .", Inline: interp.OpZeroEqual, Func: isZero},
	{Name: "0<", Stack: "( n - flag )", Help: "whether n is less than 0", Example: "-1 0< .", Inline: interp.OpZeroLess, Func: isNegative},
	{Name: "0>", Stack: "( n - flag )", Help: "whether n is greater than 0", Example: "1 0> .", Inline: interp.OpZeroGreater, Func: isPositive},
	{Name: "0<>", Stack: "( n - flag )", Help: "whether n is not 0", Example: "1 0<> .", Func: isNotZero},
	{Name: "u<", Stack: "( u1 u2 - flag )", Help: "whether u1 is less than u2, both without sign", Example: "1 -1 u< .", Func: below64},
	{Name: "within", Stack: "( a low high - flag )", Help: "whether a is at least low and less than high; numbers go round as in Forth", Example: "5 1 10 within .\n10.0.0.7 10.0.0.0 10.0.1.0 within .", Func: within},
	{Name: "min", Stack: "( a b - a | b )", Help: "the lesser of two values", Example: "3 4 min .", Inline: interp.OpMin, Func: lesser},
	{Name: "max", Stack: "( a b - a | b )", Help: "the greater of two values", Example: "3 4 max .", Inline: interp.OpMax, Func: larger},
	{Name: "random32", Stack: "( - u )", Help: "random number of 32 bits", Example: "random32 drop", Func: random32},
	{Name: "random64", Stack: "( - u )", Help: "random number of 64 bits", Example: "random64 drop", Func: random64},
}

var errDivision = interp.Coded(-10, "division by zero")

// calculate applies f to the two numbers on top. For words whose comment has the first number in
// brackets, that number is absent if the frame holds only one value.
func calculate(s *interp.Session, absent int64, f func(a, b int64) (int64, error)) error {
	b, err := s.PopInt()
	if err != nil {
		return err
	}
	a := absent
	if s.Depth() > 0 {
		if a, err = s.PopInt(); err != nil {
			return err
		}
	}
	n, err := f(a, b)
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(n))
}

func add(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) { return a + b, nil })
}

func sub(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) { return a - b, nil })
}

func mul(s *interp.Session) error {
	return calculate(s, 1, func(a, b int64) (int64, error) { return a * b, nil })
}

// quotient divides and rounds down, as Forth's / may.
func quotient(a, b int64) (q, m int64, err error) {
	if b == 0 {
		return 0, 0, errDivision
	}
	q, m = a/b, a%b
	if m != 0 && (m < 0) != (b < 0) {
		q, m = q-1, m+b
	}
	return q, m, nil
}

func div(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) {
		q, _, err := quotient(a, b)
		return q, err
	})
}

func mod(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) {
		_, m, err := quotient(a, b)
		return m, err
	})
}

func divMod(s *interp.Session) error {
	b, err := s.PopInt()
	if err != nil {
		return err
	}
	a, err := s.PopInt()
	if err != nil {
		return err
	}
	q, m, err := quotient(a, b)
	if err != nil {
		return err
	}
	return replace(s, 0, interp.NewInt(m), interp.NewInt(q))
}

func mulDiv(s *interp.Session) error { return scale(s, false) }

func mulDivMod(s *interp.Session) error { return scale(s, true) }

// scale takes n1, n2 and n3 and leaves n1 times n2 divided by n3, rounded down; if remainder is
// set, it leaves the remainder below it.
func scale(s *interp.Session, remainder bool) error {
	c, err := s.PopInt()
	if err != nil {
		return err
	}
	b, err := s.PopInt()
	if err != nil {
		return err
	}
	a, err := s.PopInt()
	if err != nil {
		return err
	}
	q, err := scaled(a, b, c)
	if err != nil {
		return err
	}
	if remainder {
		return replace(s, 0, interp.NewInt(a*b-q*c), interp.NewInt(q)) // both products wrap, but their difference fits
	}
	return s.Push(interp.NewInt(q))
}

// scaled returns a times b divided by c, rounded down, with a product of 128 bits.
func scaled(a, b, c int64) (int64, error) {
	if c == 0 {
		return 0, errDivision
	}
	negative := (a < 0) != (b < 0) != (c < 0)
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	d := magnitude(c)
	if high >= d {
		return 0, errProduct
	}
	q, m := bits.Div64(high, low, d)
	switch {
	case !negative && q > math.MaxInt64, negative && (q > 1<<63 || q == 1<<63 && m != 0):
		return 0, errProduct
	case !negative:
		return int64(q), nil
	case m != 0:
		q++ // round down, not towards 0
	}
	return -int64(q), nil
}

var errProduct = interp.Coded(-11, "the quotient does not fit in 64 bits")

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// unary applies f to the number on top.
func unary(s *interp.Session, f func(n int64) int64) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(f(n)))
}

func negate(s *interp.Session) error { return unary(s, func(n int64) int64 { return -n }) }

func abs(s *interp.Session) error { return unary(s, func(n int64) int64 { return max(n, -n) }) }

func onePlus(s *interp.Session) error { return unary(s, func(n int64) int64 { return n + 1 }) }

func oneMinus(s *interp.Session) error { return unary(s, func(n int64) int64 { return n - 1 }) }

func twoTimes(s *interp.Session) error { return unary(s, func(n int64) int64 { return n << 1 }) }

func twoSlash(s *interp.Session) error { return unary(s, func(n int64) int64 { return n >> 1 }) }

func lshift(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) { return a << uint64(b), nil })
}

func rshift(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) { return int64(uint64(a) >> uint64(b)), nil })
}

func and(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) { return a & b, nil })
}

func or(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) { return a | b, nil })
}

func xor(s *interp.Session) error {
	return calculate(s, 0, func(a, b int64) (int64, error) { return a ^ b, nil })
}

func invert(s *interp.Session) error {
	return unary(s, func(n int64) int64 { return ^n })
}

// same compares the two values on top, whatever their kinds.
func same(s *interp.Session) (bool, error) {
	b, err := s.Pop()
	if err != nil {
		return false, err
	}
	a, err := s.Pop()
	if err != nil {
		return false, err
	}
	return a.Same(b), nil
}

func equal(s *interp.Session) error {
	eq, err := same(s)
	if err != nil {
		return err
	}
	return s.Push(interp.NewFlag(eq))
}

func notEqual(s *interp.Session) error {
	eq, err := same(s)
	if err != nil {
		return err
	}
	return s.Push(interp.NewFlag(!eq))
}

// order compares the two values on top; f makes the result from -1, 0 or 1.
func order(s *interp.Session, f func(c int) bool) error {
	b, err := s.Pop()
	if err != nil {
		return err
	}
	a, err := s.Pop()
	if err != nil {
		return err
	}
	c, err := a.Compare(b)
	if err != nil {
		return err
	}
	return s.Push(interp.NewFlag(f(c)))
}

func less(s *interp.Session) error { return order(s, func(c int) bool { return c < 0 }) }

func greater(s *interp.Session) error { return order(s, func(c int) bool { return c > 0 }) }

func atMost(s *interp.Session) error { return order(s, func(c int) bool { return c <= 0 }) }

func atLeast(s *interp.Session) error { return order(s, func(c int) bool { return c >= 0 }) }

// choose leaves the lesser or the greater of two values.
func choose(s *interp.Session, first bool) error {
	a, b := s.Peek(1), s.Peek(0)
	c, err := a.Compare(b)
	if err != nil {
		return err
	}
	if c > 0 == first {
		a = b
	}
	return replace(s, 2, a)
}

func lesser(s *interp.Session) error { return choose(s, true) }

func larger(s *interp.Session) error { return choose(s, false) }

func within(s *interp.Session) error {
	a, low, high := s.Peek(2), s.Peek(1), s.Peek(0)
	in := false
	n, err := a.Int()
	l, errLow := low.Int()
	h, errHigh := high.Int()
	if err == nil && errLow == nil && errHigh == nil {
		in = uint64(n-l) < uint64(h-l)
	} else {
		first, err := a.Compare(low)
		if err != nil {
			return err
		}
		last, err := a.Compare(high)
		if err != nil {
			return err
		}
		in = first >= 0 && last < 0
	}
	return replace(s, 3, interp.NewFlag(in))
}

// test applies f to the number on top.
func test(s *interp.Session, f func(n int64) bool) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewFlag(f(n)))
}

func isZero(s *interp.Session) error { return test(s, func(n int64) bool { return n == 0 }) }

func isNotZero(s *interp.Session) error { return test(s, func(n int64) bool { return n != 0 }) }

func isNegative(s *interp.Session) error { return test(s, func(n int64) bool { return n < 0 }) }

func isPositive(s *interp.Session) error { return test(s, func(n int64) bool { return n > 0 }) }

func below64(s *interp.Session) error {
	b, err := s.PopInt()
	if err != nil {
		return err
	}
	return test(s, func(a int64) bool { return uint64(a) < uint64(b) })
}

func random32(s *interp.Session) error {
	return s.Push(interp.NewUint(interp.Uint32, uint64(rand.Uint32())))
}

func random64(s *interp.Session) error {
	return s.Push(interp.NewUint(interp.Uint64, rand.Uint64()))
}
