// SPDX-License-Identifier: BSD-3-Clause

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
	"ethertap/shm"
	"ethertap/tests/netlab"
)

func TestOffloadsAreSwitchedOffAndRestored(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.AnyOffload)
	lab := netlab.NewBridge(t)
	features := []string{"tx-vlan-hw-insert", "rx-vlan-hw-parse", "tx-checksum-ip-generic"}
	for _, f := range features {
		lab.Dut.SetFeature(netlab.D0, f, true)
	}
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	for _, f := range features {
		if lab.Dut.Feature(netlab.D0, f) {
			t.Errorf("%s is on while frames are bridged", f)
		}
	}
	if d.said("port d0: switched off: ") != 1 || d.said("port d1: switched off") != 0 {
		t.Errorf("said %q", d.lines())
	}
	d.mustStop()
	for _, f := range features {
		if !lab.Dut.Feature(netlab.D0, f) || lab.Dut.Feature(netlab.D1, f) {
			t.Errorf("%s is not as it was: d0 %v, d1 %v", f, lab.Dut.Feature(netlab.D0, f), lab.Dut.Feature(netlab.D1, f))
		}
	}
	if d.said("port d0: restored: ") != 1 {
		t.Errorf("said %q", d.lines())
	}
}

func TestStartRefusesWithAReason(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.ChosenModes)
	lab := netlab.NewBridge(t)
	netlab.Veth(lab.Dut, "wide0", lab.Dut, "wide1", netlab.VethOptions{Queues: 2})
	netlab.Veth(lab.Dut, "long0", lab.Dut, "long1", netlab.VethOptions{MTU: 65000})
	for _, c := range []struct {
		want string
		c    dataplane.Config
	}{
		{"port nothere: no such interface", dataplane.Config{Interfaces: []string{netlab.D0, "nothere"}}},
		{"port lo: a loopback interface", dataplane.Config{Interfaces: []string{netlab.D0, "lo"}}},
		{"port wide0: 2 receive queues but 1 thread: frames on the other queues would be lost; to fix this, run: ethtool -L wide0 rx 1 tx 1", dataplane.Config{Interfaces: []string{netlab.D0, "wide0"}}},
		{"port d0: only 1 receive queue for 2 threads", dataplane.Config{Queues: 2}},
		{"port long0: MTU 65000 does not fit", dataplane.Config{Interfaces: []string{netlab.D0, "long0"}}},
		{"port d0: the driver (veth) has no zero-copy", dataplane.Config{Copy: nic.ZeroCopyForced}},
		{"pin to CPU 1000", dataplane.Config{CPUs: []int{1000}}},
	} {
		d := newDevice(t, lab, c.c)
		if err := d.start(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %q in one line", err, c.want)
		}
		if d.Running() || d.Ports()[0].Mode != "-" {
			t.Error("it seems to run")
		}
		untouched(t, lab.Dut)
	}
}

func TestQueueThatSomebodyHoldsIsNamed(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	other := newDevice(t, lab, dataplane.Config{Replace: true})
	if err := other.start(); err == nil || !strings.Contains(err.Error(), "port d0: queue 0 has a socket of somebody else: bind to queue 0: device or resource busy") {
		t.Errorf("error %v", err)
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50)) // the first one goes on
}

