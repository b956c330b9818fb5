// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
)

// Attach implements port.Port. It loads the plain program, makes the interface promiscuous and
// attaches the program, in generic mode if the driver refuses native XDP and the options allow
// generic XDP.
//
// The sockets are bound before, because two processes compete for the queues: one that fails to get
// a queue must not have touched the program of the other. The sockets enter the map of the program
// afterwards, and they leave it before the program goes. Zero-copy drivers transmit only while
// there is a program, so a stop can still send what is on the way out.
func (p *Port) Attach(long bool) (func() error, error) {
	var undo port.Undo
	undoAll := func() error { return undo.Run(0) }
	if err := p.attachAll(long, &undo); err != nil {
		return nil, errors.Join(err, undoAll())
	}
	return undoAll, nil
}

func (p *Port) attachAll(long bool, undo *port.Undo) error {
	undo.Push(func() error { p.dropStamps(); return nil })
	why, err := p.chooseStamps()
	if err != nil {
		return err
	}
	if err := p.load(long, undo); err != nil {
		return err
	}
	end, err := p.promiscuous()
	if err != nil {
		return err
	}
	undo.Push(end)
	if p.inherited != nil {
		p.link = p.inherited.link
		p.sayStamps(why)
		undo.Push(func() error {
			if p.inherited != nil {
				return nil // its finder closes it
			}
			return p.detach()
		})
		return nil
	}
	if p.options.Replace {
		restore, err := p.evict()
		if err != nil {
			return err
		}
		if restore != nil {
			undo.Push(func() error {
				if p.outlives {
					p.logf("port %s: the XDP program that was replaced is not put back: the bypass is in its place", p.name)
					return nil
				}
				return restore()
			})
		}
	}
	if err = p.fits(); err == nil {
		err = p.attach()
	}
	if err != nil && !p.generic && p.options.Attach == AttachAuto && p.options.Copy != ZeroCopyForced {
		p.logf("port %s: the driver (%s) refuses native XDP, so generic XDP is used: %v", p.name, p.driver, err)
		p.generic = true
		return port.ErrAgain
	}
	if err != nil {
		how := "native"
		if p.generic {
			how = "generic"
		}
		return fmt.Errorf("port %s: attach %s XDP (driver %s): %w%s", p.name, how, p.driver, err, p.aboutMTU(err))
	}
	undo.Push(p.detach)
	p.sayStamps(why)
	return nil
}

// load loads the plain program. It uses the map of sockets of inherited programs, if there are any.
func (p *Port) load(long bool, undo *port.Undo) error {
	var sockets *ebpf.Map
	if p.inherited != nil {
		sockets = p.inherited.sockets
	}
	count, err := newUnserved()
	if err != nil {
		return fmt.Errorf("port %s: counter of frames without a thread: %w", p.name, err)
	}
	p.unserved.count = count
	undo.Push(func() error { p.unserved.count = nil; return count.Close() })
	program, err := p.newProgram(long, sockets)
	if err != nil {
		return fmt.Errorf("port %s: %w", p.name, err)
	}
	p.program, p.long = program, long
	undo.Push(func() error { p.program = nil; return program.Close() })
	return nil
}

// newProgram loads the plain program for the interface.
func (p *Port) newProgram(long bool, sockets *ebpf.Map) (*xdp.Program, error) {
	return newProgram(long, sockets, p.unserved.count, p.number, &p.stamps.source)
}

// attach puts the program on the interface by a BPF link, which the kernel removes when the process
// ends, in whatever way.
func (p *Port) attach() error {
	flags := link.XDPDriverMode
	if p.generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p.program.Program, Interface: p.index, Flags: flags})
	if err != nil {
		return err
	}
	p.link = l
	return nil
}

// detach closes the link: the program leaves the interface, unless the link is pinned.
func (p *Port) detach() error {
	l := p.link
	if p.link = nil; l == nil {
		return nil
	}
	if err := l.Close(); err != nil {
		return fmt.Errorf("port %s: detach: %w", p.name, err)
	}
	return nil
}

// Leave implements port.Port: it removes the program. An interface that is now in another network
// namespace would otherwise lose the frames that it receives there, and be refused when it comes
// back.
func (p *Port) Leave() error {
	if p.link == nil {
		return nil
	}
	if err := p.link.Detach(); err != nil && !errors.Is(err, unix.ENOLINK) {
		return fmt.Errorf("port %s: detach: %w", p.name, err)
	}
	return nil
}

// Admit implements port.Port: it puts the sockets into the map of the attached program.
func (p *Port) Admit() (func() error, error) {
	var undo port.Undo
	for _, o := range p.open {
		if err := p.program.Register(o.queue, o.socket.FD()); err != nil {
			return nil, errors.Join(fmt.Errorf("port %s: register queue %d: %w", p.name, o.queue, err), undo.Run(0))
		}
		undo.Push(func() error { return p.unregister(o.queue) })
	}
	p.unserved.admit()
	undo.Push(func() error { p.unserved.refuse(); return nil })
	return func() error { return undo.Run(0) }, nil
}

// unregister removes the socket of a queue from the maps. It may be gone already: the kernel
// removes sockets itself when their interface disappears.
func (p *Port) unregister(queue int) error {
	if err := p.program.Unregister(queue); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("port %s: unregister queue %d: %w", p.name, queue, err)
	}
	return nil
}

// promiscuous makes the interface receive all frames until end is called or the process ends: the
// membership of a packet socket ends with the socket.
func (p *Port) promiscuous() (end func() error, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("port %s: packet socket: %w", p.name, err)
	}
	mreq := unix.PacketMreq{Ifindex: int32(p.index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
		return nil, errors.Join(fmt.Errorf("port %s: promiscuous mode: %w", p.name, err), unix.Close(fd))
	}
	return func() error {
		if err := unix.Close(fd); err != nil {
			return fmt.Errorf("port %s: leave promiscuous mode: %w", p.name, err)
		}
		return nil
	}, nil
}

// SetProgram replaces the attached XDP program by another one. Each frame meets one or the other.
func (p *Port) SetProgram(program *ebpf.Program) error {
	if err := p.link.Update(program); err != nil {
		return fmt.Errorf("port %s: %w", p.name, err)
	}
	return nil
}

// SetPlainProgram puts the plain program back. It is no error if the interface is gone.
func (p *Port) SetPlainProgram() error {
	if err := p.SetProgram(p.program.Program); err != nil && !errors.Is(err, unix.ENOLINK) { // ENOLINK means that the interface is gone
		return err
	}
	return nil
}

// Sockets returns the map of the plain program's sockets, by queue.
func (p *Port) Sockets() *ebpf.Map { return p.program.Sockets }

// CoverNewQueues puts a program, or the plain one for nil, on queues that the interface has got
// since the program was attached. A veth gives a program only to the queues that it has at that
// time, and frames on other queues pass the program. Setting the program that is already there has
// no effect, so another one is set for a moment in between.
func (p *Port) CoverNewQueues(program *ebpf.Program) error {
	between, err := p.newProgram(p.long, p.program.Sockets)
	if err != nil {
		return err
	}
	if program == nil {
		program = p.program.Program
	}
	return errors.Join(p.link.Update(between.Program), p.link.Update(program), between.Close())
}
