package interp

import (
	"fmt"
	"slices"
	"strings"
)

// define gives a name a meaning, for a word of the session.
func (s *Session) define(name string, def *definition, value Value) error {
	before := s.meaning(name)
	if err := s.dict.define(name, def, value); err != nil {
		return err
	}
	if before != isVariable || def != isVariable { // a variable that is stored keeps its meaning
		s.redefines(name, before)
	}
	return nil
}

// meaning returns what a name stands for, nil if that is nothing.
func (s *Session) meaning(name string) *definition {
	if e := s.dict.find(name); e != nil {
		return e.def.Load()
	}
	return nil
}

// redefines remembers that a name has another meaning than before, if the prompt is to
// say so.
func (s *Session) redefines(name string, before *definition) {
	if before != nil && s.source == "" && !slices.Contains(s.redefined, name) {
		s.redefined = append(s.redefined, strings.Clone(name))
	}
}

// DefineVariable makes name a variable that holds 0.
func (s *Session) DefineVariable(name string) error { return s.define(name, isVariable, Value{}) }

// sayRedefined names, on the error output, what a line of a prompt has given another
// meaning. What sources do is theirs to know.
func (s *Session) sayRedefined() {
	const shown = 4
	n := len(s.redefined)
	if n == 0 {
		return
	}
	names := strings.Join(s.redefined[:min(n, shown)], ", ")
	if n > shown {
		names += fmt.Sprintf(" and %d more", n-shown)
	}
	if !s.AtLineStart() {
		s.Print("\n")
	}
	s.out.flush()
	fmt.Fprintf(s.err, "redefined %s\n", names)
}
