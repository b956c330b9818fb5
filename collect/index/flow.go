// SPDX-License-Identifier: BSD-3-Clause

package index

import (
	"encoding/binary"
	"math/bits"
)

// flow is what determines the keys of a packet: packets of one flow have the same keys.
type flow struct {
	link  [2]uint64 // MAC addresses, Ethertype and how the rest is to be read
	tags  uint64    // the tags that are looked behind: type and VLAN
	ip    uint64    // protocol, whether it is a later fragment, ports
	hosts [4]uint64 // addresses
}

// of takes the flow of a frame. Frames that are cut short, so that a key may be missing, have none.
func (f *flow) of(d []byte) bool {
	be, n := binary.BigEndian, len(d)
	if n >= 38 && be.Uint32(d[12:])>>8 == 0x080045 {
		// The most frequent case: IPv4 without tags and options.
		*f = flow{link: [2]uint64{be.Uint64(d), be.Uint64(d[8:]) &^ 0xff}, hosts: [4]uint64{be.Uint64(d[26:])}}
		f.ip = uint64(d[23])
		if hasPorts(d[23]) {
			f.ip |= uint64(be.Uint32(d[34:])) << 32
			if be.Uint16(d[20:])&0x1fff != 0 {
				f.ip |= 1 << 8
			}
		}
		return true
	}
	if n < 14 {
		return false
	}
	o, etype := 12, be.Uint16(d[12:])
	*f = flow{}
	for level := 0; isTag(etype) && level < levels; level++ {
		if n < o+6 {
			return false
		}
		f.tags = f.tags<<32 | uint64(etype)<<16 | uint64(be.Uint16(d[o+2:])&0xfff)
		o += 4
		etype = be.Uint16(d[o:])
	}
	// The lowest 16 bits are 0 here, and 0x4500 above.
	f.link = [2]uint64{be.Uint64(d), uint64(be.Uint32(d[8:]))<<32 | typeKey(etype)<<16}
	at := o + 2
	switch etype {
	case 0x0800:
		if n < at+20 {
			return false
		}
		f.ip, f.hosts[0] = uint64(d[at+9]), be.Uint64(d[at+12:])
		switch h := at + 4*int(d[at]&15); {
		case !hasPorts(d[at+9]):
		case be.Uint16(d[at+6:])&0x1fff != 0:
			f.ip |= 1 << 8
		case n < h+4:
			return false
		default:
			f.ip |= uint64(be.Uint32(d[h:])) << 32
		}
	case 0x0806, 0x8035:
		if n < at+28 {
			return false
		}
		f.hosts[0] = uint64(be.Uint32(d[at+14:]))<<32 | uint64(be.Uint32(d[at+24:]))
	case 0x86dd:
		if n < at+44 {
			return false
		}
		switch f.ip = uint64(d[at+6]); {
		case d[at+6] == 44:
			f.ip |= uint64(d[at+40]) << 8
		case hasPorts(d[at+6]):
			f.ip |= uint64(be.Uint32(d[at+40:])) << 32
		}
		for i := range f.hosts {
			f.hosts[i] = be.Uint64(d[at+8+8*i:])
		}
	}
	return true
}

// is says whether two flows are the same. The comparison of the language calls a function.
func (f *flow) is(g *flow) bool {
	return (f.hosts[0]^g.hosts[0])|(f.ip^g.ip)|(f.link[0]^g.link[0])|(f.link[1]^g.link[1])|
		(f.hosts[1]^g.hosts[1])|(f.hosts[2]^g.hosts[2])|(f.hosts[3]^g.hosts[3])|(f.tags^g.tags) == 0
}

// hash returns 64 bits of which the upper ones are spread best.
func (f *flow) hash() uint64 {
	const odd = 0x9e3779b97f4a7c15
	h := f.link[0] ^ bits.RotateLeft64(f.link[1], 47) ^ f.ip*odd ^ bits.RotateLeft64(f.hosts[0], 29)
	h ^= f.tags*0xd6e8feb86659fd93 ^ bits.RotateLeft64(f.hosts[1], 17)*odd ^ bits.RotateLeft64(f.hosts[2], 7) ^ f.hosts[3]*odd
	return (h ^ h>>32) * 0xff51afd7ed558ccd
}

func hasPorts(proto byte) bool { return proto == 6 || proto == 17 || proto == 132 }
