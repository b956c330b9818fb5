// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// network writes the layers of IP, ICMP and IGMP.
func (c context) network(l gopacket.Layer) bool {
	switch l := l.(type) {
	case *layers.IPv4:
		c.ip4(l)
	case *layers.IPv6:
		c.ip6(l)
	case *layers.IPv6Fragment:
		c.layer("fragment")
		c.field("next %s", protocol(l.NextHeader))
		c.field("offset %d", 8*int(l.FragmentOffset))
		c.field("id %#08x", l.Identification)
		if l.MoreFragments {
			c.field("more follow")
		}
	case *layers.ICMPv4:
		c.layer("icmp4")
		c.field("%s", plain(l.TypeCode.String()))
		if echoes(l.TypeCode.Type()) {
			c.field("id %d", l.Id)
			c.field("sequence %d", l.Seq)
		}
		c.checksum(l.Checksum, checksum(0, append(l.Contents[:len(l.Contents):len(l.Contents)], l.Payload...)))
	case *layers.ICMPv6:
		c.layer("icmp6")
		c.field("%s", icmp6(l.TypeCode))
		c.carried(layers.IPProtocolICMPv6, l.Checksum, l)
	case *layers.ICMPv6Echo:
		c.layer("")
		c.field("id %d", l.Identifier)
		c.field("sequence %d", l.SeqNumber)
	case *layers.ICMPv6NeighborSolicitation:
		c.layer("")
		c.field("who is %s?", ip(l.TargetAddress))
		c.neighborOptions(l.Options)
	case *layers.ICMPv6NeighborAdvertisement:
		c.layer("")
		c.field("%s", ip(l.TargetAddress))
		for _, f := range []struct {
			on   bool
			name string
		}{{l.Router(), "router"}, {l.Solicited(), "solicited"}, {l.Override(), "override"}} {
			if f.on {
				c.field("%s", f.name)
			}
		}
		c.neighborOptions(l.Options)
	case *layers.ICMPv6RouterSolicitation:
		c.layer("")
		c.neighborOptions(l.Options)
	case *layers.ICMPv6RouterAdvertisement:
		c.layer("")
		c.field("hops %d", l.HopLimit)
		c.field("flags %#02x", l.Flags)
		c.field("lifetime %d s", l.RouterLifetime)
		c.field("reachable %d ms", l.ReachableTime)
		c.field("retransmit %d ms", l.RetransTimer)
		c.neighborOptions(l.Options)
	case *layers.ICMPv6Redirect:
		c.layer("")
		c.field("%s is reached by %s", ip(l.DestinationAddress), ip(l.TargetAddress))
		c.neighborOptions(l.Options)
	case *layers.MLDv2MulticastListenerReportMessage:
		c.layer("")
		for i, r := range l.MulticastAddressRecords {
			if i == entries {
				c.more(len(l.MulticastAddressRecords) - i)
				break
			}
			c.line()
			c.field("%s %s", plain(r.RecordType.String()), ip(r.MulticastAddress))
		}
	case *layers.IGMPv1or2:
		c.layer("igmp")
		c.field("version %d", l.Version)
		c.field("%s", plain(l.Type.String()))
		c.field("group %s", ip(l.GroupAddress))
	case *layers.IGMP:
		c.layer("igmp")
		c.field("version %d", l.Version)
		c.field("%s", plain(l.Type.String()))
		if l.Type == layers.IGMPMembershipQuery {
			c.field("group %s", ip(l.GroupAddress))
		}
		for i, r := range l.GroupRecords {
			if i == entries {
				c.field("… %d more", len(l.GroupRecords)-i)
				break
			}
			c.field("%s %s", plain(r.Type.String()), ip(r.MulticastAddress))
		}
	case *layers.GRE:
		c.layer("gre")
		c.field("protocol %s", etherType(uint16(l.Protocol)))
		if l.KeyPresent {
			c.field("key %#x", l.Key)
		}
		if l.SeqPresent {
			c.field("sequence %d", l.Seq)
		}
	default:
		return false
	}
	return true
}

// icmp6 names a message, including those of multicast listeners, which gopacket does not name.
func icmp6(t layers.ICMPv6TypeCode) string {
	switch t.Type() {
	case layers.ICMPv6TypeMLDv1MulticastListenerQueryMessage:
		return "listener query"
	case layers.ICMPv6TypeMLDv1MulticastListenerReportMessage:
		return "listener report"
	case layers.ICMPv6TypeMLDv1MulticastListenerDoneMessage:
		return "listener done"
	case layers.ICMPv6TypeMLDv2MulticastListenerReportMessageV2:
		return "listener report version 2"
	}
	return plain(t.String())
}

func echoes(icmp uint8) bool {
	return icmp == layers.ICMPv4TypeEchoRequest || icmp == layers.ICMPv4TypeEchoReply ||
		icmp >= layers.ICMPv4TypeTimestampRequest && icmp <= layers.ICMPv4TypeAddressMaskReply
}

