// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/words/core"
)

// sources returns a session with a word that loads the given files.
func sources(t *testing.T, files map[string]string) *interp.Session {
	dict, err := interp.NewDict(core.Set(), interp.Set{Name: "test", Help: "for tests", Words: []interp.Word{
		{Name: "include", Stack: "( filename - )", Help: "runs a file of the test", Func: func(s *interp.Session) error {
			name, err := s.PopString()
			if err != nil {
				return err
			}
			text, ok := files[name]
			if !ok {
				return errors.New("no such file")
			}
			return s.Load(name, strings.NewReader(text))
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := on(t, dict)
	return s
}

// An error says where it happened, and then through which calls and loads.
func TestErrorsNameTheirCalls(t *testing.T) {
	for _, c := range []struct{ files, line, want string }{
		{": w nip ;\n 1 w", "f0", "f0:1:5: nip: stack underflow ( a b - b ) in w, called at f0:2:4, loaded at -e:1:6"},
		{": w ( n - ) . ;\n: v\n  w ;\n\nv", "f0", "f0:3:3: w: stack underflow ( n - ) in v, called at f0:5:1, loaded at -e:1:6"},
		{"\n\"f1\" include\n| : w\n0 / ; \"f2\" include |8 w", "f0",
			"f1:2:3: /: division by zero in w, called at f2:1:3, loaded at f1:2:12, loaded at f0:2:6, loaded at -e:1:6"},
		{": w drop ; : v 1 if w then ; : u 2 0 do v loop ;\nu", "f0",
			"f0:1:5: drop: stack underflow ( a - ) in w, called at f0:1:21 in v, called at f0:1:41 in u, called at f0:2:1, loaded at -e:1:6"},
		{": w drop ;\n1 if\n  w\nthen", "f0", "f0:1:5: drop: stack underflow ( a - ) in w, called at f0:3:3, loaded at -e:1:6"},
		{": w \"f1\" include ;\nw|1 0 /", "f0", "f1:1:5: /: division by zero, loaded at f0:1:10 in w, called at f0:2:1, loaded at -e:1:6"},
		{": w \"1 0 /\" execute ;\nw", "f0", "f0:1:13: /: division by zero in w, called at f0:2:1, loaded at -e:1:6"},
		{"\"1 0 /\" w !!\n  w", "f0", "f0:2:3: /: division by zero in w, loaded at -e:1:6"},
		{": r r ;\nr", "f0", "f0:1:5: r: nested deeper than 1024 executions in r, called at f0:1:5 (1022 times) in r, called at f0:2:1, loaded at -e:1:6"},
		{": w 1 if", "f0", "f0:1:7: if is not closed at the end of the source, loaded at -e:1:6"},
		{": typed w ; typed|: w 1 0 / ;", "f1\" include \"f0", "f1:1:9: /: division by zero in w, called at f0:1:9 in typed, called at f0:1:13, loaded at -e:1:19"},
		{"at-prompt", "f0", "f0:1:1: /: division by zero in at-prompt, loaded at -e:1:6"},
		{": w at-prompt ; w", "f0", "f0:1:5: /: division by zero in at-prompt in w, called at f0:1:17, loaded at -e:1:6"},
		{": w \"no such thing\" throw ;\nw", "f0", "f0:1:21: no such thing in w, called at f0:2:1, loaded at -e:1:6"},
		{": w \"1 0 /\" try throw ;\nw", "f0", "f0:1:17: /: division by zero in w, called at f0:2:1, loaded at -e:1:6"},
	} {
		files := map[string]string{}
		for i, text := range strings.Split(c.files, "|") {
			files[fmt.Sprint("f", i)] = text
		}
		s := sources(t, files)
		if err := s.Interpret(": at-prompt 1 0 / ;"); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%q include", c.line)
		if err := s.RunLine(strings.ReplaceAll(line, "\\", ""), 1); message(err) != c.want {
			t.Errorf("%q:\n  %v\n  and not %s", c.files, err, c.want)
		}
	}
}

// The place of an error in a line of -e is its number; a line typed at a prompt has none.
func TestErrorsNameTheOption(t *testing.T) {
	s := sources(t, nil)
	for _, c := range []struct {
		line   string
		number int
		want   string
	}{
		{"1 0 /", 3, "-e:3:5: /: division by zero"},
		{": w 1 0 / ;", 1, ""},
		{"w", 2, "-e:1:9: /: division by zero in w, called at -e:2:1"},
		{"1 if", 7, "-e:7:3: the line ends while if is open"},
		{"2 0 /", 0, "/: division by zero"},
	} {
		if err := s.RunLine(c.line, c.number); message(err) != c.want {
			t.Errorf("%s: %v and not %s", c.line, err, c.want)
		}
	}
}

// A thrown value is taken from the stack. A word that fails by itself leaves the stack as it was.
func TestThrowTakesItsText(t *testing.T) {
	for _, c := range []struct{ line, stack string }{
		{`1 "text" throw`, "1"},
		{`1 5 throw`, "1"},
		{`: w "text" throw ; 1 w`, "1"},
		{`"1 0 /" try drop 2 -10 throw`, "2"},
		{`1 0 /`, "1 0"},
	} {
		s, _ := session(t)
		if err := s.Interpret(c.line); err == nil || stack(s) != c.stack {
			t.Errorf("%s: %v, leaves %s and not %s", c.line, err, stack(s), c.stack)
		}
	}
}

// Structures at a prompt see the values that their line has put on the return stack.
func TestReturnStackOfALine(t *testing.T) {
	for _, c := range []struct{ lines, stack, err string }{
		{"5 >r 3 0 do r@ loop r>", "5 5 5 5", ""},
		{"5 >r 1 if r> then", "5", ""},
		{"1 if 5 >r then r>", "5", ""},
		{"3 0 do i >r loop r> r> r>", "2 1 0", ""},
		{"5 >r 2 0 do\nr@ loop", "5 5", ""},
		{"5 >r\nr>", "", "r>: return stack underflow: without >r in the same word or line"},
		{": w r> ; 5 >r w", "", "r>: return stack underflow: without >r in the same word or line in w"},
		{": w 1 >r \"1 if r> then\" execute ; w", "", "r>: return stack underflow: without >r in the same word or line in w"},
		{": w 7 >r \"5 >r 1 if r> then\" execute r> ; w", "5 7", ""},
		{"5 >r \"1 if r> then\" try r>", "-6 5", ""},
	} {
		s, _ := session(t)
		var err error
		for _, line := range strings.Split(c.lines, "\n") {
			if err == nil {
				err = s.Interpret(line)
			}
		}
		if message(err) != c.err || stack(s) != c.stack {
			t.Errorf("%q: %v, leaves %s; not %s, %s", c.lines, err, stack(s), c.err, c.stack)
		}
	}
}

// The error of a definition that is too long says so; it does not speak of a value.
func TestLongDefinition(t *testing.T) {
	s, _ := session(t)
	err := s.Run("f", strings.NewReader(": w\n"+strings.Repeat("dup drop dup drop dup drop\n", 3000)+";\n"))
	if got := message(err); !strings.HasSuffix(got, "definition longer than 65536 bytes") {
		t.Error(got)
	}
}

// An error of several errors is one line, and says each of them once.
func TestErrorOfErrors(t *testing.T) {
	pin, link := errors.New("pin: no room"), errors.New("link: gone")
	err := &interp.Error{Place: interp.Place{Source: "f", Line: 1, Col: 2}, Word: "w", Err: errors.Join(pin, link, errors.Join(pin))}
	if got := err.Error(); got != "f:1:2: w: pin: no room; link: gone" {
		t.Error(got)
	}
}

// A word that throws its own number again and again gives the same text each time: places and callers do not add up.
func TestThrownTextDoesNotGrow(t *testing.T) {
	s := sources(t, map[string]string{"f": `: check ( - ) -300 throw ; : poll ( n - ) 0 ?do "check" try drop loop ;`})
	const want = "error -300 in check"
	if err := s.Interpret(`"f" include 100 poll error-text`); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Pop(); err != nil || !strings.HasSuffix(v.Text(), want) || strings.Count(v.Text(), "check") != 1 {
		t.Errorf("%q, %v", v.Text(), err)
	}
}
