package filter

// value is a node of the tree that is a number of 32 bits.
type value func(*packet) uint32

// arith is a value, the test that must hold before it can be looked at (nil: none),
// and whether it is a constant.
type arith struct {
	value  value
	guard  match
	proven bool // constant
}

// relation reads "tcp[13] & 2 != 0". Nil, with nothing read, says that no relation
// stands here: "(" and a number may begin something else.
func (c *compiler) relation() match {
	if !c.mayBeArith() {
		return nil
	}
	at, sure := c.pos, c.isLoad() || c.peek().text == "len"
	left := c.sum(0, sure)
	op := c.peek()
	if left == nil || op.kind != symbol || comparisons[op.text] == nil {
		if sure && left != nil {
			c.fail(op, "a comparison is expected, not %s", op)
		}
		c.pos = at
		return nil
	}
	c.next()
	right := c.sum(0, true)
	compare := comparisons[op.text]
	a, b := left.value, right.value
	m := func(p *packet) bool {
		x := a(p)
		return compare(x, b(p))
	}
	guard := both(left.guard, right.guard)
	if guard == nil {
		return m
	}
	return and(guard, m)
}

var comparisons = map[string]func(a, b uint32) bool{
	"=":  func(a, b uint32) bool { return a == b },
	"==": func(a, b uint32) bool { return a == b },
	"!=": func(a, b uint32) bool { return a != b },
	"<":  func(a, b uint32) bool { return a < b },
	">":  func(a, b uint32) bool { return a > b },
	"<=": func(a, b uint32) bool { return a <= b },
	">=": func(a, b uint32) bool { return a >= b },
}

// both holds when both do, nil being nothing to hold.
func both(a, b match) match {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return and(a, b)
}

func (c *compiler) mayBeArith() bool {
	t := c.peek()
	return t.kind == number || t.kind == symbol && (t.text == "(" || t.text == "-") ||
		t.kind == word && t.text == "len" || c.isLoad()
}

// isLoad says whether "tcp[" stands here.
func (c *compiler) isLoad() bool {
	if c.peek().kind != word || protocols[c.peek().text] == "" {
		return false
	}
	after := c.tokens[c.pos+1]
	return after.kind == symbol && after.text == "["
}

// levels are the operators, the weakest first. Not among them are ^ and %, to which
// libpcap's grammar gives no rank: they take the operand on their left and all there
// is on their right.
var levels = [][]string{{"|"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/"}}

// sum reads an expression of operators of that level and stronger ones. Unless sure,
// nil says that none stands here.
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

// apply makes the node of an operator. A division by zero or a shift beyond the word
// that shows now is an error; later it rejects the frame, or gives 0. As in libpcap
// only the left operand's protocol has to be there: "1 + tcp[0]" is looked at whatever
// the frame carries, "tcp[0] + 1" is not.
func (c *compiler) apply(op token, left, right *arith) *arith {
	a, b := left.value, right.value
	constant := uint32(1)
	if right.proven {
		constant = b(nil)
	}
	n := &arith{guard: left.guard, proven: left.proven && right.proven}
	switch op.text {
	case "+":
		n.value = func(p *packet) uint32 { return a(p) + b(p) }
	case "-":
		n.value = func(p *packet) uint32 { return a(p) - b(p) }
	case "*":
		n.value = func(p *packet) uint32 { return a(p) * b(p) }
	case "&":
		n.value = func(p *packet) uint32 { return a(p) & b(p) }
	case "|":
		n.value = func(p *packet) uint32 { return a(p) | b(p) }
	case "^":
		n.value = func(p *packet) uint32 { return a(p) ^ b(p) }
	case "<<", ">>":
		if constant > 31 {
			c.fail(op, "a shift by more than 31 bits")
		}
		if op.text == "<<" {
			n.value = func(p *packet) uint32 { return a(p) << b(p) }
		} else {
			n.value = func(p *packet) uint32 { return a(p) >> b(p) }
		}
	case "/", "%":
		if constant == 0 {
			c.fail(op, "division by zero")
		}
		modulo := op.text == "%"
		n.value = func(p *packet) uint32 {
			x, y := a(p), b(p)
			switch {
			case y == 0:
				p.bad = true
				return 0
			case modulo:
				return x % y
			}
			return x / y
		}
	}
	return n
}

// operand is a number, len, a load, or something in brackets.
func (c *compiler) operand(sure bool) *arith {
	t := c.peek()
	switch {
	case t.kind == number:
		c.next()
		return constant(t.n)
	case t.kind == word && t.text == "len":
		c.next()
		return &arith{value: func(p *packet) uint32 { return p.wire }}
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
	return &arith{value: func(*packet) uint32 { return n }, proven: true}
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
	base, guard := c.header(t, proto)
	offset := index.value
	return &arith{
		guard: both(index.guard, guard),
		value: func(p *packet) uint32 {
			i := offset(p)
			return p.load(uint64(uint32(base(p))+i), size)
		},
	}
}

// header is where the header of a protocol begins, and what must hold for it to be
// there.
func (c *compiler) header(t token, proto string) (base func(*packet) int, guard match) {
	at := c.payload + c.nl
	switch proto {
	case "ether":
		return func(*packet) int { return 0 }, nil
	case "ip", "ip6", "arp", "rarp", "decnet", "lat", "moprc", "mopdl", "sca":
		return func(*packet) int { return at }, c.etherType(t, ethertypes[proto])
	case "tcp", "udp", "sctp", "icmp", "igmp", "igrp", "pim", "vrrp", "carp":
		is := and(c.etherType(t, etherIP), and(c.abbreviation(t, proto), func(p *packet) bool { return p.half(at+6)&0x1fff == 0 }))
		return func(p *packet) int { return at + 4*int(p.byte(at)&0xf) }, is
	case "icmp6":
		return func(*packet) int { return at + 40 }, and(c.etherType(t, etherIP6), func(p *packet) bool { return p.byte(at+6) == 58 })
	}
	c.fail(t, "the bytes of %s cannot be asked for", t.text)
	return nil, nil
}
