// SPDX-License-Identifier: BSD-3-Clause

package predicate_test

import (
	"encoding/binary"
	"math/big"
	"net/netip"

	"ethertap/lib/predicate"
)

// failed is the value with which a reference evaluation panics when a part of the tree fails.
type failed struct{}

// holds evaluates a whole frame as the documentation of trees says, word by word. It gets the
// fields of the frame from the dissector, which other tests check.
func holds(e predicate.Expr, f *predicate.Frame) (match bool) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(failed); !ok {
				panic(p)
			}
			match = false
		}
	}()
	r := reference{f: f}
	r.h.Dissect(f.Data, f.Wire, predicate.ToTransport)
	if len(f.Data) < 14 && looks(e) {
		return false
	}
	return r.value(e) != 0
}

// looks says whether a tree contains something that needs an Ethernet header.
func looks(e predicate.Expr) bool {
	switch e := e.(type) {
	case predicate.Is, predicate.Need, predicate.Address, predicate.Field:
		return true
	case predicate.Load:
		return looks(e.At)
	case predicate.Calculate:
		return looks(e.A) || looks(e.B)
	case predicate.Compare:
		return looks(e.A) || looks(e.B)
	case predicate.And:
		return looks(e.A) || looks(e.B)
	case predicate.Or:
		return looks(e.A) || looks(e.B)
	case predicate.Not:
		return looks(e.A)
	case predicate.If:
		return looks(e.Cond) || looks(e.Then) || looks(e.Else)
	}
	return false
}

type reference struct {
	f *predicate.Frame
	h predicate.Headers
}

func flag(b bool) int64 {
	if b {
		return -1
	}
	return 0
}

func (r *reference) need(l predicate.Layers) {
	if r.h.Layers&l == 0 {
		panic(failed{})
	}
}

func (r *reference) value(e predicate.Expr) int64 {
	switch e := e.(type) {
	case predicate.Number:
		return int64(e)
	case predicate.Length:
		return int64(r.f.Wire)
	case predicate.Inbound:
		return flag(!r.f.Outbound)
	case predicate.Load:
		return r.bytes(r.value(e.At), e.Size)
	case predicate.Is:
		return flag(r.h.Layers&e.Any != 0)
	case predicate.Need:
		r.need(e.Any)
		return r.value(e.Then)
	case predicate.Address:
		r.need(predicate.IP)
		a := r.address(e.Of)
		return flag(a.Is4() == e.Low.Is4() && a.Compare(e.Low) >= 0 && a.Compare(e.High) <= 0)
	case predicate.Field:
		return r.field(e)
	case predicate.Calculate:
		a, b := r.value(e.A), r.value(e.B)
		return calculated(e.Op, a, b, e.Narrow)
	case predicate.Compare:
		a, b := r.value(e.A), r.value(e.B)
		return flag(compared(e.Op, a, b))
	case predicate.And:
		return flag(r.value(e.A) != 0 && r.value(e.B) != 0)
	case predicate.Or:
		return flag(r.value(e.A) != 0 || r.value(e.B) != 0)
	case predicate.Not:
		return flag(r.value(e.A) == 0)
	case predicate.If:
		if r.value(e.Cond) != 0 {
			return r.value(e.Then)
		}
		return r.value(e.Else)
	}
	panic("no such node")
}

func (r *reference) bytes(at int64, size int) (n int64) {
	for i := range int64(size) {
		if at < 0 || at+i < 0 || at+i >= int64(len(r.f.Data)) {
			panic(failed{})
		}
		n = n<<8 | int64(r.f.Data[at+i])
	}
	return n
}

func (r *reference) address(f predicate.Field) netip.Addr {
	size, at := 4, 12
	if r.h.Layers&predicate.IP6 != 0 {
		size, at = 16, 8
	}
	if f == predicate.IPDestination {
		at += size
	}
	a, _ := netip.AddrFromSlice(r.f.Data[r.h.Network+at:][:size])
	return a
}

