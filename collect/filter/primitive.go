package filter

import (
	"encoding/binary"
	"net/netip"
)

// protocols are the words that qualify, and what each stands for.
var protocols = map[string]string{
	"ether": "ether", "link": "ether", "ip": "ip", "ip6": "ip6", "ipv6": "ip6", "arp": "arp", "rarp": "rarp",
	"tcp": "tcp", "udp": "udp", "sctp": "sctp", "icmp": "icmp", "icmp6": "icmp6", "icmpv6": "icmp6",
	"igmp": "igmp", "igrp": "igrp", "pim": "pim", "vrrp": "vrrp", "carp": "carp", "ah": "ah", "esp": "esp",
	"decnet": "decnet", "lat": "lat", "moprc": "moprc", "mopdl": "mopdl", "sca": "sca",
}

const (
	etherIP   = 0x0800
	etherIP6  = 0x86dd
	etherMTU  = 1500 // a smaller type is the length of an 802.3 frame
	fragment6 = 44   // next header: fragment
)

var ethertypes = map[string]uint32{
	"ip": etherIP, "ip6": etherIP6, "arp": 0x0806, "rarp": 0x8035,
	"decnet": 0x6003, "lat": 0x6004, "moprc": 0x6002, "mopdl": 0x6001, "sca": 0x6007,
	"loopback": 0x9000, // for "ether proto" alone
}

// ipProtocols says the number of a protocol over IP, and over which it is looked for
// ("": both).
var ipProtocols = map[string]struct {
	number uint32
	over   string
}{
	"tcp": {6, ""}, "udp": {17, ""}, "sctp": {132, ""}, "pim": {103, ""}, "ah": {51, ""}, "esp": {50, ""},
	"icmp": {1, "ip"}, "igmp": {2, "ip"}, "igrp": {9, "ip"}, "vrrp": {112, "ip"}, "carp": {112, "ip"},
	"icmp6": {58, "ip6"},
}

// abbreviation is a protocol alone: "tcp".
func (c *compiler) abbreviation(t token, proto string) match {
	if p, ok := ipProtocols[proto]; ok {
		return c.protocol(t, p.number, p.over)
	}
	if proto == "ether" {
		c.fail(t, "%s needs something after it, such as host or proto", t)
	}
	return c.etherType(t, ethertypes[proto])
}

// etherType is a frame of that type, seen from behind the headers named so far.
func (c *compiler) etherType(t token, v uint32) match {
	offset, at := c.linktype, c.payload+c.nl
	switch {
	case c.labels > 0:
		version, ok := map[uint32]uint32{etherIP: 0x40, etherIP6: 0x60}[v]
		if !ok {
			c.fail(t, "only IP and IPv6 can be told behind MPLS labels")
		}
		return func(p *packet) bool { return p.byte(at-2)&1 == 1 && p.byte(at)&0xf0 == version }
	case c.ppp:
		if p, ok := map[uint32]uint32{etherIP: 0x21, etherIP6: 0x57, 0x6003: 0x27}[v]; ok {
			v = p
		}
	case v <= etherMTU: // 802.2: the length, and the destination's service access point
		return func(p *packet) bool { return p.half(offset) <= etherMTU && p.byte(at) == v }
	}
	return func(p *packet) bool { return p.half(offset) == v }
}

// protocol is a protocol over IP or IPv6 (behind a fragment header too), or both.
func (c *compiler) protocol(t token, v uint32, over string) match {
	at := c.payload + c.nl
	over4 := and(c.etherType(t, etherIP), func(p *packet) bool { return p.byte(at+9) == v })
	over6 := and(c.etherType(t, etherIP6), func(p *packet) bool {
		return p.byte(at+6) == v || p.byte(at+6) == fragment6 && p.byte(at+40) == v
	})
	switch over {
	case "ip":
		return over4
	case "ip6":
		return over6
	}
	return or(over4, over6)
}

// direction looks at two places, as the qualifier says.
func direction(dir string, src, dst match) match {
	switch dir {
	case "src":
		return src
	case "dst":
		return dst
	case "src and dst":
		return and(src, dst)
	}
	return or(src, dst)
}

// net4 compares an address of IP, ARP or RARP.
func (c *compiler) net4(t token, q quals, addr, mask uint32) match {
	one := func(proto string, src, dst int) match {
		at := c.payload + c.nl
		field := func(offset int) match {
			return and(c.etherType(t, ethertypes[proto]), func(p *packet) bool { return p.word(at+offset)&mask == addr })
		}
		return direction(q.dir, field(src), field(dst))
	}
	switch q.proto {
	case "ip":
		return one("ip", 12, 16)
	case "arp", "rarp":
		return one(q.proto, 14, 24)
	case "":
		if c.labels > 0 {
			return one("ip", 12, 16)
		}
		return anyOf(one("ip", 12, 16), one("arp", 14, 24), one("rarp", 14, 24))
	}
	c.fail(t, "%s has no address like %s", q.proto, t)
	return nil
}

// net6 compares an IPv6 address.
func (c *compiler) net6(t token, q quals, addr netip.Prefix) match {
	if q.proto != "" && q.proto != "ip6" {
		c.fail(t, "%s has no address like %s", q.proto, t)
	}
	var want, mask [4]uint32
	raw := addr.Addr().As16()
	for i := range want {
		want[i] = binary.BigEndian.Uint32(raw[4*i:])
		ones := min(32, max(0, addr.Bits()-32*i))
		mask[i] = uint32(uint64(0xffffffff) << (32 - ones))
		if want[i]&^mask[i] != 0 {
			c.fail(t, "%s has bits set beyond /%d", t, addr.Bits())
		}
	}
	is6, at := c.etherType(t, etherIP6), c.payload+c.nl
	field := func(offset int) match {
		return and(is6, func(p *packet) bool {
			for i := range want {
				if p.word(at+offset+4*i)&mask[i] != want[i] {
					return false
				}
			}
			return true
		})
	}
	return direction(q.dir, field(8), field(24))
}

