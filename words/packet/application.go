// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"ethertap/interp"
)

// application writes the payload of TCP and UDP, if a decoder is known for the ports.
func (c context) application(l gopacket.Layer) bool {
	switch l := l.(type) {
	case *layers.DNS:
		c.dns(l)
	case *layers.DHCPv4:
		c.dhcp(l)
	case *layers.NTP:
		c.layer("ntp")
		c.field("version %d", l.Version)
		c.field("mode %d", l.Mode)
		c.field("stratum %d", l.Stratum)
		c.field("reference %08x", uint32(l.ReferenceID))
	default:
		return false
	}
	return true
}

func (c context) dns(l *layers.DNS) {
	c.layer("dns")
	kind := "query"
	if l.QR {
		kind = "response, " + plain(l.ResponseCode.String())
	}
	c.field("%s", kind)
	c.field("id %#04x", l.ID)
	var flags []string
	for _, f := range []struct {
		on   bool
		name string
	}{{l.AA, "authoritative"}, {l.TC, "truncated"}, {l.RD, "recursion desired"}, {l.RA, "recursion available"}} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	if flags != nil {
		c.field("%s", strings.Join(flags, ", "))
	}
	for i, q := range l.Questions {
		if i == entries {
			c.more(len(l.Questions) - i)
			break
		}
		c.line()
		c.field("? %s %s", name(q.Name), q.Type)
	}
	c.records("=", l.Answers)
	c.records("authority", l.Authorities)
	c.records("additional", l.Additionals)
}

// more says how many entries of a list are left out.
func (c context) more(n int) {
	c.line()
	c.field("… %d more", n)
}

func (c context) records(mark string, records []layers.DNSResourceRecord) {
	for i, r := range records {
		if i == entries {
			c.more(len(records) - i)
			return
		}
		c.line()
		c.field("%s %s %s %s  %d s", mark, name(r.Name), r.Type, recordData(r), r.TTL)
	}
}

// name formats a domain name; that of the root is empty.
func name(b []byte) string {
	if len(b) == 0 {
		return "."
	}
	return string(b)
}

func recordData(r layers.DNSResourceRecord) string {
	switch r.Type {
	case layers.DNSTypeA, layers.DNSTypeAAAA:
		return ip(r.IP)
	case layers.DNSTypeNS:
		return name(r.NS)
	case layers.DNSTypeCNAME:
		return name(r.CNAME)
	case layers.DNSTypePTR:
		return name(r.PTR)
	case layers.DNSTypeMX:
		return fmt.Sprintf("%d %s", r.MX.Preference, name(r.MX.Name))
	case layers.DNSTypeSRV:
		return fmt.Sprintf("%d %d %d %s", r.SRV.Priority, r.SRV.Weight, r.SRV.Port, name(r.SRV.Name))
	case layers.DNSTypeSOA:
		return fmt.Sprintf("%s %s %d", name(r.SOA.MName), name(r.SOA.RName), r.SOA.Serial)
	case layers.DNSTypeTXT:
		var all []string
		for _, t := range r.TXTs {
			all = append(all, text(t))
		}
		return strings.Join(all, " ")
	}
	return fmt.Sprintf("%.64x", r.Data)
}

func (c context) dhcp(l *layers.DHCPv4) {
	c.layer("dhcp")
	kind := plain(l.Operation.String())
	for _, o := range l.Options {
		if o.Type == layers.DHCPOptMessageType && len(o.Data) == 1 {
			kind = plain(layers.DHCPMsgType(o.Data[0]).String())
		}
	}
	c.field("%s", kind)
	c.field("transaction %#08x", l.Xid)
	c.field("client %s", mac(l.ClientHWAddr))
	for _, a := range []struct {
		name  string
		value []byte
	}{{"has", l.ClientIP}, {"gets", l.YourClientIP}, {"server", l.NextServerIP}, {"relay", l.RelayAgentIP}} {
		if binary.BigEndian.Uint32(a.value) != 0 {
			c.field("%s %s", a.name, ip(a.value))
		}
	}
	for i, o := range l.Options {
		if i == entries {
			c.more(len(l.Options) - i)
			return
		}
		switch o.Type {
		case layers.DHCPOptPad, layers.DHCPOptEnd, layers.DHCPOptMessageType:
			continue
		}
		c.line()
		c.field("%s %s", plain(o.Type.String()), dhcpValue(o))
	}
}

