package ixdp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/interp"
)

// Each name is that of the protocol which has the number in the kernel's headers or, where these
// lack it, in the IEEE's registry.
func TestTypeNames(t *testing.T) {
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
		if got := typeName(number); got != want {
			t.Errorf("%#04x is called %q, not %q", number, got, want)
		}
	}
}

// The tables of what was seen have each value under its own key in JSON.
func TestKeysOfTables(t *testing.T) {
	seen := time.Unix(1700000000, 0).UTC()
	for want, v := range map[string]any{
		`{"interface":1,"name":"eth1","rows":[{"mac":"02:00:00:00:00:02","frames":3,"bytes":4,"seen":"2023-11-14T22:13:20Z","vendor":"V"}],"no_room":{"frames":5,"bytes":6}}`: macs{
			Interface: 1, Name: "eth1", NoRoom: dataplane.Usage{Frames: 5, Bytes: 6},
			Rows: []mac{{dataplane.MACUsage{MAC: policy.MAC{2, 0, 0, 0, 0, 2}, Usage: dataplane.Usage{Frames: 3, Bytes: 4}, Seen: seen}, "V"}},
		},
		`{"interface":1,"name":"eth1","types":[{"tags":2,"type":"0x0800","name":"IPv4","frames":3,"bytes":4,"last":"02:00:00:00:00:05","seen":"2023-11-14T22:13:20Z"}],` +
			`"types_no_room":{"frames":6,"bytes":7},"vlans":[{"tag":1,"tpid":"0x8100","vlan":8,"frames":9,"bytes":10,"last":"02:00:00:00:00:0b","seen":"2023-11-14T22:13:20Z"}],` +
			`"vlans_no_room":{"frames":12,"bytes":13}}`: types{
			Interface: 1, Name: "eth1", TypesNoRoom: dataplane.Usage{Frames: 6, Bytes: 7}, VLANsNoRoom: dataplane.Usage{Frames: 12, Bytes: 13},
			Types: []etype{{2, "0x0800", "IPv4", last{dataplane.Usage{Frames: 3, Bytes: 4}, policy.MAC{2, 0, 0, 0, 0, 5}, seen}}},
			VLANs: []vlan{{1, "0x8100", 8, last{dataplane.Usage{Frames: 9, Bytes: 10}, policy.MAC{2, 0, 0, 0, 0, 11}, seen}}},
		},
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v, not\n%s", got, err, want)
		}
	}
}

// The error of a probability of a burst names the input that is wrong.
func TestInputsOfBurst(t *testing.T) {
	for i, name := range []string{"enter", "leave", "bad", "good"} {
		var err error
		printed(t, func(s *interp.Session) {
			for j := range 4 {
				n := int64(1 + j)
				if j == i {
					n = policy.Certain + 1
				}
				s.Push(interp.NewInt(n))
			}
			err = burst(s, new(policy.Fault))
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error of %s is %v", name, err)
		}
	}
}
