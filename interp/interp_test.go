// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"ethertap/interp"
	"ethertap/words/core"
)

// session returns a session with the core words and its output.
func session(t testing.TB) (*interp.Session, *bytes.Buffer) {
	t.Helper()
	dict, err := interp.NewDict(core.Set())
	if err != nil {
		t.Fatal(err)
	}
	return on(t, dict)
}

func on(t testing.TB, dict *interp.Dict) (*interp.Session, *bytes.Buffer) {
	var out bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), &out, &out)
	if err := core.Prelude(s); err != nil {
		t.Fatal(err)
	}
	return s, &out
}

// stack returns the stack as .s shows it, in one line, the bottom first.
func stack(s *interp.Session) string {
	var items []string
	for i := s.Depth() - 1; i >= 0; i-- {
		items = append(items, s.Peek(i).Source())
	}
	return strings.Join(items, " ")
}

func TestLinesLeave(t *testing.T) {
	for _, c := range []struct{ line, stack string }{
		{`1 2 three "four five" #six`, `1 2 "three" "four five"`},
		{`a#b 0x10 -0x1 0b11 -7 0xffffffffffffffff`, `"a#b" 16 -1 3 -7 -1`},
		{`$ff $-FF -$10 %101 %-11 'a' 'é' ''' $ffffffffffffffff`, `255 -255 -16 5 -3 97 233 39 -1`},
		{`$ % '' 'ab' $g %2 $5.0 "$5" ' dup`, `"$" "%" "''" "'ab'" "$g" "%2" "$5.0" "$5" "dup"`},
		{`00:23:7D:86:71:ff 10.1.1.1 ::1 ::ffff:10.1.1.1`, `00:23:7d:86:71:ff 10.1.1.1 ::1 ::ffff:10.1.1.1`},
		{`10.0.0.1-10.0.0.9 00:00:00:00:00:00-00:00:00:ff:ff:ff`, `10.0.0.1-10.0.0.9 00:00:00:00:00:00-00:00:00:ff:ff:ff`},
		{`1.2.3 12:34 0x 0xg dead fe80::1%eth0`, `"1.2.3" "12:34" "0x" "0xg" "dead" "fe80::1%eth0"`},
		{`00:23:7d:86:71:fF "00:23:7D:86:71:ff" = 5 "0x5" = ::ffff "::FFFF" = 1 "2" = 1 10.0.0.1 =`, `-1 -1 -1 0 0`},
		{`1 if .exec-sp then : d .exec-sp ; d`, `1 2`},
		{`"\"\\\n\t\r\x41"`, `"\"\\\n\t\rA"`},
		{`( 1 2 ) 3 ( 4 )`, `3`},
		{`( a -- b) 3 ( see f(x) here ) 4 ( ) 5`, `3 4 5`},
		{`-7 2 / -7 2 mod 7 -2 / 7 -2 mod`, `-4 1 -4 -1`},
		{`"5" 3 +`, `8`},
		{`1 2 { 3 } { } depth`, `1 2 3 3`},
		{`5 { 3 { 4 + } }`, `5 3 4`},
		{`1 if 2 else 3 then 0 if 4 else 5 then 0 if 6 then`, `2 5`},
		{`0 begin 1 + dup 10 = until`, `10`},
		{`: f dup 3 > if drop 99 exit then 1 + ; 1 f 7 f`, `2 99`},
		{`: f { 1 2 exit } ; 5 f depth`, `5 1 2 3`},
		{`: g h ; g : h 42 ; g`, `"h" 42`},
		{`1 v ! v @ 2 v ! v @ "x" v ! v @`, `1 2 "x"`},
		{`: c 1 ; 5 c "2" "c" !! c`, `5 1 2`},
		{`00:00:00:00:00:01 "00:00:00:00:00:01" = 1 "1" = 10.0.0.1 10.0.0.1 = 1 2 <>`, `-1 -1 -1 -1`},
		{`1 2 3 rot nip tuck 2dup ?dup 0 ?dup`, `1 2 1 2 1 1 0`},
		{`-3 abs 3 negate 2 5 min 2 5 max`, `3 -3 2 5`},
		{`9223372036854775807 1 +`, `-9223372036854775808`},
		{`4 1 do i loop`, `1 2 3`},
		{`0 begin dup 3 < while dup 1+ repeat`, `0 1 2 3`},
		{`: w begin dup 9 < while dup 5 <> while 1+ repeat 99 then ; 3 w 8 w`, `5 99 9`}, // two whiles, as in Forth
		{`: a 0 begin 1+ dup 4 = if exit then again ; a`, `4`},
		{`0 0 ?do i loop 1 0 ?do i loop 3 3 do i leave loop`, `0 3`},
		{`10 0 do i 4 +loop 0 10 do i -5 +loop`, `0 4 8 10 5 0`},
		{`-9223372036854775807 9223372036854775806 do i loop`, `9223372036854775806 9223372036854775807 -9223372036854775808`},
		{`10 1 do i i +loop 9 1 do 3 0 do i j +loop 4 +loop`, `1 2 4 8 0 1 2 0`},
		{`24 t buffer : f 24 0 do 2 i t b! loop 3 0 do i 1 = if 9 i t cell! then loop 3 0 do i t cell@ loop i-sum ; : i-sum 0 24 0 do i t b@ + loop ; f`,
			`144680345676153346 9 144680345676153346 41`},
		{`2 0 do 2 0 do j i loop loop`, `0 0 0 1 1 0 1 1`},
		{`9 0 do i 3 = if leave then i loop 7`, `0 1 2 7`},
		{`: f 9 0 do i 4 = if i exit then loop ; : g 2 0 do f i loop ; g`, `4 0 4 1`},
		{`: f 9 0 do i 4 = if i unloop exit then loop ; 2 0 do f i loop`, `4 0 4 1`},
		{`: c case 1 of "one" endof "2" of "two" endof 10.0.0.1 of "ip" endof dup swap endcase ; 1 c 2 c "10.0.0.1" c 7 c`, `"one" "two" "ip" 7`},
		{`5 case 5 of 1 if "in" then endof endcase`, `"in"`},
		{`: fac dup 2 < if drop 1 exit then dup 1- recurse * ; 5 fac`, `120`},
		{`"dup 2 < if drop 1 else dup 1- recurse * then" "fac" !! 6 fac`, `720`},
		{`1 >r 2 r@ r> 3`, `2 1 1 3`},
		{`: f >r 10 0 do r@ loop r> drop ; : g 5 >r 7 f r> ; 8 >r g depth r>`, `7 7 7 7 7 7 7 7 7 7 5 11 8`},
		{`: lost 1 >r 2 >r ; lost 3`, `3`},
		{`1 2 3 -rot 4 5 6 7 2swap 2over`, `3 1 2 6 7 4 5 6 7`},
		{`7 8 9 2 pick 3 roll 0 pick 1 roll`, `8 9 7 7 7`},
		{`-7 2 /mod 7 -2 /mod 1000000007 1000000007 -7 */`, `1 -4 -1 -4 -142857144857142865`},
		{`1 63 lshift -1 63 rshift 1 64 lshift 1 -1 lshift -5 2/ -5 2*`, `-9223372036854775808 1 0 0 -3 -10`},
		{`-9223372036854775808 -1 / -9223372036854775808 -1 mod -9223372036854775808 abs`, `-9223372036854775808 0 -9223372036854775808`},
		{`"b" "a" > 10.0.0.9 10.0.0.10 < 00:00:00:00:00:02 "00:00:00:00:00:10" < 9 "10" < "9" "10" <`, `-1 -1 -1 -1 -1`},
		{`5 1 10 within 10 1 10 within -1 0 -1 within 10.0.0.7 10.0.0.0 10.0.1.0 within`, `-1 0 0 -1`},
		{`"x" "y" max 10.0.0.1 10.0.0.2 min 1 -1 u<`, `"y" 10.0.0.1 -1`},
		{`5 v ! 3 v +! v @ : f v @ 1+ v ! 2 v +! v @ ; f`, `8 11`},
		{`"v" exists 1 v ! "v" exists v delete "v" exists "dup" exists`, `0 -1 0 -1`},
		{`: f v ; 1 v ! v delete f 2 v ! f @`, `"v" 2`},
		{`20 t buffer 7 3 t b! 3 t b@ -9 1 t cell! 1 t cell@ 8 t b@ t buffer.size`, `7 -9 247 20`},
		{`24 t buffer : f 24 0 do i dup t b! loop 0 24 0 do i t b@ + loop ; f 2 t cell@`, `276 1663540288323457296`},
		{`4 "1+" execute 3 "dup *" execute : sq dup * ; 5 "sq" execute`, `5 9 25`},
		{`1 2 "drop drop drop" try "1 0 /" try "9" try`, `1 2 -4 -10 9 0`},
		{`1 2 { 3 "+ drop } drop" try } depth`, `1 2 3 -256 4`},
		{`: f 1 >r 5 0 do i 3 = if 42 throw then loop r> ; : g 3 0 do "f" try i loop ; g`, `42 0 42 1 42 2`},
		{`"\"no host\" throw" try error-text 0 throw "5 throw" try "5 throw" try error-text`, `-2 "no host" 5 5 "error 5"`},
	} {
		s, _ := session(t)
		err := s.Interpret(c.line)
		if err != nil || stack(s) != c.stack {
			t.Errorf("%s leaves %s (%v), not %s", c.line, stack(s), err, c.stack)
		}
	}
}

