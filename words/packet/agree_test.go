// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ethertap/lib/predicate"
	"ethertap/tests/frames"
)

// agree compares what the words for fields and the view say about a packet.
func agree(b []byte) error {
	if len(b) < etherHeader {
		return nil
	}
	h := dissect(b)
	all := decode(b)
	if _, ok := all[0].(*layers.Ethernet); !ok {
		return fmt.Errorf("no Ethernet but %v", all[0].LayerType())
	}
	next := func() gopacket.Layer {
		if all = all[1:]; len(all) == 0 {
			return nil
		}
		return all[0]
	}
	l := next()
	var tags []uint16
	for tag, ok := l.(*layers.Dot1Q); ok; tag, ok = l.(*layers.Dot1Q) {
		tags = append(tags, tag.VLANIdentifier)
		l = next()
	}
	if !slices.Equal(tags, h.vlans()) {
		return fmt.Errorf("tags %v, fields %v", tags, h.vlans())
	}
	arp, is := l.(*layers.ARP)
	if is != h.has(predicate.ARP) {
		return fmt.Errorf("ARP %v, fields %v", is, h.Headers)
	}
	if op, _ := h.Value(b, predicate.ARPOperation); is && int(op) != int(arp.Operation) {
		return fmt.Errorf("ARP %d, field %d", arp.Operation, op)
	}
	var src, dst netip.Addr
	var ttl, tos uint8
	later := false
	switch ip := l.(type) {
	case *layers.IPv4:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		ttl, tos, later = ip.TTL, ip.TOS, ip.FragOffset != 0
	case *layers.IPv6:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
		ttl, tos = ip.HopLimit, ip.TrafficClass
	}
	fsrc, fdst := h.ip(predicate.IPSource), h.ip(predicate.IPDestination)
	fttl, _ := h.Value(b, predicate.IPTTL)
	ftos, _ := h.Value(b, predicate.IPTOS)
	if src != fsrc || dst != fdst || int64(ttl) != fttl || int64(tos) != ftos {
		return fmt.Errorf("IP %v > %v ttl %d tos %d, fields %v > %v ttl %d tos %d", src, dst, ttl, tos, fsrc, fdst, fttl, ftos)
	}
	if src.IsValid() {
		l = next()
	}
extensions:
	for src.IsValid() {
		switch e := l.(type) {
		case *layers.IPv6HopByHop, *layers.IPv6Routing, *layers.IPv6Destination, *layers.IPSecAH:
		case *layers.IPv6Fragment:
			later = e.FragmentOffset != 0
		default:
			break extensions
		}
		l = next()
	}
	if later != h.has(predicate.Later) {
		return fmt.Errorf("later fragment %v, fields %v", later, h.Headers)
	}
	var sport, dport uint16
	ports := src.IsValid()
	switch t := l.(type) {
	case *layers.TCP:
		sport, dport = uint16(t.SrcPort), uint16(t.DstPort)
	case *layers.UDP:
		sport, dport = uint16(t.SrcPort), uint16(t.DstPort)
	case *layers.SCTP:
		sport, dport = uint16(t.SrcPort), uint16(t.DstPort)
	default:
		ports = false
	}
	fsport, _ := h.Value(b, predicate.SourcePort)
	fdport, _ := h.Value(b, predicate.DestinationPort)
	if ports != h.has(predicate.Ports) || int64(sport) != fsport || int64(dport) != fdport {
		return fmt.Errorf("ports %v %d > %d, fields %+v", ports, sport, dport, h.Headers)
	}
	if ports && !bytes.Equal(l.LayerPayload(), h.body()) {
		return fmt.Errorf("a body of %d bytes, fields %d", len(l.LayerPayload()), len(h.body()))
	}
	if tcp, is := l.(*layers.TCP); is {
		flags, _ := h.Value(b, predicate.TCPFlags)
		seq, _ := h.Value(b, predicate.TCPSequence)
		ack, _ := h.Value(b, predicate.TCPAcknowledgement)
		if uint8(flags) != tcp.Contents[13] || uint32(seq) != tcp.Seq || uint32(ack) != tcp.Ack {
			return fmt.Errorf("TCP %+v, fields %x %d %d", tcp, flags, seq, ack)
		}
	}
	switch i := l.(type) {
	case *layers.ICMPv4:
		return agreeICMP(h, predicate.ICMP4, i.TypeCode.Type(), i.TypeCode.Code())
	case *layers.ICMPv6:
		return agreeICMP(h, predicate.ICMP6, i.TypeCode.Type(), i.TypeCode.Code())
	}
	return nil
}

func agreeICMP(h *headers, l predicate.Layers, kind, code uint8) error {
	fkind, _ := h.Value(h.packet, predicate.ICMPType)
	fcode, _ := h.Value(h.packet, predicate.ICMPCode)
	if !h.has(l) || int64(kind) != fkind || int64(code) != fcode {
		return fmt.Errorf("ICMP %d %d, fields %+v %d %d", kind, code, h.Headers, fkind, fcode)
	}
	return nil
}

