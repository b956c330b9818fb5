// SPDX-License-Identifier: BSD-3-Clause

package frames

import (
	"net/netip"

	"ethertap/lib/predicate"
)

// Chooser makes the choices of a tree: a random source, or the bytes of a fuzzer.
type Chooser interface{ IntN(n int) int }

// Bytes makes its choices from bytes, as long as there are some.
type Bytes struct{ Of []byte }

// IntN returns a number below n.
func (b *Bytes) IntN(n int) int {
	v := 0
	for size := n; size > 1 && len(b.Of) > 0; size >>= 8 {
		v = v<<8 | int(b.Of[0])
		b.Of = b.Of[1:]
	}
	return v % n
}

// Tree makes a tree of at most that many levels. It compiles unless it is too large.
func Tree(r Chooser, levels int) predicate.Expr {
	if levels <= 0 {
		return leaf(r)
	}
	sub := func() predicate.Expr { return Tree(r, levels-1) }
	switch r.IntN(11) {
	case 0:
		return predicate.And{A: sub(), B: sub()}
	case 1:
		return predicate.Or{A: sub(), B: sub()}
	case 2:
		return predicate.Not{A: sub()}
	case 3:
		return predicate.If{Cond: sub(), Then: sub(), Else: sub()}
	case 4:
		return predicate.Need{Any: layers(r), Then: sub()}
	case 5:
		return predicate.Calculate{Op: predicate.Operator(r.IntN(int(predicate.ShiftRight) + 1)), A: sub(), B: sub(), Narrow: r.IntN(2) == 0}
	case 6:
		return predicate.Compare{Op: predicate.Comparison(r.IntN(int(predicate.Above) + 1)), A: sub(), B: sub()}
	case 7:
		return predicate.Load{At: predicate.Calculate{Op: predicate.BitAnd, A: sub(), B: predicate.Number(63)}, Size: 1 << r.IntN(3)}
	case 8:
		return predicate.Calculate{Op: predicate.Operator(r.IntN(int(predicate.ShiftRight) + 1)), A: sub(), B: number(r), Narrow: r.IntN(2) == 0}
	case 9:
		return predicate.Compare{Op: predicate.Comparison(r.IntN(int(predicate.Above) + 1)), A: sub(), B: number(r)}
	}
	return leaf(r)
}

func leaf(r Chooser) predicate.Expr {
	switch r.IntN(8) {
	case 0:
		return number(r)
	case 1:
		return predicate.Is{Any: layers(r)}
	case 2:
		return address(r)
	case 3:
		return load(r)
	case 4:
		return test(r)
	case 5:
		return []predicate.Expr{predicate.Inbound{}, predicate.Length{}}[r.IntN(2)]
	}
	return field(r)
}

// test returns a test of the kinds that filters consist of.
func test(r Chooser) predicate.Expr {
	pick := func(of ...int) predicate.Number { return predicate.Number(of[r.IntN(len(of))]) }
	equal := func(a, b predicate.Expr) predicate.Expr { return predicate.Compare{A: a, B: b} }
	switch r.IntN(5) {
	case 0:
		return equal(predicate.SourcePort, pick(53, 80, 443))
	case 1:
		return equal(predicate.IPProtocol, pick(1, 6, 17, 58, 132))
	case 2:
		return equal(predicate.Load{At: predicate.Number(12), Size: 2}, pick(0x800, 0x86dd, 0x8100))
	case 3:
		return equal(predicate.Calculate{Op: predicate.BitAnd, A: load(r), B: pick(1, 2, 0xf0, 0x1fff)}, pick(0, 1, 2, 0x40))
	}
	return equal(predicate.Load{At: predicate.BehindIP4(14, r.IntN(40)), Size: 2}, pick(53, 80, 443))
}

func load(r Chooser) predicate.Expr {
	return predicate.Load{At: predicate.Number(r.IntN(100)), Size: 1 << r.IntN(3)}
}

func number(r Chooser) predicate.Expr {
	of := []predicate.Number{0, 1, -1, 2, 5, 7, 16, 32, 53, 63, 64, 80, 443, 0x800, 0x86dd, 0xffff, 1 << 31, 1<<32 - 1, 1 << 32, 0x020000000001, -1 << 63, 1<<63 - 1, 0, 0}
	i := r.IntN(len(of))
	if i >= len(of)-2 {
		return predicate.Number(r.IntN(1 << 16))
	}
	return of[i]
}

func layers(r Chooser) predicate.Layers {
	of := []predicate.Layers{predicate.Ethernet, predicate.Tag, predicate.ARP, predicate.IP4, predicate.IP6, predicate.IP, predicate.Fragment, predicate.Later,
		predicate.TCP, predicate.UDP, predicate.SCTP, predicate.Ports, predicate.ICMP4, predicate.ICMP6, predicate.ICMP, predicate.ARP | predicate.UDP}
	return of[r.IntN(len(of))]
}

func field(r Chooser) predicate.Expr {
	of := []predicate.Field{predicate.MACDestination, predicate.MACSource, predicate.EtherType, predicate.VLAN, predicate.ARPOperation, predicate.IPProtocol, predicate.IPTTL,
		predicate.IPTOS, predicate.SourcePort, predicate.DestinationPort, predicate.TCPFlags, predicate.TCPSequence, predicate.TCPAcknowledgement, predicate.ICMPType, predicate.ICMPCode}
	return of[r.IntN(len(of))]
}

func address(r Chooser) predicate.Expr {
	of := []predicate.Field{predicate.IPSource, predicate.IPDestination}[r.IntN(2)]
	low, high := r.IntN(4), r.IntN(4)
	if r.IntN(2) == 0 {
		at := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) }
		return predicate.Address{Of: of, Low: at(low), High: at(high)}
	}
	at := func(n int) netip.Addr {
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0x0d, 3: 0xb8, 15: byte(n)})
	}
	return predicate.Address{Of: of, Low: at(low), High: at(high)}
}