// A failing word leaves the stack as it was before, whatever it popped.
func TestErrorKeepsStack(t *testing.T) {
	for _, c := range []struct{ line, message, stack string }{
		{`+`, `+: stack underflow ( [n1] n2 - sum )`, ``},
		{`1 "x" + 9`, `+: n2: "x" is not a number`, `1 "x"`},
		{`"x" 1 +`, `+: n1: "x" is not a number`, `"x" 1`},
		{`1 0 /`, `/: division by zero`, `1 0`},
		{`1 "+" !`, `!: + is a built-in word and cannot be changed`, `1 "+"`},
		{`: f 1 0 / ; 8 f`, `/: division by zero in f`, `8 1 0`},
		{`{ 1 2 + + drop drop`, `drop: stack underflow ( a - )`, ``},
		{`}`, `}: without {`, ``},
		{`1 { }  }`, `}: without {`, `1`},
		{`: f } ; { 3 f`, `}: without { in f`, `3`},
		{`if then`, `if: stack underflow ( flag - )`, ``},
		{`then`, `then: without if`, ``},
		{`1 if begin then`, `then: cannot close the open begin`, `1`},
		{`;`, `;: without :`, ``},
		{`)`, `): without (`, ``},
		{`99999999999999999999`, `99999999999999999999: number out of range (64 bits)`, ``},
		{`"a" nosuch @`, `@: no variable "nosuch"`, `"a" "nosuch"`},
		{`1 "10" !`, `!: "10" cannot be a name: it reads as something else`, `1 "10"`},
		{`"x`, `unterminated string; close it with " on the same line`, ``},
		{`loop`, `loop: without do`, ``},
		{`i`, `i: without do`, ``},
		{`3 0 do j`, `j: without a second do around it`, `3 0`},
		{`leave`, `leave: without do`, ``},
		{`1 if of`, `of: without case`, `1`},
		{`begin repeat`, `repeat: without while`, ``},
		{`1 0 do unloop loop`, `loop: without do`, ``},
		{`"x" 0 do i loop`, `do: limit: "x" is not a number`, `"x" 0`},
		{`1 do loop`, `do: stack underflow ( limit index - )`, `1`},
		{`5 0 do i "a" +loop`, `+loop: step: "a" is not a number`, `0 "a"`},
		{`r>`, `r>: return stack underflow: without >r in the same word or line`, ``},
		{`: f r> ; 1 >r f`, `r>: return stack underflow: without >r in the same word or line in f`, ``},
		{`: f 5 throw ; 1 f`, `error 5 in f`, `1`},
		{`"bye now" throw`, `bye now`, ``},
		{`5 v ! "x" v +!`, `+!: n: "x" is not a number`, `"x" "v"`},
		{`8 t buffer 1 8 t b!`, `b!: index 8 is not in 0…7`, `1 8 "t"`},
		{`8 t buffer 256 0 t b!`, `b!: byte 256 is not in 0…255`, `256 0 "t"`},
		{`8 t buffer : f 0 1 t cell! ; f`, `cell!: index 1 is not in 0…0 in f`, `0 1 "t"`},
		{`4 t buffer 0 t cell@`, `cell@: the buffer has 4 bytes only`, `0 "t"`},
		{`2 t buffer : f 10 0 do i t b@ drop loop ; f`, `b@: index 2 is not in 0…1 in f`, `2 "t"`},
		{`2 t buffer : f 10 0 do 7 i t b! loop ; f`, `b!: index 2 is not in 0…1 in f`, `7 2 "t"`},
		{`: f 10 0 do i nosuch b@ loop ; f`, `b@: no buffer "nosuch" in f`, `0 "nosuch"`},
		{`t delete`, `delete: there is no "t" to delete`, `"t"`},
		{`"dup" delete`, `delete: dup is a built-in word and cannot be changed`, `"dup"`},
		{`recurse`, `recurse: outside a definition`, ``},
		{`: r r ; r`, `r: nested deeper than 1024 executions in r (1024 times)`, ``},
	} {
		s, _ := session(t)
		err := s.Interpret(c.line)
		if err == nil || err.Error() != c.message {
			t.Errorf("%s: %v\n  and not %s", c.line, err, c.message)
		}
		if stack(s) != c.stack {
			t.Errorf("%s leaves %s, not %s", c.line, stack(s), c.stack)
		}
		if s.Open() != "" || s.Nesting() != 1 {
			t.Errorf("%s: open %q, nesting %d", c.line, s.Open(), s.Nesting())
		}
	}
}

