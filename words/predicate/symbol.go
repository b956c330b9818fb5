// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"net/netip"

	"ethertap/interp"
	"ethertap/lib/predicate"
)

// symbol stands for a value on a stack.
type symbol interface {
	String() string
	// value returns a value that passes the same checks of inputs in the VM.
	value() interp.Value
}

type (
	// frame is the packet that is given to the filter.
	frame struct{}
	// known is a value that is known when the filter is made.
	known struct{ v interp.Value }
	// number is an integer that depends on the frame. Its tree cannot fail, since its
	// requirements were checked before. nodes is the size of the tree.
	number struct {
		tree  predicate.Expr
		nodes int
	}
	// mac is an Ethernet address of the frame.
	mac struct{ field predicate.Field }
	// address is an IP address of the frame, of either family.
	address struct{ field predicate.Field }
)

func (frame) String() string   { return "the packet" }
func (k known) String() string { return interp.Shown(k.v) }
func (number) String() string  { return "a number" }
func (mac) String() string     { return "a MAC address" }
func (address) String() string { return "an IP address" }

func (frame) value() interp.Value   { return interp.NewData(make([]byte, 60)) }
func (k known) value() interp.Value { return k.v }
func (number) value() interp.Value  { return interp.NewInt(1) }
func (mac) value() interp.Value     { return interp.NewMAC([6]byte{2}) }
func (address) value() interp.Value { return interp.NewIP(netip.AddrFrom4([4]byte{10})) }

// isNumber tells whether a value is a number or reads as one. Others count as true in the VM; in a
// filter they are a mistake, such as a name that means nothing.
func (k known) isNumber() bool {
	_, err := k.v.Int()
	return err == nil
}

// values are those that the symbols on the stack stand for.
func (p *path) values() []interp.Value {
	all := make([]interp.Value, len(p.stack))
	for i, s := range p.stack {
		all[i] = s.value()
	}
	return all
}

// flagSymbol returns a known flag.
func flagSymbol(b bool) symbol { return known{interp.NewFlag(b)} }

// number returns a symbol as a number. A known value converts if it is a number or reads as one.
func (p *path) number(s symbol) number {
	switch s := s.(type) {
	case number:
		return s
	case known:
		n, err := s.v.Int()
		if err == nil && (s.v.Subtype() != interp.Uint64 || n >= 0) { // otherwise it would wrap, but not in comparisons
			return number{predicate.Number(n), 1}
		}
	}
	p.fail("%s: a number is expected, not %s", p.step().Word, s)
	return number{}
}

func (p *path) popNumber() number { return p.number(p.pop()) }

// flag returns the test whether the symbol is not 0.
func (p *path) flag(s symbol) number {
	if n, ok := s.(number); ok {
		return n
	}
	p.fail("%s: a flag is expected, not %s", p.step().Word, s)
	return number{}
}

// pushNumber pushes a tree made of those numbers.
func (p *path) pushNumber(tree predicate.Expr, of ...number) {
	p.push(p.made(tree, of...))
}

func (p *path) made(tree predicate.Expr, of ...number) number {
	nodes := 1
	for _, n := range of {
		nodes += n.nodes
	}
	if nodes > maxNodes {
		p.fail("%s: a number made of more than %d parts, with those that dup has doubled", p.step().Word, maxNodes)
	}
	return number{tree, nodes}
}
