// Package predicate says which frames a filter takes: an expression tree with a fixed
// meaning, the one dissector of headers, and an evaluator. Front ends make trees (of words
// of RPCL, of tcpdump's language); a tree gives the same answer wherever it is evaluated,
// here or in the kernel.
//
//	front end → Expr → Compile → Code → Match, or the programs of dataplane/fastpath
//
// # What a tree means
//
// A tree is evaluated on one frame and leaves a number of 64 bits with sign. Any number
// but 0 is a match. A test leaves -1 if it holds and 0 if not, as in RPCL, and any number
// can stand where a test is wanted.
//
// Parts of a tree can fail: a load beyond the end of the frame, a field of a header that
// the frame does not have, a division by zero. What fails ends the evaluation: the frame
// does not match, whatever stands around the part that failed. "Not" of a failure is no
// match either. That is the rule of tcpdump and, since an error in a word is no match,
// of the virtual machine.
//
// Parts are evaluated from left to right. And, Or and If leave out what their result does
// not depend on, and what is left out does not fail; all else evaluates both sides.
//
// A frame may be there in part: a snapshot, or the first of several buffers. What would
// have to look beyond it is undecided, which says neither.
//
// The package knows no queue, no word and no kernel.
package predicate

import "net/netip"

// Expr is a node of the tree. Its types are those of this file and Field. Trees are plain
// values: == compares them whole.
type Expr interface {
	text() string
}

// Number is a constant.
type Number int64

// Length is the length of the frame on the wire in bytes.
type Length struct{}

// Inbound tests whether the frame is looked at as a port received it; otherwise it is
// looked at as a port sends it.
type Inbound struct{}

// Load is a big-endian number without sign that begins At bytes behind the start of the
// frame and has Size bytes: 1, 2 or 4. It fails when it is not all in the frame.
type Load struct {
	At   Expr
	Size int
}

// Is tests whether the frame has one of the layers.
type Is struct{ Any Layers }

// Need fails unless the frame has one of the layers, and is Then if it has.
type Need struct {
	Any  Layers
	Then Expr
}

// Address tests whether an IP address of the frame is in a range, both ends included, which
// are of one family: an address of the other family is not in it. Of is IPSource or
// IPDestination. It fails on a frame without IP.
type Address struct {
	Of        Field
	Low, High netip.Addr
}

// Calculate is an operation on two numbers. Narrow ones, tcpdump's, take the lowest 32 bits
// of both without sign, and so is their result.
type Calculate struct {
	Op     Operator
	A, B   Expr
	Narrow bool
}

// Compare tests how two numbers compare.
type Compare struct {
	Op   Comparison
	A, B Expr
}

// And is -1 when both hold, and does not look at B unless A holds.
type And struct{ A, B Expr }

// Or is -1 when one of both holds, and does not look at B if A holds.
type Or struct{ A, B Expr }

// Not is -1 when A does not hold.
type Not struct{ A Expr }

// If is Then when Cond holds, Else when not.
type If struct{ Cond, Then, Else Expr }

// Operator is what Calculate does.
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
	ShiftLeft  // 0 when B is beyond the bits of a number, B being without sign
	ShiftRight // likewise, without sign
)

var operators = [...]string{
	Add: "+", Subtract: "-", Multiply: "*", Divide: "/", Modulo: "%",
	BitAnd: "&", BitOr: "|", BitXor: "^", ShiftLeft: "<<", ShiftRight: ">>",
}

// Comparison is what Compare looks for.
type Comparison uint8

const (
	Equal Comparison = iota
	NotEqual
	Less
	AtMost
	Greater
	AtLeast
	Below // less, both without sign
	Above // greater, both without sign
)

var comparisons = [...]string{
	Equal: "=", NotEqual: "!=", Less: "<", AtMost: "<=", Greater: ">", AtLeast: ">=", Below: "below", Above: "above",
}

// Fails tells whether the evaluation of a tree may fail on a frame that has a whole
// Ethernet header.
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

// IsFlag tells whether a tree leaves nothing but 0 and -1.
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
