// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"testing"

	"ethertap/dataplane/policy"
	"ethertap/tests/frames"
)

// packet is an IP packet in an Ethernet frame, with valid checksums.
type packet struct {
	tags     int
	six      bool
	tos      byte
	options  int // bytes of IPv4 or TCP options
	protocol byte
	icmpType byte
	fragment uint16 // the field of IPv4
	payload  int
	padding  int
	noSum    bool // UDP without a checksum
}

// header is the size of the transport header.
func (p packet) header() int {
	switch p.protocol {
	case 6:
		return 20 + p.options
	case 132:
		return 12
	}
	return 8
}

// ip returns the offset of the IP header, transport that of the one behind it.
func (p packet) ip() int { return 14 + 4*p.tags }
func (p packet) transport() int {
	if p.six {
		return p.ip() + 40
	}
	return p.ip() + 20 + p.options
}
func (p packet) sumAt() int {
	return p.transport() + map[byte]int{6: 16, 17: 6, 1: 2, 58: 2, 132: 8}[p.protocol]
}

func (p packet) bytes() []byte {
	carried := make([]byte, p.header()+p.payload)
	for i := range carried {
		carried[i] = byte(i * 7)
	}
	switch p.protocol {
	case 6:
		carried[12] = byte(p.header()/4) << 4
	case 17:
		binary.BigEndian.PutUint16(carried[4:], uint16(len(carried)))
	case 1, 58:
		carried[0] = p.icmpType
	}
	f := append([]byte{2, 0, 0, 0, 0, 0xfe}, 2, 0, 0, 0, 0, 1)
	for range p.tags {
		f = append(f, 0x81, 0, 0, 5)
	}
	if p.six {
		f = append(f, 0x86, 0xdd, 0x60|p.tos>>4, p.tos<<4, 0, 0)
		f = append(binary.BigEndian.AppendUint16(f, uint16(len(carried))), p.protocol, 64)
		f = append(f, bytes.Repeat([]byte{0xfd, 1, 2, 3}, 8)...)
	} else {
		f = append(f, 8, 0, 0x40|byte(5+p.options/4), p.tos)
		f = append(binary.BigEndian.AppendUint16(f, uint16(20+p.options+len(carried))), 0x12, 0x34, byte(p.fragment>>8), byte(p.fragment), 64, p.protocol, 0, 0, 10, 1, 1, 1, 10, 1, 1, 2)
		f = append(f, bytes.Repeat([]byte{1}, p.options)...)
		binary.BigEndian.PutUint16(f[p.ip()+10:], ^sum16(f[p.ip():], 0))
	}
	f = append(f, carried...)
	if at := p.sumAt(); at+2 <= len(f) {
		f[at], f[at+1] = 0, 0
		if sum := ^p.residue(f); !p.noSum {
			if sum == 0 && p.protocol == 17 {
				sum = 0xffff
			}
			binary.BigEndian.PutUint16(f[at:], sum)
		}
	}
	return append(f, bytes.Repeat([]byte{0xee}, p.padding)...)
}

// sum16 returns the one's complement sum of data and start.
func sum16(data []byte, start uint64) uint16 {
	for i, b := range data {
		start += uint64(b) << (8 * (1 - i%2))
	}
	for start>>16 != 0 {
		start = start>>16 + start&0xffff
	}
	return uint16(start)
}

// residue returns the sum over the pseudo header and what follows the IP header: 0xffff if the checksum
// is right.
func (p packet) residue(f []byte) uint16 {
	segment := f[p.transport() : p.transport()+p.header()+p.payload]
	start := uint64(0)
	if addresses := f[p.ip()+12 : p.ip()+20]; p.protocol != 1 {
		if p.six {
			addresses = f[p.ip()+8 : p.ip()+40]
		}
		start = uint64(sum16(addresses, uint64(len(segment))+uint64(p.protocol)))
	}
	return sum16(segment, start)
}

