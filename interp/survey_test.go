// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A survey finds every error of a source, with its place, and no further errors in the same
// structure.
func TestSurvey(t *testing.T) {
	fails := Word{Name: "t.fail", Stack: "( - )", Help: "fails", Func: func(*Session) error { return errors.New("failed") }}
	load := Word{Name: "t.load", Stack: "( - )", Help: "runs a source", Func: func(s *Session) error {
		return s.Load("inner", strings.NewReader("1\nt.fail\nt.fail 2\n"))
	}}
	say := Word{Name: `t."`, Stack: `( "text" - )`, Help: "takes a text", Func: func(s *Session) error { _, err := s.Pop(); return err }}
	dict, err := NewDict(Set{Name: "test", Help: "words for tests", Prefixes: []string{"t."}, Words: []Word{fails, load, say}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		source string
		places []string
	}{
		{"1\n2\n", nil},
		{"t.fail\n1\nt.fail", []string{"x:1:1", "x:3:1"}},
		{": a ( - )\n  t.no\n  t.no\n;\nt.fail\n", []string{"x:2:3", "x:5:1"}},
		{": a ( - ) 1 if t.no else\n 2 then ; t.no\nt.fail\n", []string{"x:1:16", "x:3:1"}},
		{"1 if\n1 if t.no else\nthen \"then\" ( then ) # then\nt.no\nthen\nt.no\n", []string{"x:2:6", "x:6:1"}},
		{"begin 0 while\n t.no begin 1 until\n t.no\nrepeat t.no\nt.no", []string{"x:2:2", "x:5:1"}},
		{"1 [if]\nt.no\n[then]\n0 [if] t.no\n[then] 1 [if] t.no\n t.no [then]\nt.no", []string{"x:2:1", "x:5:15", "x:7:1"}},
		{"t.no t.\" tell if any\" t.\" begin\"\nt.no\nt.fail", []string{"x:1:1", "x:2:1", "x:3:1"}}, // words in a text open nothing
		{"t.load\nt.fail\n", []string{"inner:2:1", "inner:3:1", "x:2:1"}},
		{"t.no\n: a ( - )\n", []string{"x:1:1", "x:2:1"}},
	} {
		var out strings.Builder
		s := NewSession(dict, strings.NewReader(""), &out, &out)
		var places []string
		note := func(err error) { places = append(places, strings.Join(strings.SplitN(err.Error(), ":", 4)[:3], ":")) }
		s.Survey(note)
		if err := s.Run("x", strings.NewReader(c.source)); err != nil { // a structure that is open at the end
			note(err)
		}
		if !slices.Equal(places, c.places) {
			t.Errorf("%q: %v and not %v", c.source, places, c.places)
		}
	}
}
