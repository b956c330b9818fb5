// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"

	"ethertap/dataplane/port"
)

// An interface may carry other things of this host: it may belong to a bridge or a bond, and VLANs
// and macvlans may be made on it. The XDP program takes the frames before they get there.

// masters says, by the kind of a master, what an interface is to it, and by which command it leaves
// the master.
var masters = map[string]struct{ part, out string }{
	"bridge":      {"is a port of the bridge %s", "ip link set %s nomaster"},
	"bond":        {"is a member of the bond %s", "ip link set %s nomaster"},
	"team":        {"is a member of the team %s", "ip link set %s nomaster"},
	"vrf":         {"belongs to the VRF %s", "ip link set %s nomaster"},
	"hsr":         {"is a port of the HSR ring %s", "ip link set %s nomaster"},
	"openvswitch": {"is a port of Open vSwitch (%s)", "ovs-vsctl del-port %s"},
}

// warnMaster warns of the master to which the interface belongs.
func (p *Port) warnMaster(a *netlink.LinkAttrs) {
	p.master = a.MasterIndex
	if p.master == 0 {
		return
	}
	name, kind := fmt.Sprintf("an unknown interface with index %d", p.master), ""
	if m, err := netlink.LinkByIndex(p.master); err == nil {
		name, kind = m.Attrs().Name, m.Type()
	}
	is, known := masters[kind]
	if !known {
		is.part, is.out = "belongs to %s", "ip link set %s nomaster"
		if kind != "" {
			is.part += ", a " + kind
		}
	}
	p.logf("port %s: the interface %s, which no longer gets the frames that arrive at %s; to fix this, run: "+is.out,
		p.name, fmt.Sprintf(is.part, name), p.device, port.Word(p.device))
}

// peerKinds lists the kinds of interfaces whose lower device is the other end of a cable.
var peerKinds = map[string]bool{"veth": true, "netkit": true, "vxcan": true}

// mostStacked is the largest number of devices that a warning names.
const mostStacked = 8

// warnStacked warns of the devices made on the interface, as far as they are in this network
// namespace.
func (p *Port) warnStacked() {
	links, err := netlink.LinkList()
	if err != nil {
		return
	}
	var list []string
	for _, l := range links {
		if a := l.Attrs(); a.ParentIndex == p.index && a.NetNsID < 0 && a.Index != p.index && !peerKinds[l.Type()] {
			list = append(list, fmt.Sprintf("%s (%s)", a.Name, l.Type()))
		}
	}
	if len(list) == 0 {
		return
	}
	if more := len(list) - mostStacked; more > 0 {
		list = append(list[:mostStacked], fmt.Sprintf("%d more", more))
	}
	p.logf("port %s: other interfaces are made on it, and no longer get the frames that arrive at %s: %s", p.name, p.device, strings.Join(list, ", "))
}
