// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"slices"

	"ethertap/lib/predicate"
)

// facts are what is known of the frame on a path, from the choices that led there.
type facts struct {
	some  []predicate.Layers // the frame has at least one of each of these sets
	none  predicate.Layers   // and none of these
	tests []test             // results of tests
}

// test is a number that was found to be 0, or not 0.
type test struct {
	of    predicate.Expr
	holds bool
}

func (f facts) clone() facts {
	return facts{slices.Clone(f.some), f.none, slices.Clone(f.tests)}
}

// holds says whether a number is not 0; sure says that this is known from an earlier test.
func (f facts) holds(e predicate.Expr) (holds, sure bool) {
	for _, t := range f.tests {
		if t.of == e {
			return t.holds, true
		}
	}
	return false, false
}

const (
	aboveIP = predicate.Fragment | predicate.Later | predicate.Ports | predicate.ICMP
	every   = predicate.Ethernet | predicate.Tag | predicate.ARP | predicate.IP | aboveIP
)

// beneath returns layers of which a frame with this layer has one.
func beneath(layer predicate.Layers) predicate.Layers {
	switch layer {
	case predicate.ICMP4:
		return predicate.IP4
	case predicate.ICMP6:
		return predicate.IP6
	}
	if layer&aboveIP != 0 {
		return predicate.IP
	}
	return predicate.Ethernet
}

// implies says whether a frame that has one of some also has one of want.
func implies(some, want predicate.Layers) bool {
	for layer := predicate.Layers(1); layer <= some; layer <<= 1 {
		if some&layer == 0 || layer&want != 0 || want&predicate.Ethernet != 0 {
			continue
		}
		if under := beneath(layer); under&^want != 0 {
			return false
		}
	}
	return true
}

// has says whether the frame has one of the layers, if that is sure.
func (f facts) has(any predicate.Layers) (there, sure bool) {
	for _, some := range f.some {
		if implies(some, any) {
			return true, true
		}
	}
	return false, any&^f.none == 0
}

// learn notes whether the frame has one of the layers.
func (f *facts) learn(any predicate.Layers, has bool) {
	if has {
		f.some = append(f.some, any&^f.none)
		return
	}
	for layer := predicate.Layers(1); layer <= every; layer <<= 1 {
		if layer&every != 0 && implies(layer, any) {
			f.none |= layer
		}
	}
}

// learnTest notes whether a test holds, and what that says of the layers.
func (f *facts) learnTest(e predicate.Expr, holds bool) {
	f.tests = append(f.tests, test{e, holds})
	switch e := e.(type) {
	case predicate.Is:
		f.learn(e.Any, holds)
	case predicate.Not:
		f.learnTest(e.A, !holds)
	case predicate.And:
		if holds {
			f.learnTest(e.A, true)
			f.learnTest(e.B, true)
		}
	case predicate.Or:
		if !holds {
			f.learnTest(e.A, false)
			f.learnTest(e.B, false)
		}
	}
}
