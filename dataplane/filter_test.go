// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/memory"
	"ethertap/dataplane/policy"
	"ethertap/lib/filter"
	"ethertap/lib/predicate"
	"ethertap/tests/netlab"
)

// filterOf makes a filter of an expression.
func filterOf(t testing.TB, expression string) policy.Filter {
	t.Helper()
	tree, err := filter.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Filter{Source: expression, Tree: tree}
}

// The filters of a policy in threads: each tap and direction has its own, they go together with
// the addresses as the policy says, and a long frame is looked at as a whole.
func TestFiltersInThreads(t *testing.T) {
	q := newQueue(t, 512)
	consumer, err := q.NewConsumer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	m := newInMemory(t, dataplane.Config{Queue: q}, memory.Options{MTU: 9000})
	frame := func(size int, last byte) []byte {
		b := netlab.UDP(size, 1)
		b[size-1] = last
		return b
	}
	short, long := frame(100, 7), frame(8000, 7)
	for _, c := range []struct {
		name        string
		change      func(*policy.Policy)
		rx, tx      int // copies of the two frames
		left        int // that the other interface sends
		drop, fault uint64
	}{
		{"no filter", func(p *policy.Policy) {}, 2, 2, 2, 0, 0},
		{"RX of long ones", func(p *policy.Policy) { p.Taps[0].RXFilter[0] = filterOf(t, "greater 1000") }, 1, 2, 2, 0, 0},
		{"RX of the other interface", func(p *policy.Policy) { p.Taps[0].RXFilter[1] = filterOf(t, "arp") }, 2, 2, 2, 0, 0},
		{"by a byte at the end of a long one", func(p *policy.Policy) { p.Taps[0].RXFilter[0] = filterOf(t, "ether[7999] = 7") }, 1, 2, 2, 0, 0},
		{"by a byte that is another", func(p *policy.Policy) { p.Taps[0].RXFilter[0] = filterOf(t, "ether[7999] = 8") }, 0, 2, 2, 0, 0},
		{"TX", func(p *policy.Policy) { p.Taps[0].TXFilter[1] = filterOf(t, "outbound and less 1000") }, 2, 1, 2, 0, 0},
		{"inbound on RX, and on TX", func(p *policy.Policy) {
			p.Taps[0].RXFilter[0], p.Taps[0].TXFilter[1] = filterOf(t, "inbound"), filterOf(t, "inbound")
		}, 2, 0, 2, 0, 0},
		{"an address and a filter", func(p *policy.Policy) {
			p.Taps[0].MACs = p.Taps[0].MACs.With(policy.MAC{2, 9, 9, 9, 9, 9})
			p.Taps[0].RXFilter[0] = filterOf(t, "udp")
		}, 0, 0, 2, 0, 0},
		{"drop", func(p *policy.Policy) { p.DropFilter = filterOf(t, "less 1000") }, 2, 1, 1, 1, 0},
		{"drop by address or filter", func(p *policy.Policy) {
			p.DropFilter, p.Drop = filterOf(t, "arp"), p.Drop.With(policy.MAC(short[6:12]))
		}, 2, 0, 0, 2, 0},
		{"faults", func(p *policy.Policy) {
			p.Ports[0].Fault = policy.Fault{Enabled: true, Drop: policy.Chance{Every: 1}}
			p.FaultFilter = filterOf(t, "greater 1000")
		}, 2, 1, 1, 0, 1},
		{"faults of an address and a filter", func(p *policy.Policy) {
			p.Ports[0].Fault = policy.Fault{Enabled: true, Drop: policy.Chance{Every: 1}}
			p.FaultFilter, p.Fault = filterOf(t, "greater 1000"), p.Fault.With(policy.MAC{2, 9, 9, 9, 9, 9})
		}, 2, 2, 2, 0, 0},
	} {
		before, sent := m.stats(0), m.stats(1).TX
		err := m.Update(func(p *policy.Policy) error {
			*p = policy.New()
			p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true
			c.change(p)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		m.feed(0, short, long)
		m.await(c.name, func() bool { s := m.stats(0); return s.RX == before.RX+2 && s.Held == 0 })
		rx, tx := 0, 0
		for _, r := range drainQueue(t, consumer) {
			if r.Interface == 0 {
				rx++
			} else {
				tx++
			}
		}
		now := m.stats(0)
		if rx != c.rx || tx != c.tx || int(m.stats(1).TX-sent) != c.left || now.Drop-before.Drop != c.drop || now.DroppedByFI-before.DroppedByFI != c.fault {
			t.Errorf("%s: %d and %d copies, %d sent, %d dropped, %d by faults", c.name, rx, tx, m.stats(1).TX-sent, now.Drop-before.Drop, now.DroppedByFI-before.DroppedByFI)
		}
	}
	m.closes()
}

// Filters are changed a hundred times while frames flow. None of them matches, so all frames arrive, once, and the programs
// decide about every one.
func TestFiltersChangeUnderTraffic(t *testing.T) {
	lab := fastLab(t)
	d := newDevice(t, lab, dataplane.Config{FastPath: true})
	d.mustStart()
	d.mustUseFastPath()
	r := lab.Snk.NewReceiver(netlab.K1)
	s := lab.Src.NewSender(netlab.S0, true)
	changed := make(chan error, 1)
	go func() {
		filters := []policy.Filter{{}, filterOf(t, "arp"), filterOf(t, "tcp port 443 and host 10.99.0.1"), {Source: "tcp?", Tree: predicate.Is{Any: predicate.TCP}}}
		for i := range 100 {
			err := d.Update(func(p *policy.Policy) error {
				p.Taps[0].RX[0], p.Taps[0].RXFilter[0] = true, filters[1+i%3]
				p.Taps[0].TX[1], p.Taps[0].TXFilter[1] = i%5 < 3, filters[1+i/2%3]
				p.DropFilter = filters[i%4]
				return nil
			})
			if err != nil {
				changed <- err
				return
			}
		}
		changed <- nil
	}()
	total, changing := 0, true
	for changing || total < 1000 {
		select {
		case err := <-changed:
			if err != nil {
				t.Fatal(err)
			}
			changing = false
		default:
		}
		for range 16 {
			if err := s.Send(netlab.UDP(64+total%1400, uint64(total))); err != nil {
				t.Fatal(err)
			}
			total++
		}
		d.await("they are received", func() bool { return d.stats(0).RX == uint64(total) })
	}
	frames, err := r.Collect(total, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint64]bool, total)
	for _, f := range frames {
		n, _ := netlab.Seq(f)
		seen[n] = true
	}
	if len(frames) != total || len(seen) != total {
		t.Errorf("%d frames came, %d different ones; %d were sent", len(frames), len(seen), total)
	}
	if k := d.Snapshot(false).Ports[0].Kernel; k.RX != uint64(total) {
		t.Errorf("%d of %d frames stayed in the kernel: the others were undecided", k.RX, total)
	}
	d.checkBooks()
}
