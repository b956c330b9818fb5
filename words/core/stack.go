// SPDX-License-Identifier: BSD-3-Clause

package core

import "ethertap/interp"

var stackWords = []interp.Word{
	{Name: "dup", Stack: "( a - a a )", Help: "duplicates the top of the stack", Example: "7 dup .s", Inline: interp.OpDup, Func: dup},
	{Name: "drop", Stack: "( a - )", Help: "removes the top of the stack", Example: "1 2 drop .s", Inline: interp.OpDrop, Func: drop},
	{Name: "swap", Stack: "( a b - b a )", Help: "exchanges the two values on top", Example: "1 2 swap .s", Inline: interp.OpSwap, Func: swap},
	{Name: "over", Stack: "( a b - a b a )", Help: "copies the second value to the top", Example: "1 2 over .s", Inline: interp.OpOver, Func: over},
	{Name: "rot", Stack: "( a b c - b c a )", Help: "brings the third value to the top", Example: "1 2 3 rot .s", Inline: interp.OpRot, Func: rot},
	{Name: "-rot", Stack: "( a b c - c a b )", Help: "puts the top below the two values under it", Example: "1 2 3 -rot .s", Inline: interp.OpBackRot, Func: backRot},
	{Name: "nip", Stack: "( a b - b )", Help: "removes the second value", Example: "1 2 nip .s", Inline: interp.OpNip, Func: nip},
	{Name: "tuck", Stack: "( a b - b a b )", Help: "copies the top below the second value", Example: "1 2 tuck .s", Inline: interp.OpTuck, Func: tuck},
	{Name: "?dup", Stack: "( a - a a | 0 )", Help: "duplicates the top of the stack if it is not 0", Example: "7 ?dup 0 ?dup .s", Func: dupIfTrue},
	{Name: "pick", Stack: "( n - item )", Help: "copies the value that lies n places below the top; 0 pick is dup", Example: "7 8 9 2 pick .", Func: pick},
	{Name: "roll", Stack: "( n - item )", Help: "brings the value that lies n places below the top up; 1 roll is swap", Example: "7 8 9 2 roll .s", Func: roll},
	{Name: "2dup", Stack: "( a b - a b a b )", Help: "duplicates the two values on top", Example: "1 2 2dup .s", Inline: interp.OpTwoDup, Func: twoDup},
	{Name: "2drop", Stack: "( a b - )", Help: "removes the two values on top", Example: "1 2 2drop .s", Inline: interp.OpTwoDrop, Func: twoDrop},
	{Name: "2swap", Stack: "( a b c d - c d a b )", Help: "exchanges the two pairs on top", Example: "1 2 3 4 2swap .s", Func: twoSwap},
	{Name: "2over", Stack: "( a b c d - a b c d a b )", Help: "copies the second pair to the top", Example: "1 2 3 4 2over .s", Func: twoOver},
	{Name: ">r", Stack: "( a - )", Help: "moves a value to the return stack; values that a word leaves there are removed when it ends", Example: "1 2 >r 5 + r> .s", Inline: interp.OpToR, Func: toR},
	{Name: "r>", Stack: "( - a )", Help: "takes the value back that >r has put away in the same word", Example: "1 2 >r 5 + r> .s", Inline: interp.OpFromR, Func: fromR},
	{Name: "r@", Stack: "( - a )", Help: "copies the value that >r has put away in the same word", Example: "7 >r r@ r> .s", Inline: interp.OpRFetch, Func: rFetch},
	{Name: "2>r", Stack: "( a b - )", Help: "moves two values to the return stack", Example: "1 2 2>r 5 2r> .s", Func: twoToR},
	{Name: "2r>", Stack: "( - a b )", Help: "takes the two values back that 2>r has put away in the same word", Example: "1 2 2>r 5 2r> .s", Func: twoFromR},
	{Name: "2r@", Stack: "( - a b )", Help: "copies the two values that 2>r has put away in the same word", Example: "1 2 2>r 2r@ 2r> .s", Func: twoRFetch},
	{Name: "depth", Stack: "( - n )", Help: "number of values in the stack frame", Example: "5 5 depth .", Func: depth},
	{Name: ".cs", Stack: "( - )", Help: "clears the stack", Example: "1 2 .cs depth .", Func: clearStack},
	{Name: "{", Stack: "( - )", Help: "opens a stack frame: words see only the values put in it", Example: "5 { 2 + } .s", Func: openFrame},
	{Name: "}", Stack: "( - )", Help: "closes the stack frame; its values stay", Example: "5 { 2 + } .s", Func: closeFrame},
	{Name: ".exec-sp", Stack: "( - n )", Help: "depth of nested execution, 1 at the prompt", Example: ".exec-sp .", Func: execSP},
}

