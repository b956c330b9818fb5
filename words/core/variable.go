package core

import "ethertap/interp"

var variableWords = []interp.Word{
	{Name: "!", Stack: "( value name - )", Help: "stores a value in a variable", Example: "3 three !\nthree @ .", Func: store},
	{Name: "@", Stack: "( name - value )", Help: "fetches the value of a variable, or the help of a built-in word", Example: "\"+\" @ .", Func: fetch},
	{Name: "!!", Stack: "( line name - )", Help: "defines a compound word", Example: "\"3 +\" addthree !!\n2 addthree .", Func: define},
	{Name: ".d", Stack: "( - )", Help: "lists variables and their values", Example: "3 three !\n.d", Func: listVariables},
}

func store(s *interp.Session) error {
	name, err := s.Pop()
	if err != nil {
		return err
	}
	value, err := s.Pop()
	if err != nil {
		return err
	}
	return s.Store(name, value)
}

func fetch(s *interp.Session) error {
	name, err := s.Pop()
	if err != nil {
		return err
	}
	v, err := s.Fetch(name)
	if err != nil {
		return err
	}
	return s.Push(v)
}

func define(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	line, err := s.PopString()
	if err != nil {
		return err
	}
	return s.Define(name, line)
}

func listVariables(s *interp.Session) error {
	for _, name := range s.Dict().Variables() {
		v, err := s.Fetch(interp.NewString(name))
		if err != nil {
			continue // deleted by another session since
		}
		list(s, name, v.Source())
	}
	return nil
}

// list prints a line of `.i` or `.d`: the name in 32 columns, a blank, the text.
func list(s *interp.Session, name, text string) { s.Printf("%-32s %s\n", name, text) }
