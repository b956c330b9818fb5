// SPDX-License-Identifier: BSD-3-Clause

package predicate

import "encoding/binary"

// Headers are the headers that the dissector found in a frame. Offsets are in bytes from the
// start of the frame.
type Headers struct {
	Layers    Layers // layers of the frame
	Open      Layers // layers that may exist beyond the end of the snapshot
	EtherType uint16 // after the tags, or that of the first incomplete tag
	Tags      int    // number of complete tags
	VLAN      int    // id of the outermost tag, -1 if there is none
	Network   int    // offset of the header after the tags
	Transport int    // with IP: offset of the payload, after the complete extension headers
	End       int    // with IP: offset of the end of the IP packet, or of the frame if that is earlier
	Protocol  uint8  // with IP: the protocol of the payload, or of the first incomplete extension header
	Damage    Damage // why dissection stopped early
}

// In Headers.Open these say what is not certain, since the snapshot ends before it.
const (
	openType     Layers = 1 << 30 // EtherType
	openProtocol Layers = 1 << 31 // Protocol

	beyondIP = Later | Fragment | Ports | ICMP | openProtocol
)

// Damage says what is wrong with a header.
type Damage uint8

const (
	Whole Damage = iota
	ShortARP
	ShortIP4
	LengthIP4
	ShortIP6
	ShortExtension
	ShortTransport
	LengthTransport
	ShortICMP
)

var damages = [...]string{
	Whole:           "nothing",
	ShortARP:        "the ARP packet is cut short",
	ShortIP4:        "the IPv4 header is cut short",
	LengthIP4:       "the IPv4 header has lengths that cannot be",
	ShortIP6:        "the IPv6 header is cut short",
	ShortExtension:  "an IP extension header is cut short",
	ShortTransport:  "the transport header is cut short",
	LengthTransport: "the transport header has a length that cannot be",
	ShortICMP:       "the ICMP header is cut short",
}

// Error describes the damage in one sentence.
func (d Damage) Error() string { return damages[d] }

// Depth is how far the dissector goes.
type Depth uint8

const (
	ToNothing   Depth = iota
	ToTags            // Ethernet and its tags
	ToNetwork         // ARP, and IP without its payload
	ToTransport       // everything
)

const (
	typeIP4 = 0x0800
	typeARP = 0x0806
	typeIP6 = 0x86dd

	protoHopByHop    = 0
	protoICMP4       = 1
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoICMP6       = 58
	protoDestination = 60
	protoSCTP        = 132
)

// These Ethertypes announce a VLAN tag: 802.1Q, 802.1ad, and two that were in use before it.
const (
	TagC    = 0x8100
	TagS    = 0x88a8
	Tag9100 = 0x9100
	Tag9200 = 0x9200
)

// TagTypes are these in the order in which tables number them.
var TagTypes = [...]uint16{TagC, TagS, Tag9100, Tag9200}

// IsTag says whether an Ethertype is one of TagTypes.
func IsTag(etype uint16) bool {
	return etype == TagC || etype == TagS || etype == Tag9100 || etype == Tag9200
}

// Dissect reads the headers of a frame: Ethernet, tags, then ARP or IP, its extension headers,
// and the transport header. data is the captured part of the frame, wire its length on the wire
// in bytes; if that is less than the length of data, it is ignored. Options of IPv4 and TCP are
// not read, since the lengths in the headers say where the next header begins. With segmentation
// offload the IPv4 length may be 0: then the packet extends to the end of the frame, and so it
// does if the IPv6 length is 0 before a hop-by-hop header.
func (h *Headers) Dissect(data []byte, wire int, to Depth) {
	*h = Headers{VLAN: -1}
	wire = max(wire, len(data))
	if len(data) < 14 {
		if wire >= 14 {
			h.Open = ^Layers(0)
		}
		return
	}
	h.Layers = Ethernet
	h.EtherType, h.Network = binary.BigEndian.Uint16(data[12:]), 14
	for IsTag(h.EtherType) {
		if h.Network+4 > len(data) {
			if h.Network+4 <= wire {
				h.Open = ^Ethernet
			}
			return
		}
		if h.Tags == 0 {
			h.Layers |= Tag
			h.VLAN = int(binary.BigEndian.Uint16(data[h.Network:]) & 0xfff)
		}
		h.EtherType = binary.BigEndian.Uint16(data[h.Network+2:])
		h.Network += 4
		h.Tags++
	}
	if to <= ToTags {
		return
	}
	switch h.EtherType {
	case typeIP4:
		h.ip4(data, wire, to)
	case typeIP6:
		h.ip6(data, wire, to)
	case typeARP:
		h.arp(data, wire)
	}
}

