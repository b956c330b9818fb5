// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ethertap/interp"
	"ethertap/lib/oui"
	"ethertap/lib/predicate"
)

// known writes the layers that have formats of their own here.
func (c context) known(l gopacket.Layer) bool {
	switch l := l.(type) {
	case *layers.Ethernet:
		c.ethernet(l)
	case *layers.Dot1Q:
		c.vlan(l)
	case *layers.LLC:
		c.layer("llc")
		c.field("dsap %#02x", l.DSAP)
		c.field("ssap %#02x", l.SSAP)
		c.field("control %#02x", l.Control)
	case *layers.SNAP:
		c.layer("snap")
		c.field("oui %x", l.OrganizationalCode)
		c.field("type %s", etherType(uint16(l.Type)))
	case *layers.STP:
		return c.stp(l.Contents)
	case *layers.ARP:
		c.arp(l)
	case *layers.MPLS:
		c.layer("mpls")
		c.field("label %d", l.Label)
		c.field("class %d", l.TrafficClass)
		c.field("ttl %d", l.TTL)
		if l.StackBottom {
			c.field("bottom of stack")
		}
	case *layers.PPPoE:
		c.layer("pppoe")
		c.field("session %#04x", l.SessionId)
		c.field("code %s", plain(l.Code.String()))
		c.field("length %d", l.Length)
	case *layers.PPP:
		c.layer("ppp")
		c.field("protocol %#04x %s", uint16(l.PPPType), l.PPPType)
	case *layers.LinkLayerDiscovery:
		c.lldp(l)
	case *layers.LinkLayerDiscoveryInfo:
		c.lldpInfo(l)
	default:
		return c.network(l) || c.transport(l) || c.application(l)
	}
	return true
}

func (c context) ethernet(l *layers.Ethernet) {
	c.layer("ethernet")
	src, dst := [6]byte(l.SrcMAC), [6]byte(l.DstMAC)
	c.field("%s > %s", mac(src[:]), mac(dst[:]))
	if l.Length > 0 || l.EthernetType == layers.EthernetTypeLLC {
		c.field("length %d", l.Length)
	} else {
		c.field("type %s", etherType(uint16(l.EthernetType)))
	}
	from, to := station(src), station(dst)
	if from != "" || to != "" {
		c.line()
	}
	if from != "" {
		c.field("from %s", from)
	}
	if to != "" {
		c.field("to %s", to)
	}
}

func mac(b []byte) string {
	if len(b) != 6 {
		return fmt.Sprintf("%x", b)
	}
	return interp.NewMAC([6]byte(b)).Text()
}

// station describes an address beyond its digits: its vendor, or that it is a group.
func station(a [6]byte) string {
	switch {
	case a == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}:
		return "all stations (broadcast)"
	case a[0]&1 != 0:
		return "a group (multicast)"
	}
	return oui.Describe(a)
}

// etherType formats an Ethertype with its name.
func etherType(t uint16) string {
	name := layers.EthernetType(t).String()
	switch {
	case predicate.IsTag(t):
		name = "VLAN"
	case t == uint16(layers.EthernetTypeLinkLayerDiscovery):
		name = "LLDP"
	case strings.HasPrefix(name, "Unknown"):
		return fmt.Sprintf("%#04x", t)
	}
	return fmt.Sprintf("%#04x %s", t, name)
}

func (c context) vlan(l *layers.Dot1Q) {
	c.layer("vlan")
	c.field("id %d", l.VLANIdentifier)
	c.field("priority %d", l.Priority)
	if l.DropEligible {
		c.field("drop eligible")
	}
	if l.Type < 0x600 {
		c.field("length %d", uint16(l.Type))
		return
	}
	c.field("type %s", etherType(uint16(l.Type)))
}

func (c context) arp(l *layers.ARP) {
	c.layer("arp")
	sender, target := ip(l.SourceProtAddress), ip(l.DstProtAddress)
	switch l.Operation {
	case layers.ARPRequest:
		c.field("request: who has %s? tell %s", target, sender)
	case layers.ARPReply:
		c.field("reply: %s is at %s", sender, mac(l.SourceHwAddress))
	default:
		c.field("operation %d", l.Operation)
	}
	c.line()
	c.field("sender %s %s", mac(l.SourceHwAddress), sender)
	c.field("target %s %s", mac(l.DstHwAddress), target)
	if l.AddrType != layers.LinkTypeEthernet || l.Protocol != layers.EthernetTypeIPv4 {
		c.field("hardware %d protocol %#04x", uint8(l.AddrType), uint16(l.Protocol))
	}
}

// ip formats a network address of any length.
func ip(b []byte) string {
	v, err := address(b)
	if err != nil {
		return fmt.Sprintf("%x", b)
	}
	return v.Text()
}

