// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"cmp"
	"fmt"
)

// Same says whether two values are equal, that is, Compare finds neither before the other. Values
// that cannot be compared are not equal.
func (v Value) Same(w Value) bool {
	if v.ref == w.ref {
		return v.n == w.n
	}
	c, err := v.Compare(w)
	return err == nil && c == 0
}

// Compare orders two values: -1, 0 or 1. All words compare by this rule, among them =, < and
// case. A string that reads as a number, an address or a range is one. Numbers of any width are
// compared by value, and so are MAC addresses, IP addresses (IPv4 before IPv6) and ranges (by
// their beginnings, then by their ends). Other text is compared byte by byte, and so is data with
// data and with whatever has bytes. A number and a text, or an address and a number, cannot be
// compared, unless both are strings: then numbers come first, then addresses, then text, so that
// a list of strings has one order.
func (v Value) Compare(w Value) (int, error) {
	if v.ref == nil && w.ref == nil {
		return cmp.Compare(v.n, w.n), nil
	}
	a, b := v.Kind(), w.Kind()
	switch {
	case a == KindString && b == KindString:
		return compareText(v, w), nil
	case v.isNumber() && w.isNumber():
		return compareNumbers(v, w)
	case v.isBytes() && b != KindInt || w.isBytes() && a != KindInt:
		return compareBytes(v, w)
	case v.isNumber() && b == KindString, w.isNumber() && a == KindString:
		return compareNumbers(v, w)
	case a == b, a == KindString, b == KindString:
		return compareAddresses(max(a, b), v, w)
	case v.isBytes() || w.isBytes(): // the other is an integer, which has no width
		return compareNumbers(v, w)
	}
	return 0, fmt.Errorf("%s and %s cannot be compared", v.TypeName(), w.TypeName())
}

// isNumber says whether v is a number, and not just reads as one.
func (v Value) isNumber() bool { return v.ref == nil || v.ref.sub != Generic }

// isBytes says whether v is data that is not a number.
func (v Value) isBytes() bool { return v.Kind() == KindData && v.ref.sub == Generic }

// beyondInt says whether v is a number that wraps when it is read as an integer.
func (v Value) beyondInt() bool { return v.Subtype() == Uint64 && v.ref.dataInt() < 0 }

func compareNumbers(v, w Value) (int, error) {
	m, err := v.Int()
	if err != nil {
		return 0, err
	}
	n, err := w.Int()
	switch {
	case err != nil:
		return 0, err
	case v.beyondInt() == w.beyondInt():
		return cmp.Compare(m, n), nil
	case v.beyondInt():
		return 1, nil
	}
	return -1, nil
}

func compareBytes(v, w Value) (int, error) {
	return cmp.Compare(string(v.Bytes()), string(w.Bytes())), nil
}

// compareText orders two strings by what they read as.
func compareText(v, w Value) int {
	if v.ref.bytes == w.ref.bytes {
		return 0
	}
	v, w = v.read(), w.read()
	if a, b := v.rank(), w.rank(); a != b {
		return cmp.Compare(a, b)
	}
	if v.Kind() == KindString {
		return cmp.Compare(v.ref.bytes, w.ref.bytes)
	}
	c, _ := v.Compare(w) // values of one kind can be compared
	return c
}

// read returns the literal that a string reads as, or v.
func (v Value) read() Value {
	if l, ok, err := ParseLiteral(v.ref.bytes); ok && err == nil {
		return l
	}
	return v
}

// rank returns the place of a value that a string reads as in the order of strings: kinds by
// number, and text last.
func (v Value) rank() Kind {
	if v.Kind() == KindString {
		return KindIPRange + 1
	}
	return v.Kind()
}

// compareAddresses orders two addresses or ranges of a kind; one of them may be a string.
func compareAddresses(k Kind, v, w Value) (int, error) {
	a, err := v.as(k)
	if err != nil {
		return 0, err
	}
	b, err := w.as(k)
	if err != nil {
		return 0, err
	}
	switch k {
	case KindMAC:
		return cmp.Compare(a.n, b.n), nil
	case KindIP:
		return a.addr().Compare(b.addr()), nil
	}
	return cmp.Or(cmp.Compare(a.Len(), b.Len()), cmp.Compare(a.ref.bytes, b.ref.bytes)), nil
}

// as converts v to a kind of addresses or ranges.
func (v Value) as(k Kind) (Value, error) {
	switch k {
	case KindMAC:
		a, err := v.MAC()
		return NewMAC(a), err
	case KindIP:
		a, err := v.IP()
		return NewIP(a), err
	case KindMACRange:
		lo, hi, err := v.MACRange()
		return NewMACRange(lo, hi), err
	}
	lo, hi, err := v.IPRange()
	return NewIPRange(lo, hi), err
}
