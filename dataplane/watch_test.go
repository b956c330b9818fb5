// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/tests/netlab"
)

// An interface that disappears and comes back is attached again without a command, also after both
// have disappeared. The counters go on.
func TestInterfaceThatReturnsIsAttachedAgain(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.LinksOfOurOwn)
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) {
			lab := netlab.NewBridge(t)
			d := newDevice(t, lab, dataplane.Config{Attach: m.attach})
			d.mustStart()
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 100))
			lab.Snk.DeleteLink(netlab.K1)
			d.await("the loss is said", func() bool { return d.said("port d1: the interface has disappeared") == 1 })
			if err := lab.Src.NewSender(netlab.S0, true).Send(netlab.Mix(2, 50)...); err != nil {
				t.Fatal(err)
			}
			d.await("frames for it are counted", func() bool { return d.stats(0).NoIf == 50 })
			netlab.Veth(lab.Dut, netlab.D1, lab.Snk, netlab.K1, netlab.VethOptions{})
			d.await("it is attached again", func() bool { p := d.Ports()[1]; return d.Running() && !p.Gone && p.Mode == m.mode })
			if d.said("port d1: the interface is back") != 1 {
				t.Errorf("said %q", d.lines())
			}
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(3, 100))
			pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, netlab.Mix(4, 100))
			d.checkBooks()
			lab.Src.DeleteLink(netlab.S0)
			lab.Snk.DeleteLink(netlab.K1)
			d.await("both are gone", func() bool { return d.Ports()[0].Gone && d.Ports()[1].Gone })
			netlab.Veth(lab.Src, netlab.S0, lab.Dut, netlab.D0, netlab.VethOptions{})
			netlab.Veth(lab.Dut, netlab.D1, lab.Snk, netlab.K1, netlab.VethOptions{})
			d.await("both are attached again", func() bool { p := d.Ports(); return d.Running() && !p[0].Gone && !p[1].Gone })
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(5, 100))
			d.await("all are counted", func() bool { return d.stats(0).RX == 350 })
			if s := d.stats(0); s.RX != 350 || s.NoIf != 50 || d.stats(1).TX != 300 {
				t.Errorf("%+v, tx %d", s, d.stats(1).TX)
			}
			d.checkBooks()
			d.mustStop()
			d.checkBooks()
			untouched(t, lab.Dut)
		})
	}
}

// A namespace that goes takes its end of the veth with it, and ours.
func TestNamespaceThatGoes(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	far := netlab.NewNamespace(t, "far")
	netlab.Veth(lab.Dut, "f0", far, "f1", netlab.VethOptions{})
	d := newDevice(t, lab, dataplane.Config{Interfaces: []string{netlab.D0, "f0"}})
	d.mustStart()
	pass(t, lab.Src, netlab.S0, far, "f1", netlab.Mix(1, 50))
	far.Delete()
	d.await("the loss is said", func() bool { return d.said("port f0: the interface has disappeared") == 1 })
	next := netlab.NewNamespace(t, "next")
	netlab.Veth(lab.Dut, "f0", next, "f1", netlab.VethOptions{})
	d.await("it is attached again", func() bool { p := d.Ports()[1]; return d.Running() && !p.Gone })
	pass(t, lab.Src, netlab.S0, next, "f1", netlab.Mix(1, 50))
	d.checkBooks()
}

// The reason why an interface cannot be attached again is logged once, and the engine tries until
// it can.
func TestInterfaceThatReturnsOtherwise(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.LinksOfOurOwn)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{Queues: 1})
	d.mustStart()
	lab.Snk.DeleteLink(netlab.K1)
	d.await("the loss is said", func() bool { return d.said("disappeared") == 1 })
	netlab.Veth(lab.Dut, netlab.D1, lab.Snk, netlab.K1, netlab.VethOptions{Queues: 2})
	const why = "waiting: port d1: 2 receive queues but 1 thread"
	d.await("it is refused", func() bool { return d.said(why) > 0 })
	// The engine tries again whenever it looks at the interfaces: at least once between two names.
	for _, name := range [][2]string{{netlab.D0, "other"}, {"other", netlab.D0}} {
		lab.Dut.Rename(name[0], name[1])
		d.await("the name is followed", func() bool { return d.said("the interface is renamed from "+name[0]+" to "+name[1]) == 1 })
	}
	if d.said(why) != 1 || d.said("is back") != 0 || d.Running() || !strings.Contains(d.Snapshot(false).Waiting, "2 receive queues") {
		t.Errorf("said %q, waiting: %q", d.lines(), d.Snapshot(false).Waiting)
	}
	lab.Snk.DeleteLink(netlab.K1)
	netlab.Veth(lab.Dut, netlab.D1, lab.Snk, netlab.K1, netlab.VethOptions{})
	d.await("it is attached again", func() bool { return d.Running() && d.Snapshot(false).Waiting == "" })
	if d.said("port d1: the interface is back") != 1 {
		t.Errorf("said %q", d.lines())
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(3, 100))
	d.checkBooks()
}

