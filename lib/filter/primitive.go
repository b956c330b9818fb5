// SPDX-License-Identifier: BSD-3-Clause

package filter

import (
	"encoding/binary"
	"net/netip"

	"ethertap/lib/predicate"
)

// protocols are the words that qualify, and what each means.
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
	"loopback": 0x9000, // only for "ether proto"
}

// ipProtocols has the number of each protocol over IP, and which version carries it ("": both).
var ipProtocols = map[string]struct {
	number uint32
	over   string
}{
	"tcp": {6, ""}, "udp": {17, ""}, "sctp": {132, ""}, "pim": {103, ""}, "ah": {51, ""}, "esp": {50, ""},
	"icmp": {1, "ip"}, "igmp": {2, "ip"}, "igrp": {9, "ip"}, "vrrp": {112, "ip"}, "carp": {112, "ip"},
	"icmp6": {58, "ip6"},
}

// abbreviation is a protocol without an id: "tcp".
func (c *compiler) abbreviation(t token, proto string) tree {
	if p, ok := ipProtocols[proto]; ok {
		return c.protocol(t, p.number, p.over)
	}
	if proto == "ether" {
		c.fail(t, "%s needs something after it, such as host or proto", t)
	}
	return c.etherType(t, ethertypes[proto])
}

// etherType matches frames of a type, after the headers named so far.
func (c *compiler) etherType(t token, v uint32) tree {
	offset, at := c.linktype, c.payload+c.nl
	switch {
	case c.labels > 0:
		version, ok := map[uint32]uint32{etherIP: 0x40, etherIP6: 0x60}[v]
		if !ok {
			c.fail(t, "only IP and IPv6 can be told behind MPLS labels")
		}
		return and(is(masked(byteAt(at-2), 1), 1), is(masked(byteAt(at), 0xf0), version))
	case c.ppp:
		if p, ok := map[uint32]uint32{etherIP: 0x21, etherIP6: 0x57, 0x6003: 0x27}[v]; ok {
			v = p
		}
	case v <= etherMTU: // 802.2: the length, and the destination's service access point
		return and(predicate.Compare{Op: predicate.AtMost, A: halfAt(offset), B: predicate.Number(etherMTU)}, is(byteAt(at), v))
	}
	return is(halfAt(offset), v)
}

// protocol matches a protocol over IP or IPv6 (after a fragment header, too), or both.
func (c *compiler) protocol(t token, v uint32, over string) tree {
	at := c.payload + c.nl
	is4, is6 := c.etherType(t, etherIP), c.etherType(t, etherIP6)
	over4 := is(byteAt(at+9), v)
	over6 := or(is(byteAt(at+6), v), and(is(byteAt(at+6), fragment6), is(byteAt(at+40), v)))
	switch over {
	case "ip":
		return and(is4, over4)
	case "ip6":
		return and(is6, over6)
	}
	return of(is4, over4, and(is6, over6))
}

