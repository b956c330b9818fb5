// SPDX-License-Identifier: BSD-3-Clause

// Package packet is the word set that decodes packets, `packet.*`: words for the fields of the
// common headers, and one that shows a packet layer by layer. The fields are those that filters
// see, by the dissector of lib/predicate. The view uses gopacket's decoders; what they report
// about a malformed packet is shown.
//
// The package knows the VM and the registry of vendors. It does not know where packets come from:
// a packet is data like any other.
package packet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ethertap/interp"
	"ethertap/lib/predicate"
)

// Set returns the words that decode packets.
func Set() interp.Set {
	words := append(slices.Clone(words), fieldWords()...)
	for i := range words {
		words[i].Asks = true
	}
	return interp.Set{
		Name:     "packet",
		Help:     "packets: fields of their headers, a view layer by layer",
		Prefixes: []string{"packet."},
		Words:    words,
	}
}

// sample is a packet for the examples: VLAN 5, IPv4, TCP from port 8080 to 80, "GET".
const sample = `"00005e005301 00005e005302 81000005 0800
 4500002b 00010000 400664ca 0a010101 0a010102
 1f900050 00000001 00000002 50181000 57b90000 474554" hex->data `

var words = []interp.Word{
	{Name: "packet.show", Stack: "( packet - )", Help: "shows a packet layer by layer", Example: example("packet.show"), Func: showPacket},
	{Name: "packet.summary", Stack: "( packet - string )", Help: "a packet in one line", Example: example("packet.summary ."), Func: summarize},
	{Name: "packet.layers", Stack: "( packet - string )", Help: "names of the layers of a packet, separated by blanks", Example: example("packet.layers ."), Func: layerNames},
	{Name: "packet.has", Stack: "( packet layer - flag )", Help: "whether a packet has a layer, by its name as packet.layers gives it; ip and icmp stand for either version", Example: example("\"tcp\" packet.has ."), Func: hasLayer},
	{Name: "packet.vlans", Stack: "( packet - id… n )", Help: "ids of the VLAN tags, the innermost on top, and how many there are", Example: example("packet.vlans .s"), Func: vlans},
	{Name: "packet.checksum", Stack: "( data - n )", Help: "the Internet checksum of data, that of IP, ICMP, UDP and TCP (RFC 1071)", Example: "\"0001f203f4f5f6f7\" hex->data packet.checksum 16 num->base .", Func: checksumOf},
}

// example returns source that shows a word on the sample.
func example(line string) string { return strings.ReplaceAll(sample, "\n", "") + line }

// field is a word that takes a packet and leaves one value of it.
type field struct {
	name, result, help string
	tree               predicate.Expr                       // the value in a filter; nil if none can have it
	value              func(*headers) (interp.Value, error) // nil if it is the number of the tree
}