func (r *reference) field(f predicate.Field) int64 {
	r.need(f.Needs())
	six := r.h.Layers&predicate.IP6 != 0
	network, transport := int64(r.h.Network), int64(r.h.Transport)
	switch f {
	case predicate.MACDestination:
		return r.bytes(0, 6)
	case predicate.MACSource:
		return r.bytes(6, 6)
	case predicate.EtherType:
		return int64(r.h.EtherType)
	case predicate.VLAN:
		return int64(r.h.VLAN)
	case predicate.ARPOperation:
		return r.bytes(network+6, 2)
	case predicate.IPProtocol:
		return int64(r.h.Protocol)
	case predicate.IPTTL:
		if six {
			return r.bytes(network+7, 1)
		}
		return r.bytes(network+8, 1)
	case predicate.IPTOS:
		if six {
			return r.bytes(network, 2) >> 4 & 0xff
		}
		return r.bytes(network+1, 1)
	case predicate.SourcePort:
		return r.bytes(transport, 2)
	case predicate.DestinationPort:
		return r.bytes(transport+2, 2)
	case predicate.TCPFlags:
		return r.bytes(transport+13, 1)
	case predicate.TCPSequence:
		return r.bytes(transport+4, 4)
	case predicate.TCPAcknowledgement:
		return r.bytes(transport+8, 4)
	case predicate.ICMPType:
		return r.bytes(transport, 1)
	case predicate.ICMPCode:
		return r.bytes(transport+1, 1)
	}
	panic("no such field")
}

// calculated uses numbers of any size.
func calculated(op predicate.Operator, a, b int64, narrow bool) int64 {
	x, y, bits := big.NewInt(a), big.NewInt(b), uint(64)
	without := func(n int64) *big.Int { return new(big.Int).SetUint64(uint64(n)) }
	if narrow {
		x, y, bits = big.NewInt(int64(uint32(a))), big.NewInt(int64(uint32(b))), 32
	}
	z := new(big.Int)
	switch op {
	case predicate.Add:
		z.Add(x, y)
	case predicate.Subtract:
		z.Sub(x, y)
	case predicate.Multiply:
		z.Mul(x, y)
	case predicate.Divide, predicate.Modulo:
		if y.Sign() == 0 {
			panic(failed{})
		}
		m := new(big.Int)
		z.QuoRem(x, y, m)
		if m.Sign() != 0 && m.Sign() != y.Sign() {
			z.Sub(z, big.NewInt(1))
			m.Add(m, y)
		}
		if op == predicate.Modulo {
			z = m
		}
	case predicate.BitAnd:
		z.And(x, y)
	case predicate.BitOr:
		z.Or(x, y)
	case predicate.BitXor:
		z.Xor(x, y)
	case predicate.ShiftLeft, predicate.ShiftRight:
		if y.Sign() < 0 || y.Cmp(big.NewInt(int64(bits))) >= 0 {
			return 0
		}
		if op == predicate.ShiftLeft {
			z.Lsh(x, uint(y.Int64()))
		} else if narrow {
			z.Rsh(x, uint(y.Int64()))
		} else {
			z.Rsh(without(a), uint(y.Int64()))
		}
	}
	z.And(z, without(-1)) // as it wraps
	var b8 [8]byte
	n := int64(binary.BigEndian.Uint64(z.FillBytes(b8[:])))
	if narrow {
		return int64(uint32(n))
	}
	return n
}

func compared(op predicate.Comparison, a, b int64) bool {
	c := big.NewInt(a).Cmp(big.NewInt(b))
	if op == predicate.Below || op == predicate.Above {
		c = new(big.Int).SetUint64(uint64(a)).Cmp(new(big.Int).SetUint64(uint64(b)))
	}
	switch op {
	case predicate.Equal:
		return c == 0
	case predicate.NotEqual:
		return c != 0
	case predicate.Less, predicate.Below:
		return c < 0
	case predicate.AtMost:
		return c <= 0
	case predicate.Greater, predicate.Above:
		return c > 0
	}
	return c >= 0
}
