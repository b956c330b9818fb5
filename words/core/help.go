package core

import (
	"fmt"
	"strings"

	"ethertap/interp"
)

var helpWords = []interp.Word{
	{Name: ".i", Stack: "( [substring] - )", Help: "lists built-in words with their help, those whose name contains the substring", Example: "timer .i", Func: listBuiltins},
	{Name: "words", Stack: "( - )", Help: "lists the names of all words, by word set", Example: "words", Func: listWords},
	{Name: "help", Stack: "( - )", Help: "shows the help of the word that follows on the line, or an overview", Example: "help dup", Func: help},
}

func listBuiltins(s *interp.Session) error {
	substring := ""
	if s.Depth() > 0 {
		var err error
		if substring, err = s.PopString(); err != nil {
			return err
		}
	}
	for _, name := range s.Dict().Builtins(substring) {
		if w, ok := s.Dict().Word(name); ok {
			list(s, name, w.Usage())
		}
	}
	return nil
}

func listWords(s *interp.Session) error {
	for _, set := range s.Dict().Sets() {
		var names []string
		for _, w := range set.Words {
			names = append(names, w.Name)
		}
		paragraph(s, set.Name, names)
	}
	paragraph(s, "compound", s.Dict().Compounds())
	return nil
}

// paragraph prints a heading and names, wrapped at 78 columns.
func paragraph(s *interp.Session, heading string, names []string) {
	const indent, width = 2, 78
	s.Print(heading + "\n")
	col := 0
	for _, n := range names {
		if col > 0 && col+1+len(n) > width {
			s.Print("\n")
			col = 0
		}
		if col == 0 {
			s.Printf("%*s", indent, "")
			col = indent
		} else {
			s.Print(" ")
			col++
		}
		s.Print(n)
		col += len(n)
	}
	if col > 0 {
		s.Print("\n")
	}
}

const overview = `RPCL: values are put on a stack, words take them from there and leave results.
  help NAME        help of a word            3 4 + .          adds and prints: 7
  words            names of all words        .s               shows the stack
  "tap." .i        words with tap. and help  "3 +" add3 !!    defines the word add3
  3 three !        stores a variable         three @ .        fetches and prints it
  bye              leaves (Ctrl-D too)
`

func help(s *interp.Session) error {
	name, ok, err := s.NextToken()
	if err != nil {
		return err
	}
	if !ok {
		s.Print(overview)
		return nil
	}
	w, ok := s.Dict().Word(name)
	if !ok {
		source, stack, ok := s.Dict().Compound(name)
		if !ok {
			return fmt.Errorf("%s is no word; words lists them", interp.Quote(name))
		}
		s.Printf("%s %s\n  a compound word: %s\n", name, stack, source)
		return nil
	}
	s.Printf("%s %s\n  %s\n", w.Name, w.Stack, w.Help)
	if w.Example != "" {
		s.Print("example:\n")
		for line := range strings.Lines(w.Example) {
			s.Printf("  %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	return nil
}
