// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"fmt"
	"strings"
	"testing"

	"ethertap/interp"
)

// shown returns a step in short: its place, what it does, and where it goes on.
func shown(st interp.Step) string {
	what := st.Word
	switch st.Kind {
	case interp.StepPush:
		what = st.Value.Source()
	case interp.StepName:
		what = "name " + what
	case interp.StepJump:
		what = fmt.Sprintf("jump>%d", st.To)
	case interp.StepJumpZero, interp.StepOf:
		what += fmt.Sprintf(">%d", st.To)
	case interp.StepLocals:
		what = fmt.Sprintf("locals %d of %d", st.N, st.All)
	case interp.StepLocal:
		what = fmt.Sprintf("local %d", st.N)
	case interp.StepToLocal:
		what = fmt.Sprintf("to %d", st.N)
	case interp.StepDropLocals:
		what = fmt.Sprintf("drop %d", st.N)
	case interp.StepReturn:
		what = "return"
	case interp.StepLoop:
		what = "loop " + what
	}
	return fmt.Sprintf("%d:%d %s", st.Line, st.Col, what)
}

func TestSteps(t *testing.T) {
	for _, c := range []struct{ source, steps string }{
		{`: f dup 5 = if 1 + else drop 0 then ;`, `1:5 dup, 1:9 5, 1:11 =, 1:13 if>7, 1:16 1, 1:18 +, 1:20 jump>9, 1:25 drop, 1:30 0, 1:37 return`},
		{": f ( n - n )\n 0= if\n  10.0.0.1 \"a b\" exit then\n;", `2:2 0=, 2:5 if>5, 3:3 10.0.0.1, 3:12 "a b", 3:18 return, 4:1 return`},
		{`: f case 1 of 2 endof 3 swap endcase ;`, `1:10 1, 1:12 of>4, 1:15 2, 1:17 jump>7, 1:23 3, 1:25 swap, 1:30 endcase, 1:38 return`},
		{`: f {: a | b :} a to b b ;`, `1:5 locals 1 of 2, 1:17 local 2, 1:19 to 1, 1:24 local 1, 1:26 drop 2, 1:26 return`},
		{`: f 3 0 do i loop begin recurse v @ until v 1+ g ;`, `1:5 3, 1:7 0, 1:9 loop do, 1:12 loop i, 1:14 loop loop, 1:25 name f, 1:33 name v, 1:35 @, 1:37 until>5, 1:43 name v, 1:45 1+, 1:48 name g, 1:50 return`},
		{`"1 +` + `\n` + `dup 2 <" "f" !!`, `1:1 1, 1:3 +, 2:1 dup, 2:5 2, 2:7 <, 2:7 return`},
		{`: f s" x" [char] A ['] dup ;`, `1:5 s", 1:11 [char], 1:20 "dup", 1:28 return`},
	} {
		s, _ := session(t)
		for line := range strings.SplitSeq(c.source, "\n") {
			if err := s.Interpret(line); err != nil {
				t.Fatalf("%s: %v", c.source, err)
			}
		}
		l, ok := s.Dict().Listing(interp.NewString("f"))
		if !ok {
			t.Errorf("%s: no steps", c.source)
			continue
		}
		var got []string
		for _, st := range l.Steps {
			got = append(got, shown(st))
			if st.Builtin != nil != (st.Kind == interp.StepWord) || st.Builtin != nil && st.Builtin.Name != st.Word {
				t.Errorf("%s: step %s has the record %v", c.source, shown(st), st.Builtin)
			}
		}
		if got := strings.Join(got, ", "); got != c.steps || l.Source != "" {
			t.Errorf("%s: of %q\n%s\nwant\n%s", c.source, l.Source, got, c.steps)
		}
	}
}

// In a file the lines of steps are those of the file.
func TestStepsOfAFile(t *testing.T) {
	s, _ := session(t)
	if err := s.Run("x.rpcl", strings.NewReader("\n: f ( - n )\n 1 ;\n")); err != nil {
		t.Fatal(err)
	}
	l, _ := s.Dict().Listing(interp.NewString("f"))
	if got := shown(l.Steps[0]); got != "3:2 1" || l.Source != "x.rpcl" || l.Name != "f" || l.Inputs != "( - n )" {
		t.Errorf("%s of %s in %s %s", got, l.Name, l.Source, l.Inputs)
	}
}