// The words for fields and the view agree about every packet: the samples, random ones, and those
// cut short or with inverted bits.
func TestWordsAgree(t *testing.T) {
	check := func(b []byte) {
		t.Helper()
		if err := agree(b); err != nil {
			t.Errorf("%x: %v", b, err)
		}
	}
	all, _ := packets(t)
	r := frames.New(25)
	kinds := map[string]int{}
	for range 20_000 {
		b := r.Frame()
		for _, name := range layersOf(b) {
			kinds[name]++
		}
		check(b)
		b = r.Damaged(b)
		check(b)
		if t.Failed() {
			return
		}
	}
	for _, b := range all {
		for n := range len(b) {
			check(b[:n])
			for bit := range 8 {
				c := bytes.Clone(b)
				c[n] ^= 1 << bit
				check(c)
			}
		}
	}
	for _, name := range []string{"vlan", "arp", "ip4", "ip6", "hopbyhop", "routing", "fragment", "destopts", "ipsecah", "tcp", "udp", "sctp"} {
		if kinds[name] < 100 {
			t.Errorf("%d packets with %s among them", kinds[name], name)
		}
	}
}

// These are packets about which the words once disagreed.
func TestOneAnswer(t *testing.T) {
	const ip6 = "86dd 60000000 %04x %02x 40 fe800000000000000000000000000001 fe800000000000000000000000000002 "
	const udp = "03e8 07d0 000c 1e57 64617461"
	const ip4 = "0800 4500 0020 0001 %04x 40 11 0000 0a010101 0a010102 " + udp
	for _, c := range []struct{ what, packet, layers, vlans, sport, summary string }{
		{"0x9100", "9100 0064 8100 00c8" + fmt.Sprintf(ip4, 0), "ethernet vlan vlan ip4 udp data", "[100 200]", "1000", "10.1.1.1:1000 > 10.1.1.2:2000 vlan 100 vlan 200 udp 54 bytes"},
		{"0x9200", "9200 0064" + fmt.Sprintf(ip4, 0), "ethernet vlan ip4 udp data", "[100]", "1000", "10.1.1.1:1000 > 10.1.1.2:2000 vlan 100 udp 50 bytes"},
		{"the first fragment of IPv4", fmt.Sprintf(ip4, 0x2000), "ethernet ip4 udp data", "[]", "1000", "10.1.1.1:1000 > 10.1.1.2:2000 udp 46 bytes"},
		{"a later fragment of IPv4", fmt.Sprintf(ip4, 0x2001), "ethernet ip4 data", "[]", errFragment.Error(), "10.1.1.1 > 10.1.1.2 ip4 protocol 17 UDP 46 bytes"},
		{"the first fragment of IPv6", fmt.Sprintf(ip6, 20, 44) + "1100 0001 00000007" + udp, "ethernet ip6 fragment udp data", "[]", "1000", "[fe80::1]:1000 > [fe80::2]:2000 udp 74 bytes"},
		{"a later fragment of IPv6", fmt.Sprintf(ip6, 20, 44) + "1100 0011 00000007" + udp, "ethernet ip6 fragment data", "[]", errFragment.Error(), "fe80::1 > fe80::2 fragment 74 bytes"},
		{"an authentication header", fmt.Sprintf(ip6, 36, 51) + "1104 0000 00000001 00000001 000000000000000000000000" + udp, "ethernet ip6 ipsecah udp data", "[]", "1000", "[fe80::1]:1000 > [fe80::2]:2000 udp 90 bytes"},
		{"broken options", "0800 4600 0024 0001 0000 40 11 0000 0a010101 0a010102 07ff0000 " + udp, "ethernet ip4 udp data", "[]", "1000", "10.1.1.1:1000 > 10.1.1.2:2000 udp 50 bytes"},
		{"MPLS", "8847 00014140" + "4500 0020 0001 0000 40 11 0000 0a010101 0a010102" + udp, "ethernet mpls ip4 udp data", "[]",
			"the packet is neither TCP nor UDP nor SCTP: the words for fields stop at MPLS labels; packet.show shows the rest", "10.1.1.1:1000 > 10.1.1.2:2000 udp 50 bytes"},
	} {
		b := unhex(t, "02bb00000002 02bb00000001"+c.packet)
		h := dissect(b)
		sport := ""
		if v, err := valueOf(predicate.SourcePort)(h); err != nil {
			sport = err.Error()
		} else {
			sport = v.Text()
		}
		if got := fmt.Sprint(h.vlans()); got != c.vlans || sport != c.sport || fmt.Sprint(layersOf(b)) != "["+c.layers+"]" || summary(b) != c.summary {
			t.Errorf("%s: vlans %s, sport %s, layers %v, summary %q; want %s, %s, %s, %q", c.what, got, sport, layersOf(b), summary(b), c.vlans, c.sport, c.layers, c.summary)
		}
	}
}
