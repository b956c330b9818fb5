// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"ethertap/interp"
)

var helpWords = []interp.Word{
	{Name: ".i", Stack: "( [substring] - )", Help: "lists built-in words with their help, those whose name contains the substring", Example: "timer .i", Func: listBuiltins},
	{Name: "words", Stack: "( - )", Help: "lists the names of all words, by word set", Example: "words", Func: listWords},
	{Name: "help", Stack: `( ["name"] - )`, Help: "shows the help of the word, or the words of the set or with the prefix, that follows on the line, or an overview; at the beginning of a line at a prompt, ? does the same", Example: "help dup", Func: help},
	{Name: "apropos", Stack: `( "name" - )`, Help: "lists the words, and the files of the library, whose name or help has the text that follows on the line; in quotes it may be several words, which all have to be there", Example: "apropos checksum\napropos \"mac address\"", Func: apropos},
	{Name: "pager", Stack: "( line - )", Help: "runs a line and shows what it prints with the program that the environment variable PAGER names, else less; without a terminal it just prints it", Example: "\"words\" pager", Func: pager},
	{Name: "see", Stack: `( "name" - )`, Help: "shows the source of the word that follows on the line, or the record of a built-in one", Example: "see true", Func: see},
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
	if values := s.Dict().Values(); len(values) > 0 {
		paragraph(s, "values and constants", values)
	}
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
  help NAME        help of a word, or a set  3 4 + .          adds and prints: 7
  help PREFIX      the words that begin so   .s               shows the stack
  apropos TEXT     what has to do with it    "3 +" add3 !!    defines the word add3
  see NAME         source of a word          3 three !        stores a variable
  words            names of all words        three @ .        fetches and prints it
  load.list        files that load finds     "words" pager    a page at a time
  ?                help, at a line's start   bye              leaves (Ctrl-D too)
`

// help shows the help of a word, of a word set, or of the words that begin with a text.
func help(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	if name == "" {
		introduce(s)
		return nil
	}
	d := s.Dict()
	if w, ok := d.Word(name); ok {
		record(s, w)
		more(s, name)
		return nil
	}
	if source, stack, ok := d.Compound(name); ok {
		heading(s, name, stack)
		s.Printf("  a compound word:\n%s", definition(d, name, stack, source))
		more(s, name)
		return nil
	}
	if text, ok := other(s, name); ok {
		s.Print(text)
		more(s, name)
		return nil
	}
	listed := make(map[string]bool)
	for _, set := range d.Sets() {
		if set.Name == name {
			s.Printf("%s: %s\n", set.Name, set.Help)
			for _, w := range set.Words {
				list(s, w.Name, w.Usage())
				listed[w.Name] = true
			}
		}
	}
	for _, set := range d.Sets() {
		for _, w := range set.Words {
			if strings.HasPrefix(w.Name, name) && !listed[w.Name] {
				list(s, w.Name, w.Usage())
				listed[w.Name] = true
			}
		}
	}
	for _, word := range d.Compounds() {
		if usage, _ := usage(d, word); strings.HasPrefix(word, name) {
			list(s, word, usage)
			listed[word] = true
		}
	}
	if len(listed) == 0 {
		return noWord(d, name)
	}
	return nil
}

// introduce prints an overview that begins with the purpose of the program.
func introduce(s *interp.Session) {
	sets := s.Dict().Sets()
	for _, set := range slices.Backward(sets) {
		s.Print(set.Intro)
	}
	s.Print(overview)
	paragraph(s, "word sets", setNames(s.Dict()))
}

// more mentions the words that begin with a name and a dot, if there are any.
func more(s *interp.Session, name string) {
	if n := len(s.Dict().Complete(name + ".")); n > 0 {
		s.Printf("help %s. lists the words that begin so\n", name)
	}
}

// usage returns the help of a word in one line.
func usage(d *interp.Dict, name string) (string, bool) {
	if w, ok := d.Word(name); ok {
		return w.Usage(), true
	}
	_, stack, ok := d.Compound(name)
	return strings.TrimSpace("a compound word " + stack), ok
}

// apropos lists the words and the files of the library whose name or help contains all parts of a
// text.
func apropos(s *interp.Session) error {
	text, err := s.PopString()
	if err != nil {
		return err
	}
	parts := strings.Fields(strings.ToLower(text))
	if len(parts) == 0 {
		return errors.New("it takes a text to search for")
	}
	d := s.Dict()
	found := false
	show := func(name, usage string) {
		all := strings.ToLower(name + " " + usage)
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(all, p) }) {
			list(s, name, usage)
			found = true
		}
	}
	for _, name := range d.Complete("") {
		if usage, ok := usage(d, name); ok {
			show(name, usage)
		}
	}
	if err := library(show); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("nothing has to do with %s; words lists all words", shown(text))
	}
	return nil
}

func pager(s *interp.Session) error {
	line, err := s.Pop()
	if err != nil {
		return err
	}
	return s.Page(func() error { return s.Execute(line) })
}

// noWord returns the error that a name is no word, and suggests a similar one.
func noWord(d *interp.Dict, name string) error {
	if err := d.Absent(name); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if near := d.Nearest(name); near != "" {
		return fmt.Errorf("%s is no word; did you mean %s?", shown(name), near)
	}
	return fmt.Errorf("%s is no word; apropos %s searches for it", shown(name), shown(name))
}

func setNames(d *interp.Dict) []string {
	var names []string
	for _, set := range d.Sets() {
		names = append(names, set.Name)
	}
	return names
}

// heading prints the name of a word and its stack comment, if it has one.
func heading(s *interp.Session, name, stack string) {
	s.Print(strings.TrimSpace(name+" "+stack) + "\n")
}

// record prints the record of a built-in word.
func record(s *interp.Session, w *interp.Word) {
	heading(s, w.Name, w.Stack)
	s.Printf("  %s\n", w.Help)
	if w.Example != "" {
		s.Print("example:\n")
		for line := range strings.Lines(w.Example) {
			s.Printf("  %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
}

// other returns source that makes a variable, constant, buffer or deferred word.
func other(s *interp.Session, name string) (text string, ok bool) {
	d := s.Dict()
	if v, constant, ok := d.Held(name); ok {
		return fmt.Sprintf("%s %s %s\n", v.Source(), map[bool]string{true: "constant", false: "value"}[constant], name), true
	}
	if v, ok := d.Action(name); ok {
		text = "defer " + name
		if v.Kind() == interp.KindString {
			text += fmt.Sprintf("  %s is %s", v.Source(), name)
		}
		return text + "\n", true
	}
	switch {
	case slices.Contains(d.Variables(), name):
		v, err := s.Fetch(interp.NewString(name))
		if err != nil {
			return "", false
		}
		return fmt.Sprintf("%s %s !\n", v.Source(), name), true
	case slices.Contains(d.Buffers(), name):
		b, err := s.Buffer(interp.NewString(name))
		return fmt.Sprintf("%d %s buffer\n", len(b), name), err == nil
	}
	return "", false
}

func see(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	d := s.Dict()
	if source, stack, ok := d.Compound(name); ok {
		s.Print(definition(d, name, stack, source))
		return nil
	}
	if w, ok := d.Word(name); ok {
		for _, set := range d.Sets() {
			if slices.ContainsFunc(set.Words, func(w interp.Word) bool { return w.Name == name }) {
				s.Printf("built-in word of the set %s\n", set.Name)
			}
		}
		record(s, w)
		return nil
	}
	if text, ok := other(s, name); ok {
		s.Print(text)
		return nil
	}
	return noWord(d, name)
}

// definition returns the source of a compound word as it was typed, in a form that defines it
// again. A single line that is too long is broken.
func definition(d *interp.Dict, name, stack, source string) string {
	head := strings.TrimSpace(": " + name + " " + stack)
	tokens, comment := d.Tokens(source[strings.LastIndexByte(source, '\n')+1:])
	switch {
	case comment: // a comment at the end would swallow the closing ;
		source += "\n;"
	case strings.Contains(source, "\n"):
		source += " ;"
	default:
		return fold(append([]string{":", name, stack}, append(tokens, ";")...))
	}
	if !strings.HasPrefix(source, "\n") {
		head += " "
	}
	return head + source + "\n"
}

// fold puts tokens into lines of at most 78 columns; a longer token has a line of its own.
func fold(tokens []string) string {
	const indent, width = 2, 78
	var b strings.Builder
	col := 0
	for _, token := range tokens {
		switch n := utf8.RuneCountInString(token); {
		case token == "":
			continue
		case col == 0:
			col = n
		case col+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			col = indent + n
		default:
			b.WriteString(" ")
			col += 1 + n
		}
		b.WriteString(token)
	}
	return b.String() + "\n"
}
