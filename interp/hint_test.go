// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// A hint is printed after the line or the source, on the error output, once. It is not printed if
// what was missing has come meanwhile, or if an error ends the line.
func TestHints(t *testing.T) {
	on := false
	d, err := NewDict(Set{Name: "lamp", Words: []Word{
		{Name: "set", Stack: "( - )", Help: "for the test", Func: func(s *Session) error {
			s.Hint(func() string {
				if on {
					return ""
				}
				return "the lamp is off"
			})
			s.Print("set\n")
			return nil
		}},
		{Name: "on", Stack: "( - )", Help: "for the test", Func: func(*Session) error { on = true; return nil }},
		{Name: "fail", Stack: "( - )", Help: "for the test", Func: func(*Session) error { return errors.New("no") }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source string
		file   bool
		want   string
	}{
		{"set", false, "hint: the lamp is off\n"},
		{"set set set", false, "hint: the lamp is off\n"},
		{"set on", false, ""},
		{"set on\n", true, ""},
		{"set\non\n", true, ""},
		{"set\nset\n", true, "hint: the lamp is off\n"},
		{"set fail", false, ""},
		{"", false, ""},
	} {
		on = false
		var out, errs bytes.Buffer
		s := NewSession(d, strings.NewReader(""), &out, &errs)
		if c.file {
			err = s.Run("f", strings.NewReader(c.source))
		} else {
			err = s.Interpret(c.source)
		}
		if errs.String() != c.want || strings.Contains(out.String(), "hint") {
			t.Errorf("%q: printed %q, %q, want %q (%v)", c.source, out.String(), errs.String(), c.want, err)
		}
		s.Interpret("") // there are no more hints
		if errs.String() != c.want {
			t.Errorf("%q: afterwards %q", c.source, errs.String())
		}
	}
}
