// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
)

// identity says which interface a port is. While the interface exists, its index identifies it, and
// name and address follow the kernel. The lock of the engine guards it.
type identity struct {
	name   string // the given name or alternative name while the interface has it, else device
	device string // the name in the kernel
	index  int    // 0: the interface was never seen
	mac    policy.MAC
}

// hasName says whether an interface has a name, as its own or as an alternative one.
func hasName(a *netlink.LinkAttrs, name string) bool {
	return a.Name == name || slices.Contains(a.AltNames, name)
}

// sameInterface says whether an interface, which may have been replaced unseen, is the one that had
// this index, and this name or address. The index alone does not tell: an interface that is moved
// to another namespace keeps its index if that is free there.
func sameInterface(a *netlink.LinkAttrs, index int, device, mac string) bool {
	return a.Index == index && (a.HardwareAddr.String() == mac || a.Name == device)
}

// is says whether an interface is the one that id describes.
func (id *identity) is(a *netlink.LinkAttrs) bool {
	return sameInterface(a, id.index, id.device, id.mac.String())
}

// find looks the interface up. It finds the known interface under any name; if that is gone, it
// finds the interface that has been created since with its last name. It takes no interface that
// belongs to another port, and none that only has a name which ours had earlier.
func (p *Port) find() (netlink.Link, error) {
	if p.index != 0 {
		l, err := netlink.LinkByIndex(p.index)
		if err == nil && p.is(l.Attrs()) {
			return l, nil
		}
		if err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) {
			return nil, fmt.Errorf("port %s: %w", p.name, err)
		}
	}
	l, err := netlink.LinkByName(p.name)
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)):
		return nil, p.missing()
	case err != nil:
		return nil, fmt.Errorf("port %s: %w", p.name, err)
	}
	for _, o := range p.others {
		if p.index != 0 && o != nil && o.number != p.number && o.is(l.Attrs()) {
			return nil, fmt.Errorf("port %s: no such interface any more; this name now belongs to port %d", p.name, o.number)
		}
	}
	return l, nil
}

// missing returns the error that says that the interface does not exist.
func (p *Port) missing() error {
	if p.name != p.given {
		if _, err := netlink.LinkByName(p.given); err == nil {
			return fmt.Errorf("port %s: no such interface any more; another interface has its former name %s now", p.name, p.given)
		}
	}
	return fmt.Errorf("port %s: %w", p.name, port.ErrMissing)
}

// publish makes the identity visible to those who hold no lock.
func (p *Port) publish() {
	now := p.identity
	p.seen.Store(&now)
}

// Name implements port.Port.
func (p *Port) Name() string { return p.seen.Load().name }

// Called implements port.Port. It compares with the given name, and with both present names.
func (p *Port) Called(name string) bool {
	now := p.seen.Load()
	return name != "" && (name == now.name || name == now.device || name == p.given)
}

// setIdentity takes over what the kernel says of the interface.
func (p *Port) setIdentity(a *netlink.LinkAttrs) {
	p.device, p.index, p.mac = a.Name, a.Index, policy.MAC(a.HardwareAddr)
	switch {
	case hasName(a, p.given):
		p.name = p.given
	case !hasName(a, p.name):
		p.name = p.device
	}
	p.publish()
}

// sayChange logs the changes since before, if the interface is still the same.
func (p *Port) sayChange(before identity) {
	if p.index != before.index {
		return
	}
	if p.device != before.device {
		p.logf("port %s: the interface is renamed from %s to %s", p.name, before.device, p.device)
	}
	if p.mac != before.mac {
		p.logf("port %s: the MAC address was %s and is %s", p.name, before.mac, p.mac)
	}
}

// follow takes over a new name or address of the interface, logs it, and writes it into the record.
// changed says whether there was a change.
func (p *Port) follow(a *netlink.LinkAttrs) (changed bool) {
	if len(a.HardwareAddr) != len(p.mac) {
		return false
	}
	before := p.identity
	p.setIdentity(a)
	if p.identity == before {
		return false
	}
	p.sayChange(before)
	if p.record != nil {
		if err := p.writeRecord(p.bypass); err != nil {
			p.logf("port %s: its settings will not be restored if this process is killed: %v", p.name, err)
		}
	}
	return true
}

// LastSeen takes over the last name of an interface that has just gone, which it may have got a
// moment before. gone says that the engine already knew that it was gone.
func (p *Port) LastSeen(a *netlink.LinkAttrs, gone bool) (changed bool) {
	return a.Index == p.index && (!gone || p.is(a)) && p.follow(a)
}
