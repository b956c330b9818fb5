// SPDX-License-Identifier: BSD-3-Clause

package core

import "ethertap/interp"

var errorWords = []interp.Word{
	{Name: "execute", Stack: "( line - )", Help: "runs a line of source, which may be the name of a word alone", Example: "3 \"dup *\" execute .\n3 \"negate\" execute .", Func: execute},
	{Name: "try", Stack: "( line - 0 | code )", Help: "runs a line and leaves 0; if it fails the stack is as before, and the number of the error is left", Example: "\"1 0 /\" try .\nerror-text .", Func: try},
	{Name: "catch", Stack: "( word - 0 | code )", Help: "is try, as Forth calls it", Example: ": half ( - ) 1 0 / ;\n' half catch .", Func: try},
	{Name: "evaluate", Stack: "( source - )", Help: "runs source, of one line or more", Example: "\"3 4 + .\" evaluate", Func: evaluate},
	{Name: "throw", Stack: "( item - )", Help: "raises an error: a text, or a number other than 0; 0 does nothing", Example: "\"\\\"no such host\\\" throw\" try drop\nerror-text .", Func: throw},
	{Name: "abort", Stack: "( - )", Help: "raises error -1", Example: "\"abort\" try .", Func: abort},
	{Name: `abort"`, Stack: `( flag "text" - )`, Help: "raises an error of the text up to the quote if the flag is not 0", Example: ": checked ( n - n ) dup 0< abort\" negative\" ;\n5 checked .", Func: abortWith},
	{Name: "error-text", Stack: "( - string )", Help: "text of the error that the last try of this session caught", Example: "\"1 0 /\" try drop\nerror-text .", Func: errorText},
}

func execute(s *interp.Session) error {
	line, err := s.Pop()
	if err != nil {
		return err
	}
	return s.Execute(line)
}

func try(s *interp.Session) error {
	line, err := s.Pop()
	if err != nil {
		return err
	}
	code, err := s.Try(line)
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(code))
}

func throw(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	return s.Thrown(v)
}

func errorText(s *interp.Session) error {
	text := ""
	if err := s.Caught(); err != nil {
		text = err.Error()
	}
	return s.Push(interp.NewString(text))
}

func evaluate(s *interp.Session) error {
	source, err := s.PopString()
	if err != nil {
		return err
	}
	return s.Evaluate(source)
}

var errAbort = interp.Coded(-1, "aborted")

func abort(*interp.Session) error { return errAbort }

func abortWith(s *interp.Session) error {
	text, err := s.Pop()
	if err != nil {
		return err
	}
	if flag, err := s.Pop(); err != nil || flag.IsZero() {
		return err
	}
	return s.Thrown(text)
}
