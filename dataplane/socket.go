package dataplane

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/xsk"
)

// framesPerPort is enough for all rings of a port to be full at once, while as many
// frames as allowed are held.
func framesPerPort(c *Config) int { return 3*c.Rings + c.Hold }

// budget is how many frames a kick transmits at most when copying.
const budget = 256

// memoryFor returns the bytes that the kernel locks for one engine with so many threads.
func memoryFor(c *Config, queues, frame int) uint64 {
	return uint64(queues*len(c.Interfaces)*framesPerPort(c)) * uint64(frame)
}

// enoughMemory refuses what the machine has no room for: locked memory cannot be swapped
// out, so the kernel would end some process to get it.
func enoughMemory(c *Config, queues, frame int, available uint64) error {
	if need := memoryFor(c, queues, frame); need > available {
		return fmt.Errorf("memory: %d MiB needed (rings of %d frames, %d held, queues %d, interfaces %d), %d MiB available",
			need>>20, c.Rings, c.Hold, queues, len(c.Interfaces), available>>20)
	}
	return nil
}

// availableMemory is how many bytes the kernel could give without swapping; all there
// are where it does not say.
func availableMemory() uint64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return math.MaxUint64
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			if kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return math.MaxUint64
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
		l.longest.Store(p.limits.send)
		if err := w.openSocket(i, p, c); errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("port %s: queue %d has a socket of %s: %w", p.name, w.queue, p.holder(c), err)
		} else if err != nil {
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
		if err = w.tryOpen(i, p, c, way.share, way.mode); err == nil {
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

func (w *worker) tryOpen(i int, p *port, c *Config, share bool, mode xsk.Mode) error {
	s, err := xsk.Open(w.umem, xsk.Options{
		Interface: p.index, Queue: w.queue, Mode: mode, Share: share, MultiBuffer: w.long,
		Fill: c.Rings, Completion: c.Rings, RX: c.Rings, TX: c.Rings, Budget: budget,
	})
	if err != nil {
		return err
	}
	kept := len(w.free) - c.Rings
	if n := s.Fill.Put(w.free[kept:]); n != c.Rings {
		return errors.Join(fmt.Errorf("fill ring took %d of %d frames", n, c.Rings), s.Close())
	}
	if err := s.Bind(); err != nil {
		return errors.Join(err, s.Close())
	}
	w.lanes[i].sock = s
	w.lanes[i].filled = c.Rings
	w.free = w.free[:kept]
	return nil
}
