// SPDX-License-Identifier: BSD-3-Clause

package frames

import (
	"fmt"
	"strings"
)

// primitives are filters of tcpdump's language for what the frames have, and for what they do not
// have. %d is one of few numbers.
var primitives = []string{
	"host 10.0.0.%d", "src host 10.0.0.%d", "dst host 10.0.0.%d", "net 10.0.0.0/30", "net 10.0.0.0/8", "ip host 10.0.0.%d", "arp host 10.0.0.%d", "host 10.9.9.%d",
	"ip6 host 2001:db8::%d", "net 2001:db8::/64", "src net 2001:db8::/126", "ip6 src 2001:db8::9%d", "net fe80::/10",
	"ether host 02:00:00:00:00:0%d", "ether src 02:00:00:00:00:0%d", "ether dst 02:00:00:00:00:0%d", "ether host 02:00:00:00:00:9%d", "ether proto 0x123%d", "ether proto 0x88b%d", "ether proto 0x42",
	"tcp", "udp", "sctp", "icmp", "icmp6", "ip proto 5%d", "ip6 proto 44", "ip6 proto 6%d", "ip", "ip6", "arp", "rarp", "proto 13%d", "proto 6", "ip6 proto 17",
	"port 80", "tcp port 443", "udp port 5%d", "src port 80", "portrange 40-90", "tcp dst port 2%d", "dst portrange 400-9000", "port 6%d", "src and dst port 80",
	"vlan", "vlan %d", "vlan 5%d", "vlan and vlan %d", "len > 8%d", "less 7%d", "ip[8] = 64", "tcp[13] & 2 != 0", "ether[12:2] = 0x800", "ether[14:2] & 0xfff = %d", "ip[16:4] = 0x0a00000%d",
	"ip multicast", "broadcast", "ether[0:2] = 0x0200", "ip[9] != 6", "ip6[6] = 17", "ip6[40:2] = 80", "tcp[0:2] = 80",
}

// Filter makes a filter in tcpdump's language of up to 1<<depth primitives.
func (r Random) Filter(depth int) string {
	if depth == 0 || r.IntN(4) == 0 {
		s := primitives[r.IntN(len(primitives))]
		if strings.Contains(s, "%") {
			s = fmt.Sprintf(s, r.pick(0, 1, 2, 3, 5, 7))
		}
		return s
	}
	s := r.Filter(depth-1) + []string{" and ", " or "}[r.IntN(2)] + r.Filter(depth-1)
	switch r.IntN(4) {
	case 0:
		return "not (" + s + ")"
	case 1:
		return "(" + s + ")"
	}
	return s
}
