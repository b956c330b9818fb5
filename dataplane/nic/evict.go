// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// evict removes a foreign XDP program from the interface. restore puts it back; it is nil if there
// was none. A program that somebody holds by a BPF link cannot be put back, because the link
// belongs to its owner.
func (p *Port) evict() (restore func() error, err error) {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", p.name, err)
	}
	x := l.Attrs().Xdp
	if x == nil || !x.Attached {
		return nil, nil
	}
	id := ebpf.ProgramID(x.ProgId)
	who, _ := p.options.Owner(x.ProgId)
	if who == "" {
		who = "another process"
	}
	held, err := detachLinkOf(id)
	if err != nil {
		return nil, fmt.Errorf("port %s: detach XDP program %d: %w", p.name, id, err)
	}
	if held {
		p.logf("port %s: XDP program %d of %s was detached; it will not be put back", p.name, id, who)
		return nil, nil
	}
	program, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return nil, fmt.Errorf("port %s: XDP program %d: %w", p.name, id, err)
	}
	mode := nl.XDP_FLAGS_DRV_MODE
	if x.AttachMode == nl.XDP_ATTACHED_SKB {
		mode = nl.XDP_FLAGS_SKB_MODE
	}
	if err := netlink.LinkSetXdpFdWithFlags(l, -1, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("port %s: detach XDP program %d: %w", p.name, id, err), program.Close())
	}
	p.logf("port %s: replacing XDP program %d", p.name, id)
	return func() error {
		defer program.Close()
		err := netlink.LinkSetXdpFdWithFlags(l, program.FD(), mode)
		if err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("port %s: put back XDP program %d: %w", p.name, id, err)
		}
		p.logf("port %s: XDP program %d is back", p.name, id)
		return nil
	}, nil
}

// detachLinkOf detaches the BPF link that holds an XDP program. found says whether there is one.
func detachLinkOf(id ebpf.ProgramID) (found bool, err error) {
	it := new(link.Iterator)
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil || info.Program != id || info.XDP() == nil {
			continue
		}
		return true, it.Link.Detach()
	}
	return false, it.Err()
}
