// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// These tests are for links that have properties of their own, which tests/guest has; most run
// on veths too.

// A station is an engine that runs in a lab, with a queue for its taps.
type station struct {
	lab *netlab.Bridge
	*device
	queue    *shm.Queue
	consumer *shm.Consumer
	fast     bool // frames stay in the kernel where they can
}

// What a running engine does with frames, by the threads alone and with the fast path. All parts use
// one start: an igb takes its links down for seconds at each.
func TestOnTheWire(t *testing.T) {
	bothEngines(t, netlab.Options{}, func(t *testing.T, lab *netlab.Bridge, fast bool) {
		q := newQueue(t, 1024)
		c, err := q.NewConsumer("test")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s := &station{lab, newDevice(t, lab, dataplane.Config{Queue: q, FastPath: fast}), q, c, fast}
		s.mustStart()
		if fast {
			s.mustUseFastPath()
		}
		for _, part := range []struct {
			name string
			test func(*testing.T, *station)
		}{
			{"taps", tapGivesBothCopiesOfAFrameOneID},
			{"addresses", tapHashAndDropHash},
			{"filters", filtersOnTheWire},
			{"tables", tablesOnTheWire},
			{"faults", faultsOnTheWire},
		} {
			t.Run(part.name, func(t *testing.T) {
				s.during(t)
				s.wish(func(p *policy.Policy) { *p = policy.New() })
				s.await("nothing is held", func() bool { return s.stats(0).Held+s.stats(1).Held == 0 })
				drainQueue(t, c)
				s.ResetStats()
				s.ResetMACs()
				s.ResetTypes()
				part.test(t, s)
			})
		}
	})
}

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
func faultsOnTheWire(t *testing.T, s *station) {
	lab, d := s.lab, s.device
	frames := make([][]byte, 500)
	for i := range frames {
		// Of IPv4 frames QEMU's igb sends none that is cut to less than its header: six of 500 were, and just
		// these did not arrive.
		frames[i] = netlab.Frame{Type: netlab.TypeExperimental, Size: 100 + 2*i, Seq: uint64(i)}.Bytes()
	}
	for _, c := range []struct {
		name    string
		fault   policy.Fault
		arrive  int
		changed int // of the first 500, by a fault or because others are before them; -1: any number
		fates   map[int]uint64
	}{
		{"drop", policy.Fault{Drop: policy.Chance{Every: 5}}, 400, -1, map[int]uint64{policy.FaultDrop: 100}},
		{"burst", policy.Fault{Burst: policy.Burst{Enter: policy.Certain, LossBad: policy.Certain}}, 0, 0, map[int]uint64{policy.FaultBurst: 500}},
		{"dup", policy.Fault{Dup: policy.Chance{Every: 4}}, 625, -1, map[int]uint64{policy.FaultDup: 125}},
		{"bitflip", policy.Fault{Bitflip: policy.Chance{Every: 4}}, 500, 125, map[int]uint64{policy.FaultBitflip: 125}},
		{"length", policy.Fault{Length: policy.Chance{Every: 2}}, 500, -1, map[int]uint64{policy.FaultLength: 250}},
		{"delay", policy.Fault{Delay: 30 * time.Millisecond}, 500, 0, map[int]uint64{policy.FaultDelay: 500}},
		{"jitter in order", policy.Fault{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, KeepOrder: true}, 500, 0, nil},
		{"reorder", policy.Fault{Delay: 200 * time.Millisecond, Reorder: policy.Chance{Every: 50}}, 500, -1, map[int]uint64{policy.FaultReorder: 10}},
		{"rate", policy.Fault{Rate: policy.Rate{Kbits: 100000, Queue: 10 * time.Second}}, 500, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.during(t)
			c.fault.Enabled = true
			d.wish(func(p *policy.Policy) { p.Ports[0].Fault = c.fault })
			r := lab.Snk.NewReceiver(netlab.K1)
			s := lab.Src.NewSender(netlab.S0, true)
			before := d.stats(0)
			for i := 0; i < len(frames); i += 50 {
				if err := s.Send(frames[i : i+50]...); err != nil {
					t.Fatal(err)
				}
				d.await("they are received", func() bool { return d.stats(0).RX == before.RX+uint64(i)+50 })
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
			now := d.stats(0)
			if len(got) != c.arrive || c.changed >= 0 && changed != c.changed {
				t.Errorf("%d arrived, %d changed; want %d and %d; %+v", len(got), changed, c.arrive, c.changed, now)
			}
			for kind, want := range c.fates {
				if n := now.ByFI[kind] - before.ByFI[kind]; n != want {
					t.Errorf("%s: %d frames are counted, want %d", policy.Faults[kind].Name, n, want)
				}
			}
			d.checkBooks()
		})
	}
	t.Run("outage", func(t *testing.T) {
		d.during(t)
		d.wish(func(p *policy.Policy) { p.Ports[0].Fault = policy.Fault{Enabled: true} })
		if err := d.Outage(0, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := lab.Src.NewSender(netlab.S0, true).Send(frames[:50]...); err != nil {
			t.Fatal(err)
		}
		d.await("they are lost", func() bool { return d.stats(0).ByFI[policy.FaultOutage] == 50 })
		if err := d.Outage(0, 0); err != nil {
			t.Fatal(err)
		}
		pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames[:50])
		d.checkBooks()
	})
}

