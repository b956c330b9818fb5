// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A bypass needs two things of its interfaces: their changes outlive the process that made them,
// and another process takes them over.

// inheritance is what an earlier process has left on an interface.
type inheritance struct {
	link    link.Link
	sockets *ebpf.Map // of its programs; nil if these are of another version
	pinned  string    // the directory of the pins
}

func (i *inheritance) dir() string {
	if i == nil {
		return ""
	}
	return i.pinned
}

// Inherit makes Attach take over a link that an earlier process has left on the interface. sockets
// is the map of its programs, or nil; pinned is the directory of its pins. Until Own or Renounce is
// called, no change of the interface is undone.
func (p *Port) Inherit(l link.Link, sockets *ebpf.Map, pinned string) {
	p.inherited, p.outlives = &inheritance{l, sockets, pinned}, true
}

// Own makes what was inherited belong to the port.
func (p *Port) Own() { p.inherited, p.outlives = nil, false }

// Renounce leaves what was inherited to the next start.
func (p *Port) Renounce() {
	p.Own()
	p.closeRecord()
	p.link = nil
}

// Outlive says whether the changes of the interface stay when they should be undone.
func (p *Port) Outlive(yes bool) { p.outlives = yes }

// Link returns the link that holds the program on the interface, or nil if the port is not
// attached.
func (p *Port) Link() link.Link { return p.link }

// Promise makes the changes of the interface outlive this process, for a bypass that is pinned in a
// directory. The interface stays promiscuous, and a record says which settings to restore after the
// bypass.
func (p *Port) Promise(pinned string) error {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil {
		return fmt.Errorf("port %s: %w", p.name, err)
	}
	// Only this flag shows that others have made it promiscuous in this way.
	if l.Attrs().RawFlags&unix.IFF_PROMISC == 0 {
		p.promisc = true
	}
	if p.isChanged() { // otherwise there is nothing to restore
		if err := p.writeRecord(pinned); err != nil {
			return fmt.Errorf("port %s: %w", p.name, err)
		}
	}
	if err := netlink.SetPromiscOn(l); err != nil {
		return fmt.Errorf("port %s: promiscuous mode: %w", p.name, err)
	}
	return nil
}

// TakeBack undoes Promise, of this process or an earlier one.
func (p *Port) TakeBack() {
	if p.promisc {
		p.promisc = false
		if l, err := netlink.LinkByIndex(p.index); err == nil {
			if err := netlink.SetPromiscOff(l); err != nil {
				p.logf("port %s: leave promiscuous mode: %v", p.name, err)
			}
		}
	}
	p.bypass = ""
	if err := p.keepRecord(); err != nil {
		p.logf("port %s: %v", p.name, err)
	}
}

// LookUp looks the interface up. It returns its index, its MTU, and the id of the XDP program on
// it, or 0 if there is none.
func (p *Port) LookUp() (index, mtu int, program ebpf.ProgramID, err error) {
	l, err := p.find()
	if err != nil {
		return 0, 0, 0, err
	}
	a := l.Attrs()
	return a.Index, a.MTU, programOn(a), nil
}

// NameOf returns the name of the interface with an index, in the network namespace of the calling
// thread. ok is false if that XDP program is not on it.
func NameOf(index int, program ebpf.ProgramID) (name string, ok bool) {
	l, err := netlink.LinkByIndex(index)
	if err != nil || programOn(l.Attrs()) != program {
		return "", false
	}
	return l.Attrs().Name, true
}

// programOn returns the id of the XDP program on an interface, or 0 if there is none.
func programOn(a *netlink.LinkAttrs) ebpf.ProgramID {
	if a.Xdp == nil || !a.Xdp.Attached {
		return 0
	}
	return ebpf.ProgramID(a.Xdp.ProgId)
}
