// SPDX-License-Identifier: BSD-3-Clause

package interp

import "net/netip"

// TypeName returns the name of the value's type: the kind, or for data the subtype, or ip4 for an
// IP address of 4 bytes.
func (v Value) TypeName() string {
	switch {
	case v.Kind() == KindData:
		return v.ref.sub.String()
	case v.ref == ip4Object:
		return "ip4"
	}
	return v.Kind().String()
}

// Subtypes returns the fixed-width subtypes of data, the narrow ones first.
func Subtypes() []Subtype {
	return []Subtype{Int8, Uint8, Int16, Uint16, Int32, Uint32, Int64, Uint64}
}

// Bounds returns the least and the greatest number of a fixed-width subtype. For uint64 they are
// those of an integer, since larger numbers wrap.
func (t Subtype) Bounds() (lo, hi int64) {
	size := uint(8 * subtypes[t].size)
	switch {
	case size == 0 || size == 64:
		return -1 << 63, 1<<63 - 1
	case subtypes[t].signed:
		return -1 << (size - 1), 1<<(size-1) - 1
	}
	return 0, 1<<size - 1
}

// MACRange returns v as a range of Ethernet addresses, both ends included. A single address is a
// range of one; strings that read as either convert.
func (v Value) MACRange() (lo, hi [6]byte, err error) {
	if v.Kind() == KindString {
		if a, ok := parseMAC(v.ref.bytes); ok { // twelve decimal digits too, which are a number as a literal
			return a, a, nil
		}
		if l, ok, err := ParseLiteral(v.ref.bytes); ok && err == nil {
			v = l
		}
	}
	if v.Kind() == KindMACRange || v.Kind() == KindData && len(v.ref.bytes) == 12 {
		b := []byte(v.ref.bytes)
		lo, hi = [6]byte(b[:6]), [6]byte(b[6:])
		if macBits(lo[:]) > macBits(hi[:]) {
			return lo, hi, errBackwards
		}
		return lo, hi, nil
	}
	if lo, err = v.MAC(); err != nil {
		return lo, lo, v.Unfit("a range of MAC addresses")
	}
	return lo, lo, nil
}

// IPRange returns v as a range of IP addresses of one family, both ends included. A single
// address is a range of one; strings that read as either convert, and so do prefixes such as
// 10.0.0.0/8.
func (v Value) IPRange() (lo, hi netip.Addr, err error) {
	if v.Kind() == KindString {
		if p, err := netip.ParsePrefix(v.ref.bytes); err == nil {
			lo, hi := prefixBounds(p)
			return lo, hi, nil
		}
		if l, ok, err := ParseLiteral(v.ref.bytes); ok && err == nil {
			v = l
		}
	}
	switch {
	case v.Kind() == KindIPRange:
		lo, hi = v.bounds()
		return lo, hi, nil
	case v.Kind() == KindData && len(v.ref.bytes) == 32:
		if lo, hi = v.bounds(); hi.Less(lo) {
			return lo, hi, errBackwards
		}
		return lo, hi, nil
	}
	if lo, err = v.IP(); err != nil {
		return lo, lo, v.Unfit("a range of IP addresses")
	}
	return lo, lo, nil
}

// prefixBounds returns the first and the last address of a prefix.
func prefixBounds(p netip.Prefix) (lo, hi netip.Addr) {
	lo = p.Masked().Addr()
	b := lo.AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	hi, _ = netip.AddrFromSlice(b)
	return lo, hi
}
