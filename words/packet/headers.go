// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"ethertap/interp"
	"ethertap/lib/predicate"
)

// headers are the headers of a packet, as the dissector that filters use too finds them: Ethernet,
// VLAN tags, then ARP or IP, then TCP, UDP, SCTP or ICMP. In a tunnel they are the outermost ones.
type headers struct {
	predicate.Headers
	packet []byte
}

// etherHeader is the size of an Ethernet header in bytes.
const etherHeader = 14

// popHeaders takes a packet from the stack and decodes its headers.
func popHeaders(s *interp.Session) (*headers, error) {
	b, err := s.PopData()
	if err != nil {
		return nil, err
	}
	if len(b) < etherHeader {
		return nil, fmt.Errorf("%d bytes are no packet: an Ethernet header has %d", len(b), etherHeader)
	}
	return dissect(b), nil
}

func dissect(b []byte) *headers {
	h := &headers{packet: b}
	h.Dissect(b, len(b), predicate.ToTransport)
	return h
}

func (h *headers) has(l predicate.Layers) bool { return h.Layers&l != 0 }

// because returns the reason why a header is missing: the packet is broken before it, or is of
// another kind, which other says.
func (h *headers) because(other error) error {
	if h.Damage != predicate.Whole {
		return fmt.Errorf("%w: %w", other, h.Damage)
	}
	if what := h.beyond(); what != "" {
		return fmt.Errorf("%w: the words for fields stop at %s; packet.show shows the rest", other, what)
	}
	return other
}

// elsewhere names what can stand between Ethernet and IP, by Ethertype.
var elsewhere = map[uint16]string{0x8847: "MPLS labels", 0x8848: "MPLS labels", 0x8864: "a PPPoE header"}

// beyond names the header that the view decodes and the words for fields do not, "" if there is none.
func (h *headers) beyond() string {
	b := h.payload()
	if h.EtherType < 1536 && len(b) > 1 && b[0] == 0xaa && b[1] == 0xaa {
		return "a SNAP header"
	}
	return elsewhere[h.EtherType]
}

// vlans returns the ids of the tags, the outermost first.
func (h *headers) vlans() []uint16 {
	ids := make([]uint16, h.Tags)
	for i := range ids {
		ids[i] = binary.BigEndian.Uint16(h.packet[etherHeader+4*i:]) & 0xfff
	}
	return ids
}

// payload returns what follows the tags.
func (h *headers) payload() []byte { return h.packet[h.Network:] }

// carried returns the payload of IP, without the extension headers.
func (h *headers) carried() []byte { return h.packet[h.Transport:h.End] }

// body returns the payload of TCP, UDP or SCTP.
func (h *headers) body() []byte {
	b := h.carried()
	switch {
	case h.has(predicate.TCP):
		return b[4*int(b[12]>>4):]
	case h.has(predicate.SCTP):
		return b[12:]
	}
	end := int(binary.BigEndian.Uint16(b[4:]))
	if end == 0 {
		return b[8:]
	}
	return b[8:min(end, len(b))]
}

// arpAddress returns the network address of the sender in ARP, or of the target.
func (h *headers) arpAddress(target bool) (interp.Value, error) {
	b := h.payload()
	hardware, size := int(b[4]), int(b[5])
	at := 8 + hardware
	if target {
		at += hardware + size
	}
	return address(b[at : at+size])
}

func (h *headers) ip(f predicate.Field) netip.Addr { return h.Address(h.packet, f) }