func TestLimits(t *testing.T) {
	s, _ := session(t)
	for _, c := range []struct{ line, message string }{
		{`begin 1 0 until`, "stack overflow (4096 values)"},
		{`begin { 0 until`, "more than 1024 open stack frames"},
		{`begin 1 >r 0 until`, "return stack overflow (4096 values)"},
		{`: f 1 0 do recurse loop ; f`, "nested deeper than 1024 executions"},
		{strings.Repeat("1 [if] ", interp.MaxConditions+1), "[if]: more than 1024 open [if]s"},
		{`67108865 t buffer`, "buffer size 67108865 is not in 1…67108864"},
		{`"x" begin dup datacat 0 until`, "value longer than 65536 bytes"},
		{`"` + strings.Repeat("x", interp.MaxValue+1) + `"`, "value longer than 65536 bytes"},
		{strings.Repeat(" ", interp.MaxLine+1), "line longer than 1048576 bytes"},
		{`1 ` + strings.Repeat("n", 33) + ` !`, "longer than 32 characters"},
	} {
		err := s.Interpret(c.line)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%.40s: %v, not %q", c.line, err, c.message)
		}
		s.Interpret(".cs")
	}
}

func TestSourcePositions(t *testing.T) {
	for _, c := range []struct{ source, message string }{
		{"1 2\n  + drop\n\n 5 nosuch @\n", `f.rpcl:4:11: @: no variable "nosuch"`},
		{"1 if\n 2\n 0 /\nthen\n", `f.rpcl:3:4: /: division by zero`},
		{": f 0 / ;\n\n1 f", `f.rpcl:1:7: /: division by zero in f, called at f.rpcl:3:3`},
		{"\n1 if 1 if then\n\n", `f.rpcl:2:3: if is not closed at the end of the source`},
		{"( x\n\n", `f.rpcl:1:1: ( is not closed at the end of the source`},
		{"\"\xff\"\n", `f.rpcl:1:1: string is not UTF-8; build other bytes as data`},
		{"a \xff\n", "f.rpcl:1:3: ?: not UTF-8 text; write other bytes in a string as \\xHH"},
	} {
		s, _ := session(t)
		err := s.Run("f.rpcl", strings.NewReader(c.source))
		if err == nil || err.Error() != c.message {
			t.Errorf("%q: %v\n  and not %s", c.source, err, c.message)
		}
	}
}

