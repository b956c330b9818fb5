// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync/atomic"
)

// Kind is the type of a Value.
type Kind uint8

// These are the kinds of values.
const (
	KindInt      Kind = iota // 64-bit signed integer
	KindString               // UTF-8 text
	KindData                 // bytes, with a Subtype
	KindMAC                  // Ethernet address, 48 bits
	KindMACRange             // two Ethernet addresses, both included
	KindIP                   // IPv4 or IPv6 address
	KindIPRange              // two IP addresses of one family, both included
)

var kindNames = [...]string{"integer", "string", "data", "mac", "macrange", "ip", "iprange"}

func (k Kind) String() string { return kindNames[k] }

// Subtype says how data is read and printed. Numbers are kept in network byte order.
type Subtype uint8

// These are the subtypes of data. Generic data has any length, the others that of their type.
const (
	Generic Subtype = iota
	Int8
	Uint8
	Int16
	Uint16
	Int32
	Uint32
	Int64
	Uint64
)

var subtypes = [...]struct {
	name   string
	size   int // bytes; 0 means any
	signed bool
}{
	Generic: {"data", 0, false},
	Int8:    {"int8", 1, true}, Uint8: {"uint8", 1, false},
	Int16: {"int16", 2, true}, Uint16: {"uint16", 2, false},
	Int32: {"int32", 4, true}, Uint32: {"uint32", 4, false},
	Int64: {"int64", 8, true}, Uint64: {"uint64", 8, false},
}

func (t Subtype) String() string { return subtypes[t].name }

// Value is a value of the data stack. It is immutable and passed by value; the zero Value is the
// integer 0.
//
// An integer has no ref, so that arithmetic neither allocates nor follows a pointer. MACs and
// IPv4 addresses share a constant ref each, and are stored in n too.
type Value struct {
	ref *object
	n   int64
}

// object is the immutable rest of a value that does not fit in 64 bits. Addresses and ranges are
// kept as their bytes in network order, like data.
type object struct {
	kind  Kind
	sub   Subtype
	bytes string
	entry atomic.Pointer[Entry] // in the dictionary, once the string was looked up as a name
	room  *growing              // the memory that bytes lie in, if they were appended to; see Append
}

var (
	macObject = &object{kind: KindMAC}
	ip4Object = &object{kind: KindIP}
)

// Kind returns the type of v.
func (v Value) Kind() Kind {
	if v.ref == nil {
		return KindInt
	}
	return v.ref.kind
}

// Subtype returns the subtype of data, and Generic for every other kind.
func (v Value) Subtype() Subtype {
	if v.ref == nil {
		return Generic
	}
	return v.ref.sub
}

// NewInt returns an integer.
func NewInt(n int64) Value { return Value{n: n} }

// NewFlag returns Forth's flags: -1 for true, 0 for false.
func NewFlag(b bool) Value {
	if b {
		return Value{n: -1}
	}
	return Value{}
}

// NewString returns a string. The caller makes sure that it is UTF-8.
func NewString(s string) Value { return Value{ref: &object{kind: KindString, bytes: s}} }

// NewPart returns a string that is a part of a longer one. It does not keep the longer one in
// memory.
func NewPart(part, whole string) Value {
	if len(part) <= len(whole)/2 {
		part = strings.Clone(part)
	}
	return NewString(part)
}

// NewData returns generic data holding a copy of b.
func NewData(b []byte) Value {
	return Value{ref: &object{kind: KindData, bytes: string(b)}}
}

// NewUint returns data of an unsigned or signed fixed-width subtype. Bits of n above the width
// are dropped. For Generic it returns 8 bytes.
func NewUint(t Subtype, n uint64) Value {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	size := subtypes[t].size
	if size == 0 {
		size = 8
	}
	return Value{ref: &object{kind: KindData, sub: t, bytes: string(b[8-size:])}}
}

// NewMAC returns an Ethernet address.
func NewMAC(a [6]byte) Value { return Value{ref: macObject, n: macBits(a[:])} }

// NewMACRange returns the range from lo to hi, both included.
func NewMACRange(lo, hi [6]byte) Value {
	return Value{ref: &object{kind: KindMACRange, bytes: string(lo[:]) + string(hi[:])}}
}

// NewIP returns an IP address. A zone is dropped; a v4-mapped address keeps its 16 bytes.
func NewIP(a netip.Addr) Value {
	if a.Is4() {
		b := a.As4()
		return Value{ref: ip4Object, n: int64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return Value{ref: &object{kind: KindIP, bytes: string(b[:])}}
}

// NewIPRange returns the range from lo to hi, both included and of one family.
func NewIPRange(lo, hi netip.Addr) Value {
	return Value{ref: &object{kind: KindIPRange, bytes: string(lo.AsSlice()) + string(hi.AsSlice())}}
}

func macBits(b []byte) int64 {
	return int64(b[0])<<40 | int64(b[1])<<32 | int64(b[2])<<24 | int64(b[3])<<16 | int64(b[4])<<8 | int64(b[5])
}

func bitsMAC(n int64) [6]byte {
	return [6]byte{byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// Bytes returns the value as it would lie in memory or on the wire: text as UTF-8, integers as 8
// bytes in network order, addresses and data as they are. The result is a copy.
func (v Value) Bytes() []byte {
	switch {
	case v.ref == nil:
		return binary.BigEndian.AppendUint64(nil, uint64(v.n))
	case v.ref == macObject:
		a := bitsMAC(v.n)
		return a[:]
	case v.ref == ip4Object:
		return binary.BigEndian.AppendUint32(nil, uint32(v.n))
	}
	return []byte(v.ref.bytes)
}

// Len returns the number of bytes that Bytes would return.
func (v Value) Len() int {
	switch {
	case v.ref == nil:
		return 8
	case v.ref == macObject:
		return 6
	case v.ref == ip4Object:
		return 4
	}
	return len(v.ref.bytes)
}

// Equal says whether two values have the same kind and the same contents. Data is compared by
// bytes, whatever its subtype.
func (v Value) Equal(w Value) bool {
	if v.ref == w.ref {
		return v.n == w.n
	}
	if v.Kind() != w.Kind() || v.ref == ip4Object || w.ref == ip4Object {
		return false
	}
	return v.ref.bytes == w.ref.bytes
}

// addr returns the IP address in v, which must be of kind KindIP.
func (v Value) addr() netip.Addr {
	if v.ref == ip4Object {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(v.n))
		return netip.AddrFrom4(b)
	}
	a, _ := netip.AddrFromSlice([]byte(v.ref.bytes))
	return a
}

// bounds returns the ends of an IP range.
func (v Value) bounds() (lo, hi netip.Addr) {
	b := []byte(v.ref.bytes)
	lo, _ = netip.AddrFromSlice(b[:len(b)/2])
	hi, _ = netip.AddrFromSlice(b[len(b)/2:])
	return lo, hi
}

// dataInt returns the number in data of a fixed-width subtype.
func (o *object) dataInt() int64 {
	var n int64
	for i := 0; i < len(o.bytes); i++ {
		n = n<<8 | int64(o.bytes[i])
	}
	if t := subtypes[o.sub]; t.signed && t.size < 8 {
		shift := 64 - 8*t.size
		n = n << shift >> shift
	}
	return n
}
