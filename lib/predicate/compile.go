// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
)

// Compile makes code of a tree. It returns an error if the tree is too large, or has no meaning:
// a load of 3 bytes, or an address used as a number.
func Compile(e Expr) (*Code, error) {
	c := &compiler{code: &Code{}}
	yes, no := c.label(), c.label()
	c.test(simplify(e), 0, yes, no)
	c.place(yes)
	c.emit(Step{Do: Accept})
	c.place(no)
	c.emit(Step{Do: Reject})
	if c.err != nil {
		return nil, c.err
	}
	for i := range c.code.Steps {
		s := &c.code.Steps[i]
		s.Yes, s.No = c.places[s.Yes], c.places[s.No]
	}
	return c.code, nil
}

// compiler emits steps in their order. Until all are there, Yes and No of a step are labels;
// label 0 is none.
type compiler struct {
	code   *Code
	places []int // the step of each label
	err    error // the first one
}

var errLarge = fmt.Errorf("too large a filter: more than %d steps", maxSteps)

func (c *compiler) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *compiler) emit(s Step) {
	if len(c.code.Steps) >= maxSteps {
		c.fail(errLarge)
	}
	if c.err == nil {
		c.code.Steps = append(c.code.Steps, s)
	}
}

func (c *compiler) label() int {
	if len(c.places) == 0 {
		c.places = append(c.places, 0)
	}
	c.places = append(c.places, 0)
	return len(c.places) - 1
}

// place puts a label in front of the next step.
func (c *compiler) place(label int) { c.places[label] = len(c.code.Steps) }

func (c *compiler) deepen(d Depth) { c.code.Depth = max(c.code.Depth, d) }

// reach notes how far the dissector has to go for layers.
func (c *compiler) reach(l Layers) {
	switch {
	case l&^(Ethernet|Tag) == 0:
		c.deepen(ToTags)
	case l&^(Ethernet|Tag|ARP|IP) == 0:
		c.deepen(ToNetwork)
	default:
		c.deepen(ToTransport)
	}
}

// test emits code that goes on at yes if a tree holds, and at no if not. It leaves the registers
// below r alone. Control never falls through to the step after it.
func (c *compiler) test(e Expr, r int, yes, no int) {
	if c.err != nil {
		return
	}
	switch e := e.(type) {
	case Number:
		if e == 0 {
			yes = no
		}
		c.emit(Step{Do: Go, Yes: yes})
	case Inbound:
		c.emit(Step{Do: TestInbound, Yes: yes, No: no})
	case Is:
		c.reach(e.Any)
		c.emit(Step{Do: TestLayers, Layers: e.Any, Yes: yes, No: no})
	case Need:
		c.need(e.Any)
		c.test(e.Then, r, yes, no)
	case Address:
		c.address(e, yes, no)
	case Compare:
		c.compare(e, r, yes, no)
	case And:
		both := c.label()
		c.test(e.A, r, both, no)
		c.place(both)
		c.test(e.B, r, yes, no)
	case Or:
		other := c.label()
		c.test(e.A, r, yes, other)
		c.place(other)
		c.test(e.B, r, yes, no)
	case Not:
		c.test(e.A, r, no, yes)
	case If:
		then, otherwise := c.label(), c.label()
		c.test(e.Cond, r, then, otherwise)
		c.place(then)
		c.test(e.Then, r, yes, no)
		c.place(otherwise)
		c.test(e.Else, r, yes, no)
	default:
		c.number(e, r)
		c.emit(Step{Do: TestNumber, Op: uint8(NotEqual), A: uint8(r), Yes: yes, No: no})
	}
}

// need emits a step that fails without one of the layers.
func (c *compiler) need(l Layers) {
	c.reach(l)
	c.emit(Step{Do: NeedLayers, Layers: l})
}

// number emits code that puts a tree's number into register r, and leaves the registers below it
// alone.
func (c *compiler) number(e Expr, r int) {
	if c.err != nil {
		return
	}
	if r >= Registers {
		c.fail(fmt.Errorf("a filter with more than %d numbers under way at a time", Registers))
		return
	}
	to := uint8(r)
	switch e := e.(type) {
	case Number:
		c.emit(Step{Do: PutNumber, A: to, K: int64(e)})
	case Length:
		c.emit(Step{Do: PutLength, A: to})
	case Load:
		c.load(e, r)
	case Field:
		c.field(e, r)
	case Need:
		c.need(e.Any)
		c.number(e.Then, r)
	case Calculate:
		c.number(e.A, r)
		if b, ok := e.B.(Number); ok {
			c.emit(Step{Do: CalculatedBy, Op: uint8(e.Op), A: to, K: int64(b), Narrow: e.Narrow})
			return
		}
		c.number(e.B, r+1)
		c.emit(Step{Do: Calculated, Op: uint8(e.Op), A: to, B: to + 1, Narrow: e.Narrow})
	case If:
		then, otherwise, end := c.label(), c.label(), c.label()
		c.test(e.Cond, r, then, otherwise)
		c.place(then)
		c.number(e.Then, r)
		c.emit(Step{Do: Go, Yes: end})
		c.place(otherwise)
		c.number(e.Else, r)
		c.place(end)
	case Inbound, Is, Address, Compare, And, Or, Not:
		c.number(If{e, Number(-1), Number(0)}, r)
	default:
		c.fail(fmt.Errorf("%T is no part of a filter", e))
	}
}

