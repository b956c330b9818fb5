// SPDX-License-Identifier: BSD-3-Clause

package predicate_test

import (
	"fmt"

	"ethertap/lib/filter"
	"ethertap/lib/predicate"
)

// A tree, made by hand or by a front end, is compiled once and decides about any number of frames.
func Example() {
	tree := predicate.And{
		A: predicate.Compare{Op: predicate.Equal, A: predicate.IPProtocol, B: predicate.Number(17)},
		B: predicate.Compare{Op: predicate.Less, A: predicate.Length{}, B: predicate.Number(100)},
	}
	fmt.Println(predicate.Text(tree))
	code, err := predicate.Compile(tree)
	if err != nil {
		fmt.Println(err)
		return
	}
	var scratch predicate.Scratch
	verdicts := map[predicate.Verdict]string{predicate.Match: "match", predicate.NoMatch: "no match", predicate.Undecided: "undecided"}
	frame := make([]byte, 60)
	frame[12], frame[13] = 0x08, 0x00 // IPv4
	frame[14], frame[23] = 0x45, 17   // a header of 20 bytes, UDP
	fmt.Println(verdicts[code.Match(&scratch, &predicate.Frame{Data: frame})])
	fmt.Println(verdicts[code.Match(&scratch, &predicate.Frame{Data: frame, Wire: 1500})])
	fmt.Println(verdicts[code.Match(&scratch, &predicate.Frame{Data: frame[:20], Wire: 60})]) // the rest is not known
	// Output:
	// (ip.proto = 17) and (len < 100)
	// match
	// no match
	// undecided
}

// Package filter is the front end for the language of tcpdump.
func ExampleCompile() {
	tree, err := filter.Parse("udp port 53")
	if err != nil {
		fmt.Println(err)
		return
	}
	code, err := predicate.Compile(tree)
	fmt.Println(len(code.Steps) > 0, err)
	_, err = filter.Parse("udp prot 53")
	fmt.Println(err)
	// Output:
	// true <nil>
	// filter "udp prot 53": at 5: "prot" is not expected here
}