// Filters choose what is tapped and what is dropped, in the threads and in the kernel.
func filtersOnTheWire(t *testing.T, s *station) {
	lab, d, c := s.lab, s.device, s.consumer
	rx, tx, drop := filterOf(t, "udp and less 200"), filterOf(t, "vlan and vlan 8"), filterOf(t, "vlan 7")
	d.wish(func(p *policy.Policy) {
		p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true
		p.Taps[0].RXFilter[0], p.Taps[0].TXFilter[1], p.DropFilter = rx, tx, drop
	})
	var frames, kept [][]byte
	for i := range uint64(40) {
		frames = append(frames, netlab.UDP(100, i), netlab.UDP(300, i), netlab.VLAN(100, i, 7), netlab.QinQ(120, i, 9, 8))
		kept = append(kept, netlab.UDP(100, i), netlab.UDP(300, i), netlab.QinQ(120, i, 9, 8))
	}
	r := lab.Snk.NewReceiver(netlab.K1)
	if err := lab.Src.NewSender(netlab.S0, true).Send(frames...); err != nil {
		t.Fatal(err)
	}
	got, err := r.Collect(len(kept), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, kept)
	d.await("all are counted and tapped", func() bool { return d.stats(0).RX == 160 && d.stats(0).TapStored == 40 && d.stats(1).TapStored == 40 })
	if s := d.stats(0); s.Drop != 40 || s.TapQualified != 40 || d.stats(1).TapQualified != 40 {
		t.Errorf("dropped %d, tapped %d and %d, want 40 each", s.Drop, s.TapQualified, d.stats(1).TapQualified)
	}
	seen := map[shm.Direction]int{}
	for _, r := range drainQueue(t, c) {
		n := seen[r.Direction]
		seen[r.Direction]++
		if want := frames[map[shm.Direction]int{shm.RX: 4 * n, shm.TX: 4*n + 3}[r.Direction]]; !bytes.Equal(r.Data, want) {
			t.Fatalf("%v record %d is another frame", r.Direction, n)
		}
	}
	d.checkBooks()
}