func TestReservedPrefix(t *testing.T) {
	dict, err := interp.NewDict(core.Set(), interp.Set{Name: "x", Prefixes: []string{"x."}, Words: []interp.Word{
		{Name: "x.enable", Stack: "( - )", Help: "does nothing", Func: func(*interp.Session) error { return nil }},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, message string }{
		{"x.enabel", "x.enabel: no such word; did you mean x.enable?"},
		{": f x.zzzzzzzzzz ;", "x.zzzzzzzzzz: no such word; x. .i lists those there are"},
		{`1 "x.y" !`, "!: x.y cannot be a name of yours: the prefix x. belongs to built-in words"},
		{"x.", ""},
		{"x.enable", ""},
	} {
		s, _ := on(t, dict)
		err := s.Interpret(c.line)
		if got := fmt.Sprint(err); got != c.message && (err != nil || c.message != "") {
			t.Errorf("%s: %v, not %s", c.line, err, c.message)
		}
	}
}

func TestInterrupt(t *testing.T) {
	for _, line := range []string{"begin 0 until", ": r r 1 ; begin 1 drop 0 until", "begin again", "0 1 do loop",
		"begin 1 0 = until", "1 begin dup 0= until", ": f begin \"begin again\" try drop again ; f", "1 begin while 1 repeat"} {
		s, _ := session(t)
		done := make(chan error)
		go func() { done <- s.Interpret(line) }()
		for err := error(nil); ; {
			s.Interrupt() // repeatedly, since Interpret clears an interrupt that came before it began
			select {
			case err = <-done:
			default:
				continue
			}
			if !errors.Is(err, interp.ErrInterrupted) {
				t.Errorf("%s: %v", line, err)
			}
			break
		}
	}
}

// Sessions share words and variables, and have their own stacks.
func TestSessionsShareDictionary(t *testing.T) {
	dict, err := interp.NewDict(core.Set())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		s, _ := on(t, dict)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 2000 {
				line := fmt.Sprintf(`%d shared ! 00:00:00:00:00:01 shared ! shared @ drop : w%d %d ; w%d drop "1 drop" "common" !! common`, n, i, n, i)
				if err := s.Interpret(line); err != nil {
					t.Error(err)
					return
				}
				if s.Depth() != 0 {
					t.Errorf("stacks are not shared: %s", stack(s))
				}
			}
		}()
	}
	wg.Wait()
}

