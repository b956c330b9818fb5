package dataplane

import (
	"errors"
	"time"

	"ethertap/dataplane/policy"
)

// Snapshot is an engine at one moment: the policy that is in force, what it does, and what it has
// counted. The counters of each thread are of a moment between two batches.
type Snapshot struct {
	Time    time.Time
	Running bool   // frames are forwarded
	Waiting string // why not, though the engine was started; "": there is no reason
	// Short says what is lost though frames are forwarded, since there are more or fewer queues
	// than threads, with the command that mends it; "" if nothing is.
	Short    string
	Poll     PollMode
	Hold     int // frames that faults may hold, of each queue of an interface
	Policy   policy.Policy
	FastPath FastPathInfo
	Bypass   BypassInfo
	Ports    []PortSnapshot // by number
	Further  []FurtherCount
}

// PortSnapshot is the part of one interface.
type PortSnapshot struct {
	PortInfo
	Stats      PortStats
	Threads    []QueueStats  // by queue
	OutageLeft time.Duration // how long an outage still lasts
	MACs       MACTable      // if tables were asked for, as Types
	Types      TypeTable
}

// FastPathInfo says what the fast path does.
type FastPathInfo struct {
	Wanted bool
	Why    []string // by interface: why frames received there do not use it; "" if they do
}

// FurtherCount is what became of the frames that the tap of a further queue wanted.
type FurtherCount struct {
	Name            string
	Stored, Refused uint64
	Lost            uint64 // stored, and lost since with the queue's file; not in Stored
}

// Snapshot returns what everything is at one moment, with the tables of what was seen if asked:
// these may have thousands of rows. It waits for a start that is under way.
func (e *Engine) Snapshot(tables bool) Snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.update.Lock() // the policy and what is counted under it
	defer e.update.Unlock()
	fast := e.fast.readCounters()
	s := Snapshot{
		Time: time.Now(), Running: e.workers != nil, Waiting: e.said, Short: e.short, Poll: e.Poll(), Hold: e.config.Hold,
		Policy: e.Policy(), Bypass: e.fast.bypassInfo(), FastPath: FastPathInfo{Wanted: e.fast.wanted},
	}
	all := e.allStatsLocked(fast)
	for i, info := range e.portsLocked() {
		p := PortSnapshot{PortInfo: info, Stats: all[i], OutageLeft: e.outageLeft(i)}
		for q := range e.queues {
			p.Threads = append(p.Threads, e.queueStatsLocked(i, q, fast))
		}
		if tables {
			var err [2]error
			p.MACs, err[0] = e.macsLocked(i)
			p.Types, err[1] = e.typesLocked(i)
			if err := errors.Join(err[:]...); err != nil {
				e.config.Logf("port %s: what the kernel has seen is missing in a table: %v", info.Name, err)
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

// Balances draws up the accounts of all interfaces: they close under traffic as well.
func (s *Snapshot) Balances() []Balance {
	var all []PortStats
	for i := range s.Ports {
		all = append(all, s.Ports[i].Stats)
	}
	return balances(all)
}

// FurtherCounts returns what became of the frames that the tap of a further queue wanted: how
// many were put in, how many the queue refused, and how many were put in and then lost with the
// queue's file, which stored does not count. All are 0 if the queue is not fed.
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

// furtherCountLocked needs what the fast path has counted to have been read.
func (e *Engine) furtherCountLocked(o *outlet) FurtherCount {
	c := FurtherCount{Name: o.name, Refused: e.fast.missed[o.number] - o.past}
	for i := range o.lanes {
		c.Stored += o.lanes[i].stored.Load()
		c.Refused += o.lanes[i].refused.Load()
	}
	c.Lost = min(total(&o.lost), c.Stored)
	c.Stored -= c.Lost
	return c
}
