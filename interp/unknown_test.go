// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// unknownDict has the words that the tests of unknown tokens need.
func unknownDict(t *testing.T) *Dict {
	word := func(name, stack string, f func(*Session) error) Word {
		return Word{Name: name, Stack: stack, Help: "for tests", Func: f}
	}
	pop := func(s *Session) error { _, err := s.Pop(); return err }
	d, err := NewDict(Set{Name: "test", Help: "words for tests", Words: []Word{
		word("drop", "( a - )", pop),
		word("dup", "( a - a a )", func(s *Session) error { return s.Push(s.Peek(0)) }),
		word("@", "( name - value )", func(s *Session) error {
			name, err := s.Pop()
			if err == nil {
				name, err = s.Fetch(name)
			}
			if err != nil {
				return err
			}
			return s.Push(name)
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Unknown bare tokens that a source leaves on the stack are named with their place, and nothing
// else is: not tokens that were taken off again, not quoted strings, and not what lay there
// before.
func TestUnknownWarnings(t *testing.T) {
	for source, want := range map[string]string{
		"dupp\n":                        "warning: f:1:1: dupp: no such word; left on the stack as a string; did you mean dup?\n",
		"1\n  frobnicate\n":             "warning: f:2:3: frobnicate: no such word; left on the stack as a string\n",
		"eth0 drop\n":                   "",
		"\"dupp\"\n":                    "",
		": w frobnicate ;\nw\n":         "warning: f:1:5: frobnicate: no such word; left on the stack as a string\n",
		": w later ;\n: later 5 ;\nw\n": "",
		"dupp dup dup\n":                "warning: f:1:1: dupp: no such word; left on the stack as a string; did you mean dup?\n",
		"frobnicate @\n":                "", // the error names it
		"dupp @\n":                      "warning: f:1:1: dupp: no such word; left on the stack as a string; did you mean dup?\n",
		": mine 5 ;\nmien\n":            "warning: f:2:1: mien: no such word; left on the stack as a string; did you mean mine?\n",
		strings.Repeat("qqqqq\n", 10):   strings.Repeat("warning: f:%d:1: qqqqq: no such word; left on the stack as a string\n", 8) + "warning: 2 more strings are left that were no words\n",
	} {
		d := unknownDict(t)
		var errs bytes.Buffer
		s := NewSession(d, strings.NewReader(""), new(bytes.Buffer), &errs)
		s.Interpret("before")
		s.Run("f", strings.NewReader(source))
		if strings.Contains(want, "%d") {
			want = fmt.Sprintf(want, 1, 2, 3, 4, 5, 6, 7, 8)
		}
		if errs.String() != want {
			t.Errorf("%q: %q and not %q", source, errs.String(), want)
		}
		s.WarnUnknown(nil) // there is no warning about typed lines, and no second warning
		if got, want := errs.String()[len(want):], "warning: before: no such word; left on the stack as a string\n"; got != want {
			t.Errorf("%q, at the end: %q and not %q", source, got, want)
		}
	}
}

// However many unknown tokens are pushed and dropped, little is remembered of them.
func TestUnknownsForgotten(t *testing.T) {
	s := NewSession(unknownDict(t), strings.NewReader(strings.Repeat("frobnicate drop\n", 10000)), new(bytes.Buffer), new(bytes.Buffer))
	if err := s.RunInput("f"); err != nil {
		t.Fatal(err)
	}
	if n := len(s.unknowns.pushed); n > maxUnknowns {
		t.Errorf("%d tokens are remembered, none is on the stack", n)
	}
	for range MaxStack {
		s.Interpret("frobnicate")
	}
	if n := len(s.Unknown()); n != MaxStack {
		t.Errorf("%d of %d", n, MaxStack)
	}
}

// The note of a prompt about a line is a single one.
func TestUnknownNote(t *testing.T) {
	s := NewSession(unknownDict(t), strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer))
	for _, c := range []struct{ line, note string }{
		{"dupp", "dupp: pushed as a string; did you mean dup?"},
		{"1", ""},
		{"eth7", "eth7: pushed as a string"},
		{"eth7 drop", ""},
		{"a1 dupp c1", "a1, dupp, c1: pushed as strings; did you mean dup?"},
		{"a2 b2 c2 d2 e2", "a2, b2, c2, 2 more: pushed as strings"},
		{"1 if frobnicate then", "frobnicate: pushed as a string"},
	} {
		s.Interpret(c.line)
		if got := Note(s.Unknown()); got != c.note {
			t.Errorf("%s: %q and not %q", c.line, got, c.note)
		}
	}
}

// However many tokens are left on the stack, near words are looked for only for some: that is work after each line.
func TestNearWordsOfManyUnknowns(t *testing.T) {
	s := NewSession(unknownDict(t), strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer))
	s.Interpret(strings.Repeat("dupp ", 300))
	s.Interpret("1")
	s.Interpret("dupp")
	all := s.Unknown()
	near := 0
	for i := range all {
		if all[i].Near != "" {
			near++
		}
	}
	if last := all[len(all)-1]; near == 0 || near > maxNear || last.Near != "dup" || !last.Fresh {
		t.Errorf("%d near words of %d tokens; the last is %+v", near, len(all), last)
	}
}
