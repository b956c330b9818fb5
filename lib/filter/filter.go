// Package filter is the capture filter language of tcpdump, pcap-filter(7), for
// Ethernet frames: an expression becomes a tree of package predicate.
//
//	"tcp port 443" → lex.go → parse.go → primitive.go, arith.go → predicate.Expr
//
// What an expression means is what libpcap makes of it, to the corner cases: a
// load beyond the end of the frame rejects the frame, whatever stands around
// it; a VLAN keyword moves the offsets of all that follows it. The tests hold it
// against tcpdump, frame by frame.
//
// "inbound" and "outbound" mean here what a port received and what it sends.
//
// Not there: the primitives of other link layers than Ethernet (and PPP in
// PPPoE), protochain, gateway, geneve, ip broadcast (which needs a netmask), the
// names of /etc/networks and /etc/ethers, and the protocols of 802.2. Each is
// refused by name.
//
// It knows no queue and no file of packets.
package filter

import (
	"fmt"

	"ethertap/lib/predicate"
)

// Parse makes a tree of an expression; an empty one matches everything. The error
// names the place and what is wrong there. A host name in the expression is looked
// up now.
func Parse(expr string) (predicate.Expr, error) {
	if len(expr) > maxExpr {
		return nil, fmt.Errorf("filter: longer than %d bytes", maxExpr)
	}
	tokens, err := lex(expr)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", expr, err)
	}
	if len(tokens) == 1 { // the end alone
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

// Filter is an expression that is ready to look at frames. It is for one goroutine.
type Filter struct {
	expr    string
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
	return &Filter{expr: expr, code: code}, nil
}

// String is the expression.
func (f *Filter) String() string { return f.expr }

// Match says whether a frame matches. data is what was captured of it, wire its
// length on the wire in bytes; outbound says that it is looked at as a port sent it, not
// as one received it.
func (f *Filter) Match(data []byte, wire uint32, outbound bool) bool {
	f.frame = predicate.Frame{Data: data, Wire: int(wire), Outbound: outbound}
	return f.code.Match(&f.scratch, &f.frame) == predicate.Match
}
