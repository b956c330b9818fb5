// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"slices"

	"ethertap/interp"
)

var variableWords = []interp.Word{
	{Name: "!", Stack: "( value name - )", Help: "stores a value in a variable", Example: "3 three !\nthree @ .", Inline: interp.OpStore, Func: store},
	{Name: "@", Stack: "( name - value )", Help: "fetches the value of a variable, or the help of a built-in word", Example: "\"+\" @ .", Inline: interp.OpFetch, Func: fetch},
	{Name: "!!", Stack: "( line name - )", Help: "defines a compound word", Example: "\"3 +\" addthree !!\n2 addthree .", Func: define},
	{Name: "+!", Stack: "( n name - )", Help: "adds n to a variable", Example: "3 three !\n4 three +!\nthree @ .", Inline: interp.OpPlusStore, Func: plusStore},
	{Name: "exists", Stack: "( name - flag )", Help: "whether a word, variable or buffer has the name", Example: "\"dup\" exists .", Func: exists},
	{Name: "delete", Stack: "( name - )", Help: "deletes a compound word, variable or buffer", Example: "3 three !\nthree delete", Func: deleteName},
	{Name: ".d", Stack: "( - )", Help: "lists variables, values and constants, and what they hold", Example: "3 three !\n.d", Func: listVariables},
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

func plusStore(s *interp.Session) error {
	name, err := s.Pop()
	if err != nil {
		return err
	}
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	old, err := s.Fetch(name)
	if err != nil {
		return err
	}
	m, err := old.Int()
	if err != nil {
		return err
	}
	return s.Store(name, interp.NewInt(m+n))
}

func exists(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	return s.Push(interp.NewFlag(s.Dict().Exists(name)))
}

func deleteName(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	return s.Dict().Delete(name)
}

func listVariables(s *interp.Session) error {
	names := append(s.Dict().Variables(), s.Dict().Values()...)
	slices.Sort(names)
	for _, name := range names {
		v, _, ok := s.Dict().Held(name)
		if !ok {
			var err error
			if v, err = s.Fetch(interp.NewString(name)); err != nil {
				continue // another session has deleted it since
			}
		}
		list(s, name, v.Source())
	}
	return nil
}

// list prints a line of `.i` or `.d`: the name in 32 columns, a blank, the text.
func list(s *interp.Session, name, text string) { s.Printf("%-32s %s\n", name, text) }
