// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// taken is what a word takes from the source after it, by its stack comment: "name" is the next
// token of the line, "char" the next characters up to a blank, whatever they are, and "text"
// everything up to the character with which the name of the word ends, mostly a quote. The
// function of the word finds it on top of the stack, as a string.
//
// Text, and the name for a Static word, is taken at the place of the word, in definitions too.
// Any other name is taken when the word runs, from the line that runs then: a definition that
// ends with constant defines constants, as in Forth. A structure at the prompt is not a
// definition: a word in it takes the source after it.
type taken uint8

const (
	takesNothing taken = iota
	takesName
	takesChar
	takesText
)

// takes has the names in stack comments for each.
var takes = map[string]taken{`"name"`: takesName, `"char"`: takesChar, `"text"`: takesText}

// take reads what the word takes. It returns "" if that is optional and missing.
func (sc *scanner) take(w *Word) (string, error) {
	var tok token
	var ok bool
	var err error
	missing := "a name has to follow on the line"
	switch {
	case w.takes == takesText:
		end := w.Name[len(w.Name)-1]
		if end == '(' {
			end = ')'
		}
		return sc.text(end)
	case w.takes == takesChar:
		missing = "a character has to follow on the line"
		tok, ok, err = sc.bare()
	case sc.blanks() && sc.line[sc.pos] == '\\': // a name too, so that there is help for it
		tok, ok, err = sc.bare()
	default:
		tok, ok, err = sc.next()
	}
	if err == nil && !ok && !w.takesMaybe {
		err = errors.New(missing)
	}
	return tok.text, err
}

// text reads up to the character end. One blank after the word that takes the text does not
// belong to it.
func (sc *scanner) text(end byte) (string, error) {
	start := min(sc.pos+1, len(sc.line))
	n := strings.IndexByte(sc.line[start:], end)
	if n < 0 {
		sc.pos = len(sc.line)
		return "", fmt.Errorf("unterminated text; close it with %c on the same line", end)
	}
	text := sc.line[start : start+n]
	sc.pos = start + n + 1
	switch {
	case len(text) > MaxValue:
		return "", errTooLong
	case !utf8.ValidString(text):
		return "", errors.New("text is not UTF-8; build other bytes as data")
	}
	return strings.Clone(text), nil
}

// with returns a record of the word that has what it takes. As with any word, an error leaves the
// stack as it was.
func (w *Word) with(text string) *Word {
	v := NewString(text)
	return w.after(func(s *Session) error { return s.Push(v) })
}

// late returns a record of the word that takes its name when it runs.
func (w *Word) late() *Word {
	return w.after(func(s *Session) error {
		name, err := s.scan.take(w)
		if err != nil {
			return err
		}
		return s.Push(NewString(name))
	})
}

func (w *Word) after(first func(*Session) error) *Word {
	bound := *w
	bound.inputs = w.inputs[:len(w.inputs)-1] // without what it takes, which is not on the stack when it is called
	bound.Func = func(s *Session) error {
		if err := first(s); err != nil {
			return err
		}
		return w.Func(s)
	}
	return &bound
}

// bind returns the record that is compiled for a word that takes something.
func (s *Session) bind(w *Word) (*Word, error) {
	if w.takes != takesText && !w.Static && s.comp.code.name != "" {
		return w.late(), nil
	}
	text, err := s.scan.take(w)
	if err != nil {
		return nil, err
	}
	return w.with(text), nil
}

// Tokens splits a line of source at the places where it may be broken: strings, comments, and
// words with what they take stay whole. comment says whether the line ends in a comment.
func (d *Dict) Tokens(line string) (tokens []string, comment bool) {
	sc := scanner{line: line}
	for sc.blanks() {
		start := sc.pos
		if comment = sc.comment(); comment {
			sc.pos = len(line)
		} else if tok, _, err := sc.next(); err == nil && !tok.quoted {
			if w, ok := d.Word(tok.text); tok.text == "(" {
				sc.skipComment()
			} else if ok && w.takes != takesNothing {
				_, _ = sc.take(w)
			}
		}
		tokens = append(tokens, line[start:sc.pos])
	}
	return tokens, comment
}
