// SPDX-License-Identifier: BSD-3-Clause

// Package predicate compiles filters, which users write to choose frames: the name of a word
// ( packet - flag ), or an expression in tcpdump's language. Both become trees of
// lib/predicate. Its word is `filter.match`.
//
//	name → interp.Listing → follow.go → tree
//	expression → lib/filter → tree
//
// A word is compiled by following its code with symbols instead of values (follow.go): the
// stack holds expressions of the frame's fields, stack words move expressions, and an if is
// followed both ways. The tree has the meaning that the VM gives the word; an error in the
// VM is no match. The error for a word that cannot be compiled gives the word, the place and
// the reason.
//
// It knows no queue, no port and no thread.
package predicate

import (
	"fmt"
	"strings"

	"ethertap/interp"
	"ethertap/lib/filter"
	"ethertap/lib/predicate"
)

// Set returns the words for filters.
func Set() interp.Set {
	return interp.Set{
		Name:     "filter",
		Help:     "filters: words ( packet - flag ) and expressions of tcpdump's language that choose frames",
		Prefixes: []string{"filter."},
		Words: []interp.Word{
			{Name: "filter.match", Stack: "( packet filter - flag )", Func: match,
				Help:    "whether a filter takes a packet; it is the name of a word ( packet - flag ) or an expression of tcpdump's language, and the packet one that was received",
				Example: `: web? ( packet - flag ) packet.dport 80 = ;` + "\n" + sample + `dup "web?" filter.match . "tcp port 443" filter.match .`},
		},
	}
}

// sample is a packet for the example: IPv4, TCP from port 8080 to 80.
const sample = `"00005e00530100005e0053020800450000280001000040066cd60a0101010a0101021f90005000000001000000025010100000000000" hex->data `

// Filter is a compiled filter. It does not change when the words that it was made from do.
type Filter struct {
	Source string // the name of the word, or the expression
	Tree   predicate.Expr
	Code   *predicate.Code
}

// Compile makes a filter of the name of a compound word, or of an expression. The error gives the
// part that cannot be compiled, and its place.
func Compile(d *interp.Dict, v interp.Value) (*Filter, error) {
	source, tree, err := parse(d, v)
	if err != nil {
		return nil, err
	}
	code, err := predicate.Compile(tree)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", interp.Shown(v), err)
	}
	return &Filter{source, tree, code}, nil
}

func parse(d *interp.Dict, v interp.Value) (source string, tree predicate.Expr, err error) {
	if l, ok := d.Listing(v); ok {
		tree, err = compileWord(d, l)
		return l.Name, tree, err
	}
	if v.Kind() != interp.KindString {
		return "", nil, v.Unfit("a filter, which is the name of a word ( packet - flag ) or an expression of tcpdump's language")
	}
	source = v.Text()
	if _, builtin := d.Word(source); builtin {
		return "", nil, fmt.Errorf("%s is a built-in word; a filter is a word of your own ( packet - flag )", source)
	}
	if tree, err = filter.Parse(source); err != nil && !strings.Contains(source, " ") {
		err = fmt.Errorf("no word of yours is called %s, and as an expression it is wrong: %w", interp.Shown(v), err)
	}
	return source, tree, err
}

func match(s *interp.Session) error {
	v, err := s.Pop()
	if err != nil {
		return err
	}
	packet, err := s.PopData()
	if err != nil {
		return err
	}
	f, err := Compile(s.Dict(), v)
	if err != nil {
		return err
	}
	frame := predicate.Frame{Data: packet, Wire: len(packet)}
	return s.Push(interp.NewFlag(f.Code.Match(new(predicate.Scratch), &frame) == predicate.Match))
}
