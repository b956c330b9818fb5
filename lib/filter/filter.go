// SPDX-License-Identifier: BSD-3-Clause

// Package filter is the capture filter language of tcpdump, pcap-filter(7), for
// Ethernet frames: an expression becomes a tree of package predicate.
//
//	"tcp port 443" → lex.go → parse.go → primitive.go, arith.go → predicate.Expr
//
// An expression means what it means to libpcap, even in corner cases: a load beyond
// the end of the frame rejects the frame, whatever surrounds it; a VLAN keyword moves
// the offsets of all that follows it. The tests compare it with tcpdump, frame by
// frame.
//
// "inbound" matches frames that a port has received, "outbound" those that it sends.
//
// The package lacks the primitives of link layers other than Ethernet (and PPP in
// PPPoE), protochain, gateway, geneve, ip broadcast (which needs a netmask), the names
// of /etc/networks and /etc/ethers, and the protocols of 802.2. The error for each of
// them names it.
//
// The package knows no queue and no file of packets.
package filter

import (
	"fmt"

	"ethertap/lib/predicate"
)

// Parse makes a tree of an expression; an empty one matches everything. The error gives the place
// and the mistake. Host names in the expression are looked up now.
func Parse(expr string) (predicate.Expr, error) {
	if len(expr) > maxExpr {
		return nil, fmt.Errorf("filter: longer than %d bytes", maxExpr)
	}
	tokens, err := lex(expr)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", expr, err)
	}
	if len(tokens) == 1 { // there is only the end
		return predicate.Number(-1), nil
	}
	c := &compiler{tokens: tokens, linktype: 12, payload: 14}
	e, err := c.compile()
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", expr, err)
	}
	return e, nil
}

// maxExpr bounds an expression, and with it the depth of its tree.
const maxExpr = 16 << 10

// Filter is an expression that is ready to be applied to frames. It is for one goroutine.
type Filter struct {
	expr    string
	tree    predicate.Expr
	code    *predicate.Code
	frame   predicate.Frame
	scratch predicate.Scratch
}

// Compile makes a filter of an expression, with the errors of Parse.
func Compile(expr string) (*Filter, error) {
	e, err := Parse(expr)
	if err != nil {
		return nil, err
	}
	code, err := predicate.Compile(e)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", expr, err)
	}
	return &Filter{expr: expr, tree: e, code: code}, nil
}

// String returns the expression.
func (f *Filter) String() string { return f.expr }

// Tree returns the tree of the expression.
func (f *Filter) Tree() predicate.Expr { return f.tree }

// Match says whether a frame matches. data is its captured part, wire its length on the wire in
// bytes; outbound says that a port sends it, and did not receive it.
func (f *Filter) Match(data []byte, wire uint32, outbound bool) bool {
	f.frame = predicate.Frame{Data: data, Wire: int(wire), Outbound: outbound}
	return f.code.Match(&f.scratch, &f.frame) == predicate.Match
}
