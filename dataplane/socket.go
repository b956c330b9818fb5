package dataplane

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/xsk"
)

// ringSize is that of every ring. Smaller ones lose frames when a burst meets
// a thread that sleeps; larger ones only spread the frames over more of the cache.
const ringSize = 2048

// framesPerPort is enough for all rings of a port to be full at once, while as many
// frames as allowed are held.
func framesPerPort(c *Config) int { return 3*ringSize + c.Hold }

// budget is how many frames a kick transmits at most when copying.
const budget = 256

// memoryFor returns the bytes that the kernel locks for one engine.
func memoryFor(c *Config, frame int) uint64 {
	return uint64(max(c.Queues, 1)*len(c.Interfaces)*framesPerPort(c)) * uint64(frame)
}

// openSockets opens the thread's sockets, one for each port, on one memory, with
// their fill rings full before they are bound. What it opened is on undo even
// when it fails.
func (w *worker) openSockets(ports []*port, c *Config, frame int, undo *undo) error {
	u, err := xsk.NewUMEM(len(ports)*framesPerPort(c), frame)
	if err != nil {
		return fmt.Errorf("queue %d: %w", w.queue, err)
	}
	undo.push(u.Close)
	w.umem = u
	w.free = make([]uint64, 0, u.Frames())
	for i := u.Frames() - 1; i >= 0; i-- {
		w.free = append(w.free, uint64(i*u.FrameSize()))
	}
	w.lanes = make([]lane, len(ports))
	for i, p := range ports {
		l := &w.lanes[i]
		l.output = mirror
		if len(ports) == 2 {
			l.output = 1 - i
			l.limit.Store(uint32(14 + min(p.mtu, ports[1-i].mtu)))
			l.held.heap = make([]held, 0, c.Hold)
		}
		if err := w.openSocket(i, p, c); err != nil {
			return fmt.Errorf("port %s: %w", p.name, err)
		}
		undo.push(l.sock.Close)
	}
	w.prepare()
	return nil
}

// openSocket opens and binds the socket of one port in the best way that is
// allowed. The second port of a thread shares the first one's UMEM if both work
// in the same mode, since then the kernel keeps its pages once; otherwise the
// memory is registered again, with the same addresses.
func (w *worker) openSocket(i int, p *port, c *Config) error {
	want := xsk.Auto
	switch {
	case p.generic || c.Copy == CopyForced:
		want = xsk.Copy
	case c.Copy == ZeroCopyForced:
		want = xsk.ZeroCopy
	}
	type way struct {
		share bool
		mode  xsk.Mode
	}
	ways := []way{{false, want}}
	if i > 0 {
		zeroCopy := w.lanes[0].sock.ZeroCopy()
		switch {
		case want == xsk.Auto && zeroCopy:
			ways = []way{{true, xsk.Auto}, {false, xsk.Copy}}
		case want == xsk.Auto:
			ways = []way{{false, xsk.ZeroCopy}, {true, xsk.Auto}}
		case zeroCopy == (want == xsk.ZeroCopy):
			ways = []way{{true, want}, {false, want}}
		}
	}
	var err error
	for _, way := range ways {
		if err = w.tryOpen(i, p, way.share, way.mode); err == nil {
			return nil
		}
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	if w.long {
		return fmt.Errorf("frames of several chunks are needed for an MTU above %d, and the driver (%s) or the kernel lacks them: ip link set %s mtu %d: %w",
			maxMTU, p.driver, p.device, maxMTU, err)
	}
	if want == xsk.ZeroCopy {
		return fmt.Errorf("the driver (%s) has no zero-copy: %w", p.driver, err)
	}
	return err
}

func (w *worker) tryOpen(i int, p *port, share bool, mode xsk.Mode) error {
	s, err := xsk.Open(w.umem, xsk.Options{
		Interface: p.index, Queue: w.queue, Mode: mode, Share: share, MultiBuffer: w.long,
		Fill: ringSize, Completion: ringSize, RX: ringSize, TX: ringSize, Budget: budget,
	})
	if err != nil {
		return err
	}
	kept := len(w.free) - ringSize
	if n := s.Fill.Put(w.free[kept:]); n != ringSize {
		return errors.Join(fmt.Errorf("fill ring took %d of %d frames", n, ringSize), s.Close())
	}
	if err := s.Bind(); err != nil {
		return errors.Join(err, s.Close())
	}
	w.lanes[i].sock = s
	w.lanes[i].filled = ringSize
	w.free = w.free[:kept]
	return nil
}
