package nic

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// falsifying are the features that show XDP other frames than were on the wire
// (stripped tags, several frames as one), or send others than were given.
// Software GRO is not among them: it works behind XDP.
var falsifying = []string{
	"rx-lro", "rx-gro-hw",
	"rx-vlan-hw-parse", "tx-vlan-hw-insert", "rx-vlan-stag-hw-parse", "tx-vlan-stag-hw-insert",
	"tx-checksum-ipv4", "tx-checksum-ip-generic", "tx-checksum-ipv6", "tx-checksum-sctp", "tx-checksum-fcoe-crc",
	"tx-tcp-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation", "tx-tcp6-segmentation",
	"tx-tcp-accecn-segmentation", "tx-generic-segmentation", "tx-udp-segmentation", "tx-sctp-segmentation", "tx-gso-list",
}

// offloadsOff switches off what falsifies frames on the port's interface and
// returns what puts it back, and what an earlier process left off in p.switchedOff. A
// record says so to the next start, should this process not live to do it.
func (p *Port) offloadsOff(tool *ethtool) (restore func() error, err error) {
	active, changeable, err := tool.features(p.index)
	if err != nil {
		// A device without features, or a kernel without the protocol, falsifies nothing that could be helped.
		p.logf("port %s: offloads are unknown, none changed: %v", p.name, err)
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
	if p.switchedOff = append(p.switchedOff, names...); len(p.switchedOff) == 0 && !p.promisc && p.interrupts == nil {
		return nil, nil
	}
	if err := p.writeRecord(p.inherited.where()); err != nil {
		p.logf("port %s: what is switched off will not be restored if this process is killed: %v", p.name, err)
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
		if errors.Is(err, unix.ENODEV) { // deleted, or elsewhere: should it come back, the next start restores it
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

// warnPeer speaks of the other end of a veth. What it offloads reaches us
// unfinished: checksums not computed, tags beside the frame, many frames as one.
// It is not our interface, so the command that mends it is all that is given.
func (p *Port) warnPeer(tool *ethtool, link netlink.Link) {
	peer, ok := peerOf(link)
	if p.other = peer; !ok {
		return
	}
	const off = "tx off tso off gso off txvlan off tx-vlan-stag-hw-insert off"
	if peer.nsid >= 0 {
		p.logf("port %s: the other end of this veth is %s; unless its offloads are off, TCP and tagged frames of that host arrive broken: %s",
			p.name, peer.where(), peer.ethtool(off))
		return
	}
	active, _, err := tool.features(peer.index)
	if err != nil {
		return
	}
	for _, f := range falsifying {
		if active[f] && strings.HasPrefix(f, "tx-") {
			p.logf("port %s: its veth peer has %s on, so frames of that host may arrive broken: %s", p.name, f, peer.ethtool(off))
			return
		}
	}
}
