// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// Ethertypes and sizes that tests speak of. Sizes are in bytes and without the
// checksum, as frames are everywhere in this package.
const (
	TypeIPv4         = 0x0800
	TypeVLAN         = 0x8100 // 802.1Q
	TypeQinQ         = 0x88a8 // 802.1ad
	TypeExperimental = 0x88b5 // IEEE's for local experiments

	MinFrame = 60   // what a real link pads to
	MaxFrame = 1514 // MTU 1500

	headerSize = 14
	udpSize    = 20 + 8
)

// These are the MACs that frames have by default, locally administered.
var (
	SrcMAC = MAC{0x02, 0x65, 0x74, 0, 0, 1}
	DstMAC = MAC{0x02, 0x65, 0x74, 0, 0, 2}
)

var magic = []byte("\xe7netlab\xe7")

// Tag is a VLAN tag: priority in the upper three bits, then one bit drop
// eligibility, then the number of the VLAN.
type Tag struct {
	Type uint16 // TypeVLAN or TypeQinQ
	TCI  uint16
}

// Frame describes a frame. The same description always gives the same bytes.
type Frame struct {
	Dst, Src MAC    // zero = DstMAC, SrcMAC
	Tags     []Tag  // outermost first
	Type     uint16 // of what follows the tags; 0 = IPv4 with UDP inside; below 0x600 a length
	Size     int    // of the whole frame; 0 = MinFrame and its tags
	Seq      uint64 // written into the payload, where Seq finds it
}

// Bytes makes the frame: headers, a mark, the sequence number, random bytes.
// Frames too small for all of it are cut off, those below 14 bytes too.
func (f Frame) Bytes() []byte {
	if f.Dst == (MAC{}) {
		f.Dst = DstMAC
	}
	if f.Src == (MAC{}) {
		f.Src = SrcMAC
	}
	kind, inner := f.Type, 0
	if kind == 0 {
		kind, inner = TypeIPv4, udpSize
	}
	head := headerSize + 4*len(f.Tags)
	if f.Size == 0 {
		f.Size = MinFrame + 4*len(f.Tags)
	}
	payload := max(f.Size-head-inner, len(magic)+8)
	b := make([]byte, 0, head+inner+payload)
	b = append(b, f.Dst[:]...)
	b = append(b, f.Src[:]...)
	for _, tag := range f.Tags {
		b = binary.BigEndian.AppendUint16(b, tag.Type)
		b = binary.BigEndian.AppendUint16(b, tag.TCI)
	}
	b = binary.BigEndian.AppendUint16(b, kind)
	b = append(b, make([]byte, inner)...)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint64(b, f.Seq)
	random := rand.New(rand.NewPCG(f.Seq, uint64(f.Size)))
	for len(b) < cap(b) {
		b = append(b, byte(random.Uint32()))
	}
	if inner != 0 {
		fillUDP(b[head:], uint16(f.Seq))
	}
	return b[:f.Size]
}

// fillUDP writes the headers of an IPv4 packet with UDP inside, checksums and
// all, from 10.77.0.1 to 10.77.0.2, port 9.
func fillUDP(p []byte, id uint16) {
	be := binary.BigEndian
	p[0] = 0x45
	be.PutUint16(p[2:], uint16(len(p)))
	be.PutUint16(p[4:], id)
	p[8], p[9] = 64, 17
	copy(p[12:], []byte{10, 77, 0, 1, 10, 77, 0, 2})
	be.PutUint16(p[10:], checksum(p[:20], 0))
	udp := p[20:]
	be.PutUint16(udp, 40000)
	be.PutUint16(udp[2:], 9)
	be.PutUint16(udp[4:], uint16(len(udp)))
	pseudo := uint32(checksum(p[12:20], 0)^0xffff) + 17 + uint32(len(udp))
	sum := checksum(udp, pseudo)
	if sum == 0 {
		sum = 0xffff // 0 would mean none
	}
	be.PutUint16(udp[6:], sum)
}

