// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"sync/atomic"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// trafficFrame is what traffic sends. No other frame of the tests is the same.
var trafficFrame = netlab.UDP(60, 1<<40)

// traffic sends small frames into a link until stop is called, which returns how many the link
// took. Sends fail while the link is down, as the tests want.
func traffic(t *testing.T, ns *netlab.Namespace, link string) (stop func() uint64) {
	t.Helper()
	s := ns.NewSender(link, false)
	var done atomic.Bool
	finished := make(chan struct{})
	var sent uint64
	go func() {
		defer close(finished)
		for !done.Load() {
			if s.Send(trafficFrame) == nil {
				sent++
			}
			time.Sleep(200 * time.Microsecond)
		}
	}()
	stop = func() uint64 {
		done.Store(true)
		<-finished
		return sent
	}
	t.Cleanup(func() { stop() })
	return stop
}

// Our own end goes down and up again, once on each side, under traffic both ways.
func TestLinkDownAndUpUnderTraffic(t *testing.T) {
	netlab.RequireRoot(t)
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) {
			lab := netlab.NewBridge(t)
			d := newDevice(t, lab, dataplane.Config{Attach: m.attach})
			d.mustStart()
			stopA, stopB := traffic(t, lab.Src, netlab.S0), traffic(t, lab.Snk, netlab.K1)
			for from, link := range []string{netlab.D1, netlab.D0} { // frames received on from cannot be sent
				before := d.stats(from).Err
				d.await("frames pass", func() bool { return d.stats(1-from).TX > 100*uint64(from+1) })
				lab.Dut.SetDown(link)
				d.await("frames that cannot be sent are counted", func() bool { return d.stats(from).Err > before+50 })
				d.checkFrames()
				lab.Dut.SetUp(link)
				sent := d.stats(1 - from).TX
				d.await("frames pass again", func() bool { return d.stats(1-from).TX > sent+100 })
			}
			stopA()
			stopB()
			d.await("nothing is held", func() bool { return d.stats(0).Held+d.stats(1).Held == 0 })
			named := map[string]uint64{}
			for i := range 2 {
				for _, c := range append(d.stats(i).ErrReasons, d.stats(i).CallErrors...) {
					named[c.Name] += c.N
				}
			}
			if named["ENETDOWN"]+named["EBUSY"] == 0 {
				t.Errorf("errors by name: %v", named)
			}
			d.mustStop()
			d.checkBooks()
			d.mustStart()
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(5, 100))
		})
	}
}

// The far end goes down. Our end has no carrier, and the device drops the frames that it is given.
// Each of these counts as err, not as tx.
func TestFramesDroppedByTheDeviceAreErr(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.FarEnd)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(6, 50))
	lab.Snk.SetDown(netlab.K1)
	if err := lab.Src.NewSender(netlab.S0, true).Send(netlab.Mix(7, 100)...); err != nil {
		t.Fatal(err)
	}
	d.await("all are counted", func() bool { return d.stats(0).RX == 150 && d.stats(0).Held == 0 })
	if tx, err := d.stats(1).TX, d.stats(0).Err; tx != 50 || err != 100 {
		t.Errorf("tx %d, err %d, want 50 and 100: %+v", tx, err, d.stats(0).ErrReasons)
	}
	d.checkBooks()
	lab.Snk.SetUp(netlab.K1)
	lab.Snk.WaitUp(netlab.K1)
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(8, 50))
	d.checkBooks()
}

func TestStopWithTheLinkDownAccountsForAll(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	lab.Dut.SetDown(netlab.D1)
	if err := lab.Src.NewSender(netlab.S0, true).Send(netlab.Mix(9, 200)...); err != nil {
		t.Fatal(err)
	}
	d.await("all are counted", func() bool { return d.stats(0).RX == 200 })
	d.await("what waits is held", func() bool { s := d.stats(0); return s.Held+s.Err == 200 && s.Held > 0 })
	d.checkBooks()
	d.mustStop()
	if s := d.stats(0); s.Err != 200 || s.Held != 0 {
		t.Errorf("after the stop: err %d, held %d", s.Err, s.Held)
	}
	d.checkBooks()
}

func TestInterfaceThatDisappearsIsSaidOnce(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.LinksOfOurOwn)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	stop := traffic(t, lab.Src, netlab.S0)
	d.await("frames pass", func() bool { return d.stats(1).TX > 20 })
	lab.Snk.DeleteLink(netlab.K1) // the other end, d1, goes with it
	d.await("the loss is said", func() bool { return d.said("disappeared") > 0 })
	before := d.stats(0).NoIf
	d.await("frames for it are counted", func() bool { return d.stats(0).NoIf > before+20 })
	sent := stop()
	if n := d.said("disappeared"); n != 1 || !d.Ports()[1].Gone || d.Ports()[0].Gone {
		t.Errorf("said %d times, ports %+v", n, d.Ports())
	}
	d.await("all are counted", func() bool { return d.stats(0).RX == sent-lab.Src.Link(netlab.S0).Counters.TxDropped })
	d.checkBooks()
	d.mustStop()
	d.checkBooks()
	if l := lab.Dut.Link(netlab.D0); l.XDPProgram != 0 || l.Promiscuity != 0 {
		t.Errorf("left behind on the other interface: %+v", l)
	}
	// Without traffic the engine notices it by looking.
	lone := netlab.NewBridge(t)
	idle := newDevice(t, lone, dataplane.Config{Interfaces: []string{netlab.D0}})
	idle.mustStart()
	lone.Src.DeleteLink(netlab.S0)
	idle.await("the loss is said", func() bool { return idle.said("disappeared") == 1 })
	idle.mustStop()
}
