// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/json"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
)

// PortInfo describes an interface. Before the first Start only its number and its name are known.
type PortInfo struct {
	Index  int        `json:"index"`
	Name   string     `json:"name"`
	Driver string     `json:"driver"` // "-" if unknown
	Queues int        `json:"queues"`
	Mode   string     `json:"mode"` // "ZEROCOPY", "COPY" (native XDP), "SKB" (generic), "MEMORY", or "-" when not attached
	MTU    int        `json:"mtu"`
	MAC    policy.MAC `json:"mac"`
	Up     bool       `json:"up"`    // the link was up with carrier when last seen
	Downs  uint64     `json:"downs"` // how often the link went down while the engine ran
	Gone   bool       `json:"gone"`  // the interface has disappeared since Start
	// Stamps says where the time stamps of received frames come from: "hardware" or "software".
	Stamps string `json:"time_stamps"`
	// FastPath says what the fast path does with frames received here: "fastpath" if it is used,
	// "fastpath:refused" if it cannot be used, "" if it is disabled.
	FastPath string `json:"fast_path,omitempty"`
}

// portsLocked describes the interfaces, by number.
func (e *Engine) portsLocked() []PortInfo {
	list := make([]PortInfo, len(e.ports))
	for i, p := range e.ports {
		f := p.Facts()
		list[i] = PortInfo{Index: i, Name: f.Name, Driver: f.Driver, Queues: e.queues, Mode: f.Mode, MTU: f.MTU, MAC: f.MAC, Up: f.Up, Downs: f.Downs, Gone: p.gone.Load(), Stamps: nic.StampsSoftware.String()}
		if f.Stamps != nil {
			list[i].Stamps = nic.StampsHardware.String()
		}
		if e.fast.wanted && e.workers != nil {
			list[i].FastPath = "fastpath"
			if e.fast.without(i) != "" {
				list[i].FastPath = "fastpath:refused"
			}
		}
	}
	return list
}

// Count is a value with a name.
type Count struct {
	Name string
	N    uint64
}

// Counts is a list of values with names. In JSON it is an object.
type Counts []Count

// MarshalJSON implements json.Marshaler.
func (c Counts) MarshalJSON() ([]byte, error) {
	m := make(map[string]uint64, len(c))
	for _, count := range c {
		m[count.Name] += count.N
	}
	return json.Marshal(m)
}

// QueueStats holds the counters of one thread for an interface, and those of the kernel.
type QueueStats struct {
	PortStats
	Kernel Counts // of the queue's AF_XDP socket, by the kernel's names
}

// allStatsLocked returns the counters of all interfaces, by number, summed over the threads. fast is
// the result of fastPath.readCounters. The counters of one thread are of one moment between two
// batches, and no frame changes threads, so the accounting identity holds in them even under
// traffic.
func (e *Engine) allStatsLocked(fast *[MaxQueues][2]tally) []PortStats {
	var sums [2]tally
	var lost, tapLost [2]uint64
	for q := range e.counts {
		now := e.queueTally(q, fast)
		for p := range e.ports {
			t := now[p].since(&e.base[q][p])
			sums[p].add(&t)
			lost[p] += lostIn(e.kernelSinceLocked(p, q))
			tapLost[p] += e.tapOutlet.lost[q][p] - e.tapOutlet.lostBase[q][p]
		}
	}
	list := make([]PortStats, len(e.ports))
	for p := range list {
		list[p] = sums[p].portStats(lost[p]+e.unservedSinceLocked(e.ports[p]), tapLost[p])
	}
	return list
}

// queueStatsLocked returns the counters of one queue of an interface. fast is the result of
// fastPath.readCounters.
func (e *Engine) queueStatsLocked(number, queue int, fast *[MaxQueues][2]tally) QueueStats {
	k := e.kernelSinceLocked(number, queue)
	t := e.queueTally(queue, fast)[number].since(&e.base[queue][number])
	return QueueStats{t.portStats(lostIn(k), e.tapOutlet.lost[queue][number]-e.tapOutlet.lostBase[queue][number]), named(k)}
}

// socketLocked returns the open socket of a queue, or nil if there is none.
func (e *Engine) socketLocked(number, queue int) *xsk.Socket {
	if queue >= len(e.workers) {
		return nil
	}
	return e.workers[queue].lanes[number].sock
}

// queueTally returns the counters of a queue, those of its thread and of the fast path added up.
// fast is the result of fastPath.readCounters. In each part the accounting identity holds, so it
// holds in the sum.
func (e *Engine) queueTally(queue int, fast *[MaxQueues][2]tally) [2]tally {
	now := e.counts[queue].read()
	for p := range now {
		now[p].add(&fast[queue][p])
	}
	return now
}

