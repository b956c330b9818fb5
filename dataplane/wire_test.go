package dataplane_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/tests/netlab"
)

// These tests are for links that have properties of their own, which tests/guest has; most run
// on veths too.

// Frames of every size and with tags pass both ways, whatever a driver does with buffers.
func TestEverySizeOnTheWire(t *testing.T) {
	netlab.RequireRoot(t)
	mtus := []int{1500, 3000}
	if netlab.OnNICs() && netlab.Mode() != "generic" {
		mtus = []int{1500, 1763, 3000}
	}
	for _, mtu := range mtus {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			lab := netlab.NewBridgeWith(t, netlab.Options{MTU: mtu})
			d := newDevice(t, lab, dataplane.Config{})
			d.mustStart()
			var frames [][]byte
			for size := netlab.Shortest(); size <= 14+mtu; size += 1 + size/700 { // each up to 700
				frames = append(frames, netlab.UDP(max(size, 50), uint64(size)))
			}
			for i := range 40 {
				frames = append(frames, netlab.UDP(14+mtu-i, uint64(i)), netlab.VLAN(18+mtu-i, uint64(i), 7), netlab.QinQ(14+mtu-i, uint64(i), 7, 8),
					netlab.VLAN(64+i, uint64(i), 9), netlab.QinQ(68+i, uint64(i), 9, 10))
			}
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
			pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
			n := uint64(len(frames))
			d.counted(n, n)
			for i := range 2 {
				if s := d.stats(i); s.Lost != 0 || s.Err != 0 {
					t.Errorf("interface %d: lost %d, err %d %v", i, s.Lost, s.Err, s.ErrReasons)
				}
			}
			d.checkBooks()
		})
	}
}

// Each fault does on the wire what it is asked for, as often as it is asked.
func TestFaultsOnTheWire(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	frames := make([][]byte, 500)
	for i := range frames {
		frames[i] = netlab.UDP(100+2*i, uint64(i))
	}
	for _, c := range []struct {
		name    string
		fault   policy.Fault
		arrive  int
		changed int // of the first 500
	}{
		{"drop", policy.Fault{Drop: policy.Chance{Every: 5}}, 400, -1},
		{"dup", policy.Fault{Dup: policy.Chance{Every: 4}}, 625, -1},
		{"bitflip", policy.Fault{Bitflip: policy.Chance{Every: 4}}, 500, 125},
		{"length", policy.Fault{Length: policy.Chance{Every: 2}}, 500, -1},
		{"delay", policy.Fault{Delay: 30 * time.Millisecond}, 500, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.fault.Enabled = true
			d.wish(func(p *policy.Policy) { p.Ports[0].Fault = c.fault })
			r := lab.Snk.NewReceiver(netlab.K1)
			s := lab.Src.NewSender(netlab.S0, true)
			before := d.stats(0).RX
			for i := 0; i < len(frames); i += 50 {
				if err := s.Send(frames[i : i+50]...); err != nil {
					t.Fatal(err)
				}
				d.await("they are received", func() bool { return d.stats(0).RX == before+uint64(i)+50 })
			}
			got, err := r.Collect(c.arrive, 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			changed := 0
			for i := range min(len(got), len(frames)) {
				if !bytes.Equal(got[i], frames[i]) {
					changed++
				}
			}
			d.await("nothing is held", func() bool { return d.stats(0).Held == 0 })
			if len(got) != c.arrive || c.changed >= 0 && changed != c.changed {
				t.Errorf("%d arrived, %d changed; want %d and %d; %+v", len(got), changed, c.arrive, c.changed, d.stats(0))
			}
			d.checkBooks()
		})
	}
}

// A cable is pulled under traffic, on each side once: that is said, all frames are accounted
// for, and pass again when it is plugged.
func TestPulledCable(t *testing.T) {
	netlab.NeedsMachine(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	stopA, stopB := traffic(t, lab.Src, netlab.S0), traffic(t, lab.Snk, netlab.K1)
	for from, end := range []string{netlab.D1, netlab.D0} { // frames received on from leave by end
		d.await("frames pass", func() bool { return d.stats(1-from).TX > 100 })
		lab.SetCarrier(t, end, false)
		d.await("it is said", func() bool { return d.said("port "+end+": the link is down") == 1 })
		d.checkBooks()
		lab.SetCarrier(t, end, true)
		lab.Settle()
		sent := d.stats(1 - from).TX
		d.await("frames pass again", func() bool { return d.stats(1-from).TX > sent+100 })
	}
	stopA()
	stopB()
	d.await("nothing is held", func() bool { return d.stats(0).Held+d.stats(1).Held == 0 })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(8, 100))
	d.checkBooks()
}

