// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/words/core"
)

// The inner loop does the same as the functions of the words: a line of random words leaves the
// same stack, or fails in the same way, whether it is interpreted token by token (by the
// functions) or compiled (inline, and fused).
func TestInlineIsWhatTheFunctionDoes(t *testing.T) {
	var inline []string
	for _, w := range core.Set().Words {
		if w.Inline != 0 {
			inline = append(inline, w.Name)
		}
	}
	if len(inline) < 40 {
		t.Fatalf("%d inline words", len(inline))
	}
	literals := []string{
		"0", "1", "2", "3", "-1", "-2", "7", "63", "64", "255", "256", fmt.Sprint(math.MinInt64), fmt.Sprint(math.MaxInt64),
		`"x"`, `"5"`, "10.0.0.1", "00:00:00:00:00:07", "v", "w", "t", "u", "c",
	}
	const prepare = `.cs 5 v ! "text" w ! 24 t buffer 3 u buffer : c 7 ;`
	r := rand.New(rand.NewPCG(1, 2))
	tokens, _ := session(t)
	compiled, _ := session(t)
	seen := make(map[int]int)
	const flag = " [flag]" // at the end of words: ends with an if on the value on top
	same := func(words, source string) {
		t.Helper()
		words, flagged := strings.CutSuffix(words, flag)
		one, two := outcome(t, tokens, prepare, words), outcome(t, compiled, prepare, source)
		if flagged && strings.Contains(one, "| <nil> |") {
			top, err := tokens.Pop()
			if err != nil {
				return // if has its own error
			}
			n, err := top.Int()
			if err := tokens.Push(interp.NewFlag(n != 0 || err != nil)); err != nil {
				t.Fatal(err)
			}
			one = fmt.Sprintf("%s | <nil> | %s", stack(tokens), contents(tokens))
		}
		if one != two {
			t.Fatalf("%s\n  interpreted: %s\n  compiled:    %s", source, one, two)
		}
		if err := interp.Fused(compiled, source, seen); err != nil {
			t.Fatal(err)
		}
	}
	words := func(more ...string) string {
		line := more
		for range 2 + r.IntN(9) {
			if r.IntN(2) == 0 {
				line = append(line, literals[r.IntN(len(literals))])
			} else {
				line = append(line, inline[r.IntN(len(inline))])
			}
		}
		return strings.Join(line, " ")
	}
	for range 10000 {
		line := words()
		same(line, "1 if "+line+" then")
	}
	for range 2000 { // an index is a number
		buffer, access := []string{"t", "u", "v", "c"}[r.IntN(4)], []string{"b@", "b!", "cell@", "cell!"}[r.IntN(4)]
		line := words("3", "%s", buffer, access)
		body := func(i string) string { return strings.ReplaceAll(line, "%s", i) }
		same("1 2 "+body("0")+" "+body("1")+" "+body("2"), "1 2 3 0 do "+body("i")+" loop")
		same("1 2 "+body("1")+" "+body("2")+" "+body("4"), "1 2 7 1 do "+body("i")+" i +loop")
		same("1 2 "+body("1")+" "+body("3")+" "+body("5"), "1 2 3 2 do 7 1 do "+body("i")+" j +loop loop")
	}
	for _, word := range inline { // a jump after the word is decided as by the flag alone
		for range 20 {
			line := words()
			before, after, _ := strings.Cut(line, " ")
			line = before + " " + after + " " + word
			for _, test := range []string{"%s", "dup %s", "7 %s", "dup 7 %s"} {
				line := line + " " + fmt.Sprintf(test, word)
				same(line+flag, "1 if "+line+" if -1 else 0 then then")
			}
		}
	}
	for i := range interp.Fusions() {
		if seen[i] < 20 {
			t.Errorf("fusion %d of the table was tried %d times only", i, seen[i])
		}
	}
}

// outcome returns everything that a line leaves.
func outcome(t *testing.T, s *interp.Session, prepare, line string) string {
	t.Helper()
	if err := s.Interpret(prepare); err != nil {
		t.Fatal(err)
	}
	err := s.Interpret(line)
	return fmt.Sprintf("%s | %v | %s", stack(s), err, contents(s))
}

// contents returns the variables and buffers of the test.
func contents(s *interp.Session) string {
	var b strings.Builder
	for _, v := range []string{"v", "w"} {
		x, err := s.Fetch(interp.NewString(v))
		fmt.Fprint(&b, x.Source(), err, " ")
	}
	for _, name := range []string{"t", "u"} {
		x, err := s.Buffer(interp.NewString(name))
		fmt.Fprint(&b, x, err, " ")
	}
	return b.String()
}

// Conditions fused with their jumps decide like the single words.
func TestFusedJumps(t *testing.T) {
	for _, test := range []string{"=", "<", ">", "0=", "7 =", "7 <", "7 >", "dup 7 =", "dup 7 <", "dup 7 >", "dup 0="} {
		for _, inputs := range []string{"1 7 7", "1 6 7", "1 7 6", "1 0", "1 8", `1 "7" 7`, `1 7 "8"`, `1 "0"`, `1 "x" 7`} {
			one, _ := session(t)
			errOne := one.Interpret(inputs + " " + test)
			want := ""
			if errOne == nil {
				flag, _ := one.Pop()
				n, err := flag.Int()
				want = map[bool]string{true: "yes", false: "no"}[n != 0 || err != nil]
				want = strings.TrimSpace(stack(one) + ` "` + want + `"`)
			}
			for _, form := range []string{`%s %s if "yes" else "no" then`, `: f %s %s if "yes" else "no" then ; f`, `: f %s %s if "yes" exit then "no" ; f`} {
				fused, _ := session(t)
				err := fused.Interpret(fmt.Sprintf(form, inputs, test))
				if (err == nil) != (errOne == nil) || err == nil && stack(fused) != want {
					t.Errorf("%s %s: %s (%v), not %s (%v)", inputs, test, stack(fused), err, want, errOne)
				}
			}
		}
	}
}
