package core

import (
	"errors"
	"math/rand/v2"

	"ethertap/interp"
)

var arithmeticWords = []interp.Word{
	{Name: "+", Stack: "( [n1] n2 - sum )", Help: "sum of two numbers; n1 is 0 if it is not there", Example: "3 4 + .", Func: add},
	{Name: "-", Stack: "( n1 n2 - difference )", Help: "n1 less n2", Example: "3 4 - .", Func: sub},
	{Name: "*", Stack: "( [n1] n2 - product )", Help: "product of two numbers; n1 is 1 if it is not there", Example: "3 4 * .", Func: mul},
	{Name: "/", Stack: "( n1 n2 - quotient )", Help: "n1 divided by n2, rounded down", Example: "-7 2 / .", Func: div},
	{Name: "mod", Stack: "( n1 n2 - remainder )", Help: "what n1 divided by n2 leaves, with the sign of n2", Example: "-7 2 mod .", Func: mod},
	{Name: "and", Stack: "( n1 n2 - n )", Help: "bits that are in both", Example: "12 10 and .", Func: and},
	{Name: "or", Stack: "( n1 n2 - n )", Help: "bits that are in either", Example: "12 10 or .", Func: or},
	{Name: "xor", Stack: "( n1 n2 - n )", Help: "bits that are in one alone", Example: "12 10 xor .", Func: xor},
	{Name: "invert", Stack: "( n - n )", Help: "all bits inverted", Example: "0 invert .", Func: invert},
	{Name: "=", Stack: "( a b - flag )", Help: "whether two values are equal", Example: "00:00:5e:00:53:01 \"00:00:5e:00:53:01\" = .", Func: equal},
	{Name: "<>", Stack: "( a b - flag )", Help: "whether two values differ", Example: "1 2 <> .", Func: notEqual},
	{Name: "<", Stack: "( n1 n2 - flag )", Help: "whether n1 is less than n2", Example: "1 2 < .", Func: less},
	{Name: ">", Stack: "( n1 n2 - flag )", Help: "whether n1 is greater than n2", Example: "1 2 > .", Func: greater},
	{Name: "<=", Stack: "( n1 n2 - flag )", Help: "whether n1 is at most n2", Example: "2 2 <= .", Func: atMost},
	{Name: ">=", Stack: "( n1 n2 - flag )", Help: "whether n1 is at least n2", Example: "2 2 >= .", Func: atLeast},
	{Name: "0=", Stack: "( n - flag )", Help: "whether n is 0", Example: "0 0= .", Func: isZero},
	{Name: "random32", Stack: "( - u )", Help: "random number of 32 bits", Example: "random32 drop", Func: random32},
	{Name: "random64", Stack: "( - u )", Help: "random number of 64 bits", Example: "random64 drop", Func: random64},
}

var errDivision = errors.New("division by zero")

// binary applies f to the two numbers on top. The first defaults to absent when the
// frame holds one value only, for the words whose comment puts it in brackets.
func binary(s *interp.Session, absent int64, f func(a, b int64) (int64, error)) error {
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
	return binary(s, 0, func(a, b int64) (int64, error) { return a + b, nil })
}

func sub(s *interp.Session) error {
	return binary(s, 0, func(a, b int64) (int64, error) { return a - b, nil })
}

func mul(s *interp.Session) error {
	return binary(s, 1, func(a, b int64) (int64, error) { return a * b, nil })
}

func div(s *interp.Session) error {
	return binary(s, 0, func(a, b int64) (int64, error) {
		if b == 0 {
			return 0, errDivision
		}
		q := a / b
		if a%b != 0 && (a < 0) != (b < 0) {
			q--
		}
		return q, nil
	})
}

func mod(s *interp.Session) error {
	return binary(s, 0, func(a, b int64) (int64, error) {
		if b == 0 {
			return 0, errDivision
		}
		m := a % b
		if m != 0 && (m < 0) != (b < 0) {
			m += b
		}
		return m, nil
	})
}

func and(s *interp.Session) error {
	return binary(s, 0, func(a, b int64) (int64, error) { return a & b, nil })
}

func or(s *interp.Session) error {
	return binary(s, 0, func(a, b int64) (int64, error) { return a | b, nil })
}

func xor(s *interp.Session) error {
	return binary(s, 0, func(a, b int64) (int64, error) { return a ^ b, nil })
}

func invert(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(^n))
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

func compare(s *interp.Session, f func(a, b int64) bool) error {
	b, err := s.PopInt()
	if err != nil {
		return err
	}
	a, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewFlag(f(a, b)))
}

func less(s *interp.Session) error { return compare(s, func(a, b int64) bool { return a < b }) }

func greater(s *interp.Session) error { return compare(s, func(a, b int64) bool { return a > b }) }

func atMost(s *interp.Session) error { return compare(s, func(a, b int64) bool { return a <= b }) }

func atLeast(s *interp.Session) error { return compare(s, func(a, b int64) bool { return a >= b }) }

func isZero(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	return s.Push(interp.NewFlag(n == 0))
}

func random32(s *interp.Session) error {
	return s.Push(interp.NewUint(interp.Uint32, uint64(rand.Uint32())))
}

func random64(s *interp.Session) error {
	return s.Push(interp.NewUint(interp.Uint64, rand.Uint64()))
}
