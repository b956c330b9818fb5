package dataplane

import (
	"errors"
	"fmt"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// xdpPass is the action that lets a frame go on to the kernel's own stack.
const xdpPass = 2

// newProgram loads the redirect program: each frame goes to the socket of its
// queue, or, counted in unserved, to the kernel's stack if there is none.
//
//	action = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
//	if (action == XDP_PASS && (count = bpf_map_lookup_elem(&unserved, &zero)))
//		++*count;
//	return action;
//
// With long it claims to know frames of several buffers (BPF_F_XDP_HAS_FRAGS), and
// drivers that have them then accept an MTU that needs them.
//
// The Queues map is part of the type, whose Register and Unregister keep it; the
// program has no need of it. It is a hash since Unregister deletes from it, which
// an array refuses. The map of sockets is a new one unless there is one already.
func newProgram(long bool, sockets, unserved *ebpf.Map) (p *xdp.Program, err error) {
	if sockets != nil {
		sockets, err = sockets.Clone()
	} else {
		sockets, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: "ixdp_sockets", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: MaxQueues,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("map of sockets: %w", err)
	}
	p = &xdp.Program{Sockets: sockets}
	p.Queues, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "ixdp_queues", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: MaxQueues,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map of queues: %w", err), p.Close())
	}
	flags := uint32(0)
	if long {
		flags = unix.BPF_F_XDP_HAS_FRAGS
	}
	p.Program, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "ixdp_redirect",
		Type: ebpf.XDP,
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R2, asm.R1, 16, asm.Word), // struct xdp_md: rx_queue_index
			asm.LoadMapPtr(asm.R1, sockets.FD()),
			asm.Mov.Imm(asm.R3, xdpPass),
			asm.FnRedirectMap.Call(),
			asm.JNE.Imm(asm.R0, xdpPass, "end"),
			asm.StoreImm(asm.RFP, -4, 0, asm.Word),
			asm.LoadMapPtr(asm.R1, unserved.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "pass"),
			asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
			asm.Add.Imm(asm.R1, 1),
			asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
			asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
			asm.Return().WithSymbol("end"),
		},
		Flags:   flags,
		License: "Dual BSD/GPL",
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("redirect program: %w", err), p.Close())
	}
	return p, nil
}

// unregister takes the socket of a queue out of the maps. It may be out already:
// the kernel takes sockets out itself when their interface goes.
func (p *port) unregister(queue int) error {
	if err := p.program.Unregister(queue); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("port %s: unregister queue %d: %w", p.name, queue, err)
	}
	return nil
}

// attach puts the program on the port's interface by a BPF link, which the
// kernel removes when the process ends, however it ends.
func (p *port) attach() (detach func() error, err error) {
	flags := link.XDPDriverMode
	if p.generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p.program.Program, Interface: p.index, Flags: flags})
	if err != nil {
		return nil, err
	}
	p.link = l
	return p.detach, nil
}

// detach lets go of the link: the program leaves the interface, unless the link is pinned.
func (p *port) detach() error {
	l := p.link
	if p.link = nil; l == nil {
		return nil
	}
	if err := l.Close(); err != nil {
		return fmt.Errorf("port %s: detach: %w", p.name, err)
	}
	return nil
}

// evict takes a foreign XDP program off the port's interface and returns what
// puts it back. A program that somebody holds by a BPF link cannot be put back:
// the link is theirs.
func (p *port) evict(c *Config) (restore func() error, err error) {
	logf := c.Logf
	l, err := netlink.LinkByIndex(p.index)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", p.name, err)
	}
	x := l.Attrs().Xdp
	if x == nil || !x.Attached {
		return nil, nil
	}
	id := ebpf.ProgramID(x.ProgId)
	who, _ := c.Owner(x.ProgId)
	if who == "" {
		who = "another process"
	}
	held, err := detachLinkOf(id)
	if err != nil {
		return nil, fmt.Errorf("port %s: detach XDP program %d: %w", p.name, id, err)
	}
	if held {
		logf("port %s: XDP program %d of %s was detached; it will not be put back", p.name, id, who)
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
	logf("port %s: replacing XDP program %d", p.name, id)
	return func() error {
		defer program.Close()
		err := netlink.LinkSetXdpFdWithFlags(l, program.FD(), mode)
		if err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("port %s: put back XDP program %d: %w", p.name, id, err)
		}
		logf("port %s: XDP program %d is back", p.name, id)
		return nil
	}, nil
}

// detachLinkOf detaches the BPF link that holds an XDP program, if there is one.
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
