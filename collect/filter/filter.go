// Package filter is the capture filter language of tcpdump, pcap-filter(7), for
// Ethernet frames: an expression becomes a tree of small functions that say
// whether a frame matches.
//
//	"tcp port 443" → lex.go → parse.go → primitive.go, arith.go → Filter
//
// What an expression means is what libpcap makes of it, to the corner cases: a
// load beyond the end of the frame rejects the frame, whatever stands around
// it; a VLAN keyword moves the offsets of all that follows it. The tests hold it
// against tcpdump, frame by frame.
//
// Not there: the primitives of other link layers than Ethernet (and PPP in
// PPPoE), protochain, gateway, geneve, ip broadcast (which needs a netmask), the
// names of /etc/networks and /etc/ethers, and the protocols of 802.2. Each is
// refused by name.
//
// It knows no queue and no file.
package filter

import "fmt"

// Filter is a compiled expression. It is for one goroutine.
type Filter struct {
	expr  string
	match match
	p     packet
}

// Compile makes a filter of an expression; an empty one matches everything. The
// error names the place and what is wrong there. A host name in the expression is
// looked up now.
func Compile(expr string) (*Filter, error) {
	if len(expr) > maxExpr {
		return nil, fmt.Errorf("filter: longer than %d bytes", maxExpr)
	}
	tokens, err := lex(expr)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", expr, err)
	}
	f := &Filter{expr: expr}
	if len(tokens) == 1 { // the end alone
		f.match = func(*packet) bool { return true }
		return f, nil
	}
	c := &compiler{tokens: tokens, linktype: 12, payload: 14}
	if f.match, err = c.compile(); err != nil {
		return nil, fmt.Errorf("filter %q: %w", expr, err)
	}
	return f, nil
}

// String is the expression.
func (f *Filter) String() string { return f.expr }

// Match says whether the frame matches. data is what was captured of it, wire its
// length on the wire.
func (f *Filter) Match(data []byte, wire uint32) bool {
	f.p = packet{data: data, wire: wire}
	return f.match(&f.p) && !f.p.bad
}

// maxExpr bounds an expression, and with it the depth of its tree.
const maxExpr = 16 << 10

// match is a node of the tree that is true or false.
type match func(*packet) bool

// packet is the frame under test.
type packet struct {
	data []byte
	wire uint32
	bad  bool // a load went beyond the end, or something was divided by zero: no match
}

// load is a big-endian number of 1, 2 or 4 bytes.
func (p *packet) load(offset uint64, size int) uint32 {
	if offset+uint64(size) > uint64(len(p.data)) {
		p.bad = true
		return 0
	}
	v := uint32(0)
	for _, b := range p.data[offset : offset+uint64(size)] {
		v = v<<8 | uint32(b)
	}
	return v
}

func (p *packet) byte(offset int) uint32 {
	if offset >= len(p.data) {
		p.bad = true
		return 0
	}
	return uint32(p.data[offset])
}

func (p *packet) half(offset int) uint32 {
	if offset+2 > len(p.data) {
		p.bad = true
		return 0
	}
	return uint32(p.data[offset])<<8 | uint32(p.data[offset+1])
}

func (p *packet) word(offset int) uint32 { return p.load(uint64(offset), 4) }

func and(a, b match) match { return func(p *packet) bool { return a(p) && b(p) } }
func or(a, b match) match  { return func(p *packet) bool { return a(p) || b(p) } }
func not(a match) match    { return func(p *packet) bool { return !a(p) } }

// any of them, looked at in order.
func anyOf(first match, rest ...match) match {
	for _, m := range rest {
		first = or(first, m)
	}
	return first
}
