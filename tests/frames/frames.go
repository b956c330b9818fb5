// SPDX-License-Identifier: BSD-3-Clause

// Package frames makes random inputs for tests of predicates: frames with all kinds of headers,
// most of them nearly valid, and expression trees.
package frames

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
)

// Random makes frames.
type Random struct{ *rand.Rand }

// New returns a Random that makes the same frames for the same seed.
func New(seed uint64) Random { return Random{rand.New(rand.NewPCG(seed, 7))} }

func (r Random) pick(of ...int) int { return of[r.IntN(len(of))] }

func (r Random) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// be16 appends one of some numbers.
func (r Random) be16(b []byte, of ...int) []byte {
	return binary.BigEndian.AppendUint16(b, uint16(r.pick(of...)))
}

// Frame makes a frame. A third are TCP and UDP over IPv4 without tags; the others have up to five tags, ARP,
// IPv4 with options, IPv6, up to four extension headers and now and then more, fragments, TCP, UDP, SCTP, ICMP and
// others. It uses few different values, so that filters match some frames.
func (r Random) Frame() []byte {
	b := append(r.mac(), r.mac()...)
	if r.IntN(3) == 0 {
		proto, rest := r.transport()
		for proto != 6 && proto != 17 {
			proto, rest = r.transport()
		}
		return slices.Concat(b, []byte{8, 0}, r.ip4(proto, len(rest)), rest)
	}
	for range r.pick(0, 0, 0, 0, 1, 1, 2, 3, 4, 5) {
		b = r.be16(b, 0x8100, 0x88a8, 0x9100, 0x9200)
		b = r.be16(b, 5, 7, 0x2007, r.IntN(1<<16))
	}
	etype := r.pick(0x0800, 0x0800, 0x86dd, 0x86dd, 0x86dd, 0x0806, 0x8847, 0x8864, 46, 0x1234)
	b = binary.BigEndian.AppendUint16(b, uint16(etype))
	proto, rest := r.carried(r.pick(0, 0, 0, 1, 1, 2, 3, 4, 5))
	switch etype {
	case 0x0800:
		return append(append(b, r.ip4(proto, len(rest))...), rest...)
	case 0x86dd:
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(max(0, len(rest)+r.pick(0, 0, 0, 0, 1, -1, -len(rest)))))
		b = append(b, byte(proto), 64)
		return append(append(append(b, r.ip6()...), r.ip6()...), rest...)
	case 0x0806:
		return append(append(b, 0, 1, 8, 0, byte(r.pick(6, 6, 6, 8, 250)), 4, 0, byte(r.pick(1, 2))), r.bytes(r.pick(20, 20, 38, 3))...)
	}
	return append(b, r.bytes(r.IntN(60))...)
}

func (r Random) mac() []byte { return []byte{2, 0, 0, 0, 0, byte(r.IntN(4))} }

func (r Random) ip6() []byte {
	return append(append([]byte{0x20, 1, 0x0d, 0xb8}, make([]byte, 11)...), byte(r.IntN(4)))
}

func (r Random) ip4(proto, carried int) []byte {
	options := 4 * r.pick(0, 0, 0, 1, 2, 10)
	b := []byte{byte(0x40 | (5 + options/4)), byte(r.pick(0, 16))}
	b = binary.BigEndian.AppendUint16(b, uint16(20+options+carried+r.pick(0, 0, 0, 0, 1, -1, -20-options-carried)))
	b = r.be16(append(b, 0, 1), 0, 0, 0, 0x4000, 0x2000, 0x2000, 1, 0x2001)
	b = append(b, byte(r.pick(1, 64)), byte(proto), 0, 0)
	b = append(b, 10, 0, 0, byte(r.IntN(4)), 10, 0, 0, byte(r.IntN(4)))
	return append(b, r.bytes(options)...)
}

// carried returns the payload of an IP packet, with a number of extension headers before it.
func (r Random) carried(extensions int) (proto int, b []byte) {
	if extensions == 0 {
		return r.transport()
	}
	next, rest := r.carried(extensions - 1)
	switch proto = r.pick(0, 43, 44, 44, 51, 60); proto {
	case 44:
		b = []byte{byte(next), 0, 0, byte(r.pick(0, 1, 1, 8, 9)), 0, 0, 0, 7}
	case 51:
		n := r.pick(0, 1, 4)
		b = append([]byte{byte(next), byte(n)}, r.bytes(4*(n+2)-2)...)
	default:
		n := r.pick(0, 0, 1)
		b = append([]byte{byte(next), byte(n)}, r.bytes(8*(n+1)-2)...)
	}
	return proto, append(b, rest...)
}

func (r Random) transport() (proto int, b []byte) {
	proto, b = r.pick(6, 6, 17, 17, 132, 1, 58, 4, 41, 50, 59, 135), r.bytes(r.pick(0, 1, 8, 12, 20, 40, 60))
	switch proto {
	case 6, 17, 132:
		copy(b, r.be16(r.be16(nil, 53, 80, 443), 53, 80, 443))
	case 1, 58:
		copy(b, []byte{byte(r.pick(0, 8, 128)), byte(r.IntN(2))})
	}
	if proto == 6 && len(b) > 13 {
		b[12], b[13] = byte(r.pick(0x50, 0x50, 0x60, 0xf0, 0x40)), byte(r.pick(2, 16, 18))
	}
	if proto == 17 && len(b) > 5 {
		binary.BigEndian.PutUint16(b[4:], uint16(max(0, len(b)+r.pick(0, 0, 1, -1, -len(b)))))
	}
	return proto, b
}

// Damaged returns the frame unchanged, cut short, or with some bits inverted.
func (r Random) Damaged(b []byte) []byte {
	b = slices.Clone(b)
	switch r.IntN(3) {
	case 0:
		return b[:r.IntN(len(b)+1)]
	case 1:
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
	}
	return b
}
