// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"errors"
	"strings"
	"unicode/utf8"

	"ethertap/interp"
)

// The words `.` and `.x` end the line; emit, space, spaces and type do not.
var printWords = []interp.Word{
	{Name: ".", Stack: "( item - )", Help: "prints an item; generic data as a hexdump", Example: "10.1.1.1 .", Func: printItem},
	{Name: ".x", Stack: "( item - )", Help: "prints any item as a hexdump", Example: "\"abc\" .x", Func: printHex},
	{Name: ".s", Stack: "( - )", Help: "shows the stack, top first", Example: "1 \"two\" 00:23:7d:86:71:ff .s", Func: printStack},
	{Name: "type", Stack: "( item - )", Help: "prints an item without ending the line", Example: "\"a\" type \"b\" type cr", Func: typeItem},
	{Name: `."`, Stack: `( "text" - )`, Help: "prints the text up to the quote, without ending the line", Example: ".\" two words\" cr", Func: typeItem},
	{Name: "cr", Stack: "( - )", Help: "ends the line", Example: "\"a\" type cr", Func: cr},
	{Name: "space", Stack: "( - )", Help: "prints a blank", Example: "1 type space 2 type cr", Func: space},
	{Name: "spaces", Stack: "( n - )", Help: "prints n blanks, none if n is negative", Example: "4 spaces \"indented\" .", Func: spaces},
	{Name: "emit", Stack: "( code - )", Help: "prints the character with a Unicode number", Example: "65 emit 66 emit cr", Func: emit},
	{Name: "capture", Stack: "( line - string )", Help: "runs a line and leaves what it prints, instead of printing it", Example: "\"3 4 + .\" capture str.trim str.len .", Func: capture},
	{Name: "page", Stack: "( - )", Help: "clears the screen, if output goes to one", Example: "page", Func: page},
}

func printItem(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	s.Print(v.Text() + "\n")
	return nil
}

func typeItem(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	s.Print(v.Text())
	return nil
}

func printHex(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	s.Print(interp.Hexdump(v.Bytes()))
	return nil
}

func printStack(s *interp.Session) error {
	for i := range s.Depth() {
		if s.Interrupted() {
			return interp.ErrInterrupted
		}
		s.Printf("%2d %s\n", i, s.Peek(i).Source())
	}
	return nil
}

func cr(s *interp.Session) error {
	s.Print("\n")
	return nil
}

func space(s *interp.Session) error {
	s.Print(" ")
	return nil
}

func spaces(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	if n > interp.MaxValue {
		return errTooLong
	}
	s.Print(strings.Repeat(" ", int(max(n, 0))))
	return nil
}

func emit(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	if err := checkRune(n); err != nil {
		return err
	}
	s.Print(string(rune(n)))
	return nil
}

func capture(s *interp.Session) error {
	line, err := s.Pop()
	if err != nil {
		return err
	}
	text, err := s.Capture(func() error { return s.Execute(line) })
	if err != nil {
		return err
	}
	if !utf8.ValidString(text) {
		return errors.New("the output is not UTF-8 text")
	}
	return s.Push(interp.NewString(text))
}

// clearScreen moves the cursor to the upper left corner and clears from there on.
const clearScreen = "\x1b[H\x1b[J"

func page(s *interp.Session) error {
	if columns, _ := s.Screen(); columns > 0 {
		s.Print(clearScreen)
	}
	return nil
}
