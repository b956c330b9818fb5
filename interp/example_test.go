// SPDX-License-Identifier: BSD-3-Clause

package interp_test

import (
	"fmt"
	"os"
	"strings"

	"ethertap/interp"
)

// A program adds words of its own as a set, and runs lines in a session.
func Example() {
	lamp := false
	words := interp.Set{
		Name: "lamp", Help: "the lamp of the example", Prefixes: []string{"lamp."},
		Words: []interp.Word{
			{Name: "lamp.set", Stack: "( flag - )", Help: "switch the lamp", Func: func(s *interp.Session) error {
				n, err := s.PopInt()
				if err != nil {
					return err
				}
				lamp = n != 0
				return nil
			}},
			{Name: "lamp.show", Stack: "( - )", Help: "show the lamp", Func: func(s *interp.Session) error {
				s.Printf("the lamp is on: %v\n", lamp)
				return nil
			}},
		},
	}
	dict, err := interp.NewDict(words)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := interp.NewSession(dict, strings.NewReader(""), os.Stdout, os.Stdout)
	for number, line := range []string{"1 lamp.set lamp.show", "lamp.set", "lamp.dim"} {
		if err := s.RunLine(line, number+1); err != nil {
			s.Report(err)
		}
	}
	// Output:
	// the lamp is on: true
	// error: -e:2:1: lamp.set: stack underflow ( flag - )
	// error: -e:3:1: lamp.dim: no such word; lamp. .i lists those there are
}

// Values are written and read as at the prompt.
func ExampleParseLiteral() {
	for _, token := range []string{"0x20", "00:23:7d:86:71:ff", "10.0.0.1", "hello"} {
		v, ok, err := interp.ParseLiteral(token)
		switch {
		case err != nil:
			fmt.Println(err)
		case ok:
			fmt.Println(v.Kind(), v.Source())
		default:
			fmt.Println(token, "is no literal")
		}
	}
	// Output:
	// integer 32
	// mac 00:23:7d:86:71:ff
	// ip 10.0.0.1
	// hello is no literal
}
