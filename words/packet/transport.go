// SPDX-License-Identifier: BSD-3-Clause

package packet

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// transport writes the layers of protocols that have ports.
func (c context) transport(l gopacket.Layer) bool {
	switch l := l.(type) {
	case *layers.TCP:
		c.tcp(l)
	case *layers.UDP:
		c.layer("udp")
		c.field("%s > %s", l.SrcPort, l.DstPort)
		c.field("length %d", l.Length)
		if l.Checksum == 0 {
			c.field("no checksum")
		} else {
			c.carried(layers.IPProtocolUDP, l.Checksum, l)
		}
	case *layers.SCTP:
		c.layer("sctp")
		c.field("%s > %s", l.SrcPort, l.DstPort)
		c.field("tag %#08x", l.VerificationTag)
		c.field("checksum %#08x", l.Checksum)
	case *layers.VXLAN:
		c.layer("vxlan")
		c.field("vni %d", l.VNI)
	default:
		return false
	}
	return true
}

func (c context) tcp(l *layers.TCP) {
	c.layer("tcp")
	c.field("%s > %s", l.SrcPort, l.DstPort)
	c.field("%s", tcpFlags(l))
	c.field("seq %d", l.Seq)
	if l.ACK {
		c.field("ack %d", l.Ack)
	}
	c.field("window %d", l.Window)
	if l.URG {
		c.field("urgent %d", l.Urgent)
	}
	c.carried(layers.IPProtocolTCP, l.Checksum, l)
	options := 0
	for _, o := range l.Options {
		options += int(o.OptionLength)
		if o.OptionType > layers.TCPOptionKindNop {
			c.field("%s", tcpOption(o))
		}
	}
	if options != len(l.Contents)-20-len(l.Padding) {
		c.field("options broken")
	}
}

func tcpFlags(l *layers.TCP) string {
	var all []string
	for _, f := range []struct {
		on   bool
		name string
	}{
		{l.SYN, "SYN"}, {l.FIN, "FIN"}, {l.RST, "RST"}, {l.PSH, "PSH"}, {l.ACK, "ACK"}, {l.URG, "URG"}, {l.ECE, "ECE"}, {l.CWR, "CWR"}, {l.NS, "NS"},
	} {
		if f.on {
			all = append(all, f.name)
		}
	}
	if all == nil {
		return "no flags"
	}
	return strings.Join(all, " ")
}

func tcpOption(o layers.TCPOption) string {
	be, b := binary.BigEndian, o.OptionData
	switch {
	case o.OptionType == layers.TCPOptionKindMSS && len(b) == 2:
		return fmt.Sprintf("mss %d", be.Uint16(b))
	case o.OptionType == layers.TCPOptionKindWindowScale && len(b) == 1:
		return fmt.Sprintf("scale %d", b[0])
	case o.OptionType == layers.TCPOptionKindSACKPermitted:
		return "sack permitted"
	case o.OptionType == layers.TCPOptionKindTimestamps && len(b) == 8:
		return fmt.Sprintf("time %d echo %d", be.Uint32(b), be.Uint32(b[4:]))
	case o.OptionType == layers.TCPOptionKindSACK && len(b)%8 == 0:
		var all []string
		for ; len(b) > 0; b = b[8:] {
			all = append(all, fmt.Sprintf("%d-%d", be.Uint32(b), be.Uint32(b[4:])))
		}
		return "sack " + strings.Join(all, " ")
	}
	return fmt.Sprintf("option %d %x", uint8(o.OptionType), b)
}