// direction combines the matches of source and destination as the qualifier says.
func direction(dir string, src, dst tree) tree {
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

// net4 matches an address of IP, ARP or RARP.
func (c *compiler) net4(t token, q quals, addr, mask uint32) tree {
	at := c.payload + c.nl
	either := func(src, dst int) tree {
		return direction(q.dir, is(masked(wordAt(at+src), mask), addr), is(masked(wordAt(at+dst), mask), addr))
	}
	switch q.proto {
	case "ip":
		return and(c.etherType(t, etherIP), either(12, 16))
	case "arp", "rarp":
		return and(c.etherType(t, ethertypes[q.proto]), either(14, 24))
	case "":
		is4 := c.etherType(t, etherIP)
		if c.labels > 0 {
			return and(is4, either(12, 16))
		}
		return of(is4, either(12, 16), and(or(c.etherType(t, ethertypes["arp"]), c.etherType(t, ethertypes["rarp"])), either(14, 24)))
	}
	c.fail(t, "%s has no address like %s", q.proto, t)
	return nil
}

// net6 matches an IPv6 address.
func (c *compiler) net6(t token, q quals, addr netip.Prefix) tree {
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
	at := c.payload + c.nl
	field := func(offset int) tree {
		words := make([]tree, len(want))
		for i := range want {
			words[i] = is(masked(wordAt(at+offset+4*i), mask[i]), want[i])
		}
		return and(words[0], words[1:]...)
	}
	return and(c.etherType(t, etherIP6), direction(q.dir, field(8), field(24)))
}

// hardware matches a MAC address. The order of the loads is libpcap's.
func (c *compiler) hardware(t token, dir string, m [6]byte) tree {
	if c.ppp {
		c.fail(t, "PPP has no MAC addresses")
	}
	low, high := binary.BigEndian.Uint32(m[2:]), uint32(binary.BigEndian.Uint16(m[:]))
	field := func(offset int) tree { return and(is(wordAt(offset+2), low), is(halfAt(offset), high)) }
	return direction(dir, field(6), field(0))
}

// ports matches a TCP, UDP or SCTP port, or a range of ports. Fragments other than the first have
// no ports.
func (c *compiler) ports(t token, dir string, low, high uint32, protos ...uint32) tree {
	at := c.payload + c.nl
	carries := func(offset int) tree {
		each := make([]tree, len(protos))
		for i, proto := range protos {
			each[i] = is(byteAt(at+offset), proto)
		}
		return or(each[0], each[1:]...)
	}
	first := is(masked(halfAt(at+6), 0x1fff), 0)
	port4 := func(offset int) tree { return within(behind4(at, offset, 2), low, high) }
	port6 := func(offset int) tree { return within(halfAt(at+40+offset), low, high) }
	return of(c.etherType(t, etherIP),
		and(carries(9), first, direction(dir, port4(0), port4(2))),
		and(c.etherType(t, etherIP6), carries(6), direction(dir, port6(0), port6(2))))
}

// group matches "broadcast" and "multicast", of the link layer or of IP.
func (c *compiler) group(t token, proto string) tree {
	at := c.payload + c.nl
	switch {
	case c.ppp && (proto == "" || proto == "ether"):
		c.fail(t, "PPP has no %s", t.text)
	case t.text == "broadcast" && (proto == "" || proto == "ether"):
		return c.hardware(t, "dst", [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	case t.text == "broadcast":
		c.fail(t, "%s broadcast needs a netmask, which a tap does not have; use ether broadcast", proto)
	case proto == "" || proto == "ether":
		return is(masked(byteAt(0), 1), 1)
	case proto == "ip":
		return and(c.etherType(t, etherIP), predicate.Compare{Op: predicate.AtLeast, A: byteAt(at + 16), B: predicate.Number(224)})
	case proto == "ip6":
		return and(c.etherType(t, etherIP6), is(byteAt(at+24), 255))
	default:
		c.fail(t, "%s has no multicast", proto)
	}
	return nil
}

// plain reads the primitives without qualifiers.
func (c *compiler) plain(t token) tree {
	switch t.text {
	case "broadcast", "multicast":
		c.next()
		return c.group(t, "")
	case "less", "greater":
		c.next()
		op := map[string]predicate.Comparison{"less": predicate.AtMost, "greater": predicate.AtLeast}[t.text]
		return predicate.Compare{Op: op, A: predicate.Length{}, B: predicate.Number(c.number(0xffffffff))}
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
	case "inbound":
		c.next()
		return predicate.Inbound{}
	case "outbound":
		c.next()
		return predicate.Not{A: predicate.Inbound{}}
	case "geneve", "ifindex", "atalk", "aarp", "iso", "stp", "ipx", "netbeui",
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

// given reads the number that may follow a keyword.
func (c *compiler) given(most uint32) (n uint32, ok bool) {
	if c.peek().kind != number {
		return 0, false
	}
	return c.number(most), true
}

func (c *compiler) vlan(t token) tree {
	if c.labels > 0 {
		c.fail(t, "no VLAN tag is inside MPLS")
	}
	m := or(c.etherType(t, 0x8100), c.etherType(t, 0x88a8), c.etherType(t, 0x9100))
	if id, ok := c.given(4095); ok {
		m = and(m, is(masked(halfAt(c.payload+c.nl), 0x0fff), id))
	}
	c.linktype += 4
	c.payload += 4
	c.vlans++
	return m
}

func (c *compiler) mpls(t token) tree {
	at := c.payload + c.nl
	var m tree
	if c.labels > 0 { // the label before it must not be the last one
		m = is(masked(byteAt(at-2), 1), 0)
	} else {
		m = c.etherType(t, 0x8847)
	}
	if label, ok := c.given(1<<20 - 1); ok {
		m = and(m, is(masked(wordAt(at), 0xfffff000), label<<12))
	}
	c.nl += 4
	c.labels++
	return m
}

func (c *compiler) pppoe(t token) tree {
	m := c.etherType(t, 0x8864)
	at := c.payload + c.nl
	if id, ok := c.given(0xffff); ok {
		m = and(m, is(masked(wordAt(at), 0xffff), id))
	}
	c.linktype = at + 6
	c.payload, c.nl, c.ppp = c.linktype+2, 0, true
	return m
}