func TestMissingPrivilegesAreNamed(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.RequireTool(t, "setpriv")
	lab := netlab.NewBridge(t)
	netlab.RequireTool(t, "unshare")
	for _, drop := range []struct {
		wrapper []string
		want    string
	}{
		{[]string{"setpriv", "--bounding-set", "-all"}, "error: privileges: missing CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF"},
		{[]string{"setpriv", "--bounding-set", "-net_admin"}, "error: privileges: missing CAP_NET_ADMIN\n"},
		{[]string{"setpriv", "--bounding-set", "-bpf,-sys_admin"}, "error: privileges: missing CAP_BPF\n"},
		// as in a container without root: all capabilities, and none that counts
		{[]string{"unshare", "--user", "--map-root-user"}, "error: privileges: bpf() is refused although the capabilities are there."},
	} {
		p := startChild(t, lab.Dut, drop.wrapper...)
		status, err := p.Wait(20 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if out := p.Output(); status != 1 || !strings.HasPrefix(out, drop.want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%q: status %d: %s", drop.wrapper, status, out)
		}
	}
	untouched(t, lab.Dut)
}

func TestWarnings(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.FarEnd)
	lab := netlab.NewBridge(t)
	lab.Dut.AddAddress(netlab.D0, "192.0.2.1/24")
	netlab.Veth(lab.Dut, "down0", lab.Dut, "down1", netlab.VethOptions{Down: true})
	lab.Dut.SetFeature("down1", "tx-checksum-ip-generic", true)
	d := newDevice(t, lab, dataplane.Config{Interfaces: []string{netlab.D0, "down0"}})
	d.mustStart()
	for _, want := range []string{
		"port d0: it has the IP address 192.0.2.1/24",
		"port d0: the other end of this veth is s0 in another namespace; unless its offloads are off, TCP and tagged frames of that host arrive broken; to fix this, run: ip netns exec " + lab.Src.Name() + " ethtool -K s0 tx off",
		"port down0: the link is down",
		"port down0: its veth peer has tx-checksum-ip-generic on, so frames of that host may arrive broken; to fix this, run: ethtool -K down1 tx off",
	} {
		if d.said(want) != 1 {
			t.Errorf("said %d times: %q", d.said(want), want)
		}
	}
}

// A frame of 3800 bytes needs the larger chunk, for which native XDP on a veth has no room. The
// automatic mode changes to generic XDP and says so. Longer frames come in several chunks, which
// native XDP supports.
func TestLargeMTU(t *testing.T) {
	netlab.RequireRoot(t)
	type wanted struct {
		mtu  int
		mode string
	}
	cases := []wanted{{3000, "COPY"}, {3810, "SKB"}, {9000, "COPY"}}
	switch netlab.Mode() {
	case "generic":
		cases = []wanted{{3000, "SKB"}, {3810, "SKB"}, {9000, "SKB"}}
	case "copy", "zerocopy":
		t.Skip("TestLargestMTUOfTheDriver looks at native XDP on NICs")
	}
	for _, c := range cases {
		lab := netlab.NewBridgeWith(t, netlab.Options{MTU: c.mtu})
		d := newDevice(t, lab, dataplane.Config{})
		if c.mtu > 3810 && !netlab.KernelHas(t, 6, 6) {
			if err := d.start(); err == nil || !strings.Contains(err.Error(), "frames of several chunks are needed for an MTU above 3810") {
				t.Errorf("MTU %d: error %v", c.mtu, err)
			}
			continue
		}
		d.mustStart()
		if p := d.Ports()[1]; p.Mode != c.mode || p.MTU != c.mtu {
			t.Errorf("port %+v, want %s", p, c.mode)
		}
		var frames [][]byte
		for i := range uint64(50) {
			frames = append(frames, netlab.UDP(14+c.mtu-int(i), i), netlab.VLAN(18+c.mtu-int(i), i, 7))
		}
		pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
		frames = append(frames, netlab.Mix(1, 100)...)
		pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
		d.checkBooks()
		d.mustStop() // NICs are taken by the next lab
	}
}

