// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
)

// Advice says why frames are counted as lost, as far as that is known, and how to fix that. It
// returns a line for each interface and cause.
func (e *Engine) Advice() (list []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list = []string{}
	for i, p := range e.ports {
		say := func(format string, args ...any) {
			list = append(list, fmt.Sprintf("interface %d %s: ", i, p.Name())+fmt.Sprintf(format, args...))
		}
		if n := e.unservedSinceLocked(p); n > 0 {
			say("%s came on queues without a thread; to fix this, run: %s", counted(int(n), "frame"), p.QueueCommand(e.queues))
		}
		var kernel unix.XDPStatistics
		for q := range e.kernelCounts {
			kernel = plus(kernel, e.kernelSinceLocked(i, q))
		}
		if n := tooLong(kernel); n > 0 {
			cause := "their sender makes longer frames than the port takes"
			if p.nic != nil {
				cause = p.nic.WhyTooLong()
			}
			say("%s longer than the %d bytes that can be received: %s", counted(int(n), "frame"), e.longestReceivedLocked(), cause)
		}
		if n := e.tornLocked(i); n > 0 {
			say("%s came in pieces that nobody asked for, since the driver uses less of a chunk than there is; to fix this, start with --copy or --xdp_skb", counted(int(n), "frame"))
		}
		if n := kernel.Rx_ring_full + kernel.Rx_fill_ring_empty_descs; n > 0 && e.config.Rings < MaxRings {
			say("%s found no room in a ring; to fix this, start with more --rings than %d, so that a thread may be late for longer", counted(int(n), "frame"), e.config.Rings)
		}
	}
	return list
}

// tornLocked returns the number of frames that the threads have discarded since the last reset
// because they came in pieces.
func (e *Engine) tornLocked(port int) (n uint64) {
	for q := range e.counts {
		n += e.counts[q].read()[port][countLost] - e.base[q][port][countLost]
	}
	return n
}

// tooLong returns the number of frames that were longer than a chunk. The kernel counts them
// together with the frames for which there was no chunk.
func tooLong(k unix.XDPStatistics) uint64 {
	return k.Rx_dropped - min(k.Rx_dropped, k.Rx_fill_ring_empty_descs)
}

// followJoinersLocked has the ports log which interfaces beneath them join frames.
func (e *Engine) followJoinersLocked() {
	for _, p := range e.nics() {
		p.FollowJoiners(e.longestReceivedLocked())
	}
}

// longestReceivedLocked returns the length in bytes of the longest frame that can be received.
func (e *Engine) longestReceivedLocked() int {
	n := e.frameSizeLocked()
	if len(e.workers) > 0 {
		n = e.workers[0].umem.FrameSize()
	}
	if n -= xsk.Headroom; e.long {
		n *= port.MaxChunks
	}
	return n
}
