// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"github.com/vishvananda/netlink"

	"ethertap/dataplane/port"
)

// Observe implements port.Port.
func (p *Port) Observe() (c port.Change) {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil { // the threads notice that by themselves
		return c
	}
	a := l.Attrs()
	if p.link == nil {
		if p.is(a) {
			c.Named = p.follow(a)
		}
		return c
	}
	c.Named = p.follow(a)
	if up := working(a); up != p.up {
		if p.up = up; up {
			p.logf("port %s: the link is up", p.name)
		} else {
			p.downs++
			p.logf("port %s: the link is down", p.name)
		}
	}
	if a.MasterIndex != p.master {
		p.warnMaster(a)
	}
	p.limits = limitsOf(l) // the MTU of the other end may have changed
	if a.MTU != p.mtu {
		p.logf("port %s: the MTU was %d and is %d", p.name, p.mtu, a.MTU)
		c.MTU, p.mtu = p.mtu, a.MTU
	}
	if tool, err := newEthtool(); err == nil {
		c.Queues = p.observeQueues(tool)
	}
	return c
}

// observeQueues follows the numbers of queues. more says whether there are more receive queues than
// before.
func (p *Port) observeQueues(tool *ethtool) (more bool) {
	rx, tx := p.rxQueues, p.txQueues
	p.countQueues(tool)
	if p.rxQueues != rx || p.txQueues != tx {
		p.logf("port %s: there were %d receive and %d transmit queues, there are %d and %d", p.name, rx, tx, p.rxQueues, p.txQueues)
	}
	return p.rxQueues > rx
}