func dhcpValue(o layers.DHCPOption) string {
	switch o.Type {
	case layers.DHCPOptSubnetMask, layers.DHCPOptRouter, layers.DHCPOptDNS, layers.DHCPOptRequestIP, layers.DHCPOptServerID,
		layers.DHCPOptBroadcastAddr, layers.DHCPOptNTPServers:
		var all []string
		for b := o.Data; len(b) >= 4; b = b[4:] {
			all = append(all, ip(b[:4]))
		}
		return strings.Join(all, " ")
	case layers.DHCPOptLeaseTime, layers.DHCPOptT1, layers.DHCPOptT2:
		if len(o.Data) == 4 {
			return fmt.Sprintf("%d s", binary.BigEndian.Uint32(o.Data))
		}
	case layers.DHCPOptHostname, layers.DHCPOptDomainName, layers.DHCPOptClassID:
		return text(o.Data)
	}
	return fmt.Sprintf("%.64x", o.Data)
}

func summarize(s *interp.Session) error {
	b, err := s.PopData()
	if err != nil {
		return err
	}
	return s.Push(interp.NewString(summary(b)))
}

// aside lists the layers that a summary does not mention.
var aside = map[string]bool{"data": true, "vlan": true, "echo": true, "neighbor": true, "router": true, "redirect": true, "mld": true, "lldpinfo": true, "hopbyhop": true}

func end(host string, port uint16) string { return net.JoinHostPort(host, fmt.Sprint(port)) }

// summary returns a packet in one line: addresses, protocols, subject, length. Of packets within
// packets it describes the innermost.
func summary(b []byte) string {
	from, to, what, about := "", "", "packet", ""
	var tags strings.Builder
	for _, l := range decode(b) {
		if f, ok := l.(gopacket.ErrorLayer); ok {
			if !unknown(f) {
				what, about = layerName(l.LayerType()), "("+reason(f)+")"
			}
			break
		}
		if n := layerName(l.LayerType()); !aside[n] && !strings.HasPrefix(n, "sctp") || n == "sctp" {
			what, about = n, ""
		}
		switch l := l.(type) {
		case *layers.Ethernet:
			from, to = mac(l.SrcMAC), mac(l.DstMAC)
			about = etherType(uint16(l.EthernetType))
		case *layers.Dot1Q:
			fmt.Fprintf(&tags, " vlan %d", l.VLANIdentifier)
			about = etherType(uint16(l.Type))
		case *layers.ARP:
			from, to = ip(l.SourceProtAddress), ip(l.DstProtAddress)
			about = map[uint16]string{layers.ARPRequest: "request", layers.ARPReply: "reply"}[l.Operation]
		case *layers.IPv4:
			from, to, about = ip(l.SrcIP), ip(l.DstIP), "protocol "+protocol(l.Protocol)
		case *layers.IPv6:
			from, to, about = ip(l.SrcIP), ip(l.DstIP), "next "+protocol(l.NextHeader)
		case *layers.ICMPv4:
			about = plain(l.TypeCode.String())
		case *layers.ICMPv6:
			about = icmp6(l.TypeCode)
		case *layers.TCP:
			from, to, about = end(from, uint16(l.SrcPort)), end(to, uint16(l.DstPort)), tcpFlags(l)
		case *layers.UDP:
			from, to = end(from, uint16(l.SrcPort)), end(to, uint16(l.DstPort))
		case *layers.SCTP:
			from, to = end(from, uint16(l.SrcPort)), end(to, uint16(l.DstPort))
		case *layers.DNS:
			about = "query"
			if l.QR {
				about = "response"
			}
			if len(l.Questions) > 0 {
				about += " " + name(l.Questions[0].Name)
			}
		}
	}
	if from != "" {
		from += " > " + to
	}
	line := fmt.Sprintf("%s%s %s %s %s", from, &tags, what, about, size(len(b)))
	return interp.Printable(strings.Join(strings.Fields(line), " "))
}
