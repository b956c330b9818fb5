package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ethertap/interp"
)

// headers are the decoded headers of a packet, by the rules of dissect.go: Ethernet, VLAN tags,
// then ARP or IP, then TCP, UDP or SCTP. In a tunnel they are the outermost ones.
type headers struct {
	packet  []byte
	vlans   []uint16 // ids of the tags, the outermost first
	etype   uint16   // after the tags
	payload []byte   // after the tags

	arp *layers.ARP

	src, dst   netip.Addr // not valid if the packet is not IP
	proto      layers.IPProtocol
	ttl, tos   uint8
	carried    []byte // payload of IP
	fragment   bool   // a fragment, but not the first one
	ports      bool   // there is a transport header
	sport      uint16
	dport      uint16
	tcp        *layers.TCP
	flags      uint8
	body       []byte
	incomplete error // why decoding stopped early
}

// popHeaders takes a packet from the stack and decodes its headers.
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

// because returns the reason why a header is missing: the packet is broken before it, or is of
// another kind, which other says.
func (h *headers) because(other error) error {
	if h.incomplete != nil {
		return fmt.Errorf("%w: %w", other, h.incomplete)
	}
	return other
}

// dissect decodes headers until one is missing or incomplete. The decoders check lengths; if one
// panics all the same, the packet counts as malformed.
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
	return h.beyond()
}

// elsewhere names what can stand between Ethernet and IP, by Ethertype.
var elsewhere = map[uint16]string{0x8847: "MPLS labels", 0x8848: "MPLS labels", 0x8864: "a PPPoE header"}

// beyond is the error for headers that the view decodes and the words for fields do not.
func (h *headers) beyond() error {
	what := elsewhere[h.etype]
	if h.etype < 1536 && len(h.payload) > 1 && h.payload[0] == 0xaa && h.payload[1] == 0xaa {
		what = "a SNAP header"
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("the words for fields stop at %s; packet.show shows the rest", what)
}

func (h *headers) ipv4() error {
	var ip layers.IPv4
	if err := readIPv4(&ip, h.payload); err != nil {
		return err
	}
	h.src, _ = netip.AddrFromSlice(ip.SrcIP)
	h.dst, _ = netip.AddrFromSlice(ip.DstIP)
	h.proto, h.ttl, h.tos, h.carried = ip.Protocol, ip.TTL, ip.TOS, ip.Payload
	return h.follow(chain{later: ip.FragOffset != 0})
}

func (h *headers) ipv6() error {
	var ip layers.IPv6
	if err := readIPv6(&ip, h.payload); err != nil {
		return err
	}
	h.src, _ = netip.AddrFromSlice(ip.SrcIP)
	h.dst, _ = netip.AddrFromSlice(ip.DstIP)
	h.proto, h.ttl, h.tos, h.carried = ip.NextHeader, ip.HopLimit, ip.TrafficClass, ip.Payload
	return h.follow(chain{six: true})
}

// follow skips extension headers and reads the transport header.
func (h *headers) follow(c chain) error {
	for !c.later && c.extends(h.proto) {
		next, size, after, err := c.extension(h.proto, h.carried)
		if err != nil {
			return err
		}
		h.proto, h.carried, c = next, h.carried[size:], after
	}
	if h.fragment = c.later; h.fragment {
		return nil
	}
	switch h.proto {
	case layers.IPProtocolTCP:
		tcp := new(layers.TCP)
		if err := readTCP(tcp, h.carried); err != nil {
			return err
		}
		h.tcp, h.flags, h.body = tcp, h.carried[13], tcp.Payload
	case layers.IPProtocolUDP:
		var udp layers.UDP
		if err := readUDP(&udp, h.carried); err != nil {
			return err
		}
		h.body = udp.Payload
	case layers.IPProtocolSCTP:
		var sctp layers.SCTP
		if err := readSCTP(&sctp, h.carried); err != nil {
			return err
		}
		h.body = sctp.Payload
	default:
		return nil
	}
	h.ports = true
	h.sport, h.dport = binary.BigEndian.Uint16(h.carried), binary.BigEndian.Uint16(h.carried[2:])
	return nil
}