var fields = []field{
	{"packet.len", "n", "length of the packet in bytes", predicate.Length{}, func(h *headers) (interp.Value, error) { return interp.NewInt(int64(len(h.packet))), nil }},
	{"packet.dst", "mac", "destination MAC address", predicate.MACDestination, func(h *headers) (interp.Value, error) { return interp.NewMAC([6]byte(h.packet[:6])), nil }},
	{"packet.src", "mac", "source MAC address", predicate.MACSource, func(h *headers) (interp.Value, error) { return interp.NewMAC([6]byte(h.packet[6:12])), nil }},
	{"packet.etype", "n", "Ethertype behind the VLAN tags; below 1536 it is the length of an 802.3 frame", predicate.EtherType, nil},
	{"packet.vlan", "id", "id of the outermost VLAN tag, -1 if there is none", predicate.VLAN, nil},
	{"packet.payload", "data", "what follows the Ethernet header and the VLAN tags", nil, func(h *headers) (interp.Value, error) { return interp.NewData(h.payload()), nil }},
	{"packet.arp?", "flag", "whether the packet is ARP", predicate.Is{Any: predicate.ARP}, nil},
	{"packet.arp.op", "n", "ARP operation: 1 request, 2 reply", predicate.ARPOperation, nil},
	{"packet.arp.src", "ip", "sender's IP address in ARP", nil, of(predicate.ARP, func(h *headers) (interp.Value, error) { return h.arpAddress(false) })},
	{"packet.arp.dst", "ip", "target's IP address in ARP", nil, of(predicate.ARP, func(h *headers) (interp.Value, error) { return h.arpAddress(true) })},
	{"packet.ip4?", "flag", "whether the packet is IPv4", predicate.Is{Any: predicate.IP4}, nil},
	{"packet.ip6?", "flag", "whether the packet is IPv6", predicate.Is{Any: predicate.IP6}, nil},
	{"packet.ip.src", "ip", "source IP address", predicate.IPSource, of(predicate.IP, func(h *headers) (interp.Value, error) { return interp.NewIP(h.ip(predicate.IPSource)), nil })},
	{"packet.ip.dst", "ip", "destination IP address", predicate.IPDestination, of(predicate.IP, func(h *headers) (interp.Value, error) { return interp.NewIP(h.ip(predicate.IPDestination)), nil })},
	{"packet.ip.proto", "n", "protocol that IP carries: 1 ICMP, 6 TCP, 17 UDP, 58 ICMPv6", predicate.IPProtocol, nil},
	{"packet.ip.ttl", "n", "time to live, or hop limit", predicate.IPTTL, nil},
	{"packet.ip.tos", "n", "type of service, or traffic class", predicate.IPTOS, nil},
	{"packet.ip.payload", "data", "what IP carries, behind extension headers", nil, of(predicate.IP, func(h *headers) (interp.Value, error) { return interp.NewData(h.carried()), nil })},
	{"packet.fragment?", "flag", "whether the packet is a fragment of an IP packet, the first one or a later one", predicate.Is{Any: predicate.Fragment}, nil},
	{"packet.tcp?", "flag", "whether the packet has a TCP header, so that its fields and ports can be read", predicate.Is{Any: predicate.TCP}, nil},
	{"packet.udp?", "flag", "whether the packet has a UDP header, so that its ports can be read", predicate.Is{Any: predicate.UDP}, nil},
	{"packet.sctp?", "flag", "whether the packet has an SCTP header, so that its ports can be read", predicate.Is{Any: predicate.SCTP}, nil},
	{"packet.icmp?", "flag", "whether the packet has an ICMP header, of either version", predicate.Is{Any: predicate.ICMP}, nil},
	{"packet.sport", "port", "source port of TCP, UDP or SCTP", predicate.SourcePort, nil},
	{"packet.dport", "port", "destination port of TCP, UDP or SCTP", predicate.DestinationPort, nil},
	{"packet.body", "data", "what TCP or UDP carries", nil, of(predicate.Ports, func(h *headers) (interp.Value, error) { return interp.NewData(h.body()), nil })},
	{"packet.tcp.flags", "n", "TCP flags: 1 FIN, 2 SYN, 4 RST, 8 PSH, 16 ACK, 32 URG", predicate.TCPFlags, nil},
	{"packet.tcp.seq", "n", "TCP sequence number", predicate.TCPSequence, nil},
	{"packet.tcp.ack", "n", "TCP acknowledgement number", predicate.TCPAcknowledgement, nil},
	{"packet.icmp.type", "n", "ICMP type: 8 echo request, 0 echo reply; of ICMPv6 128 and 129", predicate.ICMPType, nil},
	{"packet.icmp.code", "n", "ICMP code", predicate.ICMPCode, nil},
}

// Tree returns the value that a word for a field leaves, as a tree for filters, and nil if the word is
// none of those that filters can have. An address is the Field of the address.
func Tree(word string) predicate.Expr {
	for _, f := range fields {
		if f.name == word {
			return f.tree
		}
	}
	return nil
}