// stp writes a bridge protocol data unit, which gopacket does not decode.
func (c context) stp(b []byte) bool {
	const config = 35
	if len(b) < 4 || binary.BigEndian.Uint16(b) != 0 {
		return false
	}
	c.layer("stp")
	switch {
	case b[3] == 0x80:
		c.field("topology change")
		return true
	case len(b) < config:
		return false
	case b[2] == 2:
		c.field("rapid spanning tree")
	case b[2] > 2:
		c.field("multiple spanning tree")
	default:
		c.field("configuration")
	}
	be := binary.BigEndian
	bridge := func(b []byte) string { return fmt.Sprintf("%d/%s", be.Uint16(b), mac(b[2:8])) }
	c.field("flags %#02x", b[4])
	c.field("root %s", bridge(b[5:]))
	c.field("cost %d", be.Uint32(b[13:]))
	c.field("bridge %s", bridge(b[17:]))
	c.field("port %#04x", be.Uint16(b[25:]))
	seconds := func(b []byte) float64 { return float64(be.Uint16(b)) / 256 }
	c.field("age %g/%g s", seconds(b[27:]), seconds(b[29:]))
	c.field("hello %g s", seconds(b[31:]))
	c.field("delay %g s", seconds(b[33:]))
	return true
}

func (c context) lldp(l *layers.LinkLayerDiscovery) {
	c.layer("lldp")
	c.field("chassis %s", identity(l.ChassisID.ID, l.ChassisID.Subtype == layers.LLDPChassisIDSubTypeMACAddr, l.ChassisID.Subtype == layers.LLDPChassisIDSubTypeNetworkAddr))
	c.field("port %s", identity(l.PortID.ID, l.PortID.Subtype == layers.LLDPPortIDSubtypeMACAddr, l.PortID.Subtype == layers.LLDPPortIDSubtypeNetworkAddr))
	c.field("ttl %d s", l.TTL)
}

// identity formats an LLDP identifier: a MAC address, a network address that begins with its
// family, or a name.
func identity(b []byte, isMAC, isNetwork bool) string {
	switch {
	case isMAC:
		return mac(b)
	case isNetwork && len(b) > 1:
		return ip(b[1:])
	}
	return text(b)
}

// text formats bytes that are meant to be text.
func text(b []byte) string {
	b = []byte(strings.TrimRight(string(b), "\x00"))
	if !utf8.Valid(b) {
		return fmt.Sprintf("%x", b)
	}
	return interp.Quote(string(b))
}

func (c context) lldpInfo(l *layers.LinkLayerDiscoveryInfo) {
	line := func(format string, args ...any) {
		c.line()
		c.field(format, args...)
	}
	c.layer("")
	for _, t := range []struct{ name, value string }{
		{"port description", l.PortDescription}, {"system name", l.SysName}, {"system description", l.SysDescription},
	} {
		if t.value != "" {
			line("%s %s", t.name, text([]byte(t.value)))
		}
	}
	if has := capabilities(l.SysCapabilities.SystemCap); has != "" {
		line("capabilities %s, enabled %s", has, capabilities(l.SysCapabilities.EnabledCap))
	}
	if len(l.MgmtAddress.Address) > 0 {
		line("management address %s, interface %d", ip(l.MgmtAddress.Address), l.MgmtAddress.InterfaceNumber)
	}
	for i, o := range l.OrgTLVs {
		if i == entries {
			line("… %d more", len(l.OrgTLVs)-i)
			break
		}
		line("organisation %06x type %d: %.64x", uint32(o.OUI), o.SubType, o.Info)
	}
	for _, u := range l.Unknown {
		line("type %d: %.64x", u.Type, u.Value)
	}
}

func capabilities(l layers.LLDPCapabilities) string {
	var all []string
	for _, b := range []struct {
		on   bool
		name string
	}{
		{l.Other, "other"}, {l.Repeater, "repeater"}, {l.Bridge, "bridge"}, {l.WLANAP, "wlan"}, {l.Router, "router"},
		{l.Phone, "phone"}, {l.DocSis, "docsis"}, {l.StationOnly, "station"}, {l.CVLAN, "cvlan"}, {l.SVLAN, "svlan"}, {l.TMPR, "tpmr"},
	} {
		if b.on {
			all = append(all, b.name)
		}
	}
	return strings.Join(all, "+")
}

// plain splits a name of gopacket's into words: EchoRequest becomes echo request.
func plain(name string) string {
	var b strings.Builder
	before := ' '
	for _, r := range strings.ReplaceAll(name, "_", " ") {
		if unicode.IsUpper(r) && unicode.IsLower(before) || r == '(' && before != ' ' {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
		before = r
	}
	return b.String()
}
