// SPDX-License-Identifier: BSD-3-Clause

package filter

import (
	"fmt"

	"ethertap/lib/predicate"
)

// compiler reads tokens and makes the tree as it goes. As in libpcap, the position of the headers
// of a frame depends on the VLAN, MPLS and PPPoE keywords read so far.
type compiler struct {
	tokens []token
	pos    int
	depth  int

	linktype int  // offset of the Ethertype
	payload  int  // offset of what follows it
	nl       int  // MPLS labels in front of the network layer, in bytes
	vlans    int  // VLAN keywords so far
	labels   int  // MPLS keywords so far
	ppp      bool // inside PPPoE: the type is a type of PPP
}

// quals are the qualifiers before an id, such as tcp, dst and port. They apply to the bare ids
// that follow, too: "tcp dst port 80 or 443".
type quals struct {
	proto string // "" means any
	dir   string // src, dst, "src and dst"; "" means either
	what  string // host, net, port, portrange, proto; "" means host
	known bool   // there are qualifiers
}

// failure is a syntax error on its way up; Parse recovers it.
type failure struct{ error }

func (c *compiler) fail(t token, format string, args ...any) {
	panic(failure{fmt.Errorf("at %d: %s", t.at+1, fmt.Sprintf(format, args...))})
}

// maxDepth bounds the nesting of brackets.
const maxDepth = 256

func (c *compiler) deeper() {
	if c.depth++; c.depth > maxDepth {
		c.fail(c.peek(), "more than %d brackets in one another", maxDepth)
	}
}

func (c *compiler) compile() (m tree, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(failure)
			if !ok {
				panic(r)
			}
			err = f.error
		}
	}()
	m, _ = c.expr(quals{}, false)
	if t := c.peek(); t.kind != end {
		c.fail(t, "%s is not expected here", t)
	}
	return m, nil
}

func (c *compiler) peek() token { return c.tokens[c.pos] }

func (c *compiler) next() token {
	t := c.tokens[c.pos]
	if t.kind != end {
		c.pos++
	}
	return t
}

// accept takes the next token if it is one of these words or symbols.
func (c *compiler) accept(texts ...string) bool {
	t := c.peek()
	for _, s := range texts {
		if (t.kind == word || t.kind == symbol) && t.text == s {
			c.pos++
			return true
		}
	}
	return false
}

// expr reads terms joined by and, or: equally strong, from left to right. With ids, only ids are
// allowed, as in "port (80 or 443)".
func (c *compiler) expr(q quals, ids bool) (tree, quals) {
	m, q := c.term(q, ids)
	for {
		isAnd := c.accept("and", "&&")
		if !isAnd && !c.accept("or", "||") {
			return m, q
		}
		var right tree
		if right, q = c.term(q, ids); isAnd {
			m = and(m, right)
		} else {
			m = or(m, right)
		}
	}
}

// term reads one condition; q are the qualifiers for a bare id.
func (c *compiler) term(q quals, ids bool) (tree, quals) {
	c.deeper()
	defer func() { c.depth-- }()
	if c.accept("not", "!") {
		m, q := c.term(q, ids)
		return predicate.Not{A: m}, q
	}
	if !ids {
		if m := c.relation(); m != nil {
			return m, quals{}
		}
	}
	if c.accept("(") {
		m, q := c.expr(q, ids)
		c.want(")")
		return m, q
	}
	t := c.peek()
	if !ids {
		if m, q, ok := c.keyword(t); ok {
			return m, q
		}
	}
	switch t.kind {
	case word:
		if reserved[t.text] {
			c.fail(t, "%s is not expected here", t)
		}
	case symbol, end:
		c.fail(t, "something to match is expected, not %s", t)
	}
	if !q.known {
		c.fail(t, "%s of what? host, net, port …", t)
	}
	return c.id(q), q
}

func (c *compiler) want(s string) {
	if t := c.peek(); !c.accept(s) {
		c.fail(t, "%q is expected, not %s", s, t)
	}
}

// keyword reads a term that begins with a keyword: a qualifier or a primitive without an id.
func (c *compiler) keyword(t token) (m tree, q quals, ok bool) {
	if t.kind != word {
		return nil, quals{}, false
	}
	if m := c.plain(t); m != nil {
		return m, quals{}, true
	}
	q.proto = protocols[t.text]
	if q.proto != "" {
		c.next()
		switch after := c.peek(); {
		case after.kind == word && (after.text == "multicast" || after.text == "broadcast"):
			c.next()
			return c.group(after, q.proto), quals{}, true
		case after.kind == word && isQualifier[after.text]:
		default:
			return c.abbreviation(t, q.proto), quals{}, true
		}
	} else if !isQualifier[t.text] {
		return nil, quals{}, false
	}
	q.known = true
	switch {
	case c.accept("src"):
		q.dir = c.directions("src", "dst")
	case c.accept("dst"):
		q.dir = c.directions("dst", "src")
	}
	if t := c.peek(); t.kind == word {
		switch t.text {
		case "host", "net", "port", "portrange", "proto":
			c.next()
			q.what = t.text
		}
	}
	switch t := c.peek(); {
	case t.kind == word && t.text == "protochain":
		c.fail(t, "protochain is not supported; a word of RPCL with packet.ip.proto follows the headers")
	case t.kind == word && t.text == "gateway":
		c.fail(t, "gateway is not supported")
	}
	m, _ = c.term(q, true)
	return m, q, true
}

// directions reads the rest of "src or dst" and "src and dst".
func (c *compiler) directions(first, second string) string {
	at := c.pos
	for _, join := range []string{"or", "and"} {
		if c.accept(join, map[string]string{"or": "||", "and": "&&"}[join]) && c.accept(second) {
			if join == "or" {
				return ""
			}
			return "src and dst"
		}
		c.pos = at
	}
	return first
}

var isQualifier = map[string]bool{
	"src": true, "dst": true, "host": true, "net": true, "port": true, "portrange": true,
	"proto": true, "protochain": true, "gateway": true,
}

// reserved are the words that are not names unless a \ comes before them.
var reserved = map[string]bool{
	"src": true, "dst": true, "host": true, "net": true, "mask": true, "port": true, "portrange": true,
	"proto": true, "protochain": true, "gateway": true, "less": true, "greater": true, "len": true,
	"and": true, "or": true, "not": true, "broadcast": true, "multicast": true, "vlan": true, "mpls": true,
	"pppoed": true, "pppoes": true, "geneve": true, "inbound": true, "outbound": true,
}
