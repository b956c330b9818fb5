package core

import "ethertap/interp"

var stackWords = []interp.Word{
	{Name: "dup", Stack: "( a - a a )", Help: "duplicates the top of the stack", Example: "7 dup .s", Func: dup},
	{Name: "drop", Stack: "( a - )", Help: "removes the top of the stack", Example: "1 2 drop .s", Func: drop},
	{Name: "swap", Stack: "( a b - b a )", Help: "exchanges the two values on top", Example: "1 2 swap .s", Func: swap},
	{Name: "over", Stack: "( a b - a b a )", Help: "copies the second value to the top", Example: "1 2 over .s", Func: over},
	{Name: "rot", Stack: "( a b c - b c a )", Help: "brings the third value to the top", Example: "1 2 3 rot .s", Func: rot},
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

// replace takes n values and puts others in their place, at most as many.
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
