package nic

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What a bypass needs of its two interfaces: changes that outlive the process that made them,
// and a process that takes over from another.

// inheritance is what an earlier process left on an interface.
type inheritance struct {
	link    link.Link
	sockets *ebpf.Map // of its programs; nil: they are of another version
	pinned  string    // where
}

func (i *inheritance) where() string {
	if i == nil {
		return ""
	}
	return i.pinned
}

// Inherit makes Attach take a link over that an earlier process left on the interface, with
// the map of its programs' sockets, or nil, pinned in a directory. Until Own or Renounce
// nothing that was changed on the interface is undone.
func (p *Port) Inherit(l link.Link, sockets *ebpf.Map, pinned string) {
	p.inherited, p.outlives = &inheritance{l, sockets, pinned}, true
}

// Own makes what was inherited the port's own.
func (p *Port) Own() { p.inherited, p.outlives = nil, false }

// Renounce leaves what was inherited to the next start.
func (p *Port) Renounce() {
	p.Own()
	p.closeRecord()
	p.link = nil
}

// Outlive says whether what was changed on the interface stays when it is undone.
func (p *Port) Outlive(yes bool) { p.outlives = yes }

// Link holds the program on the interface; nil if the port is not attached.
func (p *Port) Link() link.Link { return p.link }

// Promise makes what was changed on the interface outlive this process, for a bypass that is
// pinned in a directory: the interface stays promiscuous, and a record says what is to be
// put back after the bypass.
func (p *Port) Promise(pinned string) error {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil {
		return fmt.Errorf("port %s: %w", p.name, err)
	}
	// If others have made it promiscuous so, this flag alone shows it.
	if l.Attrs().RawFlags&unix.IFF_PROMISC == 0 {
		p.promisc = true
	}
	if p.promisc || len(p.switchedOff) > 0 || p.interrupts != nil { // else there is nothing to restore
		if err := p.writeRecord(pinned); err != nil {
			return fmt.Errorf("port %s: %w", p.name, err)
		}
	}
	if err := netlink.SetPromiscOn(l); err != nil {
		return fmt.Errorf("port %s: promiscuous mode: %w", p.name, err)
	}
	return nil
}

// TakeBack undoes Promise, or the promise of an earlier process.
func (p *Port) TakeBack() {
	if p.promisc {
		p.promisc = false
		if l, err := netlink.LinkByIndex(p.index); err == nil {
			if err := netlink.SetPromiscOff(l); err != nil {
				p.logf("port %s: leave promiscuous mode: %v", p.name, err)
			}
		}
	}
	if len(p.switchedOff) == 0 && p.interrupts == nil {
		p.removeRecord()
	} else if err := p.writeRecord(""); err != nil {
		p.logf("port %s: %v", p.name, err)
	}
}

// LookUp looks the interface up and returns its index, its MTU and the XDP program on it, 0 if
// there is none.
func (p *Port) LookUp() (index, mtu int, program ebpf.ProgramID, err error) {
	l, err := p.find()
	if err != nil {
		return 0, 0, 0, err
	}
	a := l.Attrs()
	return a.Index, a.MTU, programOn(a), nil
}

// NameOf returns the name that the interface with an index has in the calling thread's network
// namespace, if that XDP program is on it.
func NameOf(index int, program ebpf.ProgramID) (name string, ok bool) {
	l, err := netlink.LinkByIndex(index)
	if err != nil || programOn(l.Attrs()) != program {
		return "", false
	}
	return l.Attrs().Name, true
}

// programOn is the XDP program on an interface, 0 if there is none.
func programOn(a *netlink.LinkAttrs) ebpf.ProgramID {
	if a.Xdp == nil || !a.Xdp.Attached {
		return 0
	}
	return ebpf.ProgramID(a.Xdp.ProgId)
}