// When its output fails, a word that prints ends, however long it would go on.
func TestOutputFails(t *testing.T) {
	dict, err := interp.NewDict(core.Set())
	if err != nil {
		t.Fatal(err)
	}
	s := interp.NewSession(dict, strings.NewReader(""), failing{}, io.Discard)
	for _, line := range []string{"1 .", "begin 1 . 0 until"} {
		if err := s.Interpret(line); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestRegisterRefuses(t *testing.T) {
	nothing := func(*interp.Session) error { return nil }
	for name, w := range map[string]interp.Word{
		"dup is a built-in word already":              {Name: "dup", Stack: "( - )", Help: "x", Func: nothing},
		`stack comment "( a b )" has no dash`:         {Name: "w", Stack: "( a b )", Help: "x", Func: nothing},
		`stack comment "a -" is not of the form`:      {Name: "w", Stack: "a -", Help: "x", Func: nothing},
		`has an optional input above one that is not`: {Name: "w", Stack: "( a [b] - )", Help: "x", Func: nothing},
		"w has no help or no function":                {Name: "w", Stack: "( - )", Func: nothing},
		"names are printable ASCII without blanks":    {Name: "a b", Stack: "( - )", Help: "x", Func: nothing},
		`stack comment "( - - )" has two dashes`:      {Name: "w", Stack: "( - - )", Help: "x", Func: nothing},
	} {
		name = strings.TrimPrefix(name, "names are ")
		_, err := interp.NewDict(core.Set(), interp.Set{Name: "bad", Words: []interp.Word{w}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: %v, not %s", w.Name, err, name)
		}
	}
}

func TestHexdump(t *testing.T) {
	long := make([]byte, 0x10011)
	lines := strings.Split(interp.Hexdump(long), "\n")
	if last := lines[len(lines)-2]; last != "10010  00"+strings.Repeat(" ", 48)+"|.               |" {
		t.Errorf("%q", last)
	}
	if got := interp.Hexdump(nil); got != "0000  "+strings.Repeat(" ", 50)+"|                |\n" {
		t.Errorf("%q", got)
	}
}

func FuzzInterpret(f *testing.F) {
	for _, seed := range []string{
		"1 2 + .", ": f dup if 1 - f then ; 5 f", "begin 1 until", `"x" "y" !!`, "{ } } {", "( ", ": : ;", `"\x0" .x`,
		"1 if 2 else else then", "10.0.0.1-10.0.0.0", ".i", ".d .s", "\x00\xff", `"a" begin dup datacat 0 until`, "help :",
		`1 "%-5d|%x" str.format`, `"a,b" "," str.split "-" str.join`, `"x" 1 data.slice`, `"1 ." 1 watch`, `"1 ." capture`, `see dup`,
		`"10.0.0.0/8" str->iprange_t range.count`, `3 0 do i 5 num->data loop`, `1 case 1 of endof endcase`, `"1 throw" try`,
		`: f {: a b | c -- d :} a to c b c ; 1 2 f`, "1 [if] : f\n( a\nb - c ) # x\n;\n[else] 2 [then] see f", `:noname recurse ; execute`, `defer d ' d is d d`,
		`: x 1 ; : x x ; x`, `5 value v : g to v v ; 6 g`, `." a" s" b" .( c) abort" d"`, `: c constant ; 5 c d d`, `char " 'x' $f %1 [char] (`,
		`: f begin while begin while repeat else then ;`, `8 b buffer b 3 1 fill b b 2 move`, `1 2 2>r 2r@ 2r>`, "\"1 #\n2\" execute", `[undefined] x [if] : x ; [then]`, `9 b buffer 0 3 b buffer.get`,
	} {
		f.Add(seed)
	}
	dict, err := interp.NewDict(core.Set())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		// no files, and nothing that goes on for ever
		source = strings.NewReplacer("load", "lode").Replace(source)
		s, _ := on(t, dict)
		for line := range strings.Lines(source) {
			stop := time.AfterFunc(100*time.Millisecond, s.Interrupt)
			s.Interpret(line)
			stop.Stop()
			if s.Nesting() != 1 || s.Depth() < 0 || s.Depth() > interp.MaxStack {
				t.Fatalf("%q: nesting %d, depth %d", line, s.Nesting(), s.Depth())
			}
		}
	})
}

func FuzzLiteral(f *testing.F) {
	for _, seed := range []string{"0x", "-", "-0b1", "1.2.3.4", "fe80::1%eth0", "00:00:00:00:00:00-", "::-::1", "9223372036854775808"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tok string) {
		v, ok, err := interp.ParseLiteral(tok)
		if !ok || err != nil {
			return
		}
		again, ok, err := interp.ParseLiteral(v.Source())
		if !ok || err != nil || !again.Equal(v) {
			t.Errorf("%q reads as %s, which does not read as itself (%v %v)", tok, v.Source(), ok, err)
		}
	})
}
