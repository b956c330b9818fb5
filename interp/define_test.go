// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/words/core"
)

func TestDefinitionsLeave(t *testing.T) {
	for _, c := range []struct{ line, stack string }{
		{`5 constant five 7 value v five v 8 to v v : f 9 to v v ; f v`, `5 7 8 9 9`},
		{`10.0.0.1 constant host host "x" value s s : g s ; "y" to s g`, `10.0.0.1 "x" "y"`},
		{`: equ constant ; 3 equ three three : var variable ; var n n @ 4 n ! n @`, `3 0 4`},
		{`1 if variable x 5 x ! then x @ 1 if 7 constant c ' c then 2 0 do char A loop`, `5 "c" 65 65`},
		{`: f ['] dup ; f : g [char] A s" a b" ; g : h ' ; h swap`, `"dup" 65 "a b" "swap"`},
		{`defer d ' 2* is d 4 d : use d ; ' 1+ is d 4 use action-of d ' d defer@`, `8 5 "1+" "1+"`},
		{`:noname dup if dup 1- recurse then ; n ! 3 n @ execute`, `3 2 1 0`},
		{`:noname 1 ; execute :noname {: a :} a a ; 5 swap execute`, `1 5 5`},
		{`: x 1 ; : y x ; : x x 2 ; y : x x 3 ; y`, `1 2 1 2 3`},
		{`5 value x : x x 1+ ; x 6 value z : z z z + ; z`, `6 12`},
		{`5 x ! : x x @ 1+ ; x 8 b buffer 7 0 b b! : b 0 b b@ ; b`, `6 7`},
		{`defer x ' dup is x : x x x ; 4 x`, `4 4 4`},
		{`: x 1 ; "x 2" "x" !! x`, `1 2`},
		{`: fac dup 2 < if drop 1 else dup 1- recurse * then ; : fac 100 swap fac ; 5 fac`, `100 120`},
		{`: f {: a b | c d -- what ever :} a b c d 5 to c c ; 1 2 f`, `1 2 0 0 5`},
		{`: f {: :} ; 1 f : g {: | x :} x ; g`, `1 0`},
		{`: f {: dup swap :} swap dup ; 1 2 f`, `2 1`},
		{`: f 1 {: a :} 2 {: b :} a b 3 to a a ; f`, `1 2 3`},
		{`: f {: n :} n 0> if n 1- recurse n then ; 3 f`, `1 2 3`},
		{`: f {: n :} n 9 > if 99 exit then n 3 0 do n i + to n loop n >r n r> ; 10 f 1 f`, `99 1 4 4`},
		{`: f {: a :} a >r a 1+ to a r@ r> a ; 5 f`, `5 5 6`},
		{`: f {: a :} "a" ; : g {: b :} b f b ; 1 g`, `"a" 1`},
		{`: f {: a :} a 0 / ; : g 5 >r 6 "1 f" try r> ; g`, `6 -10 5`},
		{`0 [if] 1 [else] 2 [then] 1 [if] 3 [else] 4 [then] : f [defined] dup [if] 5 [else] 6 [then] ; f`, `2 3 5`},
		{`0 [if] 1 [if] 2 [else] 3 [then] [else] 1 [if] 4 [else] 5 [then] [then]`, `4`},
		{`0 [if] "[then] [char] " ( [then] ) s" [then] " \ [then]` + "\n" + `[then] 6`, `6`},
		{`[undefined] dup [defined] nosuch`, `0 0`},
		{`"1 # one\n2" execute "3 ( four\n4 ) 5" try "6 \\ six\n7" evaluate`, `1 2 3 5 0 6 7`},
		{`: f "1 #\n2" execute 3 ; f`, `1 2 3`},
		{`: gi5 begin dup 2 > while dup 5 < while dup 1+ repeat 123 else 345 then ; 1 gi5 3 gi5`, `1 345 3 4 5 123`},
		{`: m if 1 else 2 else 3 else 4 then ; 0 m 1 m`, `2 4 1 3`},
		{`1 2 2>r 2r@ 2r> : f 2>r 2r@ + 2r> - ; 7 3 f`, `1 2 1 2 10 4`},
		{`7 3 2 */mod -7 3 2 */mod -9223372036854775808 -1 -1 */mod`, `1 10 1 -11 0 -9223372036854775808`},
		{`1 -1 u> -1 1 u> 0 0<= 1 0<= 0 0>= -1 0>=`, `0 -1 -1 0 -1 0`},
		{`"a" "b" compare "b" "a" compare "a" "a" compare "9" "10" compare`, `-1 1 0 1`},
		{`"hello" "ll" search "hello" "x" search "hello" 2 /string "hello" 9 /string " a  " -trailing`, `"llo" -1 "hello" 0 "llo" "" " a"`},
		{`"create" 1 "base" ! "base" @ : here 5 ; here`, `"create" 1 5`}, // users may define these names
	} {
		s, _ := session(t)
		err := s.Interpret(c.line)
		if err != nil || stack(s) != c.stack {
			t.Errorf("%s leaves %s (%v), not %s", c.line, stack(s), err, c.stack)
		}
	}
}

