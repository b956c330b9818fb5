package core

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"ethertap/interp"
)

var helpWords = []interp.Word{
	{Name: ".i", Stack: "( [substring] - )", Help: "lists built-in words with their help, those whose name contains the substring", Example: "timer .i", Func: listBuiltins},
	{Name: "words", Stack: "( - )", Help: "lists the names of all words, by word set", Example: "words", Func: listWords},
	{Name: "help", Stack: `( ["name"] - )`, Help: "shows the help of the word, word set or prefix that follows on the line, or an overview", Example: "help dup", Func: help},
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
  help NAME        help of a word            3 4 + .          adds and prints: 7
  help SET         the words of a set        .s               shows the stack
  see NAME         source of a word          "3 +" add3 !!    defines the word add3
  words            names of all words        3 three !        stores a variable
  "tap." .i        words with tap. and help  three @ .        fetches and prints it
  load.list        files that load finds     bye              leaves (Ctrl-D too)
`

func help(s *interp.Session) error {
	name, err := s.PopString()
	if err != nil {
		return err
	}
	if name == "" {
		s.Print(overview)
		paragraph(s, "word sets", setNames(s.Dict()))
		return nil
	}
	d := s.Dict()
	if w, ok := d.Word(name); ok {
		record(s, w)
		return nil
	}
	if source, stack, ok := d.Compound(name); ok {
		heading(s, name, stack)
		s.Printf("  a compound word:\n%s", definition(d, name, stack, source))
		return nil
	}
	found := false
	for _, set := range d.Sets() {
		all := set.Name == name
		if all {
			s.Printf("%s: %s\n", set.Name, set.Help)
		}
		if prefix := slices.Contains(set.Prefixes, name); all || prefix {
			found = true
			for _, w := range set.Words {
				if all || strings.HasPrefix(w.Name, name) {
					list(s, w.Name, w.Usage())
				}
			}
		}
	}
	if found {
		return nil
	}
	if text, ok := other(s, name); ok {
		s.Print(text)
		return nil
	}
	return noWord(d, name)
}

// noWord says that there is no word of a name, and which may have been meant.
func noWord(d *interp.Dict, name string) error {
	if err := d.Absent(name); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if near := d.Nearest(name); near != "" {
		return fmt.Errorf("%s is no word; did you mean %s?", shown(name), near)
	}
	return fmt.Errorf("%s is no word; words lists them", shown(name))
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

// record prints what is known of a built-in word.
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

// other shows what is no compound word as one would make it.
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

// definition is the source of a compound word, as it was typed, in a form that defines
// it again. A single line that is too long is broken.
func definition(d *interp.Dict, name, stack, source string) string {
	head := strings.TrimSpace(": " + name + " " + stack)
	tokens, comment := d.Tokens(source[strings.LastIndexByte(source, '\n')+1:])
	switch {
	case comment: // it would swallow the end
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

// fold puts tokens into lines of at most 78 columns, if they are not longer themselves.
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
