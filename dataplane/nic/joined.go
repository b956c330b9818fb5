// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"ethertap/dataplane/port"
)

// joining lists the features by which an interface makes one frame of several received ones. On our
// own interfaces they do no harm: those of the hardware are switched off (falsifying), and those of
// the kernel work after XDP, or stop when a generic program is attached. But a generic program on a
// VLAN, a macvlan, a bridge, a bond or a tunnel gets the frames that the interfaces beneath have
// joined. rx-gro-list and rx-udp-gro-forwarding have no effect while rx-gro is off.
var joining = []struct{ feature, option string }{
	{"rx-gro", "gro"}, {"rx-gro-hw", "rx-gro-hw"}, {"rx-lro", "lro"},
}

// joiner is an interface beneath a port that joins frames.
type joiner struct {
	name     string
	features []string // its active features among joining
	options  []string // their names for ethtool -K
}

// String says which interface joins frames.
func (j joiner) String() string {
	return fmt.Sprintf("%s beneath it joins frames (%s)", j.name, strings.Join(j.features, " "))
}

// command returns the command that ends the joining.
func (j joiner) command() string {
	return fmt.Sprintf("ethtool -K %s %s off", port.Word(j.name), strings.Join(j.options, " off "))
}

// joiners returns the interfaces beneath the port that join frames before the program of the port
// sees them. A native program runs before they are joined.
func (p *Port) joiners(tool *ethtool) (list []joiner) {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil {
		return nil
	}
	for _, below := range beneath(l, nil) {
		active, _, err := tool.features(below.Attrs().Index)
		if err != nil {
			continue
		}
		j := joiner{name: below.Attrs().Name}
		for _, f := range joining {
			if active[f.feature] {
				j.features, j.options = append(j.features, f.feature), append(j.options, f.option)
			}
		}
		if len(j.features) > 0 {
			list = append(list, j)
		}
	}
	return list
}

// beneath returns the interfaces in this network namespace that the frames of an interface come
// from: those at the bottom, and tunnels, which join frames as well. seen lists the indexes of the
// interfaces on the way down.
func beneath(l netlink.Link, seen []int) (list []netlink.Link) {
	if slices.Contains(seen, l.Attrs().Index) {
		return nil // tunnels may form a circle
	}
	seen = append(seen, l.Attrs().Index)
	for _, below := range lowers(l) {
		further := beneath(below, seen)
		if len(further) == 0 || remote(below) != nil {
			list = append(list, below)
		}
		list = append(list, further...)
	}
	return list
}

// lowers returns the interfaces directly beneath one: the ports of a bridge, the members of a bond,
// the interface on which a VLAN or macvlan is made, the interface that leads to the other end of a
// tunnel.
func lowers(l netlink.Link) (list []netlink.Link) {
	a := l.Attrs()
	switch l.Type() {
	case "veth": // its other end is not beneath it
		return nil
	case "bridge", "bond", "team", "openvswitch", "hsr":
		all, err := netlink.LinkList()
		if err != nil {
			return nil
		}
		for _, other := range all {
			if other.Attrs().MasterIndex == a.Index {
				list = append(list, other)
			}
		}
		return list
	}
	index := 0
	if a.NetNsID < 0 {
		index = a.ParentIndex
	}
	if v, ok := l.(*netlink.Vxlan); ok && index == 0 {
		index = v.VtepDevIndex
	}
	if to := remote(l); index == 0 && to != nil {
		if routes, err := netlink.RouteGet(to); err == nil && len(routes) > 0 {
			index = routes[0].LinkIndex
		}
	}
	if index == 0 || index == a.Index {
		return nil
	}
	below, err := netlink.LinkByIndex(index)
	if err != nil {
		return nil
	}
	return []netlink.Link{below}
}

// remote returns the address of the other end of a tunnel. It is nil if l is no tunnel, or has
// several other ends.
func remote(l netlink.Link) []byte {
	switch t := l.(type) {
	case *netlink.Vxlan:
		return t.Group
	case *netlink.Geneve:
		return t.Remote
	case *netlink.Gretap:
		return t.Remote
	}
	return nil
}

// FollowJoiners logs which interfaces beneath the port join frames, at the start and after changes.
// longest is the length in bytes of the longest frame that can be received.
func (p *Port) FollowJoiners(longest int) {
	if !p.generic {
		return
	}
	tool, err := newEthtool()
	if err != nil {
		return
	}
	before := p.joined
	p.joined = p.joiners(tool)
	for _, j := range p.joined {
		if !slices.ContainsFunc(before, func(b joiner) bool { return b.String() == j.String() }) {
			p.logf("port %s: %s, and joined frames longer than %d bytes are lost; to fix this, run: %s", p.name, j, longest, j.command())
		}
	}
}

// WhyTooLong says why there are frames longer than the MTU, as far as that is known, and how to
// fix that.
func (p *Port) WhyTooLong() string {
	switch {
	case len(p.joined) > 0:
		var causes, commands []string
		for _, j := range p.joined {
			causes, commands = append(causes, j.String()), append(commands, j.command())
		}
		return fmt.Sprintf("%s; to fix this, run: %s", strings.Join(causes, ", "), strings.Join(commands, "; "))
	case p.other.name != "" && !p.generic:
		return "the other end of this veth may send several as one" + p.other.fix("tso off gso off")
	}
	return fmt.Sprintf("their sender has a larger MTU than %d, or joins frames", p.mtu)
}