// The tables count what was received by its source, its Ethertype and its VLAN.
func tablesOnTheWire(t *testing.T, s *station) {
	lab, d := s.lab, s.device
	type count struct{ frames, bytes uint64 }
	macs, types, vlans := map[string]count{}, map[string]count{}, map[string]count{}
	add := func(m map[string]count, key string, b []byte) {
		c := m[key]
		m[key] = count{c.frames + 1, c.bytes + uint64(len(b))}
	}
	var frames [][]byte
	for i := range 120 {
		f := netlab.Frame{Src: netlab.MAC{2, 5, 5, 5, 5, byte(i % 7)}, Size: 100 + i, Seq: uint64(i)}
		kind := "0 0800"
		switch i % 3 {
		case 1:
			f.Tags, kind = []netlab.Tag{{Type: netlab.TypeVLAN, TCI: uint16(5 + i%2)}}, "1 0800"
		case 2:
			f.Type, kind = netlab.TypeExperimental, "0 88b5"
		}
		b := f.Bytes()
		frames = append(frames, b)
		add(macs, policy.MAC(f.Src).String(), b)
		add(types, kind, b)
		for _, tag := range f.Tags {
			add(vlans, fmt.Sprint(tag.TCI), b)
		}
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	d.counted(120, 0)
	sources, err := d.MACs(0)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := d.Types(0)
	if err != nil {
		t.Fatal(err)
	}
	gotMACs, gotTypes, gotVLANs := map[string]count{}, map[string]count{}, map[string]count{}
	for _, r := range sources.Rows {
		gotMACs[r.MAC.String()] = count{r.Frames, r.Bytes}
	}
	for _, r := range seen.Types {
		gotTypes[fmt.Sprintf("%d %04x", r.Level, r.Type)] = count{r.Frames, r.Bytes}
	}
	for _, r := range seen.VLANs {
		gotVLANs[fmt.Sprint(r.ID)] = count{r.Frames, r.Bytes}
	}
	if !maps.Equal(gotMACs, macs) || !maps.Equal(gotTypes, types) || !maps.Equal(gotVLANs, vlans) {
		t.Errorf("counted %v %v %v\nsent    %v %v %v", gotMACs, gotTypes, gotVLANs, macs, types, vlans)
	}
}

// The MTU of all links grows and shrinks again under traffic: the engine follows, and frames as long
// as it allows pass.
func TestMTUChangesUnderTraffic(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	stopA, stopB := traffic(t, lab.Src, netlab.S0), traffic(t, lab.Snk, netlab.K1)
	d.await("frames pass", func() bool { return d.stats(0).TX > 50 && d.stats(1).TX > 50 })
	other := 3000
	if netlab.Driver(t) == "igb" && netlab.Mode() != "generic" {
		// While a program is attached it takes no MTU for which its buffers, chosen at 1500, are too small.
		other = 1400
	}
	for _, mtu := range []int{other, 1500} {
		lab.SetMTU(mtu)
		d.await("the MTU is followed", func() bool { p := d.Ports(); return p[0].MTU == mtu && p[1].MTU == mtu && d.Running() })
		lab.Settle()
		there, back := d.stats(1).TX, d.stats(0).TX
		d.await("frames pass again", func() bool { return d.stats(1).TX > there+50 && d.stats(0).TX > back+50 })
		d.checkBooks()
	}
	stopA()
	stopB()
	d.await("nothing is held", func() bool { return d.stats(0).Held+d.stats(1).Held == 0 })
	var frames [][]byte
	for i := range uint64(50) {
		frames = append(frames, netlab.UDP(1514-int(i), i))
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
	d.checkBooks()
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
		down := "port " + end + ": the link is down"
		before := d.said(down) // a driver may take it down by itself when a program is attached
		lab.SetCarrier(t, end, false)
		d.await("it is said", func() bool { return d.said(down) > before })
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
	orders := [][]string{{"v1", netlab.D0}, {netlab.D0, "v1"}}
	if netlab.Driver(t) == "igb" {
		orders = orders[:1]
	}
	for _, names := range orders {
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
	if netlab.Mode() == "generic" {
		t.Skip("TestLargeMTU looks at generic XDP")
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
	// Much longer frames need several buffers each. Where that is not possible the error says so.
	jumbo := netlab.NewBridgeWith(t, netlab.Options{MTU: 9000})
	f := newDevice(t, jumbo, dataplane.Config{})
	if netlab.Mode() == "zerocopy" || netlab.Driver(t) == "igb" {
		if err := f.start(); err == nil || !strings.Contains(err.Error(), "9000") && !strings.Contains(err.Error(), "MTU above 3810") {
			t.Errorf("MTU 9000: %v", err)
		}
		return
	}
	f.mustStart()
	frames = nil
	for size := 60; size <= 9014; size += 45 {
		frames = append(frames, netlab.UDP(size, uint64(size)))
	}
	pass(t, jumbo.Src, netlab.S0, jumbo.Snk, netlab.K1, frames)
	pass(t, jumbo.Snk, netlab.K1, jumbo.Src, netlab.S0, frames)
	f.checkBooks()
}
