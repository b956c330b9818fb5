package dataplane

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Advice says why frames are counted as lost, as far as that is known, and what mends it: a
// line for each interface and cause.
func (e *Engine) Advice() (list []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list = []string{}
	for i, p := range e.ports {
		say := func(format string, args ...any) {
			list = append(list, fmt.Sprintf("interface %d %s: ", i, p.name)+fmt.Sprintf(format, args...))
		}
		if n := e.unservedSince(i); n > 0 {
			say("%s came on queues without a thread: %s", counted(int(n), "frame"), p.queueCommand(e.queues))
		}
		var kernel unix.XDPStatistics
		for q := range e.kernel {
			kernel = plus(kernel, e.kernelSince(i, q))
		}
		if n := tooLong(kernel); n > 0 {
			cause := fmt.Sprintf("what sends them has a larger MTU than %d, or joins frames", p.mtu)
			switch {
			case len(p.joined) > 0:
				cause = strings.Join(p.joined, "; ")
			case p.other.name != "" && !p.generic:
				cause = "the other end of this veth may send several as one: " + p.other.ethtool("tso off gso off")
			}
			say("%s longer than the %d bytes that can be received: %s", counted(int(n), "frame"), e.longestReceived(), cause)
		}
		if n := kernel.Rx_ring_full + kernel.Rx_fill_ring_empty_descs; n > 0 && e.config.Rings < MaxRings {
			say("%s found no room in a ring: with more than --rings %d a thread may be late for longer", counted(int(n), "frame"), e.config.Rings)
		}
	}
	return list
}

// tooLong returns how many frames were longer than a chunk: what was dropped for another reason
// than that there was no chunk.
func tooLong(k unix.XDPStatistics) uint64 {
	return k.Rx_dropped - min(k.Rx_dropped, k.Rx_fill_ring_empty_descs)
}
