// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// TakeDown sets the interface down, so that whoever is at the other end loses its carrier, or up if it
// was set down before. An interface that is down already is left alone. The record has the change, in
// case this process is killed.
func (p *Port) TakeDown(down bool) error {
	if down == p.takenDown {
		return nil
	}
	l, err := netlink.LinkByIndex(p.index)
	if err != nil || !p.is(l.Attrs()) {
		p.takenDown = false // the interface is gone, and its state with it
		return p.keepRecord()
	}
	if !down {
		if err := netlink.LinkSetUp(l); err != nil {
			return fmt.Errorf("it stays down: ip link set %s up: %w", p.device, err)
		}
		p.takenDown = false
		p.logf("port %s: it is up again, since the cut is over", p.name)
		return p.keepRecord()
	}
	if l.Attrs().Flags&net.FlagUp == 0 {
		return nil
	}
	p.takenDown = true
	if err := p.keepRecord(); err != nil {
		p.logf("port %s: it will stay down if this process is killed: %v", p.name, err)
	}
	if err := netlink.LinkSetDown(l); err != nil {
		p.takenDown = false
		_ = p.keepRecord() // the first error is the one to tell
		return fmt.Errorf("the link is cut, but the carrier of its other side stays: %w", err)
	}
	p.logf("port %s: it is set down, since the link is cut", p.name)
	return nil
}
