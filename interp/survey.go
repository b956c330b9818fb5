// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// Survey makes sources go on after an error from now on, and calls mistake for each error. It is
// for checking a whole configuration. An error in a definition or structure of several lines
// skips the rest of it. Source that `try` runs still stops at its first error.
func (s *Session) Survey(mistake func(error)) { s.mistake = mistake }

// interpretLine is interpret, except that a surveyed source goes on after an error.
func (s *Session) interpretLine(line string, next func() (string, error)) error {
	if s.mistake == nil {
		return s.interpret(line)
	}
	conditions, open := slices.Clone(s.conditions), s.openNames()
	err := s.interpret(line)
	if err == nil || !s.survives(err) {
		return err
	}
	s.mistake(err)
	open, low := s.dict.after(open, line)
	s.conditions = conditions[:min(low, len(conditions))] // a condition that this line has begun is skipped
	for len(open) > len(s.conditions) {
		line, err := next()
		s.line++
		if err != nil && err != io.EOF {
			return &Error{Place: Place{s.source, s.line, 1}, Err: err}
		}
		open, low = s.dict.after(open, strings.TrimSuffix(line, "\n"))
		s.conditions = s.conditions[:min(low, len(s.conditions))]
		if err == io.EOF {
			break
		}
	}
	return nil
}

// survives says whether a surveyed source goes on after an error.
func (s *Session) survives(err error) bool {
	return s.mistake != nil && err != errLeave && !errors.Is(err, ErrInterrupted) && s.out.err == nil
}

// ends are the words that close what others open. Any of its ends closes a block.
var ends = map[string]string{
	";": ":", "then": "if", "until": "begin", "repeat": "begin", "again": "begin",
	"loop": "do", "+loop": "do", "endof": "of", "endcase": "case", "[then]": "[if]",
}

var begins = map[string]string{":": ":", ":noname": ":", "if": "if", "begin": "begin", "do": "do", "?do": "do", "of": "of", "case": "case", "[if]": "[if]"}

// openNames returns the open structures, the outermost first, after the conditions.
func (s *Session) openNames() []string {
	names := slices.Repeat([]string{"[if]"}, len(s.conditions))
	if s.comp == nil {
		return names
	}
	for _, o := range s.comp.open {
		if name, ok := begins[o.word]; ok {
			names = append(names, name)
		} else if o.word == "else" {
			names = append(names, "if")
		}
	}
	return names
}

// after returns what is open after a line if open was before it, by its words alone; low is the
// lowest number of these that were open within it.
func (d *Dict) after(open []string, line string) (behind []string, low int) {
	low = len(open)
	sc := scanner{line: line}
	for {
		tok, ok, err := sc.next()
		switch {
		case err != nil || !ok:
			return open, low
		case tok.quoted:
		case tok.text == "(":
			sc.skipComment()
		default:
			open, low = effect(open, low, tok.text)
			if w, ok := d.Word(tok.text); ok && w.takes != takesNothing {
				_, _ = sc.take(w) // the text of ." may have words of structures
			}
		}
	}
}

// effect returns what is open after a word.
func effect(open []string, low int, word string) ([]string, int) {
	switch {
	case begins[word] != "":
		open = append(open, begins[word])
	case ends[word] != "":
		for i := len(open) - 1; i >= 0; i-- {
			if open[i] == ends[word] {
				open = open[:i]
				low = min(low, i)
				break
			}
		}
	}
	return open, low
}