// hardware compares a MAC address. The order of the loads is libpcap's.
func (c *compiler) hardware(t token, dir string, m [6]byte) match {
	if c.ppp {
		c.fail(t, "PPP has no MAC addresses")
	}
	low, high := binary.BigEndian.Uint32(m[2:]), uint32(binary.BigEndian.Uint16(m[:]))
	field := func(offset int) match {
		return func(p *packet) bool { return p.word(offset+2) == low && p.half(offset) == high }
	}
	return direction(dir, field(6), field(0))
}

// ports is a TCP, UDP or SCTP port, or a range of them. Fragments other than the
// first have none.
func (c *compiler) ports(t token, dir string, low, high uint32, protos ...uint32) match {
	at := c.payload + c.nl
	in := func(v uint32) bool { return v >= low && v <= high }
	carries := func(offset int) match {
		return func(p *packet) bool {
			v := p.byte(at + offset)
			for _, proto := range protos {
				if v == proto {
					return true
				}
			}
			return false
		}
	}
	first := func(p *packet) bool { return p.half(at+6)&0x1fff == 0 }
	port4 := func(offset int) match {
		return func(p *packet) bool {
			header := 4 * int(p.byte(at)&0xf)
			return in(p.half(at + header + offset))
		}
	}
	port6 := func(offset int) match { return func(p *packet) bool { return in(p.half(at + 40 + offset)) } }
	return or(
		and(c.etherType(t, etherIP6), and(carries(6), direction(dir, port6(0), port6(2)))),
		and(c.etherType(t, etherIP), and(carries(9), and(first, direction(dir, port4(0), port4(2))))))
}

// group is "broadcast" and "multicast", of the link layer or of IP.
func (c *compiler) group(t token, proto string) match {
	at := c.payload + c.nl
	switch {
	case c.ppp && (proto == "" || proto == "ether"):
		c.fail(t, "PPP has no %s", t.text)
	case t.text == "broadcast" && (proto == "" || proto == "ether"):
		return c.hardware(t, "dst", [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	case t.text == "broadcast":
		c.fail(t, "%s broadcast needs a netmask, which a tap does not have; use ether broadcast", proto)
	case proto == "" || proto == "ether":
		return func(p *packet) bool { return p.byte(0)&1 == 1 }
	case proto == "ip":
		return and(c.etherType(t, etherIP), func(p *packet) bool { return p.byte(at+16) >= 224 })
	case proto == "ip6":
		return and(c.etherType(t, etherIP6), func(p *packet) bool { return p.byte(at+24) == 255 })
	default:
		c.fail(t, "%s has no multicast", proto)
	}
	return nil
}

// plain are the primitives without qualifiers.
func (c *compiler) plain(t token) match {
	switch t.text {
	case "broadcast", "multicast":
		c.next()
		return c.group(t, "")
	case "less", "greater":
		c.next()
		n := c.number(0xffffffff)
		if t.text == "less" {
			return func(p *packet) bool { return p.wire <= n }
		}
		return func(p *packet) bool { return p.wire >= n }
	case "vlan":
		c.next()
		return c.vlan(t)
	case "mpls":
		c.next()
		return c.mpls(t)
	case "pppoed":
		c.next()
		return c.etherType(t, 0x8863)
	case "pppoes":
		c.next()
		return c.pppoe(t)
	case "geneve", "inbound", "outbound", "ifindex", "atalk", "aarp", "iso", "stp", "ipx", "netbeui",
		"fddi", "tr", "wlan", "ppp", "slip", "llc", "clnp", "esis", "isis", "gateway":
		c.fail(t, "%s is not supported", t.text)
	}
	return nil
}

func (c *compiler) number(most uint32) uint32 {
	t := c.next()
	if t.kind != number {
		c.fail(t, "a number is expected, not %s", t)
	}
	if t.n > most {
		c.fail(t, "%d is too large: at most %d", t.n, most)
	}
	return t.n
}

// given is the number that may follow a keyword.
func (c *compiler) given(most uint32) (n uint32, ok bool) {
	if c.peek().kind != number {
		return 0, false
	}
	return c.number(most), true
}

func (c *compiler) vlan(t token) match {
	if c.labels > 0 {
		c.fail(t, "no VLAN tag is inside MPLS")
	}
	m := anyOf(c.etherType(t, 0x8100), c.etherType(t, 0x88a8), c.etherType(t, 0x9100))
	if id, ok := c.given(4095); ok {
		at := c.payload + c.nl
		m = and(m, func(p *packet) bool { return p.half(at)&0x0fff == id })
	}
	c.linktype += 4
	c.payload += 4
	c.vlans++
	return m
}

func (c *compiler) mpls(t token) match {
	at := c.payload + c.nl
	var m match
	if c.labels > 0 { // the label before must not be the last one
		m = func(p *packet) bool { return p.byte(at-2)&1 == 0 }
	} else {
		m = c.etherType(t, 0x8847)
	}
	if label, ok := c.given(1<<20 - 1); ok {
		m = and(m, func(p *packet) bool { return p.word(at)>>12 == label })
	}
	c.nl += 4
	c.labels++
	return m
}

func (c *compiler) pppoe(t token) match {
	m := c.etherType(t, 0x8864)
	at := c.payload + c.nl
	if id, ok := c.given(0xffff); ok {
		m = and(m, func(p *packet) bool { return p.word(at)&0xffff == id })
	}
	c.linktype = at + 6
	c.payload, c.nl, c.ppp = c.linktype+2, 0, true
	return m
}
