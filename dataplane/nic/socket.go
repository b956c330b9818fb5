// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
)

// opened is an open socket of a queue.
type opened struct {
	queue  int
	socket *xsk.Socket
}

// Open implements port.Port. It opens and binds the socket in the best mode that is allowed. The
// second port of a thread shares the UMEM of the first one if both work in the same mode, since the
// kernel then keeps its pages once. Otherwise the memory is registered again, with the same
// addresses.
func (p *Port) Open(q port.Queue) (*xsk.Socket, func() error, error) {
	s, err := p.openBest(&q)
	if errors.Is(err, unix.EBUSY) {
		return nil, nil, fmt.Errorf("port %s: queue %d has a socket of %s: %w", p.name, q.Number, p.holder(), err)
	} else if err != nil {
		return nil, nil, fmt.Errorf("port %s: %w", p.name, err)
	}
	if s.ZeroCopy() && q.Memory.FrameSize() < port.LargeChunk {
		p.wholePages = true
		return nil, nil, errors.Join(port.ErrAgain, s.Close())
	}
	p.open = append(p.open, opened{q.Number, s})
	p.mode = port.Copy
	switch {
	case p.generic:
		p.mode = port.Generic
	case s.ZeroCopy():
		p.mode = port.ZeroCopy
	}
	return s, func() error {
		p.open = slices.DeleteFunc(p.open, func(o opened) bool { return o.socket == s })
		p.mode = port.NotAttached
		return s.Close()
	}, nil
}

func (p *Port) openBest(q *port.Queue) (s *xsk.Socket, err error) {
	want := xsk.Auto
	switch {
	case p.generic || p.options.Copy == CopyForced:
		want = xsk.Copy
	case p.options.Copy == ZeroCopyForced:
		want = xsk.ZeroCopy
	}
	type way struct {
		share bool
		mode  xsk.Mode
	}
	ways := []way{{false, want}}
	if q.Other != nil && !q.Other.Simulated() {
		zeroCopy := q.Other.ZeroCopy()
		switch {
		case want == xsk.Auto && zeroCopy:
			ways = []way{{true, xsk.Auto}, {false, xsk.Copy}}
		case want == xsk.Auto:
			ways = []way{{false, xsk.ZeroCopy}, {true, xsk.Auto}}
		case zeroCopy == (want == xsk.ZeroCopy):
			ways = []way{{true, want}, {false, want}}
		}
	}
	for _, way := range ways {
		if s, err = p.tryOpen(q, way.share, way.mode); err == nil {
			return s, nil
		}
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
			return nil, err
		}
	}
	if q.Long {
		return nil, fmt.Errorf("frames of several chunks are needed for an MTU above %d, and the driver (%s) or the kernel lacks them (%w); to fix this, run: ip link set %s mtu %d",
			port.MaxMTU, p.driver, err, port.Word(p.device), port.MaxMTU)
	}
	if want == xsk.ZeroCopy {
		return nil, fmt.Errorf("the driver (%s) has no zero-copy: %w", p.driver, err)
	}
	return nil, err
}

// tryOpen opens a socket, fills its fill ring, and binds it.
func (p *Port) tryOpen(q *port.Queue, share bool, mode xsk.Mode) (*xsk.Socket, error) {
	s, err := xsk.Open(q.Memory, xsk.Options{
		Interface: p.index, Queue: q.Number, Mode: mode, Share: share, MultiBuffer: q.Long,
		Fill: q.Rings, Completion: q.Rings, RX: q.Rings, TX: q.Rings, Budget: q.Budget,
	})
	if err != nil {
		return nil, err
	}
	if n := s.Fill.Put(q.Frames); n != len(q.Frames) {
		return nil, errors.Join(fmt.Errorf("fill ring took %d of %d frames", n, len(q.Frames)), s.Close())
	}
	if err := s.Bind(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
