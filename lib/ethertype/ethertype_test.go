// SPDX-License-Identifier: BSD-3-Clause

package ethertype

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Each name is that of the protocol which has the number in the kernel's headers or, where these
// lack it, in the IEEE's registry.
func TestNames(t *testing.T) {
	for number, want := range map[uint16]string{
		unix.ETH_P_IP: "IPv4", unix.ETH_P_ARP: "ARP", unix.ETH_P_TSN: "AVTP", unix.ETH_P_DNA_RC: "DEC MOP", unix.ETH_P_DNA_RT: "DECnet",
		unix.ETH_P_LAT: "DEC LAT", unix.ETH_P_TEB: "Transparent Ethernet", unix.ETH_P_RARP: "RARP", unix.ETH_P_ATALK: "AppleTalk",
		unix.ETH_P_AARP: "AARP", unix.ETH_P_8021Q: "802.1Q", unix.ETH_P_IPX: "IPX", unix.ETH_P_IPV6: "IPv6", unix.ETH_P_PAUSE: "Flow control",
		unix.ETH_P_SLOW: "Slow protocols", unix.ETH_P_MPLS_UC: "MPLS", unix.ETH_P_MPLS_MC: "MPLS multicast", unix.ETH_P_PPP_DISC: "PPPoE discovery",
		unix.ETH_P_PPP_SES: "PPPoE session", unix.ETH_P_PAE: "EAPOL", unix.ETH_P_PROFINET: "PROFINET", unix.ETH_P_AOE: "ATA over Ethernet",
		unix.ETH_P_ETHERCAT: "EtherCAT", unix.ETH_P_8021AD: "802.1ad", unix.ETH_P_802_EX1: "Local experiments", unix.ETH_P_PREAUTH: "802.11i",
		unix.ETH_P_LLDP: "LLDP", unix.ETH_P_MRP: "MRP", unix.ETH_P_MACSEC: "MACsec", unix.ETH_P_8021AH: "Provider backbone", unix.ETH_P_MVRP: "MVRP",
		unix.ETH_P_1588: "PTP", unix.ETH_P_NCSI: "NC-SI", unix.ETH_P_PRP: "PRP", unix.ETH_P_CFM: "CFM", unix.ETH_P_FCOE: "FCoE",
		unix.ETH_P_FIP: "FCoE initialization", unix.ETH_P_IBOE: "RoCE", unix.ETH_P_HSR: "HSR", unix.ETH_P_NSH: "NSH", unix.ETH_P_LOOPBACK: "Loopback",
		unix.ETH_P_QINQ1: "802.1Q, old double tag",
		0x0842:           "Wake-on-LAN", 0x22ea: "SRP", 0x22f3: "TRILL", 0x8102: "SLPP", 0x8204: "QNX Qnet", 0x8819: "CobraNet", 0x8870: "Jumbo",
		0x887b: "HomePlug", 0x889a: "HyperSCSI", 0x88ab: "POWERLINK", 0x88b6: "Local experiments", 0x88b8: "GOOSE", 0x88b9: "GSE", 0x88ba: "Sampled values",
		0x88bf: "MikroTik RoMON", 0x88cd: "SERCOS III", 0x88e1: "HomePlug Green PHY", 0x88f6: "MMRP", 0x891d: "TTEthernet", 0x893a: "1905.1", 0xf1c1: "802.1CB",
	} {
		if got := Name(number); got != want {
			t.Errorf("%#04x is called %q, not %q", number, got, want)
		}
	}
}
