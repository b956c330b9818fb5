// SPDX-License-Identifier: BSD-3-Clause

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
	if before != isVariable || def != isVariable { // storing to a variable does not change its meaning
		s.redefines(name, before)
	}
	return nil
}

// meaning returns the definition of a name, or nil if it has none.
func (s *Session) meaning(name string) *definition {
	if e := s.dict.find(name); e != nil {
		return e.def.Load()
	}
	return nil
}

// redefines remembers that a name got another meaning, if the prompt is to say so.
func (s *Session) redefines(name string, before *definition) {
	if before != nil && s.source == "" && !slices.Contains(s.redefined, name) {
		s.redefined = append(s.redefined, strings.Clone(name))
	}
}

// DefineVariable makes name a variable that holds 0.
func (s *Session) DefineVariable(name string) error { return s.define(name, isVariable, Value{}) }

// sayRedefined prints, on the error output, the names to which a line at a prompt has given
// another meaning. There is no such note for sources.
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