// lacks says whether some of the bytes up to an offset are missing. If they are only missing from
// the snapshot, the layers that they would show are open; if they lie beyond end, the packet is
// damaged.
func (h *Headers) lacks(upTo, end int, data []byte, open Layers, d Damage) bool {
	switch {
	case upTo > end:
		h.Damage = d
	case upTo > len(data):
		h.Open |= open
	default:
		return false
	}
	return true
}

// arp accepts addresses of any size that fits.
func (h *Headers) arp(data []byte, wire int) {
	at := h.Network
	if h.lacks(at+8, wire, data, ARP, ShortARP) {
		return
	}
	size := 8 + 2*int(data[at+4]) + 2*int(data[at+5])
	if size > 255 || at+size > wire { // no network has addresses that long
		h.Damage = ShortARP
		return
	}
	h.Layers |= ARP
}

func (h *Headers) ip4(data []byte, wire int, to Depth) {
	at := h.Network
	if h.lacks(at+20, wire, data, IP4|beyondIP, ShortIP4) {
		return
	}
	header, length := 4*int(data[at]&15), int(binary.BigEndian.Uint16(data[at+2:]))
	if length == 0 {
		length = wire - at
	}
	switch {
	case header < 20 || length < header:
		h.Damage = LengthIP4
		return
	case at+header > wire:
		h.Damage = ShortIP4
		return
	}
	h.Layers |= IP4
	if to <= ToNetwork {
		return
	}
	h.Protocol, h.Transport, h.End = data[at+9], at+header, min(at+length, wire)
	switch fragment := binary.BigEndian.Uint16(data[at+6:]); {
	case fragment&0x1fff != 0:
		h.Layers |= Fragment | Later
		return
	case fragment&0x2000 != 0:
		h.Layers |= Fragment
	}
	h.carried(data)
}

func (h *Headers) ip6(data []byte, wire int, to Depth) {
	at := h.Network
	if h.lacks(at+40, wire, data, IP6|beyondIP, ShortIP6) {
		return
	}
	h.Layers |= IP6
	if to <= ToNetwork {
		return
	}
	length := int(binary.BigEndian.Uint16(data[at+4:]))
	h.Protocol, h.Transport, h.End = data[at+6], at+40, wire
	if length > 0 || h.Protocol != protoHopByHop { // otherwise the packet is a jumbogram
		h.End = min(at+40+length, wire)
	}
	h.carried(data)
}

// extends says whether a protocol is an extension header, which another header follows.
func (h *Headers) extends() bool {
	switch h.Protocol {
	case protoAH:
		return true
	case protoHopByHop, protoRouting, protoDestination, protoFragment:
		return h.Layers&IP6 != 0
	}
	return false
}

// carried skips extension headers to the payload of IP.
func (h *Headers) carried(data []byte) {
	for h.extends() {
		at := h.Transport
		least := 2
		if h.Protocol == protoFragment {
			least = 8
		}
		if h.lacks(at+least, h.End, data, beyondIP, ShortExtension) {
			return
		}
		size := 8 * (1 + int(data[at+1]))
		switch h.Protocol {
		case protoFragment:
			size = 8
		case protoAH:
			size = 4 * (2 + int(data[at+1]))
		}
		if size < 8 || h.Protocol == protoAH && size < 12 || at+size > h.End {
			h.Damage = ShortExtension
			return
		}
		last := h.Protocol
		h.Protocol, h.Transport = data[at], at+size
		if last != protoFragment {
			continue
		}
		switch offset := binary.BigEndian.Uint16(data[at+2:]); {
		case offset>>3 != 0:
			h.Layers |= Fragment | Later
			return
		case offset&1 != 0:
			h.Layers |= Fragment
		}
	}
	h.transport(data)
}

// transport reads the transport header.
func (h *Headers) transport(data []byte) {
	layer, size, damage := Layers(0), 0, ShortTransport
	switch h.Protocol {
	case protoTCP:
		layer, size = TCP, 20
	case protoUDP:
		layer, size = UDP, 8
	case protoSCTP:
		layer, size = SCTP, 12
	case protoICMP4:
		layer, size, damage = ICMP4, 8, ShortICMP
	case protoICMP6:
		layer, size, damage = ICMP6, 4, ShortICMP
	default:
		return
	}
	at := h.Transport
	if h.lacks(at+size, h.End, data, layer, damage) {
		return
	}
	switch layer {
	case TCP:
		size = 4 * int(data[at+12]>>4)
		if size < 20 || at+size > h.End {
			h.Damage = LengthTransport
			return
		}
	case UDP:
		if length := binary.BigEndian.Uint16(data[at+4:]); length > 0 && length < 8 { // 0 is that of a jumbogram
			h.Damage = LengthTransport
			return
		}
	}
	h.Layers |= layer
}