func dup(s *interp.Session) error { return s.Push(s.Peek(0)) }

func drop(s *interp.Session) error {
	_, err := s.Pop()
	return err
}

func swap(s *interp.Session) error { return replace(s, 2, s.Peek(0), s.Peek(1)) }

func over(s *interp.Session) error { return s.Push(s.Peek(1)) }

func rot(s *interp.Session) error { return replace(s, 3, s.Peek(1), s.Peek(0), s.Peek(2)) }

func backRot(s *interp.Session) error { return replace(s, 3, s.Peek(0), s.Peek(2), s.Peek(1)) }

func nip(s *interp.Session) error { return replace(s, 2, s.Peek(0)) }

func tuck(s *interp.Session) error {
	a, b := s.Peek(1), s.Peek(0)
	if err := s.Room(); err != nil {
		return err
	}
	return replace(s, 2, b, a, b)
}

func dupIfTrue(s *interp.Session) error {
	if n, err := s.Peek(0).Int(); err == nil && n == 0 {
		return nil
	}
	return dup(s)
}

// below takes n and returns it with the value that lies n places below the top.
func below(s *interp.Session) (n int, v interp.Value, err error) {
	last := int64(s.Depth() - 2)
	if last < 0 {
		return 0, v, interp.ErrUnderflow
	}
	index, err := s.PopRange("place", 0, last)
	if err != nil {
		return 0, v, err
	}
	return int(index), s.Peek(int(index)), nil
}

func pick(s *interp.Session) error {
	_, v, err := below(s)
	if err != nil {
		return err
	}
	return s.Push(v)
}

func roll(s *interp.Session) error {
	n, _, err := below(s)
	if err != nil {
		return err
	}
	s.Roll(n)
	return nil
}

func twoDup(s *interp.Session) error { return replace(s, 0, s.Peek(1), s.Peek(0)) }

func twoDrop(s *interp.Session) error { return replace(s, 2) }

func twoSwap(s *interp.Session) error {
	return replace(s, 4, s.Peek(1), s.Peek(0), s.Peek(3), s.Peek(2))
}

func twoOver(s *interp.Session) error { return replace(s, 0, s.Peek(3), s.Peek(2)) }

func toR(s *interp.Session) error {
	if err := s.RPush(s.Peek(0)); err != nil {
		return err
	}
	return drop(s)
}

func fromR(s *interp.Session) error {
	if err := rFetch(s); err != nil {
		return err
	}
	_, err := s.RPop()
	return err
}

func rFetch(s *interp.Session) error {
	v, err := s.RPeek()
	if err != nil {
		return err
	}
	return s.Push(v)
}

func twoToR(s *interp.Session) error {
	if err := s.RPush(s.Peek(1)); err != nil {
		return err
	}
	if err := s.RPush(s.Peek(0)); err != nil {
		_, _ = s.RPop()
		return err
	}
	return replace(s, 2)
}

func twoFromR(s *interp.Session) error {
	if err := twoRFetch(s); err != nil {
		return err
	}
	for range 2 {
		if _, err := s.RPop(); err != nil {
			return err
		}
	}
	return nil
}

func twoRFetch(s *interp.Session) error {
	b, err := s.RPop()
	if err != nil {
		return err
	}
	a, err := s.RPeek()
	if pushErr := s.RPush(b); err == nil {
		err = pushErr
	}
	if err != nil {
		return err
	}
	return replace(s, 0, a, b)
}

// replace takes n values and pushes others in their place.
func replace(s *interp.Session, n int, values ...interp.Value) error {
	for range n {
		if _, err := s.Pop(); err != nil {
			return err
		}
	}
	for _, v := range values {
		if err := s.Push(v); err != nil {
			return err
		}
	}
	return nil
}

func depth(s *interp.Session) error { return s.Push(interp.NewInt(int64(s.Depth()))) }

func clearStack(s *interp.Session) error {
	s.Clear()
	return nil
}

func openFrame(s *interp.Session) error { return s.OpenFrame() }

func closeFrame(s *interp.Session) error { return s.CloseFrame() }

func execSP(s *interp.Session) error { return s.Push(interp.NewInt(int64(s.Nesting()))) }