func TestLinkStateAndMTUAreFollowed(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.FarEnd)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{Attach: nic.AttachSKB})
	d.mustStart()
	if p := d.Ports()[0]; !p.Up || p.Downs != 0 {
		t.Errorf("%+v", p)
	}
	lab.Src.SetDown(netlab.S0)
	d.await("it is down", func() bool { p := d.Ports()[0]; return !p.Up && p.Downs == 1 })
	lab.Src.SetUp(netlab.S0)
	d.await("it is up", func() bool { return d.Ports()[0].Up })
	if d.said("port d0: the link is down") != 1 || d.said("port d0: the link is up") != 1 {
		t.Errorf("said %q", d.lines())
	}
	lab.SetMTU(3000)
	d.await("the MTU is followed", func() bool { p := d.Ports(); return p[0].MTU == 3000 && p[1].MTU == 3000 && d.Running() })
	var frames [][]byte
	for i := range uint64(100) {
		frames = append(frames, netlab.UDP(3014-int(i), i))
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	d.checkBooks()
}

// The queues are detected, each carries traffic, and their counters add up.
func TestQueuesAreDetected(t *testing.T) {
	netlab.RequireRoot(t)
	for _, queues := range []int{2, 4} {
		lab := netlab.NewBridgeWith(t, netlab.Options{Queues: queues})
		d := newDevice(t, lab, dataplane.Config{})
		d.mustStart()
		if n := d.Ports()[1].Queues; n != queues {
			t.Fatalf("%d queues found of %d", n, queues)
		}
		const n = 1000
		s := lab.Src.NewSender(netlab.S0, false)
		for i := range uint64(n) {
			frame := netlab.UDP(100, i)
			frame[34], frame[35] = byte(i>>8), byte(i) // source ports: the kernel spreads the flows over the queues
			if err := s.Send(frame); err != nil {
				t.Fatal(err)
			}
		}
		d.await("all are counted", func() bool { return d.stats(0).RX == n && d.stats(1).TX == n })
		var rx, tx uint64
		for q := range queues {
			in, out := d.queueStats(0, q), d.queueStats(1, q)
			if in.RX == 0 || out.TX != in.RX {
				t.Errorf("queue %d: rx %d, tx %d", q, in.RX, out.TX)
			}
			rx, tx = rx+in.RX, tx+out.TX
		}
		if macs, err := d.MACs(0); err != nil || len(macs.Rows) != 1 || macs.Rows[0].Frames != n || rx != n || tx != n {
			t.Errorf("rx %d, tx %d, sources %+v, %v", rx, tx, macs, err)
		}
		d.checkBooks()
	}
}

func TestAlternativeName(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	const alt = "the-interface-on-the-left-hand-side"
	altName(t, lab, netlink.LinkAddAltName, netlab.D0, alt)
	d := newDevice(t, lab, dataplane.Config{Interfaces: []string{alt, netlab.D1}})
	d.mustStart()
	if p := d.Ports()[0]; p.Name != alt || p.Driver != "veth" {
		t.Errorf("%+v", p)
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))
	same := newDevice(t, lab, dataplane.Config{Interfaces: []string{alt, netlab.D0}, Replace: true})
	if err := same.start(); err == nil || !strings.Contains(err.Error(), "are the same interface") {
		t.Errorf("error %v", err)
	}
}

func TestIdleModeChangesWhileRunning(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	for _, m := range []dataplane.PollMode{dataplane.PollSleep, dataplane.PollSpin, dataplane.PollBusy, dataplane.PollAdaptive} {
		d.SetPoll(m)
		if got := d.Snapshot(false).Poll; got != m {
			t.Errorf("%v, want %v", got, m)
		}
		pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 100))
	}
}
