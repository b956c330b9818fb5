// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/tests/netlab"
)

// A delay on the wire is never shorter than the setting, in every idle mode, and frames keep their
// order.
func TestDelayOnTheWire(t *testing.T) {
	netlab.RequireRoot(t)
	const delay = 30 * time.Millisecond
	for name, mode := range map[string]dataplane.PollMode{"adaptive": dataplane.PollAdaptive, "spin": dataplane.PollSpin, "sleep": dataplane.PollSleep} {
		t.Run(name, func(t *testing.T) {
			lab := netlab.NewBridge(t)
			d := newDevice(t, lab, dataplane.Config{Poll: mode})
			d.mustStart()
			d.wish(func(p *policy.Policy) {
				p.Ports[0].Fault = policy.Fault{Enabled: true, Delay: delay}
			})
			r := lab.Snk.NewReceiver(netlab.K1)
			s := lab.Src.NewSender(netlab.S0, true)
			frames := netlab.Mix(1, 200)
			sent := time.Now()
			if err := s.Send(frames...); err != nil {
				t.Fatal(err)
			}
			first, err := r.Receive(time.Now().Add(20 * time.Second))
			if took := time.Since(sent); err != nil || took < delay {
				t.Errorf("the first came after %v, %v", took, err)
			}
			rest, err := r.Collect(len(frames)-1, 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, append([][]byte{first}, rest...), frames)
			if n := d.stats(0).ByFI[policy.FaultDelay]; n != 200 {
				t.Errorf("delayed %d", n)
			}
			d.await("nothing is held", func() bool { return d.stats(0).Held == 0 })
			d.checkBooks()
		})
	}
}

// Frames that wait when the engine stops are sent and accounted for.
func TestStopSendsHeldFrames(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{Hold: 500})
	d.mustStart()
	d.wish(func(p *policy.Policy) {
		p.Ports[0].Fault = policy.Fault{Enabled: true, Delay: time.Minute}
	})
	r := lab.Snk.NewReceiver(netlab.K1)
	frames := netlab.Mix(2, 700)
	s := lab.Src.NewSender(netlab.S0, true)
	for i := 0; i < len(frames); i += 100 { // portions that fit in every ring on the way
		if err := s.Send(frames[i : i+100]...); err != nil {
			t.Fatal(err)
		}
		d.await("all are received", func() bool { return d.stats(0).RX == uint64(i)+100 })
	}
	if s := d.stats(0); s.HeldByFI != 500 || s.Held != 500 || s.ByFI[policy.FaultHold] != 200 {
		t.Errorf("held %d, no room for %d", s.HeldByFI, s.ByFI[policy.FaultHold])
	}
	d.checkBooks()
	d.mustStop()
	got, err := r.Collect(500, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, frames[:500])
	if s := d.stats(0); s.Held != 0 || d.stats(1).TX != 500 {
		t.Errorf("held %d, tx %d", s.Held, d.stats(1).TX)
	}
	d.checkBooks()
}

func TestOutageEndsByItself(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	if err := d.Outage(0, time.Second); err == nil {
		t.Error("an outage without fault injection enabled")
	}
	if err := d.Outage(2, time.Second); err == nil {
		t.Error("an outage of an interface that is none")
	}
	d.wish(func(p *policy.Policy) { p.Ports[0].Fault.Enabled = true })
	stop := traffic(t, lab.Src, netlab.S0)
	if err := d.Outage(0, 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	d.await("frames are lost", func() bool { return d.stats(0).ByFI[policy.FaultOutage] > 20 })
	d.await("and pass again", func() bool { return d.stats(1).TX > 20 })
	if left := d.Snapshot(false).Ports[0].OutageLeft; left != 0 {
		t.Errorf("%v left", left)
	}
	stop()
	d.mustStop()
	d.checkBooks()
}

// A limited rate spaces frames, whatever queues they come in by. These take at least 60 ms.
func TestRateOnTheWire(t *testing.T) {
	netlab.RequireRoot(t)
	for _, queues := range []int{1, 2} {
		lab := netlab.NewBridgeWith(t, netlab.Options{Queues: queues})
		d := newDevice(t, lab, dataplane.Config{})
		d.mustStart()
		d.wish(func(p *policy.Policy) {
			p.Ports[0].Fault = policy.Fault{Enabled: true, Rate: policy.Rate{Kbits: 8000, Queue: 10 * time.Second}}
		})
		r := lab.Snk.NewReceiver(netlab.K1)
		var frames [][]byte
		for i := range uint64(60) {
			f := netlab.UDP(1000, i) // a millisecond each
			if queues > 1 {
				f[34], f[35] = byte(i>>8), byte(i) // source ports: the kernel spreads the flows over the queues
			}
			frames = append(frames, f)
		}
		sent := time.Now()
		if err := lab.Src.NewSender(netlab.S0, queues == 1).Send(frames...); err != nil {
			t.Fatal(err)
		}
		got, err := r.Collect(len(frames), 20*time.Second)
		if took := time.Since(sent); err != nil || took < 60*time.Millisecond {
			t.Errorf("%d queues: took %v, %v", queues, took, err)
		}
		for q := range queues {
			if s := d.queueStats(0, q); s.RX == 0 {
				t.Errorf("queue %d carried nothing", q)
			}
		}
		if queues > 1 { // each queue keeps its order
			slices.SortFunc(got, func(a, b []byte) int {
				m, _ := netlab.Seq(a)
				n, _ := netlab.Seq(b)
				return cmp.Compare(m, n)
			})
		}
		compare(t, got, frames)
		d.checkBooks()
	}
}
