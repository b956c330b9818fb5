// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
	"ethertap/dataplane/stamp"
)

// xdpPass is the action that hands a frame to the network stack of the kernel.
const xdpPass = 2

// newProgram loads the redirect program. It puts the time stamp in front of each frame, if the source
// gives any, and gives the frame to the socket of its queue. If there is none, it counts the frame in
// unserved and passes it to the network stack of the kernel.
//
//	error = bpf_xdp_metadata_rx_timestamp(ctx, &stamp);
//	if (error != -UNASKED) {
//		if (error)
//			stamp = 0;
//		if (!bpf_xdp_adjust_meta(ctx, -16) && ctx->data_meta + 16 <= ctx->data)
//			*ctx->data_meta = {stamp, stamp ^ seal};
//	}
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
// unless the caller has one. number is that of the port.
func newProgram(long bool, sockets, unserved *ebpf.Map, number int, source *stamp.Source) (p *xdp.Program, err error) {
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
	const (
		data, dataMeta, rxQueue = 0, 8, 16 // offsets in struct xdp_md
		zero, time              = -4, -16  // offsets on the stack
	)
	spec := &ebpf.ProgramSpec{
		Name: "ixdp_redirect",
		Type: ebpf.XDP,
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.Mov.Imm(asm.R2, 0),
			asm.StoreMem(asm.RFP, time, asm.R2, asm.DWord),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, time),
			stamp.Call(),
			asm.JEq.Imm32(asm.R0, -stamp.Unasked, "give"),
			asm.LoadMem(asm.R7, asm.RFP, time, asm.DWord),
			asm.JEq.Imm32(asm.R0, 0, "put"),
			asm.Mov.Imm(asm.R7, 0),
			asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("put"),
			asm.Mov.Imm(asm.R2, -stamp.FrontSize),
			asm.FnXdpAdjustMeta.Call(),
			asm.JNE.Imm(asm.R0, 0, "give"),
			asm.LoadMem(asm.R1, asm.R6, dataMeta, asm.Word),
			asm.LoadMem(asm.R2, asm.R6, data, asm.Word),
			asm.Mov.Reg(asm.R3, asm.R1),
			asm.Add.Imm(asm.R3, stamp.FrontSize),
			asm.JGT.Reg(asm.R3, asm.R2, "give"),
			asm.StoreMem(asm.R1, 0, asm.R7, asm.DWord),
			asm.Xor.Imm(asm.R7, stamp.Seal(number)),
			asm.StoreMem(asm.R1, 8, asm.R7, asm.DWord),

			asm.LoadMem(asm.R2, asm.R6, rxQueue, asm.Word).WithSymbol("give"),
			asm.LoadMapPtr(asm.R1, sockets.FD()),
			asm.Mov.Imm(asm.R3, xdpPass),
			asm.FnRedirectMap.Call(),
			asm.JNE.Imm(asm.R0, xdpPass, "end"),
			asm.StoreImm(asm.RFP, zero, 0, asm.Word),
			asm.LoadMapPtr(asm.R1, unserved.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, zero),
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
	}
	if err = source.Put(spec); err == nil {
		p.Program, err = ebpf.NewProgram(spec)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("redirect program: %w", err), p.Close())
	}
	return p, nil
}