// The damage is one bit of the payload, anywhere in it, and the checksum is right after it.
func TestCorruptionReachesTheApplication(t *testing.T) {
	for name, p := range map[string]packet{
		"TCP":                 {protocol: 6, payload: 24},
		"TCP with options":    {protocol: 6, options: 12, payload: 9},
		"TCP, tagged":         {protocol: 6, tags: 1, payload: 13},
		"TCP, tagged twice":   {protocol: 6, tags: 2, six: true, payload: 13},
		"TCP with padding":    {protocol: 6, payload: 1, padding: 5},
		"UDP":                 {protocol: 17, payload: 21},
		"UDP without a sum":   {protocol: 17, payload: 22, noSum: true},
		"UDP over IPv6":       {protocol: 17, six: true, payload: 20},
		"ping":                {protocol: 1, icmpType: echoRequest4, payload: 16},
		"answer to a ping":    {protocol: 1, payload: 1},
		"ping over IPv6":      {protocol: 58, six: true, icmpType: echoRequest6, payload: 17},
		"answer over IPv6":    {protocol: 58, six: true, icmpType: echoReply6, payload: 2},
		"TCP, not a fragment": {protocol: 6, fragment: 0x4000, payload: 10},
	} {
		b := newBench(t, 2, faulty(policy.Fault{Corrupt: policy.Chance{Every: 1}}, 3))
		sent := p.bytes()
		if r := p.residue(sent); r != 0xffff && !p.noSum {
			t.Fatalf("%s: the test sends a wrong checksum: %#x", name, r)
		}
		n := 15 * 8 * p.payload // a bit is missed with a probability of e⁻¹⁵
		b.run(0, slices.Repeat([][]byte{sent}, n)...)
		hit := map[int]bool{}
		begin := p.transport() + p.header()
		for _, got := range b.out[1] {
			flipped := 0
			for i := range sent {
				x := got[i] ^ sent[i]
				switch at := p.sumAt(); {
				case x == 0 || !p.noSum && (i == at || i == at+1):
				case i < begin || i >= begin+p.payload:
					t.Fatalf("%s: byte %d has changed", name, i)
				default:
					flipped += bits.OnesCount8(x)
					hit[8*i+bits.TrailingZeros8(x)] = true
				}
			}
			if flipped != 1 || len(got) != len(sent) || p.residue(got) != 0xffff && !p.noSum {
				t.Fatalf("%s: %d bits of the payload, %d bytes, the checksum leaves %#x", name, flipped, len(got), p.residue(got))
			}
		}
		if c := b.count(0)[countFault+policy.FaultCorrupt]; c != uint64(n) || len(b.out[1]) != n || len(hit) != 8*p.payload {
			t.Errorf("%s: %d counted, %d sent, %d bits hit, want %d, %[5]d, %d", name, c, len(b.out[1]), len(hit), n, n, 8*p.payload)
		}
	}
}

// Frames that cannot be corrupted so that the damage reaches an application go through, are not counted
// and do not take the turn of others.
func TestCorruptionSparesTheRest(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Corrupt: policy.Chance{Every: 2}}, 3))
	spared := [][]byte{testFrame(60, 1, 1), testFrame(14, 1, 1)}
	for _, p := range []packet{
		{protocol: 6}, {protocol: 17, padding: 18}, {protocol: 1, icmpType: echoRequest4}, // no payload
		{protocol: 17, payload: 20, fragment: 0x2000}, {protocol: 17, payload: 20, fragment: 0x0010},
		{protocol: 1, icmpType: 3, payload: 28}, {protocol: 58, six: true, icmpType: 135, payload: 24},
		{protocol: 132, payload: 20}, {protocol: 89, payload: 44},
	} {
		spared = append(spared, p.bytes())
	}
	cut := packet{protocol: 6, payload: 100}.bytes()
	spared = append(spared, cut[:14+20+19])
	for range 3 {
		b.run(0, spared...)
	}
	for i, f := range b.out[1] {
		if !bytes.Equal(f, spared[i%len(spared)]) {
			t.Errorf("frame %d has changed", i)
		}
	}
	if n := b.count(0)[countFault+policy.FaultCorrupt]; n != 0 || len(b.out[1]) != 3*len(spared) {
		t.Errorf("%d corrupted, %d sent", n, len(b.out[1]))
	}
	able := packet{protocol: 6, payload: 10}.bytes()
	b.run(0, able, spared[0], able, spared[1], able)
	if n := b.count(0)[countFault+policy.FaultCorrupt]; n != 1 {
		t.Errorf("%d of three are corrupted, with every second", n)
	}
}

