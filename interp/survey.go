package interp

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// Survey has sources go on after an error from now on, and gives each to mistake: for a
// look at a whole configuration. An error in a definition or structure that goes over
// several lines ends with it: what follows up to its end is skipped. What `try` runs stops
// at its first error, as ever.
func (s *Session) Survey(mistake func(error)) { s.mistake = mistake }

// interpretLine is interpret; where sources are surveyed it goes on behind an error.
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
	open, low := after(open, line)
	s.conditions = conditions[:min(low, len(conditions))] // one that this line has begun is passed over
	for len(open) > len(s.conditions) {
		line, err := next()
		s.line++
		if err != nil && err != io.EOF {
			return &Error{Place: Place{s.source, s.line, 1}, Err: err}
		}
		open, low = after(open, strings.TrimSuffix(line, "\n"))
		s.conditions = s.conditions[:min(low, len(s.conditions))]
		if err == io.EOF {
			break
		}
	}
	return nil
}

// survives tells whether a source that is surveyed goes on after an error.
func (s *Session) survives(err error) bool {
	return s.mistake != nil && err != errLeave && !errors.Is(err, ErrInterrupted) && s.out.err == nil
}

// ends are the words that close what others open. A block is closed by any of its ends.
var ends = map[string]string{
	";": ":", "then": "if", "until": "begin", "repeat": "begin", "again": "begin",
	"loop": "do", "+loop": "do", "endof": "of", "endcase": "case", "[then]": "[if]",
}

var begins = map[string]string{":": ":", ":noname": ":", "if": "if", "begin": "begin", "do": "do", "?do": "do", "of": "of", "case": "case", "[if]": "[if]"}

// openNames are the structures that are open, the outermost first, after the conditions.
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

// after is what is open behind a line if open was before it, by its words alone; low is
// how few were open within it.
func after(open []string, line string) (behind []string, low int) {
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
		case begins[tok.text] != "":
			open = append(open, begins[tok.text])
		case ends[tok.text] != "":
			for i := len(open) - 1; i >= 0; i-- {
				if open[i] == ends[tok.text] {
					open = open[:i]
					low = min(low, i)
					break
				}
			}
		}
	}
}