// protocol formats the number of a protocol with its name.
func protocol(p layers.IPProtocol) string {
	if name := p.String(); !strings.HasPrefix(name, "Unknown") {
		return fmt.Sprintf("%d %s", uint8(p), name)
	}
	return fmt.Sprint(uint8(p))
}

func (c context) ip4(l *layers.IPv4) {
	c.layer("ip4")
	c.field("%s > %s", ip(l.SrcIP), ip(l.DstIP))
	c.field("protocol %s", protocol(l.Protocol))
	c.field("ttl %d", l.TTL)
	c.field("tos %#02x", l.TOS)
	c.field("length %d", l.Length)
	c.field("id %#04x", l.Id)
	if l.Flags != 0 {
		c.field("flags %s", l.Flags)
	}
	if l.FragOffset != 0 || l.Flags&layers.IPv4MoreFragments != 0 {
		c.field("fragment at %d", 8*int(l.FragOffset))
	}
	c.checksum(l.Checksum, checksum(0, l.Contents))
	options := 0
	for _, o := range l.Options {
		c.field("option %d %x", o.OptionType, o.OptionData)
		options += int(o.OptionLength)
	}
	if options != len(l.Contents)-20-len(l.Padding) {
		c.field("options broken")
	}
	c.spare(int(l.Length), len(l.Contents)+len(l.Payload))
}

func (c context) ip6(l *layers.IPv6) {
	c.layer("ip6")
	c.field("%s > %s", ip(l.SrcIP), ip(l.DstIP))
	c.field("next %s", protocol(l.NextHeader))
	c.field("hops %d", l.HopLimit)
	c.field("class %#02x", l.TrafficClass)
	c.field("flow %#05x", l.FlowLabel)
	c.field("payload %d", l.Length)
	if l.HopByHop != nil {
		c.field("hop-by-hop next %s", protocol(l.HopByHop.NextHeader))
	}
}

// spare says how many bytes follow the IP packet in its frame, or how many are missing.
func (c context) spare(said, there int) {
	if said > there {
		c.field("cut short by %d", said-there)
		return
	}
	if n := len(c.below); n > 0 {
		if rest := len(c.below[n-1].LayerPayload()) - said; rest > 0 {
			c.field("padding %d", rest)
		}
	}
}

// checksum formats a checksum. sum is the sum over everything, the checksum included.
func (c context) checksum(is, sum uint16) {
	if sum == 0 {
		c.field("checksum %#04x ok", is)
		return
	}
	// Subtracting the checksum in ones' complement gives the correct value.
	c.field("checksum %#04x wrong, not %#04x", is, checksum(uint64(^is)+uint64(^sum), nil))
}

// carried formats the checksum of a protocol that includes the addresses of IP. It cannot be
// checked in a fragment or in a packet that was cut short.
func (c context) carried(p layers.IPProtocol, is uint16, l gopacket.Layer) {
	b := append(append([]byte(nil), l.LayerContents()...), l.LayerPayload()...)
	var addresses []byte
	whole := false
	for _, under := range c.below {
		switch under := under.(type) {
		case *layers.IPv4:
			addresses = append(append([]byte(nil), under.SrcIP.To4()...), under.DstIP.To4()...)
			whole = under.FragOffset == 0 && under.Flags&layers.IPv4MoreFragments == 0 &&
				int(under.Length) == len(under.Contents)+len(under.Payload)
		case *layers.IPv6:
			addresses = append(append([]byte(nil), under.SrcIP...), under.DstIP...)
			carried := len(under.Payload)
			if under.HopByHop != nil {
				carried += under.HopByHop.ActualLength
			}
			whole = int(under.Length) == carried
		case *layers.IPv6Fragment:
			whole = false
		}
	}
	if addresses == nil || !whole {
		c.field("checksum %#04x", is)
		return
	}
	pseudo := ^checksum(uint64(p)+uint64(len(b)), addresses)
	c.checksum(is, checksum(uint64(pseudo), b))
}

// neighborOptions formats the options of neighbor discovery.
func (c context) neighborOptions(options layers.ICMPv6Options) {
	for i, o := range options {
		switch {
		case i == entries:
			c.field("… %d more", len(options)-i)
			return
		case o.Type == layers.ICMPv6OptSourceAddress:
			c.field("from %s", mac(o.Data))
		case o.Type == layers.ICMPv6OptTargetAddress:
			c.field("at %s", mac(o.Data))
		case o.Type == layers.ICMPv6OptPrefixInfo && len(o.Data) >= 30:
			c.field("prefix %s/%d", ip(o.Data[14:30]), o.Data[0])
		case o.Type == layers.ICMPv6OptMTU && len(o.Data) >= 6:
			c.field("mtu %d", binary.BigEndian.Uint32(o.Data[2:]))
		default:
			c.field("option %d %.32x", uint8(o.Type), o.Data)
		}
	}
}
