package core

import "ethertap/interp"

var errorWords = []interp.Word{
	{Name: "execute", Stack: "( line - )", Help: "runs a line of source, which may be the name of a word alone", Example: "3 \"dup *\" execute .\n3 \"negate\" execute .", Func: execute},
	{Name: "try", Stack: "( line - 0 | code )", Help: "runs a line and leaves 0; if it fails the stack is as before, and the number of the error is left", Example: "\"1 0 /\" try .\nerror-text .", Func: try},
	{Name: "throw", Stack: "( item - )", Help: "raises an error: a text, or a number other than 0; 0 does nothing", Example: "\"\\\"no such host\\\" throw\" try drop\nerror-text .", Func: throw},
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
