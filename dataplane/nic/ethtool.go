// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/genl"
)

// ethtool speaks the ethtool netlink protocol of the kernel (5.7 and later). Each call uses a new
// socket, in the network namespace of the calling thread.
type ethtool struct{ family uint16 }

func newEthtool() (*ethtool, error) {
	family, err := genl.Family(unix.ETHTOOL_GENL_NAME)
	if err != nil {
		return nil, err
	}
	return &ethtool{family}, nil
}

// call sends one request about an interface and returns the attributes of the answer.
func (e *ethtool) call(command uint8, index int, attrs ...*nl.RtAttr) (map[uint16][]byte, error) {
	// The attribute of the header has the same number in every request.
	header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|int(nl.NLA_F_NESTED), nil)
	header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_INDEX, nl.Uint32Attr(uint32(index)))
	return request(e.family, command, unix.ETHTOOL_GENL_VERSION, append([]*nl.RtAttr{header}, attrs...)...)
}

// request sends one command of a netlink family and returns the attributes of the answer. They are
// nil if the kernel only reports success.
func request(family uint16, command, version uint8, attrs ...*nl.RtAttr) (map[uint16][]byte, error) {
	replies, err := genl.Ask(family, command, version, attrs...)
	if err != nil || len(replies) == 0 {
		return nil, err
	}
	return attributes(replies[0])
}

// attributes returns a list of attributes, in which each number occurs once, as a map.
func attributes(b []byte) (map[uint16][]byte, error) {
	list, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, err
	}
	m := make(map[uint16][]byte, len(list))
	for _, a := range list {
		m[a.Attr.Type&nl.NLA_TYPE_MASK] = a.Value
	}
	return m, nil
}

// channels holds the numbers of queues that a device uses.
type channels struct{ rx, tx, combined int }

func (e *ethtool) channels(index int) (c channels, err error) {
	m, err := e.call(unix.ETHTOOL_MSG_CHANNELS_GET, index)
	if err != nil {
		return c, err
	}
	count := func(attr uint16) int {
		if v := m[attr]; len(v) == 4 {
			return int(nl.NativeEndian().Uint32(v))
		}
		return 0
	}
	return channels{
		rx:       count(unix.ETHTOOL_A_CHANNELS_RX_COUNT),
		tx:       count(unix.ETHTOOL_A_CHANNELS_TX_COUNT),
		combined: count(unix.ETHTOOL_A_CHANNELS_COMBINED_COUNT),
	}, nil
}

// features returns the names of the active features, and of those that can be changed.
func (e *ethtool) features(index int) (active, changeable map[string]bool, err error) {
	m, err := e.call(unix.ETHTOOL_MSG_FEATURES_GET, index)
	if err != nil {
		return nil, nil, err
	}
	if active, err = bitset(m[unix.ETHTOOL_A_FEATURES_ACTIVE]); err != nil {
		return nil, nil, err
	}
	if changeable, err = bitset(m[unix.ETHTOOL_A_FEATURES_HW]); err != nil {
		return nil, nil, err
	}
	fixed, err := bitset(m[unix.ETHTOOL_A_FEATURES_NOCHANGE])
	for name := range fixed {
		delete(changeable, name)
	}
	return active, changeable, err
}

// setFeatures switches the named features on or off. Others stay as they are.
func (e *ethtool) setFeatures(index int, names []string, on bool) error {
	wanted := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_WANTED|int(nl.NLA_F_NESTED), nil)
	bits := wanted.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS|int(nl.NLA_F_NESTED), nil)
	for _, name := range names {
		bit := bits.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS_BIT|int(nl.NLA_F_NESTED), nil)
		bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_NAME, nl.ZeroTerminated(name))
		if on {
			bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_VALUE, nil)
		}
	}
	_, err := e.call(unix.ETHTOOL_MSG_FEATURES_SET, index, wanted)
	return err
}

// bitset returns the names of the bits that are set in a bit set of the kernel.
func bitset(b []byte) (map[string]bool, error) {
	set, err := attributes(b)
	if err != nil {
		return nil, err
	}
	_, listed := set[unix.ETHTOOL_A_BITSET_NOMASK] // without a mask, only the bits that are set are listed
	bits, err := nl.ParseRouteAttr(set[unix.ETHTOOL_A_BITSET_BITS])
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for _, b := range bits {
		bit, err := attributes(b.Value)
		if err != nil {
			return nil, err
		}
		if _, value := bit[unix.ETHTOOL_A_BITSET_BIT_VALUE]; value || listed {
			names[nl.BytesToString(bit[unix.ETHTOOL_A_BITSET_BIT_NAME])] = true
		}
	}
	return names, nil
}
