// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"bytes"
	"fmt"
	"math/big"
	"net/netip"

	"ethertap/interp"
)

// A range includes both of its ends. A single address is taken as a range of one.
var rangeWords = []interp.Word{
	{Name: "range", Stack: "( first last - range )", Help: "the range between two MAC or two IP addresses", Example: "10.0.0.1 10.0.0.9 range .", Func: makeRange},
	{Name: "range.first", Stack: "( range - address )", Help: "the first address of a range", Example: "\"10.0.0.0/24\" str->iprange_t range.first .", Func: rangeEnd(false)},
	{Name: "range.last", Stack: "( range - address )", Help: "the last address of a range", Example: "\"10.0.0.0/24\" str->iprange_t range.last .", Func: rangeEnd(true)},
	{Name: "range.count", Stack: "( range - n )", Help: "number of addresses of a range", Example: "\"10.0.0.0/24\" str->iprange_t range.count .", Func: rangeCount},
	{Name: "member", Stack: "( address range - flag )", Help: "whether an address is in a range", Example: "10.0.0.5 10.0.0.1-10.0.0.9 member .\n00:23:7d:86:71:ff 00:23:7d:00:00:00-00:23:7d:ff:ff:ff member .", Func: member},
	{Name: "address+", Stack: "( address n - address )", Help: "the MAC or IP address n places further on; n may be negative", Example: "10.0.0.255 1 address+ .", Func: addressPlus},
}

// limits are the ends of a range of MAC or IP addresses, as bytes in network order, with the
// function that turns such bytes back into a value.
type limits struct {
	lo, hi []byte
	value  func([]byte) interp.Value
}

func macValue(b []byte) interp.Value { return interp.NewMAC([6]byte(b)) }

func ipValue(b []byte) interp.Value {
	a, _ := netip.AddrFromSlice(b)
	return interp.NewIP(a)
}

// limitsOf returns the ends of a range. For an address both are the address.
func limitsOf(v interp.Value) (limits, error) {
	if lo, hi, err := v.MACRange(); err == nil {
		return limits{lo[:], hi[:], macValue}, nil
	}
	lo, hi, err := v.IPRange()
	if err != nil {
		return limits{}, v.Unfit("a MAC or IP address or a range of them")
	}
	return limits{lo.AsSlice(), hi.AsSlice(), ipValue}, nil
}

func popLimits(s *interp.Session) (limits, error) {
	v, err := s.Pop()
	if err != nil {
		return limits{}, err
	}
	return limitsOf(v)
}

// popAddress takes a single address.
func popAddress(s *interp.Session) (limits, error) {
	v, err := s.Pop()
	if err != nil {
		return limits{}, err
	}
	l, err := limitsOf(v)
	if err == nil && !bytes.Equal(l.lo, l.hi) {
		err = v.Unfit("a single address")
	}
	return l, err
}

func makeRange(s *interp.Session) error {
	last, err := popAddress(s)
	if err != nil {
		return err
	}
	first, err := popAddress(s)
	switch {
	case err != nil:
		return err
	case len(first.lo) != len(last.lo):
		return fmt.Errorf("%s and %s are not of one kind", first.value(first.lo).Source(), last.value(last.lo).Source())
	case bytes.Compare(first.lo, last.lo) > 0:
		return fmt.Errorf("the range from %s to %s ends before it begins", first.value(first.lo).Source(), last.value(last.lo).Source())
	case len(first.lo) == 6:
		return s.Push(interp.NewMACRange([6]byte(first.lo), [6]byte(last.lo)))
	}
	lo, _ := netip.AddrFromSlice(first.lo)
	hi, _ := netip.AddrFromSlice(last.lo)
	return s.Push(interp.NewIPRange(lo, hi))
}

func rangeEnd(last bool) func(*interp.Session) error {
	return func(s *interp.Session) error {
		l, err := popLimits(s)
		if err != nil {
			return err
		}
		if last {
			return s.Push(l.value(l.hi))
		}
		return s.Push(l.value(l.lo))
	}
}

func rangeCount(s *interp.Session) error {
	l, err := popLimits(s)
	if err != nil {
		return err
	}
	n := new(big.Int).SetBytes(l.hi)
	n.Sub(n, new(big.Int).SetBytes(l.lo)).Add(n, big.NewInt(1))
	if !n.IsInt64() {
		return fmt.Errorf("the range has %s addresses, more than an integer can say", n)
	}
	return s.Push(interp.NewInt(n.Int64()))
}

// member compares by meaning: an IPv4 address can be in a range of v4-mapped addresses, and the
// other way round.
func member(s *interp.Session) error {
	r, err := popLimits(s)
	if err != nil {
		return err
	}
	a, err := popAddress(s)
	if err != nil {
		return err
	}
	lo, hi, x := wide(r.lo), wide(r.hi), wide(a.lo)
	in := len(x) == len(lo) && bytes.Compare(lo, x) <= 0 && bytes.Compare(x, hi) <= 0
	return s.Push(interp.NewFlag(in))
}

// wide returns an address in 16 bytes; IPv4 becomes v4-mapped.
func wide(b []byte) []byte {
	if len(b) != 4 {
		return b
	}
	w := netip.AddrFrom4([4]byte(b)).As16()
	return w[:]
}

func addressPlus(s *interp.Session) error {
	n, err := s.PopInt()
	if err != nil {
		return err
	}
	a, err := popAddress(s)
	if err != nil {
		return err
	}
	sum := new(big.Int).SetBytes(a.lo)
	sum.Add(sum, big.NewInt(n))
	if sum.Sign() < 0 || sum.BitLen() > 8*len(a.lo) {
		return fmt.Errorf("%s has no address %d places further on", a.value(a.lo).Source(), n)
	}
	return s.Push(a.value(sum.FillBytes(make([]byte, len(a.lo)))))
}