// Fused instructions come apart: each sequence gives the steps of its tokens.
func TestStepsAreNotFused(t *testing.T) {
	s, _ := session(t)
	seen := make(map[int]int)
	for _, source := range []string{
		"dup 1 = if then", "dup 1 < if then", "dup 1 > if then", "dup 0= if then", "1 = if then", "1 < if then", "1 > if then",
		"1 +", "1 -", "1 *", "1 /", "1 mod", "1 and", "1 =", "1 <", "1 >", "= if then", "< if then", "> if then", "0= if then",
		"v @", "v !", "v +!", "v b@", "v b!", "v cell@", "v cell!",
	} {
		if err := interp.Fused(s, source, seen); err != nil {
			t.Fatal(err)
		}
		if err := s.Interpret(": f " + source + " ;"); err != nil {
			t.Fatal(err)
		}
		l, _ := s.Dict().Listing(interp.NewString("f"))
		var words []string
		for _, st := range l.Steps {
			switch st.Kind {
			case interp.StepPush:
				words = append(words, st.Value.Source())
			case interp.StepReturn:
			default:
				words = append(words, st.Word)
			}
		}
		if got := strings.Join(words, " "); got != strings.TrimSuffix(source, " then") {
			t.Errorf("%s: %s", source, got)
		}
	}
	if loops := 6; len(seen) < interp.Fusions()-loops {
		t.Errorf("%d of %d fusions", len(seen), interp.Fusions())
	}
}

func TestMeaning(t *testing.T) {
	s, _ := session(t)
	for _, line := range []string{`5 constant five`, `: one 1 ;`, `7 v !`, `defer later`, `: x 3 ;`, `: x x 1+ ;`, `: f one five v later nothing x ;`} {
		if err := s.Interpret(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Interpret(`: one 2 ;`); err != nil { // a call has the meaning of the name at that moment
		t.Fatal(err)
	}
	list := func(l *interp.Listing) (all string) {
		for _, st := range l.Steps {
			all += shown(st) + ", "
		}
		return all
	}
	l, _ := s.Dict().Listing(interp.NewString("f"))
	var got []string
	for _, st := range l.Steps[:len(l.Steps)-1] {
		switch m := st.Meaning(); {
		case m.Compound != nil:
			got = append(got, m.Compound.Name+" is "+list(m.Compound))
		case m.Builtin != nil:
			got = append(got, "word "+m.Builtin.Name)
		default:
			got = append(got, m.Value.Source())
		}
	}
	want := `one is 1:7 2, 1:9 return, |5|"v"|word later|"nothing"|x is 1:5 name x, 1:7 1+, 1:10 return, `
	if got := strings.Join(got, "|"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	l, _ = s.Dict().Listing(interp.NewString("x"))
	if before := l.Steps[0].Meaning().Compound; before == nil || shown(before.Steps[0]) != "1:5 3" {
		t.Errorf("x in x means %v", before)
	}
	if _, ok := s.Dict().Listing(interp.NewString("dup")); ok {
		t.Error("a built-in word has steps")
	}
	for _, name := range []interp.Value{interp.NewString("later"), interp.NewString("five"), interp.NewString("nosuch"), interp.NewInt(1)} {
		if _, ok := s.Dict().Listing(name); ok {
			t.Errorf("%s has steps", name.Source())
		}
	}
	if err := s.Interpret(`:noname 4 ;`); err != nil {
		t.Fatal(err)
	}
	if l, ok := s.Dict().Listing(s.Peek(0)); !ok || l.Name != ":noname" || shown(l.Steps[0]) != "1:9 4" {
		t.Errorf(":noname: %v", l)
	}
}

// A listing requires the inputs that a call requires.
func TestListingInputs(t *testing.T) {
	s, _ := session(t)
	if err := s.Interpret(`: f ( mac n - ) 2drop ;`); err != nil {
		t.Fatal(err)
	}
	l, _ := s.Dict().Listing(interp.NewString("f"))
	mac, n := interp.NewMAC([6]byte{1}), interp.NewInt(1)
	for _, c := range []struct {
		stack []interp.Value
		err   string
	}{
		{[]interp.Value{mac, n}, "<nil>"}, {[]interp.Value{n, mac, n}, "<nil>"}, {[]interp.Value{n}, "stack underflow"},
		{[]interp.Value{n, n}, "mac: 1 is not a MAC address; write it as 00:23:7d:86:71:ff"}, {[]interp.Value{mac, mac}, "n: 01:00:00:00:00:00 is not a number"},
	} {
		if err := fmt.Sprint(l.CheckInputs(c.stack)); err != c.err {
			t.Errorf("%v: %s, want %s", c.stack, err, c.err)
		}
	}
	if l.Inputs != "( mac n - )" {
		t.Error(l.Inputs)
	}
}
