// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
)

// framesPerPort is the number of chunks per port and thread. It suffices when all rings are full
// and as many frames as allowed are held.
func framesPerPort(c *Config) int { return 3*c.Rings + c.Hold }

// budget is the largest number of frames that one kick transmits when the socket copies.
const budget = 256

// memoryFor returns the number of bytes that the kernel locks for an engine with so many threads.
// frame is the size of a chunk.
func memoryFor(c *Config, queues, frame int) uint64 {
	return uint64(queues*len(c.Interfaces)*framesPerPort(c)) * uint64(frame)
}

// enoughMemory returns an error if the machine has too little memory. Locked memory cannot be
// swapped out, so the kernel would kill some process to get it.
func enoughMemory(c *Config, queues, frame int, available uint64) error {
	if need := memoryFor(c, queues, frame); need > available {
		return fmt.Errorf("memory: %d MiB needed (rings of %d frames, %d held, queues %d, interfaces %d), %d MiB available",
			need>>20, c.Rings, c.Hold, queues, len(c.Interfaces), available>>20)
	}
	return nil
}

// availableMemory returns how many bytes the kernel could give without swapping, or the largest
// number if the kernel does not tell.
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

// openSockets opens the sockets of the thread, one for each port, on one memory. Their fill rings
// are full before they are bound. The steps that close them are on undo, even when it fails.
func (w *worker) openSockets(ports []*enginePort, c *Config, frame int, undo *port.Undo) error {
	u, err := xsk.NewUMEM(len(ports)*framesPerPort(c), frame)
	if err != nil {
		return fmt.Errorf("queue %d: %w", w.queue, err)
	}
	undo.Push(u.Close)
	w.umem = u
	w.free = make([]uint64, 0, u.Frames())
	for i := u.Frames() - 1; i >= 0; i-- {
		w.free = append(w.free, uint64(i*u.FrameSize()))
	}
	w.lanes = make([]lane, len(ports))
	for i, p := range ports {
		l := &w.lanes[i]
		f := p.Facts()
		l.output = mirror
		if len(ports) == 2 {
			if !ports[1-i].Facts().NoTX {
				l.output = 1 - i
			}
			l.limit.Store(stretchLimit(f, ports[1-i].Facts()))
			l.held.heap = make([]heldFrame, 0, c.Hold)
		}
		l.longest.Store(f.Longest)
		l.described = f.Timed
		kept := len(w.free) - c.Rings
		q := port.Queue{
			Number: w.queue, Memory: u, Frames: w.free[kept:], Rings: c.Rings, Budget: budget, Long: w.long, Wake: w.wake,
		}
		if i > 0 {
			q.Other = w.lanes[0].sock
		}
		s, end, err := p.Open(q)
		if err != nil {
			return err
		}
		undo.Push(end)
		l.sock, l.filled, w.free = s, c.Rings, w.free[:kept]
	}
	w.allocate()
	return nil
}