// kernelSinceLocked returns the kernel's statistics of a queue since the last reset.
func (e *Engine) kernelSinceLocked(number, queue int) unix.XDPStatistics {
	k := &e.kernelCounts[queue][number]
	return minus(k.total(e.socketLocked(number, queue)), k.base)
}

// ResetStats sets all counters to zero. Frames that are held count as received after the reset.
func (e *Engine) ResetStats() {
	e.mu.Lock()
	defer e.mu.Unlock()
	fast := e.fast.readCounters()
	e.since, e.fastBase = time.Now(), *fast
	e.tapOutlet.lostBase = e.tapOutlet.lost
	for q := range e.counts {
		e.base[q] = e.queueTally(q, fast)
		for p := range e.ports {
			e.kernelCounts[q][p].base = e.kernelCounts[q][p].total(e.socketLocked(p, q))
		}
	}
	for _, p := range e.ports {
		p.unservedBase = e.countedUnservedLocked(p)
	}
}

// portStats returns the counters with their names. The kernel's part of lost, and tapLost, are not part of a tally. tapLost is
// limited to the frames stored since the last reset: what was lost of a queue may have been stored
// before it.
func (t *tally) portStats(lost, tapLost uint64) PortStats {
	var s PortStats
	for i := range Counters {
		if c := &Counters[i]; c.at != derived {
			*c.field(&s) = t[c.at]
		}
	}
	s.Lost += lost
	s.TapLost = min(tapLost, s.TapStored)
	s.TapStored -= s.TapLost
	for r := range reason(reasons) {
		if n := t[countErr+int(r)]; n > 0 {
			s.Err += n
			s.ErrReasons = append(s.ErrReasons, Count{r.String(), n})
		}
		if n := t[countCall+int(r)]; n > 0 {
			s.CallErrors = append(s.CallErrors, Count{r.String(), n})
		}
	}
	return s
}

// kernelCount sums the kernel's statistics over all sockets that have served one queue of an
// interface.
type kernelCount struct {
	past unix.XDPStatistics // of closed sockets
	last unix.XDPStatistics // of the open socket, as it last told them
	base unix.XDPStatistics // at the last reset
}

// total adds the statistics of s, which is the open socket, or nil. A socket whose interface has
// gone may refuse to tell; then what it told last counts, so that no counter falls.
func (k *kernelCount) total(s *xsk.Socket) unix.XDPStatistics {
	if s == nil {
		return k.past
	}
	if now, err := s.Statistics(); err == nil {
		k.last = now
	}
	return plus(k.past, k.last)
}

func (k *kernelCount) close(s *xsk.Socket) { k.past, k.last = k.total(s), unix.XDPStatistics{} }

// lostIn returns the number of frames that the kernel dropped before reception. A frame for which a
// copying socket had no chunk in the fill ring is in rx_dropped as well.
func lostIn(k unix.XDPStatistics) uint64 { return k.Rx_dropped + k.Rx_ring_full }

func named(k unix.XDPStatistics) Counts {
	return Counts{
		{"rx_dropped", k.Rx_dropped},
		{"rx_invalid_descs", k.Rx_invalid_descs},
		{"tx_invalid_descs", k.Tx_invalid_descs},
		{"rx_ring_full", k.Rx_ring_full},
		{"rx_fill_ring_empty_descs", k.Rx_fill_ring_empty_descs},
		{"tx_ring_empty_descs", k.Tx_ring_empty_descs},
	}
}

func plus(a, b unix.XDPStatistics) unix.XDPStatistics {
	return unix.XDPStatistics{
		Rx_dropped:               a.Rx_dropped + b.Rx_dropped,
		Rx_invalid_descs:         a.Rx_invalid_descs + b.Rx_invalid_descs,
		Tx_invalid_descs:         a.Tx_invalid_descs + b.Tx_invalid_descs,
		Rx_ring_full:             a.Rx_ring_full + b.Rx_ring_full,
		Rx_fill_ring_empty_descs: a.Rx_fill_ring_empty_descs + b.Rx_fill_ring_empty_descs,
		Tx_ring_empty_descs:      a.Tx_ring_empty_descs + b.Tx_ring_empty_descs,
	}
}

func minus(a, b unix.XDPStatistics) unix.XDPStatistics {
	return unix.XDPStatistics{
		Rx_dropped:               a.Rx_dropped - b.Rx_dropped,
		Rx_invalid_descs:         a.Rx_invalid_descs - b.Rx_invalid_descs,
		Tx_invalid_descs:         a.Tx_invalid_descs - b.Tx_invalid_descs,
		Rx_ring_full:             a.Rx_ring_full - b.Rx_ring_full,
		Rx_fill_ring_empty_descs: a.Rx_fill_ring_empty_descs - b.Rx_fill_ring_empty_descs,
		Tx_ring_empty_descs:      a.Tx_ring_empty_descs - b.Tx_ring_empty_descs,
	}
}
