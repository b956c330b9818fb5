// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"time"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
)

// Snapshot describes an engine at one moment: its policy, its state and its counters. The counters
// of each thread are of a moment between two batches.
type Snapshot struct {
	Time    time.Time
	Since   time.Time // when the counters began at 0: the last reset, or New
	Running bool      // frames are forwarded
	Waiting string    // why frames are not forwarded though the engine was started; "" if there is no reason
	// Short says which frames are lost because an interface has more queues than there are threads,
	// and the command that fixes it; "" if none are.
	Short    string
	Poll     PollMode
	Stamps   nic.StampMode // as asked for
	Hold     int           // frames that faults may hold, for each queue of an interface
	Policy   policy.Policy
	FastPath FastPathInfo
	Bypass   BypassInfo
	Ports    []PortSnapshot // by number
	Further  []FurtherCount
}

// PortSnapshot is the part of a Snapshot that concerns one interface.
type PortSnapshot struct {
	PortInfo
	Stats      PortStats
	Kernel     PathStats                // the part of Stats that the fast path has counted; the threads have counted the rest
	Threads    []QueueStats             // by queue
	OutageLeft time.Duration            // how long an outage will last
	Where      [policy.FaultKinds]Place // where each fault of its frames is carried out, by index in policy.Faults
	MACs       MACTable                 // MACs and Types are empty unless tables were asked for
	Types      TypeTable
}

// FastPathInfo describes the fast path.
type FastPathInfo struct {
	Wanted bool
	Why    []string // by interface: why frames received there do not use the fast path; "" if they do
}

// FurtherCount says what became of the frames that the tap of a further queue wanted.
type FurtherCount struct {
	Name            string
	Stored, Refused uint64
	Lost            uint64 // stored, and lost since then with the file of the queue; not in Stored
}

// Snapshot describes the engine at one moment. With tables it includes the tables of sources, types
// and VLANs, which may have thousands of rows. It waits for a start that is under way.
func (e *Engine) Snapshot(tables bool) Snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.update.Lock() // so that no counter is read under another policy
	defer e.update.Unlock()
	fast := e.fast.readCounters()
	s := Snapshot{
		Time: time.Now(), Since: e.since, Running: e.workers != nil, Waiting: e.said, Short: e.short, Poll: PollMode(e.poll.Load()), Stamps: e.stamps, Hold: e.config.Hold,
		Policy: e.Policy(), Bypass: e.fast.bypassInfo(), FastPath: FastPathInfo{Wanted: e.fast.wanted},
	}
	all := e.allStatsLocked(fast)
	for i, info := range e.portsLocked() {
		p := PortSnapshot{PortInfo: info, Stats: all[i], Kernel: e.kernelPathLocked(i, fast), OutageLeft: e.outageLeft(i), Where: e.faultPlacesLocked(i)}
		for q := range e.queues {
			p.Threads = append(p.Threads, e.queueStatsLocked(i, q, fast))
		}
		if tables {
			var err [2]error
			p.MACs, err[0] = e.macsLocked(i)
			p.Types, err[1] = e.typesLocked(i)
			if err := errors.Join(err[:]...); err != nil {
				e.config.Logf("port %s: a table lacks the frames that the kernel has counted: %v", info.Name, err)
			}
		}
		s.Ports = append(s.Ports, p)
		s.FastPath.Why = append(s.FastPath.Why, e.fast.without(i))
	}
	for _, o := range e.outlets[1:] {
		s.Further = append(s.Further, e.furtherCountLocked(o))
	}
	return s
}

// Balances returns the accounts of all interfaces. They close under traffic as well.
func (s *Snapshot) Balances() []Balance {
	var all []PortStats
	for i := range s.Ports {
		all = append(all, s.Ports[i].Stats)
	}
	return balances(all)
}

// FurtherCounts returns what became of the frames that the tap of a further queue wanted: the
// number stored, the number that the queue refused, and the number stored and then lost with the
// file of the queue, which stored does not include. All are 0 if the queue is not fed.
func (e *Engine) FurtherCounts(name string) (stored, refused, lost uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := outletOf(e.outlets[1:], name)
	if out == nil {
		return 0, 0, 0
	}
	e.fast.readCounters()
	c := e.furtherCountLocked(out)
	return c.Stored, c.Refused, c.Lost
}

// furtherCountLocked needs fastPath.readCounters to have been called.
func (e *Engine) furtherCountLocked(o *outlet) FurtherCount {
	c := FurtherCount{Name: o.name, Refused: e.fast.missed[o.number] - o.past}
	for i := range o.lanes {
		c.Stored += o.lanes[i].stored.Load()
		c.Refused += o.lanes[i].refused.Load()
	}
	c.Lost = min(sumOf(&o.lost), c.Stored)
	c.Stored -= c.Lost
	return c
}