// Jumbo frames in generic mode, their copies in the TAP queue, and an MTU that grows while the
// engine runs.
func TestJumbo(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.NeedsKernel(t, 6, 6, "frames of several chunks")
	lab := netlab.NewBridgeWith(t, netlab.Options{MTU: 9000})
	q := newQueue(t, 256)
	c, err := q.NewConsumer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d := newDevice(t, lab, dataplane.Config{Attach: nic.AttachSKB, Queue: q})
	d.mustStart()
	d.wish(func(p *policy.Policy) { p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true })
	var frames [][]byte
	for i := range uint64(60) {
		frames = append(frames, netlab.UDP(9014-100*int(i), i))
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	d.await("all is in the queue", func() bool { return d.stats(1).TapStored == 60 })
	seen := map[shm.Direction]int{}
	for _, r := range drainQueue(t, c) {
		n := seen[r.Direction]
		seen[r.Direction]++
		want := frames[n]
		if len(r.Data) == 0 || int(r.OrigLen) != len(want) || !bytes.HasPrefix(want, r.Data) {
			t.Fatalf("record %d: %d bytes of %d, sent %d", n, len(r.Data), r.OrigLen, len(want))
		}
	}
	if seen[shm.RX] != 60 || seen[shm.TX] != 60 {
		t.Errorf("%v records", seen)
	}
	if types, err := d.Types(0); err != nil || types.Types[0].Bytes != 60*9014-100*60*59/2 {
		t.Errorf("%+v, %v", types, err)
	}
	d.checkBooks()
	d.mustStop()

	short := netlab.NewBridge(t)
	e := newDevice(t, short, dataplane.Config{Attach: nic.AttachSKB})
	e.mustStart()
	short.SetMTU(9000)
	e.await("the MTU is followed", func() bool { p := e.Ports(); return p[0].MTU == 9000 && p[1].MTU == 9000 && e.Running() })
	pass(t, short.Src, netlab.S0, short.Snk, netlab.K1, frames)
	e.checkBooks()
}

func TestTwoQueues(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.ManyQueues)
	lab := netlab.NewBridgeWith(t, netlab.Options{Queues: 2})
	d := newDevice(t, lab, dataplane.Config{Queues: 2, CPUs: []int{0, 1}})
	d.mustStart()
	s := lab.Src.NewSender(netlab.S0, false)
	for i := range uint64(400) {
		frame := netlab.UDP(100, i)
		frame[34], frame[35] = byte(i>>8), byte(i) // source ports: the kernel spreads the flows over the queues
		frame[28], frame[29] = byte(i>>8), byte(i) // and source addresses, for NICs that do not look at the ports of UDP
		if err := s.Send(frame); err != nil {
			t.Fatal(err)
		}
	}
	d.await("all are counted", func() bool { return d.stats(0).RX == 400 && d.stats(1).TX == 400 })
	var sum uint64
	for q := range 2 {
		if d.queueStats(0, q).RX == 0 {
			t.Errorf("queue %d carried nothing", q)
		}
		sum += d.queueStats(0, q).RX
	}
	if sum != 400 {
		t.Errorf("the queues' sum is %d", sum)
	}
	d.checkBooks()
}

func TestIdleModes(t *testing.T) {
	netlab.RequireRoot(t)
	for _, mode := range []dataplane.PollMode{dataplane.PollAdaptive, dataplane.PollSpin, dataplane.PollSleep} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			lab := netlab.NewBridge(t)
			d := newDevice(t, lab, dataplane.Config{Poll: mode})
			d.mustStart()
			frames := netlab.Mix(uint64(mode), 300)
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
			pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
			d.checkBooks()
		})
	}
}

// The accounts close at any moment, not only at rest: with frames in both directions, faults, a
// drop hash, resets and a full TAP queue.
func TestBooksCloseUnderTraffic(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{Queue: newQueue(t, 128)})
	d.mustStart()
	other := netlab.MAC{2, 9, 9, 9, 9, 9}
	d.wish(func(p *policy.Policy) {
		p.Drop = p.Drop.With(other)
		for i := range p.Ports {
			p.Taps[0].RX[i], p.Taps[0].TX[i] = true, true
			p.Ports[i] = policy.Port{Fault: policy.Fault{
				Enabled: true, Drop: policy.Chance{Probability: 5000}, Bitflip: policy.Chance{Probability: 5000}, Dup: policy.Chance{Probability: 20000}, Length: policy.Chance{Probability: 5000},
			}}
		}
	})
	stopA, stopB := traffic(t, lab.Src, netlab.S0), traffic(t, lab.Snk, netlab.K1)
	s := lab.Src.NewSender(netlab.S0, true)
	rounds := uint64(100)
	if netlab.OnNICs() { // where a frame takes an emulator some 5 ms
		rounds = 30
	}
	for i := range rounds {
		if err := s.Send(netlab.Mix(i, 40)...); err != nil {
			t.Fatal(err)
		}
		if err := s.Send(netlab.Frame{Src: other}.Bytes()); err != nil {
			t.Fatal(err)
		}
		d.checkBooks()
		if i == rounds/2 {
			d.ResetStats()
			d.checkBooks()
		}
	}
	stopA()
	stopB()
	d.await("the last frames", func() bool { return d.stats(0).Drop >= rounds/2-1 && d.stats(0).ByFI[policy.FaultDup] > 0 })
	d.mustStop()
	d.checkBooks()
}
