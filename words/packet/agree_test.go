package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ethertap/interp"
)

// agree compares what the words for fields and the view say about a packet.
func agree(b []byte) error {
	if len(b) < etherHeader {
		return nil
	}
	h := &headers{packet: b}
	h.incomplete = h.dissect()
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
	if !slices.Equal(tags, h.vlans) {
		return fmt.Errorf("tags %v, fields %v", tags, h.vlans)
	}
	if _, is := l.(*layers.ARP); is != (h.arp != nil) {
		return fmt.Errorf("ARP %v, fields %v", is, h.arp != nil)
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
	if src != h.src || dst != h.dst || ttl != h.ttl || tos != h.tos {
		return fmt.Errorf("IP %v > %v ttl %d tos %d, fields %v > %v ttl %d tos %d", src, dst, ttl, tos, h.src, h.dst, h.ttl, h.tos)
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
	if later != h.fragment {
		return fmt.Errorf("later fragment %v, fields %v", later, h.fragment)
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
	if ports != h.ports || sport != h.sport || dport != h.dport {
		return fmt.Errorf("ports %v %d > %d, fields %v %d > %d: %v", ports, sport, dport, h.ports, h.sport, h.dport, h.incomplete)
	}
	if ports && !bytes.Equal(l.LayerPayload(), h.body) {
		return fmt.Errorf("a body of %d bytes, fields %d", len(l.LayerPayload()), len(h.body))
	}
	return nil
}

// frames makes random packets of every kind of header, most of them nearly valid.
type frames struct{ *rand.Rand }

func (r frames) pick(of ...int) int { return of[r.IntN(len(of))] }

func (r frames) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func (r frames) frame() []byte {
	be := binary.BigEndian
	b := r.bytes(12)
	for range r.IntN(4) {
		b = be.AppendUint16(b, uint16(r.pick(0x8100, 0x88a8, 0x9100, 0x9200)))
		b = append(b, r.bytes(2)...)
	}
	etype := r.pick(0x0800, 0x0800, 0x86dd, 0x86dd, 0x86dd, 0x0806, 0x8847, 0x8864, 46, 0x1234)
	b = be.AppendUint16(b, uint16(etype))
	proto, rest := r.carried(r.IntN(5))
	switch etype {
	case 0x0800:
		options := 4 * r.pick(0, 0, 0, 1, 2, 10)
		ip := append([]byte{byte(0x40 | (5 + options/4)), byte(r.Uint32())}, be.AppendUint16(nil, uint16(20+options+len(rest)+r.pick(0, 0, 0, 1, -1)))...)
		ip = append(ip, 0, 1)
		ip = be.AppendUint16(ip, uint16(r.pick(0, 0, 0, 0x4000, 0x2000, 0x2000, 1, 0x2001)))
		ip = append(ip, 64, byte(proto))
		ip = append(append(ip, r.bytes(10)...), r.bytes(options)...)
		b = append(append(b, ip...), rest...)
	case 0x86dd:
		b = append(b, 0x60, 0, 0, 0)
		b = be.AppendUint16(b, uint16(max(0, len(rest)+r.pick(0, 0, 0, 0, 1, -1, -len(rest)))))
		b = append(append(b, byte(proto), 64), r.bytes(32)...)
		b = append(b, rest...)
	case 0x0806:
		b = append(append(b, 0, 1, 8, 0, 6, 4, 0, 1), r.bytes(r.pick(20, 20, 38, 3))...)
	default:
		b = append(b, r.bytes(r.IntN(60))...)
	}
	return b
}

// carried returns the payload of an IP packet, with a number of extension headers before it.
func (r frames) carried(extensions int) (proto int, b []byte) {
	if extensions == 0 {
		proto, b = r.pick(6, 6, 17, 17, 132, 1, 58, 4, 41, 50, 59, 135), r.bytes(r.pick(0, 1, 8, 12, 20, 40, 60))
		if proto == 6 && len(b) > 12 {
			b[12] = byte(r.pick(0x50, 0x50, 0x60, 0xf0, 0x40))
		}
		if proto == 17 && len(b) > 5 {
			binary.BigEndian.PutUint16(b[4:], uint16(len(b)+r.pick(0, 0, 1, -1, -len(b))))
		}
		return proto, b
	}
	next, rest := r.carried(extensions - 1)
	switch proto = r.pick(0, 43, 44, 44, 51, 60); proto {
	case 44:
		b = []byte{byte(next), 0, 0, byte(r.pick(0, 1, 1, 8, 9)), 0, 0, 0, 7}
	case 51:
		n := r.pick(0, 1, 4)
		b = append([]byte{byte(next), byte(n)}, r.bytes(4*(n+2)-2)...)
	default:
		n := r.pick(0, 0, 1)
		b = append([]byte{byte(next), byte(n)}, r.bytes(8*(n+1)-2)...)
	}
	return proto, append(b, rest...)
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
	r := frames{rand.New(rand.NewPCG(25, 7))}
	kinds := map[string]int{}
	for i := range 20_000 {
		b := r.frame()
		for _, name := range layersOf(b) {
			kinds[name]++
		}
		check(b)
		switch i % 3 {
		case 0:
			b = b[:r.IntN(len(b)+1)]
		case 1:
			for range 1 + r.IntN(4) {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		}
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
		h := &headers{packet: b}
		h.incomplete = h.dissect()
		sport := ""
		if v, err := ofPorts(func(h *headers) (interp.Value, error) { return number(int(h.sport)) })(h); err != nil {
			sport = err.Error()
		} else {
			sport = v.Text()
		}
		if got := fmt.Sprint(h.vlans); got != c.vlans || sport != c.sport || fmt.Sprint(layersOf(b)) != "["+c.layers+"]" || summary(b) != c.summary {
			t.Errorf("%s: vlans %s, sport %s, layers %v, summary %q; want %s, %s, %s, %q", c.what, got, sport, layersOf(b), summary(b), c.vlans, c.sport, c.layers, c.summary)
		}
	}
}
