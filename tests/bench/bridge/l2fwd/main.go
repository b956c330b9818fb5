// SPDX-License-Identifier: BSD-3-Clause

// Command l2fwd is the bridge of asavie/xdp's example of that name, made to spin
// instead of poll: a socket with a UMEM of its own on each interface, and every frame
// copied from one to the other. EtherTAP is measured beside it.
//
//	l2fwd if0 if1
package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: l2fwd if0 if1")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "l2fwd:", err)
		os.Exit(1)
	}
}

func run(names ...string) error {
	var sockets []*xdp.Socket
	for _, name := range names {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		index := l.Attrs().Index
		s, err := xdp.NewSocket(index, 0, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		program, err := xdp.NewProgram(1)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := program.Register(0, s.FD()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// A link goes with the process; Program.Attach would leave the program behind.
		attached, err := link.AttachXDP(link.XDPOptions{Program: program.Program, Interface: index, Flags: link.XDPDriverMode})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer attached.Close()
		sockets = append(sockets, s)
	}
	var stop atomic.Bool
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	go func() { <-signals; stop.Store(true) }()
	fmt.Println("ready")
	for !stop.Load() {
		for i, in := range sockets {
			out := sockets[1-i]
			in.Fill(in.GetDescs(in.NumFreeFillSlots()))
			if n := in.NumReceived(); n > 0 {
				forward(in, out, n)
			}
			out.Complete(out.NumCompleted())
		}
	}
	return nil
}

// forward copies n frames; what finds no room is lost.
func forward(in, out *xdp.Socket, n int) {
	from := in.Receive(n)
	to := out.GetDescs(out.NumFreeTxSlots())
	from = from[:min(len(from), len(to))]
	for i, d := range from {
		to[i].Len = uint32(copy(out.GetFrame(to[i]), in.GetFrame(d)))
	}
	out.Transmit(to[:len(from)])
}
