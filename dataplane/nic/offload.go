// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// falsifying lists the features with which XDP sees other frames than were on the wire (tags
// stripped, several frames joined), or by which the device sends other frames than it was given.
// Software GRO is not among them, since it works after XDP.
var falsifying = []string{
	"rx-lro", "rx-gro-hw",
	"rx-vlan-hw-parse", "tx-vlan-hw-insert", "rx-vlan-stag-hw-parse", "tx-vlan-stag-hw-insert",
	"tx-checksum-ipv4", "tx-checksum-ip-generic", "tx-checksum-ipv6", "tx-checksum-sctp", "tx-checksum-fcoe-crc",
	"tx-tcp-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation", "tx-tcp6-segmentation",
	"tx-tcp-accecn-segmentation", "tx-generic-segmentation", "tx-udp-segmentation", "tx-sctp-segmentation", "tx-gso-list",
}

// offloadsOff switches off the falsifying features of the interface. restore switches them on
// again, and with them those that an earlier process has left off, in p.switchedOff. A record tells
// the next start, in case this process is killed.
func (p *Port) offloadsOff(tool *ethtool) (restore func() error, err error) {
	active, changeable, err := tool.features(p.index)
	if err != nil {
		// Without features, or without the protocol in the kernel, there is nothing that could be
		// switched off.
		p.logf("port %s: its offloads are unknown, and none was changed: %v", p.name, err)
		return nil, nil
	}
	var names, stuck []string
	for _, f := range falsifying {
		switch {
		case active[f] && changeable[f]:
			names = append(names, f)
		case active[f] && strings.HasPrefix(f, "rx-"):
			stuck = append(stuck, f)
		}
	}
	if len(stuck) > 0 {
		p.logf("port %s: %s cannot be switched off: frames may arrive changed", p.name, strings.Join(stuck, " "))
	}
	if p.switchedOff = append(p.switchedOff, names...); !p.isChanged() {
		return nil, nil
	}
	if err := p.writeRecord(p.inherited.dir()); err != nil {
		p.logf("port %s: its settings will not be restored if this process is killed: %v", p.name, err)
	}
	if len(names) > 0 {
		if err := tool.setFeatures(p.index, names, false); err != nil {
			p.removeRecord()
			return nil, fmt.Errorf("port %s: switch off %s: %w", p.name, strings.Join(names, " "), err)
		}
		p.logf("port %s: switched off: %s", p.name, strings.Join(names, " "))
	}
	return func() error {
		names := p.switchedOff
		if len(names) == 0 {
			p.removeRecord()
			return nil
		}
		l, err := netlink.LinkByIndex(p.index)
		if err == nil && p.is(l.Attrs()) {
			err = tool.setFeatures(p.index, names, true)
		} else {
			err = unix.ENODEV
		}
		if errors.Is(err, unix.ENODEV) { // if a moved interface comes back, the next start restores it
			p.closeRecord()
			return nil
		}
		p.removeRecord()
		if err != nil {
			return fmt.Errorf("port %s: restore %s: %w", p.name, strings.Join(names, " "), err)
		}
		p.logf("port %s: restored: %s", p.name, strings.Join(names, " "))
		return nil
	}, nil
}

// warnPeer warns of offloads at the other end of a veth. Its frames reach us unfinished: with
// checksums not computed, tags beside the frame, several frames joined. As the other end is not
// ours to change, the warning gives the command.
func (p *Port) warnPeer(tool *ethtool, l netlink.Link) {
	peer, ok := peerOf(l)
	if p.other = peer; !ok {
		return
	}
	const off = "tx off tso off gso off txvlan off tx-vlan-stag-hw-insert off"
	if peer.nsid >= 0 {
		p.logf("port %s: the other end of this veth is %s; unless its offloads are off, TCP and tagged frames of that host arrive broken%s",
			p.name, peer.where(), peer.fix(off))
		return
	}
	active, _, err := tool.features(peer.index)
	if err != nil {
		return
	}
	for _, f := range falsifying {
		if active[f] && strings.HasPrefix(f, "tx-") {
			p.logf("port %s: its veth peer has %s on, so frames of that host may arrive broken%s", p.name, f, peer.fix(off))
			return
		}
	}
}