// arpSample is an ARP request from 10.1.1.1 for 10.1.1.2.
const arpSample = `"ffffffffffff 00005e005302 0806 0001080006040001 00005e005302 0a010101 000000000000 0a010102" hex->data `

// icmpSample is an ICMP echo request from 10.1.1.1 to 10.1.1.2.
const icmpSample = `"00005e005301 00005e005302 0800 4500001c00010000400164cf0a0101010a010102 0800f7fd00010001" hex->data `

func fieldWords() []interp.Word {
	var all []interp.Word
	for _, f := range fields {
		show := f.name + " ."
		w := interp.Word{Name: f.name, Stack: "( packet - " + f.result + " )", Help: f.help, Example: example(show)}
		switch {
		case strings.HasPrefix(f.name, "packet.arp"):
			w.Example = arpSample + show
		case strings.HasPrefix(f.name, "packet.icmp"):
			w.Example = icmpSample + show
		}
		value := f.value
		if value == nil {
			value = valueOf(f.tree)
		}
		w.Func = func(s *interp.Session) error {
			h, err := popHeaders(s)
			if err != nil {
				return err
			}
			v, err := value(h)
			if err != nil {
				return err
			}
			return s.Push(v)
		}
		all = append(all, w)
	}
	return all
}

// address converts 4 or 16 bytes to an IP address.
func address(b []byte) (interp.Value, error) {
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return interp.Value{}, fmt.Errorf("an address of %d bytes is not IP's", len(b))
	}
	return interp.NewIP(a), nil
}

// valueOf returns the function for a field that is a number, or for a test of layers.
func valueOf(e predicate.Expr) func(*headers) (interp.Value, error) {
	if is, ok := e.(predicate.Is); ok {
		return func(h *headers) (interp.Value, error) { return interp.NewFlag(h.has(is.Any)), nil }
	}
	f := e.(predicate.Field)
	return of(f.Needs(), func(h *headers) (interp.Value, error) {
		n, _ := h.Value(h.packet, f)
		return interp.NewInt(n), nil
	})
}

// of returns the function for a value that takes one of the layers. On a packet without any of
// them it returns an error that says why.
func of(l predicate.Layers, value func(*headers) (interp.Value, error)) func(*headers) (interp.Value, error) {
	return func(h *headers) (interp.Value, error) {
		if !h.has(l) {
			return interp.Value{}, h.without(l)
		}
		return value(h)
	}
}

var (
	errNoARP    = errors.New("the packet is not ARP")
	errNoIP     = errors.New("the packet is not IP")
	errNoPorts  = errors.New("the packet is neither TCP nor UDP nor SCTP")
	errFragment = errors.New("the packet is a fragment without the transport header")
	errNoTCP    = errors.New("the packet is not TCP")
	errNoICMP   = errors.New("the packet is not ICMP")
)

// without returns the error for a packet that has none of the layers.
func (h *headers) without(l predicate.Layers) error {
	switch {
	case l == predicate.ARP:
		return h.because(errNoARP)
	case l == predicate.IP:
		return h.because(errNoIP)
	case h.has(predicate.Later):
		return errFragment
	case l == predicate.TCP && h.has(predicate.Ports):
		return errNoTCP
	case l == predicate.ICMP:
		return h.because(errNoICMP)
	}
	return h.because(errNoPorts)
}

func vlans(s *interp.Session) error {
	h, err := popHeaders(s)
	if err != nil {
		return err
	}
	if err := s.RoomFor(h.Tags + 1); err != nil {
		return err
	}
	for _, id := range h.vlans() {
		if err := s.Push(interp.NewInt(int64(id))); err != nil {
			return err
		}
	}
	return s.Push(interp.NewInt(int64(h.Tags)))
}

func checksumOf(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	return s.Push(interp.NewInt(int64(checksum(0, b))))
}

// checksum returns the complement of the ones' complement sum of all 16-bit words of b and of
// sum, which was summed before.
func checksum(sum uint64, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint64(b[0])<<8 | uint64(b[1])
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
