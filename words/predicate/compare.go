// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"net/netip"

	"ethertap/interp"
	"ethertap/lib/predicate"
)

// This file has the words that compare: numbers with each other, and addresses of the frame with
// known addresses. The VM compares all other values in the same way for every frame, so a filter
// that does so is a mistake.

// equal tests whether two values are equal.
func (p *path) equal(a, b symbol) symbol {
	if _, left := a.(known); left {
		a, b = b, a
	}
	switch a := a.(type) {
	case known:
		return flagSymbol(a.v.Same(b.(known).v))
	case number:
		n := p.number(b)
		return p.made(predicate.Compare{Op: predicate.Equal, A: a.tree, B: n.tree}, a, n)
	case mac:
		n := p.station(b)
		return p.made(predicate.Compare{Op: predicate.Equal, A: a.field, B: n.tree}, n)
	case address:
		x := p.host(b)
		return p.between(a, x, x)
	}
	p.incomparable(a, b)
	return nil
}

func (p *path) incomparable(a, b symbol) {
	p.fail("%s: %s and %s cannot be compared in a filter", p.step().Word, a, b)
}

// station returns a MAC address as a number.
func (p *path) station(s symbol) number {
	switch s := s.(type) {
	case mac:
		return number{s.field, 1}
	case known:
		if s.v.Kind() != interp.KindInt {
			if m, err := s.v.MAC(); err == nil {
				return number{predicate.Number(bits(m)), 1}
			}
		}
	}
	p.incomparable(mac{}, s)
	return number{}
}

func bits(m [6]byte) (n int64) {
	for _, b := range m {
		n = n<<8 | int64(b)
	}
	return n
}

// host returns a known IP address.
func (p *path) host(s symbol) netip.Addr {
	if k, ok := s.(known); ok && k.v.Kind() != interp.KindData {
		if a, err := k.v.IP(); err == nil {
			return a
		}
	}
	p.incomparable(address{}, s)
	return netip.Addr{}
}

// order compares the two values on top.
func (p *path) order(op predicate.Comparison) {
	b, a := p.pop(), p.pop()
	if _, left := a.(known); left {
		a, b, op = b, a, turned[op]
	}
	switch a := a.(type) {
	case number:
		p.compared(op, a, p.number(b))
	case mac:
		p.compared(op, number{a.field, 1}, p.station(b))
	case address:
		low, high := first, last
		switch x := p.host(b); op {
		case predicate.Less:
			high = before(x)
		case predicate.AtMost:
			high = x
		case predicate.Greater:
			low = behind(x)
		default:
			low = x
		}
		p.push(p.between(a, low, high))
	default:
		p.incomparable(a, b)
	}
}

// turned returns how b compares with a.
var turned = map[predicate.Comparison]predicate.Comparison{
	predicate.Less: predicate.Greater, predicate.Greater: predicate.Less, predicate.AtMost: predicate.AtLeast, predicate.AtLeast: predicate.AtMost,
}

// These are the bounds in the order of IP addresses: all of IPv4, then all of IPv6.
var (
	first, last = netip.AddrFrom4([4]byte{}), netip.AddrFrom16([16]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255})
	last4       = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	first6      = netip.IPv6Unspecified()
)

// before returns the address before another; it is not valid for the first.
func before(a netip.Addr) netip.Addr {
	if a == first6 {
		return last4
	}
	return a.Prev()
}

// behind returns the address after another; it is not valid for the last.
func behind(a netip.Addr) netip.Addr {
	if a == last4 {
		return first6
	}
	return a.Next()
}

// between tests whether an address of the frame is in a range of that order, both ends included.
// The range is empty if an end is not valid.
func (p *path) between(a address, low, high netip.Addr) symbol {
	switch {
	case !low.IsValid() || !high.IsValid() || high.Less(low):
		return flagSymbol(false)
	case low.Is4() == high.Is4():
		return p.made(predicate.Address{Of: a.field, Low: low, High: high})
	}
	four, six := predicate.Address{Of: a.field, Low: low, High: last4}, predicate.Address{Of: a.field, Low: first6, High: high}
	return p.made(predicate.Or{A: four, B: six}, number{four, 1}, number{six, 1})
}

// within takes a value and a range without its upper end. A range of numbers wraps, as in Forth.
func within(p *path) {
	high, low, x := p.pop(), p.pop(), p.pop()
	switch x := x.(type) {
	case mac:
		l, h := p.station(low), p.station(high)
		p.pushNumber(predicate.And{
			A: predicate.Compare{Op: predicate.AtLeast, A: x.field, B: l.tree}, B: predicate.Compare{Op: predicate.Less, A: x.field, B: h.tree},
		}, l, h, number{x.field, 4})
	case address:
		p.push(p.between(x, p.host(low), before(p.host(high))))
	default:
		n, l, h := p.number(x), p.number(low), p.number(high)
		p.compared(predicate.Below,
			p.made(predicate.Calculate{Op: predicate.Subtract, A: n.tree, B: l.tree}, n, l),
			p.made(predicate.Calculate{Op: predicate.Subtract, A: h.tree, B: l.tree}, h, l))
	}
}

// member takes an address of the frame and a known range. An IPv4 address equals the IPv6 address
// that it is mapped to.
func member(p *path) {
	r, x := p.pop(), p.pop()
	k, ok := r.(known)
	switch x := x.(type) {
	case mac:
		if low, high, err := k.v.MACRange(); ok && err == nil {
			p.pushNumber(predicate.And{
				A: predicate.Compare{Op: predicate.AtLeast, A: x.field, B: predicate.Number(bits(low))},
				B: predicate.Compare{Op: predicate.AtMost, A: x.field, B: predicate.Number(bits(high))},
			}, number{x.field, 6})
			return
		}
	case address:
		low, high, err := k.v.IPRange()
		if _, _, macs := k.v.MACRange(); ok && err == nil && macs != nil {
			p.push(p.inRange(x, low, high))
			return
		}
	}
	p.fail("member: an address of the packet and a range that is known are expected, not %s and %s", x, r)
}

func (p *path) inRange(x address, low, high netip.Addr) symbol {
	own, from, to := p.between(x, low, high), low, high
	if low.Is4() {
		from, to = wide(low), wide(high)
	} else { // the part of the range that is mapped from IPv4, if any
		if from.Less(wide(first)) {
			from = wide(first)
		}
		if wide(last4).Less(to) {
			to = wide(last4)
		}
		if to.Less(from) {
			return own
		}
		from, to = from.Unmap(), to.Unmap()
	}
	a, b := p.number(own), p.number(p.between(x, from, to))
	return p.made(predicate.Or{A: a.tree, B: b.tree}, a, b)
}

// wide returns the IPv6 address that an IPv4 address is mapped to.
func wide(a netip.Addr) netip.Addr { return netip.AddrFrom16(a.As16()) }