// A NIC is taken out and put in again under traffic.
func TestUnpluggedNIC(t *testing.T) {
	netlab.NeedsMachine(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	stopA, stopB := traffic(t, lab.Src, netlab.S0), traffic(t, lab.Snk, netlab.K1)
	d.await("frames pass", func() bool { return d.stats(0).TX > 100 && d.stats(1).TX > 100 })
	lab.Unplug(t, netlab.D1)
	d.await("the loss is said", func() bool { return d.said("port d1: the interface has disappeared") == 1 })
	before := d.stats(0).NoIf
	d.await("frames for it are counted", func() bool { return d.stats(0).NoIf > before+20 })
	d.checkBooks()
	lab.Plug(t, netlab.D1, netlab.Options{})
	d.await("it is back", func() bool { return d.said("port d1: the interface is back") == 1 })
	lab.Settle()
	sent := d.stats(1).TX
	d.await("frames pass again", func() bool { return d.stats(1).TX > sent+100 })
	stopA()
	stopB()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(9, 100))
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, netlab.Mix(9, 100))
	d.checkBooks()
}

// One port is a NIC, the other a veth, whichever is the first: each works as it can.
func TestMixedModes(t *testing.T) {
	netlab.NeedsMachine(t)
	for _, names := range [][]string{{netlab.D0, "v1"}, {"v1", netlab.D0}} {
		t.Run(names[0], func(t *testing.T) {
			lab := netlab.NewBridge(t)
			netlab.Veth(lab.Dut, "v1", lab.Snk, "w1", netlab.VethOptions{})
			c := dataplane.Config{Interfaces: names}
			if c.Attach, c.Copy = rowMode(); c.Copy == nic.ZeroCopyForced {
				c.Attach, c.Copy = nic.AttachDRV, nic.CopyAuto
			}
			d := newDevice(t, lab, c)
			d.mustStart()
			for _, p := range d.Ports() {
				if want := modes()[0].mode; p.Name == netlab.D0 && p.Mode != want {
					t.Errorf("%s works by %s, want %s", p.Name, p.Mode, want)
				}
			}
			pass(t, lab.Src, netlab.S0, lab.Snk, "w1", netlab.Mix(5, 500))
			pass(t, lab.Snk, "w1", lab.Src, netlab.S0, netlab.Mix(6, 500))
			d.checkBooks()
		})
	}
}

// The largest MTU of a driver for native XDP is served; above it the error names both.
func TestLargestMTUOfTheDriver(t *testing.T) {
	netlab.NeedsMachine(t)
	if netlab.Mode() != "zerocopy" {
		t.Skip("zero-copy is not what this row looks at")
	}
	const above = 3600
	d := newDevice(t, netlab.NewBridgeWith(t, netlab.Options{MTU: above}), dataplane.Config{})
	err := d.start()
	var most int
	if err != nil {
		if _, rest, ok := strings.Cut(err.Error(), "the driver takes "); ok {
			fmt.Sscan(rest, &most)
		}
	}
	if most < 1500 || most > above || !strings.Contains(err.Error(), fmt.Sprintf("its MTU is %d", above)) {
		t.Fatalf("error %v", err)
	}
	lab := netlab.NewBridgeWith(t, netlab.Options{MTU: most})
	e := newDevice(t, lab, dataplane.Config{})
	e.mustStart()
	var frames [][]byte
	for i := range uint64(50) {
		frames = append(frames, netlab.UDP(14+most-int(i), i), netlab.VLAN(18+most-int(i), i, 7))
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
	e.checkBooks()
	e.mustStop()
	over := netlab.NewBridgeWith(t, netlab.Options{MTU: most + 1})
	if err := newDevice(t, over, dataplane.Config{}).start(); err == nil {
		t.Errorf("MTU %d is taken, though %d is said to be the largest", most+1, most)
	}
}