// Whatever comes, a corrupted frame differs in one bit and at most one word besides.
func TestCorruptionOfAnyFrame(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Corrupt: policy.Chance{Every: 1}, ECN: policy.Chance{Every: 1}}, 3))
	random := frames.New(4)
	var sent [][]byte
	for i := range 3000 {
		f := random.Frame()
		if i%3 == 0 {
			f = random.Damaged(f)
		}
		if len(f) < 14 || len(f) > 1500 {
			continue
		}
		sent = append(sent, bytes.Clone(f))
		b.run(0, f)
	}
	if len(b.out[1]) != len(sent) {
		t.Fatalf("%d of %d came out", len(b.out[1]), len(sent))
	}
	changed := uint64(0)
	for i, f := range b.out[1] {
		bytesChanged := 0
		for j := range f {
			if f[j] != sent[i][j] {
				bytesChanged++
			}
		}
		if bytesChanged > 1+2+1+2 || len(f) != len(sent[i]) {
			t.Errorf("%d bytes of %x have changed", bytesChanged, sent[i])
		}
		if bytesChanged > 0 {
			changed++
		}
	}
	c := b.count(0)
	if most := c[countFault+policy.FaultCorrupt] + c[countFault+policy.FaultECN]; changed == 0 || changed > most {
		t.Errorf("%d changed, %d counted", changed, most)
	}
}

func TestCongestionIsMarked(t *testing.T) {
	for name, p := range map[string]packet{
		"IPv4":                 {protocol: 6, payload: 10},
		"IPv4 with options":    {protocol: 17, options: 8, payload: 10},
		"IPv4, tagged":         {protocol: 6, tags: 2, payload: 10},
		"IPv4, a fragment":     {protocol: 17, fragment: 0x2010, payload: 16},
		"IPv6":                 {protocol: 17, six: true, payload: 10},
		"IPv6, tagged":         {protocol: 6, six: true, tags: 1, payload: 10},
		"IPv4 without payload": {protocol: 253},
	} {
		b := newBench(t, 2, faulty(policy.Fault{ECN: policy.Chance{Every: 1}}, 3))
		for tos := range 256 {
			p.tos = byte(tos)
			sent, want := p.bytes(), p
			marked := tos&3 == 1 || tos&3 == 2
			if marked {
				want.tos |= 3
			}
			before := b.count(0)[countFault+policy.FaultECN]
			b.run(0, sent)
			if got := b.out[1][tos]; !bytes.Equal(got, want.bytes()) {
				t.Fatalf("%s, TOS %#x: %x, want %x", name, tos, got, want.bytes())
			}
			if n := b.count(0)[countFault+policy.FaultECN] - before; n == 1 != marked {
				t.Errorf("%s, TOS %#x: counted %d", name, tos, n)
			}
		}
	}
	b := newBench(t, 2, faulty(policy.Fault{ECN: policy.Chance{Every: 1}}, 3))
	b.run(0, testFrame(60, 1, 1), testFrame(14, 1, 1))
	if n := b.count(0)[countFault+policy.FaultECN]; n != 0 {
		t.Errorf("%d frames without IP are marked", n)
	}
}

// A checksum that was corrected is that of a sum over the changed words.
func TestCorrectedChecksum(t *testing.T) {
	for before := range 1 << 16 {
		for _, after := range []uint16{0, 1, 0x8000, 0xffff, uint16(before) ^ 4, uint16(before) ^ 0x100} {
			words := []byte{byte(before >> 8), byte(before), 0x12, 0x34, 0xfe, 0xdc}
			sum := ^sum16(words, 0)
			binary.BigEndian.PutUint16(words, after)
			if got, want := corrected(sum, uint16(before), after), ^sum16(words, 0); got != want {
				t.Fatalf("%#x to %#x: %#x, want %#x", before, after, got, want)
			}
		}
	}
}
