// SPDX-License-Identifier: BSD-3-Clause

package filter

import "ethertap/lib/predicate"

// arith is a number of 32 bits, and the test that must hold before the number can be read (nil:
// none).
type arith struct {
	value tree
	guard tree
}

// relation reads "tcp[13] & 2 != 0". It returns nil, and reads nothing, if there is no relation
// here: "(" and a number may begin something else.
func (c *compiler) relation() tree {
	if !c.mayBeArith() {
		return nil
	}
	at, sure := c.pos, c.isLoad() || c.peek().text == "len"
	left := c.sum(0, sure)
	op := c.peek()
	compare, ok := comparisons[op.text]
	if left == nil || op.kind != symbol || !ok {
		if sure && left != nil {
			c.fail(op, "a comparison is expected, not %s", op)
		}
		c.pos = at
		return nil
	}
	c.next()
	right := c.sum(0, true)
	return guarded(both(left.guard, right.guard), predicate.Compare{Op: compare, A: left.value, B: right.value})
}

var comparisons = map[string]predicate.Comparison{
	"=": predicate.Equal, "==": predicate.Equal, "!=": predicate.NotEqual,
	"<": predicate.Less, ">": predicate.Greater, "<=": predicate.AtMost, ">=": predicate.AtLeast,
}

// guarded returns a test that also needs a guard; nil is no guard.
func guarded(guard, test tree) tree {
	if guard == nil {
		return test
	}
	return and(guard, test)
}

// both returns the guard of two numbers.
func both(a, b tree) tree {
	if b == nil {
		return a
	}
	return guarded(a, b)
}

func (c *compiler) mayBeArith() bool {
	t := c.peek()
	return t.kind == number || t.kind == symbol && (t.text == "(" || t.text == "-") ||
		t.kind == word && t.text == "len" || c.isLoad()
}

// isLoad says whether "tcp[" comes next.
func (c *compiler) isLoad() bool {
	if c.peek().kind != word || protocols[c.peek().text] == "" {
		return false
	}
	after := c.tokens[c.pos+1]
	return after.kind == symbol && after.text == "["
}

// levels are the operators, the weakest first. They do not contain ^ and %, to which libpcap's
// grammar gives no rank: these take the operand on their left and everything on their right.
var levels = [][]string{{"|"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/"}}

// sum reads an expression of operators of that level and stronger ones. If there is none, it
// fails if sure is set, and otherwise returns nil.
func (c *compiler) sum(level int, sure bool) *arith {
	c.deeper()
	defer func() { c.depth-- }()
	operators, right := []string{"^", "%"}, 0
	var left *arith
	if level < len(levels) {
		operators, right = levels[level], level+1
		left = c.sum(level+1, sure)
	} else {
		left = c.operand(sure)
	}
	for left != nil {
		op := c.peek()
		if !c.accept(operators...) {
			break
		}
		b := c.sum(right, sure)
		if b == nil {
			return nil
		}
		left = c.apply(op, left, b)
	}
	return left
}

var operators = map[string]predicate.Operator{
	"+": predicate.Add, "-": predicate.Subtract, "*": predicate.Multiply, "/": predicate.Divide, "%": predicate.Modulo,
	"&": predicate.BitAnd, "|": predicate.BitOr, "^": predicate.BitXor, "<<": predicate.ShiftLeft, ">>": predicate.ShiftRight,
}

// apply makes the node of an operator. A division by zero or a shift beyond the word is an error
// if it shows now; later it rejects the frame, or gives 0. As in libpcap, only the protocol of
// the left operand has to be there: "1 + tcp[0]" is computed for every frame, "tcp[0] + 1" is
// not.
func (c *compiler) apply(op token, left, right *arith) *arith {
	b, fixed := predicate.Fixed(right.value)
	switch op.text {
	case "<<", ">>":
		if fixed && b > 31 {
			c.fail(op, "a shift by more than 31 bits")
		}
	case "/", "%":
		if fixed && b == 0 {
			c.fail(op, "division by zero")
		}
	}
	return &arith{
		value: predicate.Calculate{Op: operators[op.text], A: left.value, B: right.value, Narrow: true},
		guard: left.guard,
	}
}

// operand reads a number, len, a load, or an expression in brackets.
func (c *compiler) operand(sure bool) *arith {
	t := c.peek()
	switch {
	case t.kind == number:
		c.next()
		return constant(t.n)
	case t.kind == word && t.text == "len":
		c.next()
		return &arith{value: predicate.Length{}}
	case c.isLoad():
		return c.loadOf()
	case c.accept("-"):
		a := c.sum(len(levels), sure)
		if a == nil {
			return nil
		}
		return c.apply(token{text: "-", at: t.at}, constant(0), a)
	case c.accept("("):
		a := c.sum(0, sure)
		if a == nil || !sure && !c.accept(")") {
			return nil
		}
		if sure {
			c.want(")")
		}
		return a
	}
	if sure {
		c.fail(t, "a number is expected, not %s", t)
	}
	return nil
}

func constant(n uint32) *arith {
	return &arith{value: predicate.Number(n)}
}

// loadOf reads "tcp[12:2]": bytes of a header.
func (c *compiler) loadOf() *arith {
	t := c.next()
	proto := protocols[t.text]
	c.want("[")
	index := c.sum(0, true)
	size := 1
	if c.accept(":") {
		at := c.peek()
		if size = int(c.number(4)); size != 1 && size != 2 && size != 4 {
			c.fail(at, "1, 2 or 4 bytes can be loaded, not %d", size)
		}
	}
	c.want("]")
	at, guard := c.header(t, proto, index.value)
	return &arith{guard: both(index.guard, guard), value: predicate.Load{At: at, Size: size}}
}

// header returns the offset of a byte of the header of a protocol, and the test that says whether
// the header is there. As in libpcap, the place where the header begins is added without wrapping:
// no frame has a byte at 2³² or beyond.
func (c *compiler) header(t token, proto string, index tree) (offset, guard tree) {
	at := c.payload + c.nl
	behind := func(index tree, n int) tree {
		return predicate.Calculate{Op: predicate.Add, A: index, B: predicate.Number(n)}
	}
	switch proto {
	case "ether":
		return index, nil
	case "ip", "ip6", "arp", "rarp", "decnet", "lat", "moprc", "mopdl", "sca":
		return behind(index, at), c.etherType(t, ethertypes[proto])
	case "tcp", "udp", "sctp", "icmp", "igmp", "igrp", "pim", "vrrp", "carp":
		is := and(c.etherType(t, etherIP), c.abbreviation(t, proto), is(masked(halfAt(at+6), 0x1fff), 0))
		if n, fixed := predicate.Fixed(index); fixed && n < maxBehind {
			return predicate.BehindIP4(at, int(n)), is
		}
		size := predicate.Calculate{Op: predicate.Multiply, A: masked(byteAt(at), 0xf), B: predicate.Number(4)}
		return behind(predicate.Calculate{Op: predicate.Add, A: index, B: size, Narrow: true}, at), is
	case "icmp6":
		return behind(index, at+40), and(c.etherType(t, etherIP6), is(byteAt(at+6), 58))
	}
	c.fail(t, "the bytes of %s cannot be asked for", t.text)
	return nil, nil
}

// maxBehind bounds the offsets that are written as a constant.
const maxBehind = 1 << 12
