// SPDX-License-Identifier: BSD-3-Clause

package filter

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// lookupTime bounds the lookup of a host name.
const lookupTime = 5 * time.Second

// id reads what follows the qualifiers: an address, a port, a number or a name.
func (c *compiler) id(q quals) tree {
	t := c.next()
	switch q.what {
	case "port", "portrange":
		return c.portID(t, q)
	case "proto":
		return c.protoID(t, q)
	}
	switch t.kind {
	case mac:
		if q.proto != "ether" || q.what == "net" {
			c.fail(t, "a MAC address goes with ether host, ether src, ether dst")
		}
		return c.hardware(t, q.dir, t.mac)
	case ipv6:
		return c.address6(t, q)
	case dotted, number:
		return c.address4(t, q)
	}
	return c.named(t, q)
}

// address4 reads 10.1.2.3, or the beginning of an address, or a net: 10.1/16, 10.1.0.0 mask
// 255.255.0.0.
func (c *compiler) address4(t token, q quals) tree {
	addr, mask := t.n, uint32(0xffffffff)
	if t.kind == dotted {
		addr <<= 32 - t.bits
		mask <<= 32 - t.bits
	} else if q.what == "net" {
		for addr != 0 && addr&0xff000000 == 0 {
			addr <<= 8
			mask <<= 8
		}
	}
	switch {
	case c.accept("/"):
		c.netOnly(t, q)
		mask = uint32(uint64(0xffffffff) << (32 - c.number(32)))
	case c.accept("mask"):
		c.netOnly(t, q)
		m := c.next()
		if m.kind != dotted || m.bits != 32 {
			c.fail(m, "a mask such as 255.255.255.0 is expected, not %s", m)
		}
		mask = m.n
	}
	if addr&^mask != 0 {
		c.fail(t, "%s has bits set beyond its mask", t)
	}
	return c.net4(t, q, addr, mask)
}

func (c *compiler) netOnly(t token, q quals) {
	if q.what != "net" {
		c.fail(t, "a mask goes with net")
	}
}

func (c *compiler) address6(t token, q quals) tree {
	bits := 128
	if c.accept("/") {
		if bits = int(c.number(128)); bits != 128 {
			c.netOnly(t, q)
		}
	}
	return c.net6(t, q, netip.PrefixFrom(t.addr, bits))
}

// portID reads a port by number or name, or a range of ports.
func (c *compiler) portID(t token, q quals) tree {
	protos, ok := map[string][]uint32{"": {6, 17, 132}, "tcp": {6}, "udp": {17}, "sctp": {132}}[q.proto]
	if !ok {
		c.fail(t, "%s has no ports", q.proto)
	}
	low, high := t.text, t.text
	if q.what == "portrange" {
		// A name may contain a dash, a number does not.
		if a, b, ok := strings.Cut(t.text, "-"); ok {
			low, high = a, b
		}
	}
	from, fromProto := c.port(t, low, q.proto)
	to, toProto := c.port(t, high, q.proto)
	if fromProto == toProto && fromProto != 0 { // only one of them has the names
		protos = []uint32{fromProto}
	}
	if from > to {
		from, to = to, from
	}
	return c.ports(t, q.dir, from, to, protos...)
}

// port returns the number of a port. proto says whether only TCP or only UDP has this name; it is
// 0 for both and for a number.
func (c *compiler) port(t token, s, want string) (n, proto uint32) {
	if t.kind == mac || t.kind == ipv6 || t.kind == dotted || t.kind == symbol || t.kind == end {
		c.fail(t, "a port is expected, not %s", t)
	}
	if v, err := strconv.ParseUint(s, 0, 32); err == nil {
		if v > 65535 {
			c.fail(t, "port %d is beyond 65535", v)
		}
		return uint32(v), 0
	}
	found := map[string]uint32{}
	for _, network := range []string{"tcp", "udp"} {
		if v, err := net.LookupPort(network, s); err == nil && v > 0 {
			found[network] = uint32(v)
		}
	}
	tcp, udp := found["tcp"], found["udp"]
	switch {
	case want == "tcp" && tcp > 0, want == "udp" && udp > 0:
		return found[want], 0
	case want == "" && tcp > 0 && (tcp == udp || udp == 0):
		if udp == 0 {
			return tcp, 6
		}
		return tcp, 0
	case want == "" && udp > 0 && tcp == 0:
		return udp, 17
	case want == "sctp" && tcp > 0:
		return tcp, 0
	case tcp > 0 && udp > 0:
		c.fail(t, "port %s is %d of TCP and %d of UDP; say which", s, tcp, udp)
	}
	c.fail(t, "no port is called %s", s)
	return 0, 0
}

// protoID reads a protocol by number or name.
func (c *compiler) protoID(t token, q quals) tree {
	if q.dir != "" {
		c.fail(t, "proto has no direction")
	}
	v := t.n
	switch t.kind {
	case number:
	case word, name:
		if q.proto == "ether" {
			n, ok := ethertypes[strings.ToLower(t.text)]
			if !ok {
				c.fail(t, "no Ethertype is called %s; use its number", t.text)
			}
			v = n
		} else {
			n, ok := protocolNumber(t.text)
			if !ok {
				c.fail(t, "no protocol is called %s; use its number", t.text)
			}
			v = n
		}
	default:
		c.fail(t, "a protocol is expected, not %s", t)
	}
	switch q.proto {
	case "ether":
		return c.etherType(t, v)
	case "", "ip", "ip6":
		return c.protocol(t, v, q.proto)
	}
	c.fail(t, "proto goes with ether, ip and ip6")
	return nil
}

// named reads a host by its name, and matches any of its addresses.
func (c *compiler) named(t token, q quals) tree {
	if q.what == "net" || q.proto == "ether" {
		c.fail(t, "%s is no address; names of nets and of Ethernet stations are not known", t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.text)
	if err != nil || len(addrs) == 0 {
		c.fail(t, "no host is called %s", t.text)
	}
	var any tree
	for _, a := range addrs {
		a = a.Unmap()
		if a.Is4() && q.proto == "ip6" || a.Is6() && q.proto != "" && q.proto != "ip6" {
			continue
		}
		var m tree
		if a.Is4() {
			b := a.As4()
			m = c.net4(t, q, uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3]), 0xffffffff)
		} else {
			m = c.net6(t, q, netip.PrefixFrom(a.WithZone(""), 128))
		}
		if any == nil {
			any = m
		} else {
			any = or(any, m)
		}
	}
	if any == nil {
		c.fail(t, "%s has no address of %s", t.text, q.proto)
	}
	return any
}
