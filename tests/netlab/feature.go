// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/genl"
)

// isOffload says, by the kernel's name of a feature, whether it changes frames on their way:
// those that `ethtool -K` calls tx, rx, tso, gso, gro, sg, txvlan, rxvlan. Kernels add names
// (6.18 has tx-tcp-accecn-segmentation), hence patterns.
func isOffload(feature string) bool {
	for _, prefix := range []string{
		"tx-checksum-", "rx-checksum", "tx-scatter-gather", "tx-gso-", "rx-gro", "rx-lro",
		"tx-vlan-hw-", "tx-vlan-stag-hw-", "rx-vlan-hw-", "rx-vlan-stag-hw-",
	} {
		if strings.HasPrefix(feature, prefix) {
			return true
		}
	}
	return strings.HasSuffix(feature, "-segmentation")
}

// OffloadsOff switches off everything that changes frames on their way. A NIC may keep some on
// that another needs; those of a Bridge change none of the frames that tests send.
func (n *Namespace) OffloadsOff(link string) {
	n.t.Helper()
	active, changeable, err := n.features(link)
	n.must(err)
	var off []string
	for _, name := range active {
		if isOffload(name) && slices.Contains(changeable, name) {
			off = append(off, name)
		}
	}
	n.must(n.setFeatures(link, off, false))
	active, _, err = n.features(link)
	n.must(err)
	for _, name := range off {
		if slices.Contains(active, name) && !OnNICs() {
			n.t.Fatalf("namespace %s: link %s: offload %s stays on", n.name, link, name)
		}
	}
}

// SetFeature switches an offload on or off by the kernel's name for it, as
// `ethtool -K` shows it: "rx-gro" or "tx-checksum-ip-generic", say. A veth end
// with rx-gro on has NAPI even without an XDP program.
func (n *Namespace) SetFeature(link, feature string, on bool) {
	n.t.Helper()
	n.must(n.setFeatures(link, []string{feature}, on))
	if n.Feature(link, feature) != on {
		n.t.Fatalf("namespace %s: link %s: cannot turn %s to %t", n.name, link, feature, on)
	}
}

// Feature says whether an offload is on.
func (n *Namespace) Feature(link, feature string) bool {
	n.t.Helper()
	active, _, err := n.features(link)
	n.must(err)
	return slices.Contains(active, feature)
}

// SetQueues changes how many receive and transmit queues of a link are in use, as `ethtool -L`
// does. It returns the kernel's error.
func (n *Namespace) SetQueues(link string, rx, tx int) error {
	_, err := n.ethtool(link, unix.ETHTOOL_MSG_CHANNELS_SET,
		nl.NewRtAttr(unix.ETHTOOL_A_CHANNELS_RX_COUNT, nl.Uint32Attr(uint32(rx))),
		nl.NewRtAttr(unix.ETHTOOL_A_CHANNELS_TX_COUNT, nl.Uint32Attr(uint32(tx))))
	return err
}

// setCombined changes how many queues of both directions a NIC uses, where it has a choice.
func (n *Namespace) setCombined(link string, queues int) {
	n.t.Helper()
	replies, err := n.ethtool(link, unix.ETHTOOL_MSG_CHANNELS_GET)
	n.must(err)
	for _, reply := range replies {
		attrs, err := nl.ParseRouteAttr(reply)
		n.must(err)
		for _, attr := range attrs {
			if attr.Attr.Type == unix.ETHTOOL_A_CHANNELS_COMBINED_COUNT && int(nl.NativeEndian().Uint32(attr.Value)) != queues {
				_, err := n.ethtool(link, unix.ETHTOOL_MSG_CHANNELS_SET,
					nl.NewRtAttr(unix.ETHTOOL_A_CHANNELS_COMBINED_COUNT, nl.Uint32Attr(uint32(queues))))
				n.must(err)
			}
		}
	}
}

// features returns the offloads that are on and those that can change, by ethtool's netlink
// interface.
func (n *Namespace) features(link string) (active, changeable []string, err error) {
	replies, err := n.ethtool(link, unix.ETHTOOL_MSG_FEATURES_GET)
	if err != nil {
		return nil, nil, err
	}
	for _, reply := range replies {
		attrs, err := nl.ParseRouteAttr(reply)
		if err != nil {
			return nil, nil, fmt.Errorf("link %s: features: %w", link, err)
		}
		for _, attr := range attrs {
			switch attr.Attr.Type & nl.NLA_TYPE_MASK {
			case unix.ETHTOOL_A_FEATURES_ACTIVE:
				active = bitNames(attr.Value)
			case unix.ETHTOOL_A_FEATURES_HW:
				changeable = bitNames(attr.Value)
			}
		}
	}
	return active, changeable, nil
}

// setFeatures switches features on or off; others stay as they are.
func (n *Namespace) setFeatures(link string, names []string, on bool) error {
	wanted := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_WANTED|unix.NLA_F_NESTED, nil)
	bits := wanted.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS|unix.NLA_F_NESTED, nil)
	for _, name := range names {
		bit := bits.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS_BIT|unix.NLA_F_NESTED, nil)
		bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_NAME, nl.ZeroTerminated(name))
		if on {
			bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_VALUE, nil)
		}
	}
	_, err := n.ethtool(link, unix.ETHTOOL_MSG_FEATURES_SET, wanted)
	return err
}

// ethtool sends one request about a link and returns the replies.
func (n *Namespace) ethtool(link string, command uint8, body ...*nl.RtAttr) ([][]byte, error) {
	var replies [][]byte
	err := n.Do(func() error {
		family, err := genl.Family(unix.ETHTOOL_GENL_NAME)
		if err != nil {
			return err
		}
		header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|unix.NLA_F_NESTED, nil)
		header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_NAME, nl.ZeroTerminated(link))
		replies, err = genl.Ask(family, command, unix.ETHTOOL_GENL_VERSION, append([]*nl.RtAttr{header}, body...)...)
		if err != nil {
			return fmt.Errorf("link %s: ethtool request %d: %w", link, command, err)
		}
		return nil
	})
	return replies, err
}

// bitNames reads the names in a verbose bitset without mask, in which every listed bit is set.
func bitNames(bitset []byte) []string {
	var names []string
	for _, bits := range nested(bitset, unix.ETHTOOL_A_BITSET_BITS) {
		for _, bit := range nested(bits, unix.ETHTOOL_A_BITSET_BITS_BIT) {
			for _, name := range nested(bit, unix.ETHTOOL_A_BITSET_BIT_NAME) {
				names = append(names, string(bytes.TrimRight(name, "\x00")))
			}
		}
	}
	return names
}

// nested lists the values of the attributes of one kind.
func nested(data []byte, kind uint16) [][]byte {
	attrs, err := nl.ParseRouteAttr(data)
	if err != nil {
		return nil
	}
	var values [][]byte
	for _, attr := range attrs {
		if attr.Attr.Type&nl.NLA_TYPE_MASK == kind {
			values = append(values, attr.Value)
		}
	}
	return values
}