// checksum is the Internet checksum, beginning with a sum already there.
func checksum(data []byte, sum uint32) uint16 {
	for i := 0; i < len(data); i++ {
		if i%2 == 0 {
			sum += uint32(data[i]) << 8
		} else {
			sum += uint32(data[i])
		}
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum>>16 + sum)
}

// UDP makes an IPv4/UDP frame of a size.
func UDP(size int, seq uint64) []byte {
	return Frame{Size: size, Seq: seq}.Bytes()
}

// VLAN makes an IPv4/UDP frame of a size, tag included, in a VLAN (802.1Q).
func VLAN(size int, seq uint64, id uint16) []byte {
	return Frame{Size: size, Seq: seq, Tags: []Tag{{TypeVLAN, id}}}.Bytes()
}

// QinQ makes an IPv4/UDP frame of a size, tags included, with an outer tag
// (802.1ad) and an inner one (802.1Q).
func QinQ(size int, seq uint64, outer, inner uint16) []byte {
	return Frame{Size: size, Seq: seq, Tags: []Tag{{TypeQinQ, outer}, {TypeVLAN, inner}}}.Bytes()
}

// Runt makes a frame that no real link would carry, of 14 to 59 bytes. Below
// 30 bytes it has no room for its sequence number.
func Runt(size int, seq uint64) []byte {
	return Frame{Type: TypeExperimental, Size: size, Seq: seq}.Bytes()
}

// Seq finds the sequence number that a frame of this package bears, below any
// tags. Without one, or cut off, ok is false.
func Seq(frame []byte) (seq uint64, ok bool) {
	at := bytes.Index(frame, magic)
	if at < headerSize || len(frame) < at+len(magic)+8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(frame[at+len(magic):]), true
}

// Mix makes n frames as different as a live link carries them: all sizes from
// 14 to 1518, up to two VLAN tags, priority tags, link-local control protocols, odd
// Ethertypes, length fields, broadcast and multicast, several sources. The
// sequence numbers are 0 to n-1; the same seed gives the same frames. Every
// frame passes a link with an MTU of 1500, and a Receiver sees each as it was:
// on links that pad frames none is shorter than they make it.
func Mix(seed uint64, n int) [][]byte {
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	between := func(least, most int) int { return least + random.IntN(most-least+1) }
	frames := make([][]byte, n)
	for i := range frames {
		f := Frame{Seq: uint64(i), Size: between(MinFrame, MaxFrame), Src: SrcMAC}
		f.Src[5] = byte(between(1, 8))
		switch random.IntN(12) {
		case 0:
			f.Size = MinFrame
		case 1:
			f.Size = MaxFrame
		case 2: // a single tag has room above the MTU
			f.Tags = []Tag{{TypeVLAN, uint16(random.UintN(1 << 16))}}
			if random.IntN(4) == 0 {
				f.Size = MaxFrame
			}
			f.Size += 4
		case 3:
			f.Tags = []Tag{{TypeQinQ, uint16(between(1, 4094))}, {TypeVLAN, uint16(between(1, 4094))}}
			f.Size = between(MinFrame+8, MaxFrame)
		case 4: // priority only, VLAN 0
			f.Tags = []Tag{{TypeVLAN, uint16(between(0, 7)) << 13}}
			f.Size = between(MinFrame+4, MaxFrame)
		case 5: // LLDP
			f.Dst, f.Type = MAC{0x01, 0x80, 0xc2, 0, 0, 0x0e}, 0x88cc
		case 6: // spanning tree's address, 802.3 length instead of a type
			f.Size = between(MinFrame, 600)
			f.Dst, f.Type = MAC{0x01, 0x80, 0xc2, 0, 0, 0}, uint16(f.Size-headerSize)
		case 7: // PAUSE's address
			f.Dst, f.Type = MAC{0x01, 0x80, 0xc2, 0, 0, 1}, TypeExperimental
		case 8:
			f.Dst, f.Type = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, uint16(between(0x0600, 0x07ff))
		case 9:
			f.Dst = MAC{0x01, 0x00, 0x5e, 1, 2, 3}
		case 10:
			f.Type, f.Size = TypeExperimental, max(between(headerSize, MinFrame-1), Shortest())
		}
		frames[i] = f.Bytes()
	}
	return frames
}
