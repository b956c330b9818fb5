// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"fmt"
	"unicode/utf8"

	"ethertap/interp"
)

// These are the words of Forth that define words, and those that work on words, by their names.
var defineWords = []interp.Word{
	{Name: "variable", Stack: `( "name" - )`, Help: "makes a variable that holds 0", Example: "variable count\n3 count !\ncount @ .", Func: newVariable},
	{Name: "constant", Stack: `( item "name" - )`, Help: "makes a word that leaves the item", Example: "0x88cc constant lldp\nlldp .", Func: newHeld(true)},
	{Name: "value", Stack: `( item "name" - )`, Help: "makes a word that leaves the item, until to gives it another", Example: "5 value limit\n6 to limit\nlimit .", Func: newHeld(false)},
	{Name: "buffer:", Stack: `( size "name" - )`, Help: "makes a buffer of so many bytes, all 0", Example: "16 buffer: table\ntable buffer.size .", Func: newBuffer},
	{Name: "defer", Stack: `( "name" - )`, Help: "makes a word that does what is says later", Example: "defer greet\n: polite ( - ) \"good day\" . ;\n' polite is greet\ngreet", Func: newDeferred},
	{Name: "is", Stack: `( word "name" - )`, Help: "says what a deferred word does", Example: "defer double\n' 2* is double\n4 double .", Static: true, Func: setAction},
	{Name: "defer!", Stack: "( word deferred - )", Help: "says what a deferred word does", Example: "defer double\n' 2* ' double defer!\n4 double .", Func: setAction},
	{Name: "action-of", Stack: `( "name" - word )`, Help: "what a deferred word does", Example: "defer double\n' 2* is double\naction-of double .", Static: true, Func: action},
	{Name: "defer@", Stack: "( deferred - word )", Help: "what a deferred word does", Example: "defer double\n' 2* is double\n' double defer@ .", Func: action},
	{Name: "'", Stack: `( "name" - word )`, Help: "the name of a word that exists, for execute", Example: "5 ' dup execute .s", Func: tick},
	{Name: "char", Stack: `( "char" - code )`, Help: "the Unicode number of the first character that follows", Example: "char A .", Func: char},
	{Name: "[char]", Stack: `( "char" - code )`, Help: "char in a definition", Example: ": star ( - ) [char] * emit ;\nstar star", Static: true, Func: char},
}

func newVariable(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	return s.DefineVariable(name)
}

func newHeld(constant bool) func(*interp.Session) error {
	return func(s *interp.Session) error {
		name, err := s.PopString()
		if err != nil {
			return err
		}
		v, err := s.Pop()
		if err != nil {
			return err
		}
		return s.DefineHeld(name, v, constant)
	}
}

func newDeferred(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	return s.DefineDeferred(name)
}

func setAction(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	word, err := s.Pop()
	if err != nil {
		return err
	}
	return s.Dict().SetAction(name, word)
}

func action(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	v, ok := s.Dict().Action(name)
	if !ok {
		return fmt.Errorf("%s is no deferred word", shown(name))
	}
	return s.Push(v)
}

func tick(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	word, err := s.Dict().Tick(name)
	if err != nil {
		return err
	}
	return s.Push(word)
}

func char(s *interp.Session) error {
	text, err := s.PopString()
	if err != nil {
		return err
	}
	r, _ := utf8.DecodeRuneInString(text)
	return s.Push(interp.NewInt(int64(r)))
}
