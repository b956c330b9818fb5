package nic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// joining are the features by which an interface makes one frame of several that it received.
// Of our own interfaces they do no harm: the hardware's are switched off (falsifying), and
// the kernel's work behind XDP, or stop when a generic program is attached. But a generic
// program on a VLAN, a macvlan, a bridge, a bond or a tunnel gets what the interfaces beneath
// have made. rx-gro-list and rx-udp-gro-forwarding are without effect where rx-gro is off.
var joining = []struct{ feature, option string }{
	{"rx-gro", "gro"}, {"rx-gro-hw", "rx-gro-hw"}, {"rx-lro", "lro"},
}

// joiner is an interface beneath a port that joins frames.
type joiner struct {
	name     string
	features []string // its names in joining
	options  []string // likewise those of ethtool -K
}

// String says which interface does so, and how that ends.
func (j joiner) String() string {
	return fmt.Sprintf("%s beneath it joins frames (%s): ethtool -K %s %s off", j.name, strings.Join(j.features, " "), j.name, strings.Join(j.options, " off "))
}

// joiners returns the interfaces beneath a port's that join frames which the port's program
// then sees as one. A native program runs before them.
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

// beneath returns the interfaces that frames of one come from, whatever is between, in this
// network namespace: those that have none beneath themselves, and tunnels, which join frames as
// well. seen are those that were looked at before.
func beneath(l netlink.Link, seen []int) (list []netlink.Link) {
	if slices.Contains(seen, l.Attrs().Index) {
		return nil // tunnels may lead in a circle
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

// lowers returns the interfaces directly beneath one: ports of a bridge, slaves of a bond, what a
// VLAN or macvlan is made of, and the way to the other end of a tunnel.
func lowers(l netlink.Link) (list []netlink.Link) {
	a := l.Attrs()
	switch l.Type() {
	case "veth": // its other end is not beneath
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

// remote returns the address of a tunnel's other end; nil if it is no tunnel or has several.
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

// FollowJoiners says which interfaces beneath the port join frames, at the start and when that
// changes. longest is how many bytes a frame may have to be received.
func (p *Port) FollowJoiners(longest int) {
	if !p.generic {
		return
	}
	tool, err := newEthtool()
	if err != nil {
		return
	}
	list := p.joiners(tool)
	before := p.joined
	p.joined = nil
	for _, j := range list {
		text := j.String()
		if p.joined = append(p.joined, text); !slices.Contains(before, text) {
			p.logf("port %s: %s; what is longer than %d bytes then is lost", p.name, text, longest)
		}
	}
}

// WhyTooLong says why frames come that are longer than the MTU, as far as that is known, and
// what mends it.
func (p *Port) WhyTooLong() string {
	switch {
	case len(p.joined) > 0:
		return strings.Join(p.joined, "; ")
	case p.other.name != "" && !p.generic:
		return "the other end of this veth may send several as one: " + p.other.ethtool("tso off gso off")
	}
	return fmt.Sprintf("what sends them has a larger MTU than %d, or joins frames", p.mtu)
}
