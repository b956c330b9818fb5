// SPDX-License-Identifier: BSD-3-Clause

package predicate

import "strings"

// Layers is a set of layers of a frame.
type Layers uint32

// A frame has a layer if its header is complete and has valid lengths. Of packets within packets
// the outermost counts.
const (
	Ethernet Layers = 1 << iota // 14 bytes
	Tag                         // a VLAN tag: 0x8100, 0x88a8, 0x9100 or 0x9200
	ARP
	IP4
	IP6
	Fragment // a fragment of an IP packet
	Later    // a fragment other than the first, which has no transport header
	TCP
	UDP
	SCTP
	ICMP4
	ICMP6
)

// IP is either version of IP, Ports the protocols that have ports, ICMP either version of ICMP.
const (
	IP    = IP4 | IP6
	Ports = TCP | UDP | SCTP
	ICMP  = ICMP4 | ICMP6
)

var layerNames = [...]string{"ethernet", "tag", "arp", "ip4", "ip6", "fragment", "later", "tcp", "udp", "sctp", "icmp4", "icmp6"}

// String returns the names, separated by |.
func (l Layers) String() string {
	var names []string
	for i, name := range layerNames {
		if l&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Field is a number in a header. A tree that reads a field fails on a frame without the header.
type Field uint8

const (
	MACDestination Field = iota // a number of 48 bits
	MACSource
	EtherType // after the tags; below 1536 it is the length of an 802.3 frame
	VLAN      // id of the outermost tag, -1 if there is none
	ARPOperation
	IPSource      // only for Address
	IPDestination // only for Address
	IPProtocol    // protocol of the payload, after extension headers
	IPTTL         // or hop limit
	IPTOS         // or traffic class
	SourcePort
	DestinationPort
	TCPFlags // FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
	TCPSequence
	TCPAcknowledgement
	ICMPType
	ICMPCode
	fields
)

// fieldTable has the name of each field, and the layers of which it needs one.
var fieldTable = [fields]struct {
	name   string
	layers Layers
}{
	MACDestination:     {"dst", Ethernet},
	MACSource:          {"src", Ethernet},
	EtherType:          {"etype", Ethernet},
	VLAN:               {"vlan", Ethernet},
	ARPOperation:       {"arp.op", ARP},
	IPSource:           {"ip.src", IP},
	IPDestination:      {"ip.dst", IP},
	IPProtocol:         {"ip.proto", IP},
	IPTTL:              {"ip.ttl", IP},
	IPTOS:              {"ip.tos", IP},
	SourcePort:         {"sport", Ports},
	DestinationPort:    {"dport", Ports},
	TCPFlags:           {"tcp.flags", TCP},
	TCPSequence:        {"tcp.seq", TCP},
	TCPAcknowledgement: {"tcp.ack", TCP},
	ICMPType:           {"icmp.type", ICMP},
	ICMPCode:           {"icmp.code", ICMP},
}

// Needs returns the layers of which a frame must have one for the field.
func (f Field) Needs() Layers { return fieldTable[f].layers }
