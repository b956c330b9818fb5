// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"testing"

	"ethertap/interp"
)

// A compound word checks the inputs of its stack comment before it does anything.
func TestCompoundWordsCheckTheirInputs(t *testing.T) {
	for _, c := range []struct{ comment, stack, err string }{
		{"( n - n )", "", "w: stack underflow ( n - n )"},
		{"( n - n )", "7", ""},
		{"( n - n )", `"7"`, ""},
		{"( n - n )", "1 num->uint8", ""},
		{"( n - n )", `"x"`, `w: n: "x" is not a number`},
		{"( n1 n2 -- n )", `"x" 2`, `w: n1: "x" is not a number`},
		{"( n1 n2 -- n )", `1 "x"`, `w: n2: "x" is not a number`},
		{"( n n n - n )", `"x" 2 3`, `w: n: "x" is not a number`},
		{"( n n n - n )", `2 3`, `w: stack underflow ( n n n - n )`},
		{"( mac - )", "7", "w: mac: 7 is not a MAC address; write it as 00:23:7d:86:71:ff"},
		{"( mac - )", `00:23:7d:86:71:ff`, ""},
		{"( mac - )", `"00:23:7d:86:71:ff"`, ""},
		{"( mac n - )", `"no" 5`, `w: mac: "no" is not a MAC address`},
		{"( ip - )", "10.1.1.1", ""},
		{"( ip - )", "11 num->uint8", "w: ip: [uint8 length 1] is not an IP address"},
		{"( iprange - )", `"10.0.0.0/8"`, ""},
		{"( macrange - )", `10.1.1.1`, "w: macrange: 10.1.1.1 is not a range of MAC addresses"},
		{"( data - )", "5", "w: data: 5 is not data"},
		{"( packet - )", `"abc" str->data`, ""},
		{"( string - )", `"abc" str->data`, `w: string: [data length 3] is not a string`},
		{"( what ever - )", `"x" "y"`, ""},
		{"( what ever - )", `"x"`, "w: stack underflow ( what ever - )"},
		{"( [n] - )", "", ""},
		{"( [n] - )", `"x"`, `w: n: "x" is not a number`},
		{"( [n] mac - )", `00:23:7d:86:71:ff`, ""},
		// the style of Forth
		{"( -- )", "", ""},
		{"( x1 ... xn n -- )", "0", ""},
		{"( x1 … xn n - )", "", "w: stack underflow ( x1 … xn n - )"},
		{"( i*x n -- j*x )", "0", ""},
		{"( \"name\" n -- )", "0", ""},
		{"( <name> -- )", "", ""},
		{"( a | a b -- )", "0", ""},
		{"( n -- R: n )", "", "w: stack underflow ( n -- R: n )"},
		{"( R: n -- )", "", ""},
		// not stack comments
		{"( does nothing )", "", ""},
		{"( a - b - c )", "", ""},
		{"( )", "", ""},
		{"", "", ""},
	} {
		for _, form := range []string{
			"w",                   // interpreted
			"1 if w then",         // compiled
			": v w ; v",           // called by another
			`"w" execute`,         // called by a built-in word
			`: v "w" execute ; v`, // and that by a compound one
		} {
			s, _ := session(t)
			want := c.err
			if form[0] == ':' && want != "" {
				want += " in v"
			}
			for _, line := range []string{`0 ran !`, ": w " + c.comment + " -1 ran ! ;", c.stack} {
				if err := s.Interpret(line); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
			before, got := stack(s), ""
			if err := s.Interpret(form); err != nil {
				got = err.Error()
			}
			ran, _ := s.Fetch(interp.NewString("ran"))
			if got != want || (ran.Text() == "-1") != (want == "") || stack(s) != before {
				t.Errorf("%s on %s as %s: %q (ran: %s, stack: %s), not %q", c.comment, c.stack, form, got, ran.Text(), stack(s), want)
			}
		}
	}
}
