package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ethertap/interp"
)

// headers is a packet taken apart as far as its headers go: Ethernet, VLAN tags, then
// ARP or IP, then TCP, UDP or SCTP. In tunnels it is the outermost IP that counts.
type headers struct {
	packet  []byte
	vlans   []uint16 // ids of the tags, the outermost first
	etype   uint16   // behind the tags
	payload []byte   // behind the tags

	arp *layers.ARP

	src, dst   netip.Addr // not valid if the packet is not IP
	proto      layers.IPProtocol
	ttl, tos   uint8
	carried    []byte // by IP
	fragment   bool   // not the first one
	ports      bool   // the transport header is there
	sport      uint16
	dport      uint16
	tcp        *layers.TCP
	flags      uint8
	body       []byte
	incomplete error // why it stopped early
}

const (
	etherHeader = 14
	tagSize     = 4
	typeIPv4    = uint16(layers.EthernetTypeIPv4)
	typeIPv6    = uint16(layers.EthernetTypeIPv6)
	typeARP     = uint16(layers.EthernetTypeARP)
)

// isTag tells whether an Ethertype announces a VLAN tag: 802.1Q, 802.1ad and what
// came before it.
func isTag(etype uint16) bool {
	return etype == 0x8100 || etype == 0x88a8 || etype == 0x9100 || etype == 0x9200
}

// popHeaders takes a packet from the stack, and apart.
func popHeaders(s *interp.Session) (*headers, error) {
	b, err := s.PopData()
	if err != nil {
		return nil, err
	}
	if len(b) < etherHeader {
		return nil, fmt.Errorf("%d bytes are no packet: an Ethernet header has %d", len(b), etherHeader)
	}
	h := &headers{packet: b}
	h.incomplete = h.dissect()
	return h, nil
}

// because is why a packet lacks a header: it is of another kind, or broken before it.
func (h *headers) because(other error) error {
	if h.incomplete != nil {
		return fmt.Errorf("%w: %w", other, h.incomplete)
	}
	return other
}

// dissect goes through the headers up to one that is not there or not whole. The
// decoders check lengths; should one of them panic all the same, that is one more
// way to be malformed.
func (h *headers) dissect() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	h.etype, h.payload = binary.BigEndian.Uint16(h.packet[12:]), h.packet[etherHeader:]
	for isTag(h.etype) && len(h.payload) >= tagSize {
		h.vlans = append(h.vlans, binary.BigEndian.Uint16(h.payload)&0xfff)
		h.etype, h.payload = binary.BigEndian.Uint16(h.payload[2:]), h.payload[tagSize:]
	}
	switch h.etype {
	case typeARP:
		arp := new(layers.ARP)
		if err := arp.DecodeFromBytes(h.payload, gopacket.NilDecodeFeedback); err != nil {
			return err
		}
		h.arp = arp
	case typeIPv4:
		return h.ipv4()
	case typeIPv6:
		return h.ipv6()
	}
	return nil
}

func (h *headers) ipv4() error {
	var ip layers.IPv4
	if err := ip.DecodeFromBytes(h.payload, gopacket.NilDecodeFeedback); err != nil {
		return err
	}
	h.src, _ = netip.AddrFromSlice(ip.SrcIP)
	h.dst, _ = netip.AddrFromSlice(ip.DstIP)
	h.proto, h.ttl, h.tos, h.carried = ip.Protocol, ip.TTL, ip.TOS, ip.Payload
	h.fragment = ip.FragOffset != 0
	return h.transport()
}

// ipv6 reads the header itself: gopacket's decoder forgets that a hop-by-hop header
// counts into the length, and refuses packets that carry nothing.
func (h *headers) ipv6() error {
	const header = 40
	b := h.payload
	if len(b) < header {
		return errors.New("the IPv6 header is cut short")
	}
	h.src, h.dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	h.proto, h.ttl, h.tos = layers.IPProtocol(b[6]), b[7], uint8(binary.BigEndian.Uint16(b)>>4)
	h.carried = b[header:]
	if n := int(binary.BigEndian.Uint16(b[4:])); n > 0 || h.proto != layers.IPProtocolIPv6HopByHop { // else a jumbogram
		h.carried = h.carried[:min(n, len(h.carried))]
	}
	for {
		size := 0
		switch h.proto {
		case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination:
			if len(h.carried) >= 2 {
				size = 8 * (1 + int(h.carried[1]))
			}
		case layers.IPProtocolIPv6Fragment:
			size = 8
			if len(h.carried) >= size && binary.BigEndian.Uint16(h.carried[2:])>>3 != 0 {
				h.fragment = true
			}
		default:
			return h.transport()
		}
		if size == 0 || len(h.carried) < size {
			return errors.New("an IPv6 extension header is cut short")
		}
		h.proto, h.carried = layers.IPProtocol(h.carried[0]), h.carried[size:]
		if h.fragment {
			return nil
		}
	}
}

// transport reads the ports.
func (h *headers) transport() error {
	if h.fragment {
		return nil
	}
	switch h.proto {
	case layers.IPProtocolTCP:
		tcp := new(layers.TCP)
		if err := tcp.DecodeFromBytes(h.carried, gopacket.NilDecodeFeedback); err != nil {
			return err
		}
		h.tcp, h.flags, h.body = tcp, h.carried[13], tcp.Payload
	case layers.IPProtocolUDP:
		var udp layers.UDP
		if err := udp.DecodeFromBytes(h.carried, gopacket.NilDecodeFeedback); err != nil {
			return err
		}
		h.body = udp.Payload
	case layers.IPProtocolSCTP:
		const header = 12
		if len(h.carried) < header {
			return errors.New("the SCTP header is cut short")
		}
		h.body = h.carried[header:]
	default:
		return nil
	}
	h.ports = true
	h.sport, h.dport = binary.BigEndian.Uint16(h.carried), binary.BigEndian.Uint16(h.carried[2:])
	return nil
}