func TestDefinitionErrors(t *testing.T) {
	many := strings.Repeat("a", 5)
	var names strings.Builder
	for i := range interp.MaxLocals + 1 {
		fmt.Fprintf(&names, "%s%d ", many, i)
	}
	for _, c := range []struct{ line, message, stack string }{
		{`create`, `create: not in RPCL; here: "name" buffer`, ``},
		{`: f c@ ;`, `c@: not in RPCL; here: index buffer b@ or data offset data.8@`, ``},
		{`"1 allot" execute`, `allot: not in RPCL; here: "name" buffer`, `1`},
		{`: f variable`, ``, ``},
		{`: f variable ; f`, `variable: a name has to follow on the line in f`, ``},
		{`5 constant`, `constant: a name has to follow on the line`, `5`},
		{`constant x`, `constant: stack underflow ( item "name" - )`, ``},
		{`5 constant 10`, `constant: "10" cannot be a name: it reads as something else`, `5`},
		{`5 constant c 6 to c`, `to: c is a constant`, `6`},
		{`: f to c ;`, `to: c is no value; 0 value c makes it one`, ``},
		{`5 value c : f to c ; "c" delete 6 f`, `to: c is no value; 0 value c makes it one in f`, `6`},
		{`5 value c to c`, `to: stack underflow ( item "name" - )`, ``},
		{`: f c @ ; 5 value c f`, `@: no variable "5" in f`, `5`},
		{`5 value c c @`, `@: no variable "5"`, `5`},
		{`5 value c "c" @`, `@: c is a value; its name alone fetches it`, `"c"`},
		{`1 is nosuch`, `is: nosuch is no deferred word; defer nosuch makes it one`, `1`},
		{`defer d 1 is d`, `is: 1 is no word`, `1`},
		{`defer d d`, `d: the deferred word has no action yet; ' NAME is d gives it one in d`, ``},
		{`defer d : e d ; ' e is d d`, `d: nested deeper than 1024 executions`, ``},
		{`' nosuch`, `': no word "nosuch"`, ``},
		{`: f ['] nosuch ;`, `[']: no word "nosuch"`, ``},
		{`: f 1 {: a :} r> ; f`, `r>: return stack underflow: without >r in the same word`, ``},
		{`: f 1 >r 2 {: a :} ; f`, `{:: values that >r has put away are in the way; take them back first in f`, `2`},
		{`: f {: a b :} ; 1 f`, `{:: stack underflow ( a b - ) in f`, `1`},
		{`: f {: a :} recurse ; 1 f`, `{:: stack underflow ( a - ) in f`, ``},
		{`: f {: ` + names.String() + `:} ;`, `aaaaa64: more than 64 locals`, ``},
		{`: f {: "a" :} ;`, `the name of a local has no quotes`, ``},
		{`{: a :}`, `{:: outside a definition`, ``},
		{`1 if {: a :} then`, `{:: outside a definition`, `1`},
		{`: f begin {: a :} again ;`, `{:: inside begin; locals are named outside of structures`, ``},
		{`[then]`, `[then]: without [if]`, ``},
		{`[else]`, `[else]: without [if]`, ``},
		{`[if]`, `[if]: stack underflow ( flag - )`, ``},
		{`." open`, `.": unterminated text; close it with " on the same line`, ``},
		{`.( open`, `.(: unterminated text; close it with ) on the same line`, ``},
		{"s\" \xff\"", `s": text is not UTF-8; build other bytes as data`, ``},
		{`7 1 abort" bad luck"`, `bad luck`, `7`},
		{`abort`, `abort: aborted`, ``},
		{`2r>`, `2r>: return stack underflow: without >r in the same word`, ``},
		{`1 >r 2r@`, `2r@: return stack underflow: without >r in the same word`, ``},
		{`: f : g ;`, `:: definitions do not nest`, ``},
		{`:noname :noname ;`, `:noname: definitions do not nest`, ``},
		{`8 b buffer b 9 0 fill`, `fill: 9 bytes are not inside the buffer of 8`, `"b" 9 0`},
		{`1 2 0 */mod`, `*/mod: division by zero`, `1 2 0`},
		{`-9223372036854775807 1073741825 -1073741824 */`, `*/: the quotient does not fit in 64 bits`, `-9223372036854775807 1073741825 -1073741824`},
	} {
		s, _ := session(t)
		err := s.Interpret(c.line)
		if c.message == "" {
			if err != nil || s.Open() != ":" {
				t.Errorf("%s: %v", c.line, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.message) {
			t.Errorf("%.60s: %v\n  and not %s", c.line, err, c.message)
		}
		if !strings.Contains(c.message, "nested") && stack(s) != c.stack && c.message != `{:: stack underflow ( a - ) in f` {
			t.Errorf("%.60s leaves %s, not %s", c.line, stack(s), c.stack)
		}
		if s.Open() != "" || s.Nesting() != 1 {
			t.Errorf("%s: open %q, nesting %d", c.line, s.Open(), s.Nesting())
		}
		if err := s.Interpret("1 >r r> drop : ok 1 ; ok drop"); err != nil { // nothing is left from the error
			t.Errorf("after %.60s: %v", c.line, err)
		}
	}
}

// Errors of source over several lines have the place where the definition or structure begins.
func TestDefinitionPlaces(t *testing.T) {
	for _, c := range []struct{ source, message string }{
		{"1\n  create x", `f.rpcl:2:3: create: not in RPCL; here: "name" buffer`},
		{": f\n  dup c,\n;", `f.rpcl:2:7: c,: not in RPCL; here: n index buffer cell! or byte index buffer b!`},
		{"\n 0 [if]\n 1 . \n", `f.rpcl:2:4: [if] is not closed at the end of the source`},
		{"1 [if]\n", `f.rpcl:1:3: [if] is not closed at the end of the source`},
		{": f {: a\n b\n", `f.rpcl:1:5: {: is not closed at the end of the source`},
		{": f\n\n", `f.rpcl:1:1: : is not closed at the end of the source`},
		{": f {: a :}\n a a + ;\n f", `f.rpcl:1:5: {:: stack underflow ( a - ) in f, called at f.rpcl:3:2`},
		{": f ( a b\n c - d )\n nip nip ;\n1 2\n f", `f.rpcl:5:2: f: stack underflow ( a b c - d )`},
	} {
		s, _ := session(t)
		err := s.Run("f.rpcl", strings.NewReader(c.source))
		if err == nil || err.Error() != c.message {
			t.Errorf("%q: %v\n  and not %s", c.source, err, c.message)
		}
	}
}

// A prompt names what its line has redefined; a source does not.
func TestRedefined(t *testing.T) {
	dict, err := interp.NewDict(core.Set())
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), new(bytes.Buffer), &errs)
	for _, c := range []struct{ line, said string }{
		{": a 1 ; 1 v ! 8 b buffer", ""},
		{": a 2 ; 2 v ! variable v", "redefined a\n"},
		{`"3" "a" !! 4 constant a`, "redefined a\n"},
		{"1 v ! : v 5 ; defer b", "redefined v, b\n"},
		{": c 1 ; a delete : a 1 ;", ""},
		{`1 p ! 1 q ! 1 r ! 1 s ! 1 t ! 1 constant p 1 constant q 1 constant r 1 constant s 1 constant t`, "redefined p, q, r, s and 1 more\n"},
		{": c 2 ; 1 0 /", "redefined c\n"},
	} {
		errs.Reset()
		s.Interpret(c.line)
		if errs.String() != c.said {
			t.Errorf("%s: %q, not %q", c.line, errs.String(), c.said)
		}
	}
	errs.Reset()
	if err := s.Run("f.rpcl", strings.NewReader(": a 3 ;\n: a 4 ;\n")); err != nil || errs.Len() > 0 {
		t.Errorf("a source says %q (%v)", errs.String(), err)
	}
	if err := s.RunLine(": a 3 ;", 1); err != nil || errs.Len() > 0 {
		t.Errorf("-e says %q (%v)", errs.String(), err)
	}
}

// A set of words that ask completes nothing but words: names of files, for one, are not for everybody.
func TestAskingCompletesNoNames(t *testing.T) {
	s := interp.Set{
		Name: "test", Help: "For a test.", Words: []interp.Word{{Name: "x", Stack: "( - )", Help: "does nothing", Example: "x", Func: func(*interp.Session) error { return nil }}},
		Names: func(*interp.Dict, string) []string { return []string{"/secret"} },
	}
	for _, c := range []struct {
		set  interp.Set
		want int
	}{{s, 1}, {s.Asking("no"), 0}} {
		d, err := interp.NewDict(c.set)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Names("/"); len(got) != c.want {
			t.Errorf("%q", got)
		}
	}
}
