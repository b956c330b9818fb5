// SPDX-License-Identifier: BSD-3-Clause

// Package predicate decides which frames a filter takes. It has expression trees with a fixed
// meaning, the only dissector of headers, and an evaluator. Front ends make trees (from words
// of RPCL, or from tcpdump's language); a tree gives the same answer wherever it is evaluated,
// here or in the kernel.
//
//	front end → Expr → Compile → Code → Match, or the programs of dataplane/fastpath
//
// # What a tree means
//
// A tree is evaluated on one frame and gives a signed number of 64 bits. Any number but 0 is
// a match. A test gives -1 if it holds and 0 if not, as in RPCL, and any number can be used
// as a test.
//
// Parts of a tree can fail: a load beyond the end of the frame, a field of a header that
// the frame does not have, a division by zero. A failure ends the evaluation: the frame
// does not match, whatever surrounds the part that failed. "Not" of a failure is no match
// either. This is the rule of tcpdump and, since an error in a word is no match, of the
// virtual machine.
//
// Parts are evaluated from left to right. And, Or and If skip the parts on which their
// result does not depend, and a skipped part does not fail; all others evaluate both sides.
//
// Perhaps only a part of the frame is known: a snapshot, or the first of several buffers. If
// the answer depends on the rest, it is undecided.
//
// The package knows no queue, no word and no kernel.
package predicate

import "net/netip"

// Expr is a node of a tree: one of the types of this file, or a Field. Trees are plain values: ==
// compares whole trees.
type Expr interface {
	text() string
}

// Number is a constant.
type Number int64

// Length is the length of the frame on the wire in bytes.
type Length struct{}

// Inbound tests whether a port has received the frame; otherwise a port sends it.
type Inbound struct{}

// Load is an unsigned big-endian number of 1, 2 or 4 bytes (Size), At bytes after the start of
// the frame. It fails if it is not completely in the frame.
type Load struct {
	At   Expr
	Size int
}

// Is tests whether the frame has one of the layers.
type Is struct{ Any Layers }

// Need fails unless the frame has one of the layers; otherwise it is Then.
type Need struct {
	Any  Layers
	Then Expr
}

// Address tests whether an IP address of the frame, IPSource or IPDestination, is in a range of
// addresses of one family, both ends included. An address of the other family is not in it. It
// fails on a frame without IP.
type Address struct {
	Of        Field
	Low, High netip.Addr
}

// Calculate is an operation on two numbers. Narrow operations, those of tcpdump, use the lowest
// 32 bits of both without sign, and their result has 32 bits too.
type Calculate struct {
	Op     Operator
	A, B   Expr
	Narrow bool
}

// Compare compares two numbers.
type Compare struct {
	Op   Comparison
	A, B Expr
}

// And is -1 if both hold. It does not evaluate B unless A holds.
type And struct{ A, B Expr }

// Or is -1 if A or B holds. It does not evaluate B if A holds.
type Or struct{ A, B Expr }

// Not is -1 if A does not hold.
type Not struct{ A Expr }

// If is Then if Cond holds, and Else if not.
type If struct{ Cond, Then, Else Expr }

// Operator is the operation of a Calculate.
type Operator uint8

const (
	Add Operator = iota
	Subtract
	Multiply
	Divide // rounded down; fails when B is 0
	Modulo // with the sign of B; fails when B is 0
	BitAnd
	BitOr
	BitXor
	ShiftLeft  // 0 if B, without sign, is beyond the bits of a number
	ShiftRight // like ShiftLeft, without sign
)

var operators = [...]string{
	Add: "+", Subtract: "-", Multiply: "*", Divide: "/", Modulo: "%",
	BitAnd: "&", BitOr: "|", BitXor: "^", ShiftLeft: "<<", ShiftRight: ">>",
}

// Comparison is the relation for which Compare tests.
type Comparison uint8

const (
	Equal Comparison = iota
	NotEqual
	Less
	AtMost
	Greater
	AtLeast
	Below // less, both unsigned
	Above // greater, both unsigned
)

var comparisons = [...]string{
	Equal: "=", NotEqual: "!=", Less: "<", AtMost: "<=", Greater: ">", AtLeast: ">=", Below: "below", Above: "above",
}

// Fails says whether the evaluation of a tree may fail on a frame that has a whole Ethernet
// header.
func Fails(e Expr) bool {
	switch e := e.(type) {
	case Load, Need, Address:
		return true
	case Field:
		return e.Needs() != Ethernet
	case Calculate:
		return Fails(e.A) || Fails(e.B) || (e.Op == Divide || e.Op == Modulo) && !isNonzero(e.B)
	case Compare:
		return Fails(e.A) || Fails(e.B)
	case And:
		return Fails(e.A) || Fails(e.B)
	case Or:
		return Fails(e.A) || Fails(e.B)
	case Not:
		return Fails(e.A)
	case If:
		return Fails(e.Cond) || Fails(e.Then) || Fails(e.Else)
	}
	return false
}

func isNonzero(e Expr) bool {
	n, ok := e.(Number)
	return ok && n != 0
}

// IsFlag says whether a tree gives only 0 and -1.
func IsFlag(e Expr) bool {
	switch e := e.(type) {
	case Number:
		return e == 0 || e == -1
	case Inbound, Is, Address, Compare, And, Or, Not:
		return true
	case Need:
		return IsFlag(e.Then)
	case If:
		return IsFlag(e.Then) && IsFlag(e.Else)
	case Calculate:
		return (e.Op == BitAnd || e.Op == BitOr || e.Op == BitXor) && !e.Narrow && IsFlag(e.A) && IsFlag(e.B)
	}
	return false
}
