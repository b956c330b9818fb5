// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ethertap/lib/predicate"
)

// This file says how headers follow each other in the view. From Ethernet to the ports it follows
// the rules of the dissector of lib/predicate, which the words for fields use; the tests compare
// the two. Only the view decodes what lies beyond: payloads, tunnels, MPLS.
//
// Broken options of IPv4 and TCP do not stop the decoding, since the lengths in the headers say
// where the next header begins.

func readIPv4(ip *layers.IPv4, b []byte) error {
	if err := ip.DecodeFromBytes(b, gopacket.NilDecodeFeedback); ip.Payload == nil { // otherwise only the options are broken
		return err
	}
	return nil
}

// readIPv6 reads the fixed header and leaves the extension headers in the payload. gopacket's own
// decoder does not count the hop-by-hop header into the length, and refuses packets without
// payload.
func readIPv6(ip *layers.IPv6, b []byte) error {
	const header = 40
	if len(b) < header {
		return errors.New("the IPv6 header is cut short")
	}
	be := binary.BigEndian
	ip.Contents, ip.Payload = b[:header], b[header:]
	ip.Version, ip.TrafficClass, ip.FlowLabel = b[0]>>4, uint8(be.Uint16(b)>>4), be.Uint32(b)&0xfffff
	ip.Length, ip.NextHeader, ip.HopLimit = be.Uint16(b[4:]), layers.IPProtocol(b[6]), b[7]
	ip.SrcIP, ip.DstIP = b[8:24], b[24:40]
	if ip.Length > 0 || ip.NextHeader != layers.IPProtocolIPv6HopByHop { // otherwise the packet is a jumbogram
		ip.Payload = ip.Payload[:min(int(ip.Length), len(ip.Payload))]
	}
	return nil
}

func readTCP(tcp *layers.TCP, b []byte) error {
	if err := tcp.DecodeFromBytes(b, gopacket.NilDecodeFeedback); tcp.Payload == nil { // see readIPv4
		return err
	}
	return nil
}

func readUDP(udp *layers.UDP, b []byte) error {
	return udp.DecodeFromBytes(b, gopacket.NilDecodeFeedback)
}

func readSCTP(sctp *layers.SCTP, b []byte) error {
	if sctp.DecodeFromBytes(b, gopacket.NilDecodeFeedback) != nil {
		return errors.New("the SCTP header is cut short")
	}
	return nil
}

// chain is a position in the headers of an IP packet.
type chain struct {
	six   bool
	first bool // the first of several fragments: its payload is cut off somewhere
	later bool // a later fragment, which has no further headers
}

// extends says whether a protocol is an extension header, which another header follows.
func (c chain) extends(p layers.IPProtocol) bool {
	switch p {
	case layers.IPProtocolAH:
		return true
	case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Destination, layers.IPProtocolIPv6Fragment:
		return c.six
	}
	return false
}

// extension reads an extension header. It returns the protocol of the next header, the size of
// this one, and the position after it.
func (c chain) extension(p layers.IPProtocol, b []byte) (next layers.IPProtocol, size int, after chain, err error) {
	least := 8
	if len(b) >= 2 {
		switch size = 8 * (1 + int(b[1])); p {
		case layers.IPProtocolIPv6Fragment:
			size = 8
		case layers.IPProtocolAH:
			least, size = 12, 4*(2+int(b[1]))
		}
	}
	if size < least || size > len(b) {
		return 0, 0, c, errors.New("an IP extension header is cut short")
	}
	if p == layers.IPProtocolIPv6Fragment {
		offset := binary.BigEndian.Uint16(b[2:])
		c.later = offset>>3 != 0
		c.first = offset&1 != 0 && !c.later
	}
	return layers.IPProtocol(b[0]), size, c, nil
}

// The rest of the file are decoders for gopacket, each of which hands over to the next.

func decodeEthernet(b []byte, p gopacket.PacketBuilder) error {
	eth := new(layers.Ethernet)
	if err := eth.DecodeFromBytes(b, p); err != nil {
		return err
	}
	p.AddLayer(eth)
	p.SetLinkLayer(eth)
	return p.NextDecoder(behind(eth.EthernetType))
}

// behind returns the decoder for an Ethertype.
func behind(t layers.EthernetType) gopacket.Decoder {
	switch {
	case predicate.IsTag(uint16(t)):
		return gopacket.DecodeFunc(decodeTag)
	case t == layers.EthernetTypeIPv4:
		return gopacket.DecodeFunc(decodeIPv4)
	case t == layers.EthernetTypeIPv6:
		return gopacket.DecodeFunc(decodeIPv6)
	}
	return t
}

func decodeTag(b []byte, p gopacket.PacketBuilder) error {
	tag := new(layers.Dot1Q)
	if err := tag.DecodeFromBytes(b, p); err != nil {
		return err
	}
	p.AddLayer(tag)
	return p.NextDecoder(behind(tag.Type))
}

