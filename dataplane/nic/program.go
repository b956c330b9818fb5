package nic

import (
	"errors"
	"fmt"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
)

// xdpPass is the action that hands a frame to the network stack of the kernel.
const xdpPass = 2

// newProgram loads the redirect program. It gives each frame to the socket of its queue. If there is
// none, it counts the frame in unserved and passes it to the network stack of the kernel.
//
//	action = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
//	if (action == XDP_PASS && (count = bpf_map_lookup_elem(&unserved, &zero)))
//		++*count;
//	return action;
//
// With long it claims to accept frames of several buffers (BPF_F_XDP_HAS_FRAGS). Drivers that can give
// it such frames then allow an MTU that needs them.
//
// The program does not use the map Queues, which Register and Unregister of xdp.Program keep. It is a
// hash, since Unregister deletes from it, which an array refuses. The map of sockets is a new one
// unless the caller has one.
func newProgram(long bool, sockets, unserved *ebpf.Map) (p *xdp.Program, err error) {
	if sockets != nil {
		sockets, err = sockets.Clone()
	} else {
		sockets, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: "ixdp_sockets", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: port.MaxQueues,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("map of sockets: %w", err)
	}
	p = &xdp.Program{Sockets: sockets}
	p.Queues, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "ixdp_queues", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: port.MaxQueues,
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
