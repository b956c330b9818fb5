// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"testing"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/tests/netlab"
)

// queuesLab is a bridge whose links have four queues, of which one is used.
func queuesLab(t *testing.T, c dataplane.Config) *device {
	t.Helper()
	netlab.RequireRoot(t)
	lab := netlab.NewBridgeWith(t, netlab.Options{Queues: 4, GRO: c.FastPath})
	d := newDevice(t, lab, c)
	d.queues(1, 1, netlab.D0, netlab.D1)
	d.mustStart()
	if c.FastPath {
		d.mustUseFastPath()
	}
	if n := d.Ports()[0].Queues; n != 1 {
		t.Fatalf("%d threads", n)
	}
	return d
}

// queues changes the numbers of queues at our ends of the links. The outer ends send on as many
// queues as we receive from.
func (d *device) queues(rx, tx int, names ...string) {
	d.t.Helper()
	for _, name := range names {
		ns, outer := d.lab.Src, netlab.S0
		if name == netlab.D1 {
			ns, outer = d.lab.Snk, netlab.K1
		}
		// Our end must never have fewer queues than the other end sends on.
		if err := ns.SetQueues(outer, max(1, tx), 1); err != nil {
			d.t.Fatal(err)
		}
		if err := d.lab.Dut.SetQueues(name, rx, tx); err != nil {
			d.t.Fatal(err)
		}
		if err := ns.SetQueues(outer, max(1, tx), rx); err != nil {
			d.t.Fatal(err)
		}
	}
}

// flows sends n frames of different flows, and waits until they are received or lost.
func (d *device) flows(n int) (received, lost uint64) {
	d.t.Helper()
	before := d.stats(0)
	s := d.lab.Src.NewSender(netlab.S0, false)
	defer s.Close()
	for i := range n {
		frame := netlab.UDP(100, uint64(i))
		frame[34], frame[35] = byte(i>>8), byte(i) // source ports
		if err := s.Send(frame); err != nil {
			d.t.Fatal(err)
		}
	}
	d.await("all are counted", func() bool {
		now := d.stats(0)
		received, lost = now.RX-before.RX, now.Lost-before.Lost
		return received+lost == uint64(n) && now.Held == 0
	})
	return received, lost
}

// When all interfaces have more queues than threads, or fewer, the engine goes on with as many
// threads, and counters and policy stay.
func TestQueuesAreFollowed(t *testing.T) {
	const n = 400
	for _, c := range []struct {
		name   string
		config dataplane.Config
	}{
		{"threads", dataplane.Config{}},
		{"fast path", dataplane.Config{FastPath: true}},
		{"mirror", dataplane.Config{Interfaces: []string{netlab.D0}}},
		{"mirror, fast path", dataplane.Config{Interfaces: []string{netlab.D0}, FastPath: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueue(t, 4096)
			c.config.Queue = q
			d := queuesLab(t, c.config)
			d.wish(func(p *policy.Policy) { p.Taps[0].RX[0] = true })
			all := []string{netlab.D0, netlab.D1}[:len(d.Ports())]
			for i, queues := range []int{1, 2, 4} {
				d.queues(queues, queues, all...)
				d.await("as many threads run", func() bool { return d.Running() && d.Ports()[0].Queues == queues })
				if received, lost := d.flows(n); received != n || lost != 0 {
					t.Errorf("%d queues: %d received, %d lost", queues, received, lost)
				}
				for q := range queues {
					if s := d.queueStats(0, q); s.RX == 0 {
						t.Errorf("%d queues: queue %d received nothing", queues, q)
					}
				}
				d.await("all are tapped", func() bool { return d.stats(0).TapStored == uint64((i+1)*n) })
				d.checkBooks()
			}
			if short := d.Snapshot(false).Short; short != "" || d.said("starting anew with 4 threads instead of 2") != 1 {
				t.Errorf("short %q, said %q", short, d.lines())
			}
		})
	}
}

// Queues that cannot have a thread are logged once, with the command that fixes it. Frames on them
// count as lost, or the kernel forwards them.
func TestQueuesThatCannotBeServed(t *testing.T) {
	const n = 400
	for _, c := range []struct {
		name   string
		config dataplane.Config
		lost   bool
	}{
		{"threads", dataplane.Config{}, true},
		{"fast path", dataplane.Config{FastPath: true}, false},
		{"one thread is wanted, in a mirror", dataplane.Config{Interfaces: []string{netlab.D0}, Queues: 1}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := queuesLab(t, c.config)
			d.queues(4, 4, netlab.D0)
			const said = "port d0: 4 receive queues and 1 thread: frames on the other queues are lost, unless the fast path forwards them; to fix this, run: ethtool -L d0 rx 1 tx 1"
			more := "; or, for 4 threads: ethtool -L d1 rx 4 tx 4"
			if c.config.Queues > 0 {
				more = ""
			}
			d.await("it is said", func() bool { return d.Snapshot(false).Short == said+more })
			received, lost := d.flows(n)
			if received == 0 || (lost > 0) != c.lost {
				t.Errorf("%d received, %d lost", received, lost)
			}
			d.checkBooks()
			if d.said(said) != 1 || !d.Running() {
				t.Errorf("said %q", d.lines())
			}
			d.ResetStats()
			if s := d.stats(0); s.Lost != 0 {
				t.Errorf("after a reset %d are lost", s.Lost)
			}
			d.queues(1, 1, netlab.D0)
			d.await("all is well", func() bool { return d.Snapshot(false).Short == "" })
			if received, lost := d.flows(n); received != n || lost != 0 {
				t.Errorf("at the end %d received, %d lost", received, lost)
			}
			d.mustStop()
			if s := d.stats(0); s.RX != n || s.Lost != 0 {
				t.Errorf("after the stop: %+v", s)
			}
		})
	}
}

// The kernel removes no queue that a thread serves, whether the thread receives or sends there.
func TestQueuesOfThreadsStay(t *testing.T) {
	d := queuesLab(t, dataplane.Config{})
	d.queues(2, 2, netlab.D0, netlab.D1)
	d.await("two threads run", func() bool { return d.Running() && d.Ports()[0].Queues == 2 })
	for _, n := range [][2]int{{1, 1}, {2, 1}, {1, 2}} {
		if err := d.lab.Dut.SetQueues(netlab.D1, n[0], n[1]); err == nil {
			t.Errorf("%d receive and %d transmit queues for two threads", n[0], n[1])
		}
	}
	if received, lost := d.flows(100); received != 100 || lost != 0 || d.Snapshot(false).Short != "" {
		t.Errorf("%d received, %d lost, short %q", received, lost, d.Snapshot(false).Short)
	}
	d.checkBooks()
}