func decodeIPv4(b []byte, p gopacket.PacketBuilder) error {
	ip := new(layers.IPv4)
	if err := readIPv4(ip, b); err != nil {
		return err
	}
	p.AddLayer(ip)
	p.SetNetworkLayer(ip)
	c := chain{first: ip.Flags&layers.IPv4MoreFragments != 0, later: ip.FragOffset != 0}
	return p.NextDecoder(c.carried(ip.Protocol))
}

func decodeIPv6(b []byte, p gopacket.PacketBuilder) error {
	ip := new(layers.IPv6)
	if err := readIPv6(ip, b); err != nil {
		return err
	}
	c := chain{six: true}
	if ip.NextHeader != layers.IPProtocolIPv6HopByHop {
		p.AddLayer(ip)
		p.SetNetworkLayer(ip)
		return p.NextDecoder(c.carried(ip.NextHeader))
	}
	// gopacket takes the hop-by-hop header for a part of the IPv6 header, so the view does too.
	next, size, _, err := c.extension(ip.NextHeader, ip.Payload)
	if err == nil {
		hop := new(layers.IPv6HopByHop)
		hop.NextHeader, hop.ActualLength = next, size
		hop.Contents, hop.Payload = ip.Payload[:size], ip.Payload[size:]
		ip.HopByHop, ip.Payload = hop, hop.Payload
	}
	p.AddLayer(ip)
	p.SetNetworkLayer(ip)
	if err != nil {
		return err
	}
	p.AddLayer(ip.HopByHop)
	return p.NextDecoder(c.carried(next))
}

// carried returns the decoder for a protocol number of IP.
func (c chain) carried(proto layers.IPProtocol) gopacket.Decoder {
	switch {
	case c.later:
		return gopacket.DecodeFragment
	case c.extends(proto):
		return gopacket.DecodeFunc(func(b []byte, p gopacket.PacketBuilder) error { return c.decodeExtension(proto, b, p) })
	case proto == layers.IPProtocolTCP, proto == layers.IPProtocolUDP, proto == layers.IPProtocolSCTP && c.first:
		return gopacket.DecodeFunc(func(b []byte, p gopacket.PacketBuilder) error { return c.decodeTransport(proto, b, p) })
	case c.first, (chain{six: true}).extends(proto): // a part of a payload, or a header that IPv4 does not have
		return gopacket.DecodeFragment
	case proto == layers.IPProtocolIPv4:
		return gopacket.DecodeFunc(decodeIPv4)
	case proto == layers.IPProtocolIPv6:
		return gopacket.DecodeFunc(decodeIPv6)
	}
	return proto
}

func (c chain) decodeExtension(proto layers.IPProtocol, b []byte, p gopacket.PacketBuilder) error {
	next, size, c, err := c.extension(proto, b)
	if err != nil {
		return err
	}
	base := layers.BaseLayer{Contents: b[:size], Payload: b[size:]}
	switch proto {
	case layers.IPProtocolIPv6HopByHop:
		l := new(layers.IPv6HopByHop)
		l.BaseLayer, l.NextHeader = base, next
		p.AddLayer(l)
	case layers.IPProtocolIPv6Routing:
		l := new(layers.IPv6Routing)
		l.BaseLayer, l.NextHeader = base, next
		p.AddLayer(l)
	case layers.IPProtocolIPv6Destination:
		l := new(layers.IPv6Destination)
		l.BaseLayer, l.NextHeader = base, next
		p.AddLayer(l)
	case layers.IPProtocolAH:
		l := new(layers.IPSecAH)
		l.BaseLayer, l.NextHeader = base, next
		p.AddLayer(l)
	case layers.IPProtocolIPv6Fragment:
		be := binary.BigEndian
		p.AddLayer(&layers.IPv6Fragment{
			BaseLayer: base, NextHeader: next, FragmentOffset: be.Uint16(b[2:]) >> 3,
			MoreFragments: b[3]&1 != 0, Identification: be.Uint32(b[4:]),
		})
	default:
		return fmt.Errorf("no extension header: %v", proto)
	}
	return p.NextDecoder(c.carried(next))
}

func (c chain) decodeTransport(proto layers.IPProtocol, b []byte, p gopacket.PacketBuilder) (err error) {
	var l interface {
		gopacket.Layer
		gopacket.TransportLayer
	}
	next := gopacket.LayerTypePayload
	switch proto {
	case layers.IPProtocolTCP:
		tcp := new(layers.TCP)
		l, err = tcp, readTCP(tcp, b)
	case layers.IPProtocolUDP:
		udp := new(layers.UDP)
		if l, err = udp, readUDP(udp, b); !c.first {
			next = udp.NextLayerType()
		}
	default:
		sctp := new(layers.SCTP)
		l, err = sctp, readSCTP(sctp, b)
	}
	if err != nil {
		return err
	}
	p.AddLayer(l)
	p.SetTransportLayer(l)
	return p.NextDecoder(next)
}