func (c *compiler) field(f Field, r int) {
	switch f {
	case MACDestination, MACSource, EtherType, VLAN:
		c.deepen(ToTags)
	case ARPOperation, IPTTL, IPTOS:
		c.deepen(ToNetwork)
	case IPProtocol, SourcePort, DestinationPort, TCPFlags, TCPSequence, TCPAcknowledgement, ICMPType, ICMPCode:
		c.deepen(ToTransport)
	default:
		c.fail(errors.New("an IP address is no number"))
	}
	c.emit(Step{Do: PutField, Field: f, A: uint8(r)})
}

// load emits a load. Its offset is most often a constant, or lies after an IPv4 header.
func (c *compiler) load(e Load, r int) {
	if s, ok := loadStep(e); ok {
		s.A = uint8(r)
		c.emit(s)
		return
	}
	if e.Size != 1 && e.Size != 2 && e.Size != 4 {
		c.fail(fmt.Errorf("a load of %d bytes", e.Size))
	}
	c.number(e.At, r)
	c.emit(Step{Do: PutLoadAt, A: uint8(r), Size: uint8(e.Size)})
}

// loadStep returns a load that takes one step.
func loadStep(e Load) (s Step, ok bool) {
	if e.Size != 1 && e.Size != 2 && e.Size != 4 {
		return s, false
	}
	if at, ok := e.At.(Number); ok && at >= 0 && at < math.MaxInt32 {
		return Step{Do: PutLoad, At: int(at), Size: uint8(e.Size)}, true
	}
	if header, at, ok := behindIP4(e.At); ok {
		return Step{Do: PutLoadBehind, At: at, B: uint8(header), Size: uint8(e.Size)}, true
	}
	return s, false
}

// BehindIP4 returns the offset n bytes after the end of the IPv4 header that begins at header.
func BehindIP4(header, n int) Expr {
	size := Calculate{Multiply, Calculate{BitAnd, Load{Number(header), 1}, Number(15), false}, Number(4), false}
	return Calculate{Add, size, Number(header + n), false}
}

// behindIP4 recognizes what BehindIP4 returns.
func behindIP4(e Expr) (header, at int, ok bool) {
	sum, ok := e.(Calculate)
	if !ok {
		return 0, 0, false
	}
	product, _ := sum.A.(Calculate)
	masked, _ := product.A.(Calculate)
	load, _ := masked.A.(Load)
	from, isFixed := load.At.(Number)
	n, plusFixed := sum.B.(Number)
	if !isFixed || !plusFixed || from < 0 || from > math.MaxUint8 || n < from || n > math.MaxUint16 || e != BehindIP4(int(from), int(n-from)) {
		return 0, 0, false
	}
	return int(from), int(n), true
}

// compare emits a comparison.
func (c *compiler) compare(e Compare, r, yes, no int) {
	k, ok := e.B.(Number)
	if !ok {
		c.number(e.A, r)
		c.number(e.B, r+1)
		c.emit(Step{Do: TestRegisters, Op: uint8(e.Op), A: uint8(r), B: uint8(r + 1), Yes: yes, No: no})
		return
	}
	if s, ok := loadTest(e.A, k); ok && (e.Op == Equal || e.Op == NotEqual) {
		if s.Yes, s.No = yes, no; e.Op == NotEqual {
			s.Yes, s.No = no, yes
		}
		c.emit(s)
		return
	}
	c.number(e.A, r)
	c.emit(Step{Do: TestNumber, Op: uint8(e.Op), A: uint8(r), K: int64(k), Yes: yes, No: no})
}

// loadTest returns the test whether bytes, masked or not, are a number, if that takes one step.
func loadTest(e Expr, k Number) (s Step, ok bool) {
	mask := int64(math.MaxUint32)
	if and, is := e.(Calculate); is && and.Op == BitAnd {
		m, fixed := and.B.(Number)
		if !fixed || m < 0 || m > math.MaxUint32 {
			return s, false
		}
		e, mask = and.A, int64(m)
	}
	load, is := e.(Load)
	if !is {
		return s, false
	}
	if s, ok = loadStep(load); !ok {
		return s, false
	}
	if s.Do == PutLoad {
		s.Do = TestLoad
	} else {
		s.Do = TestBehind
	}
	s.Mask, s.K = uint32(mask), int64(k)
	return s, true
}

func (c *compiler) address(e Address, yes, no int) {
	if e.Of != IPSource && e.Of != IPDestination || !e.Low.IsValid() || e.Low.Is4() != e.High.Is4() {
		c.fail(errors.New("no range of IP addresses"))
		return
	}
	c.deepen(ToNetwork)
	r := Range{Six: !e.Low.Is4()}
	r.LowHigh, r.LowLow = halves(e.Low)
	r.HighHigh, r.HighLow = halves(e.High)
	c.code.Ranges = append(c.code.Ranges, r)
	c.emit(Step{Do: TestAddress, Field: e.Of, K: int64(len(c.code.Ranges) - 1), Yes: yes, No: no})
}

func halves(a netip.Addr) (high, low uint64) {
	if a.Is4() {
		b := a.As4()
		return 0, uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
}
