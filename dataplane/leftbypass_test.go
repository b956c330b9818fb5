// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/tests/netlab"
)

// pinDir returns where an instance may pin, on a BPF file system of the test.
func pinDir(t *testing.T) string {
	t.Helper()
	pins := t.TempDir()
	if err := unix.Mount("bpf", pins, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(pins, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(pins, "test")
}

func (d *device) bypass(on bool) {
	d.t.Helper()
	if err := d.lab.Dut.Do(func() error { return d.SetBypass(on) }); err != nil {
		d.t.Fatal(err)
	}
}

// Programs that this process has left and that no longer fit, as after a change of the MTU, count in the maps of those
// that come. They are removed before, so that nothing counts twice or is forgotten.
func TestLeftBypassDoesNotFitAnyMore(t *testing.T) {
	netlab.Needs(t, netlab.FastPath, netlab.Bypass)
	lab := plainLab(t, netlab.Options{MTU: 9000})
	d := newDevice(t, lab, dataplane.Config{FastPath: true, BypassDir: pinDir(t), RunDir: t.TempDir()})
	d.bypass(true)
	d.mustStart()
	d.mustUseFastPath()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 300))
	d.mustStop()
	lab.SetMTU(1500)
	d.mustStart()
	d.mustUseFastPath()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 20))
	d.await("all is counted", func() bool { return d.stats(0).RX == 320 && d.stats(1).TX == 320 && d.stats(0).Held == 0 })
	d.checkBooks()
	d.bypass(false)
	d.mustStop()
}

// A frame that a fault should make longer where there is no room passes a bypass as it is, like all frames that
// would go to a thread.
func TestBypassOfAFrameWithoutRoom(t *testing.T) {
	netlab.Needs(t, netlab.FastPath, netlab.Bypass)
	lab := plainLab(t, netlab.Options{})
	d := newDevice(t, lab, dataplane.Config{FastPath: true, BypassDir: pinDir(t), RunDir: t.TempDir()})
	d.wish(func(p *policy.Policy) {
		p.Ports[0].Fault = policy.Fault{Enabled: true, Length: policy.Chance{Probability: 100000}}
	})
	d.bypass(true)
	d.mustStart()
	d.mustUseFastPath()
	d.mustStop()
	const n = 200
	before := d.stats(0)
	s, r := lab.Src.NewSender(netlab.S0, true), lab.Snk.NewReceiver(netlab.K1)
	for i := range uint64(n) {
		if err := s.Send(netlab.UDP(200, i)); err != nil {
			t.Fatal(err)
		}
	}
	came, err := r.Collect(n, 20*time.Second)
	if err != nil || len(came) != n {
		t.Errorf("%d of %d frames came, %v", len(came), n, err)
	}
	after := d.stats(0)
	changed := after.ByFI[policy.FaultLength] - before.ByFI[policy.FaultLength]
	if after.Lost != before.Lost || after.Bypassed-before.Bypassed+changed != n {
		t.Errorf("%d lost, %d bypassed, %d with another length", after.Lost-before.Lost, after.Bypassed-before.Bypassed, changed)
	}
	d.bypass(false)
}

// A bypass by which frames would be lost says so, with the command that helps.
func TestBypassSaysWhatItLoses(t *testing.T) {
	netlab.Needs(t, netlab.FastPath, netlab.Bypass)
	netlab.NeedsKernel(t, 6, 3, "what an interface takes is told")
	lab := netlab.NewBridge(t) // the other ends take no redirected frames
	if lab.OnNICs() {
		t.Skip("these NICs take redirected frames")
	}
	d := newDevice(t, lab, dataplane.Config{FastPath: true, BypassDir: pinDir(t), RunDir: t.TempDir()})
	d.mustStart()
	d.bypass(true)
	b := d.Snapshot(false).Bypass
	if b.Pinned == "" || !strings.Contains(b.Why, "frames from port d0 to port d1 do not pass without a thread") || !strings.Contains(b.Why, "ethtool -K k1 gro on") {
		t.Errorf("%+v", b)
	}
	if d.said("bypass: frames from port d1 to port d0 do not pass without a thread") != 1 {
		t.Errorf("said %q", d.lines())
	}
	d.bypass(false)
	d.mustStop()
}

// Of a bypass that was left and is of no use, since an interface is gone, nothing stays on the other one.
func TestLeftBypassOfAGoneInterface(t *testing.T) {
	netlab.Needs(t, netlab.FastPath, netlab.Bypass)
	lab := plainLab(t, netlab.Options{})
	if lab.OnNICs() {
		t.Skip("NICs are not deleted")
	}
	const feature = "tx-vlan-hw-insert"
	lab.Dut.SetFeature(netlab.D1, feature, true)
	netlab.Veth(lab.Src, "s2", lab.Dut, "d2", netlab.VethOptions{})
	netlab.Veth(lab.Src, "s3", lab.Dut, "d3", netlab.VethOptions{})
	c := dataplane.Config{FastPath: true, BypassDir: pinDir(t), RunDir: t.TempDir()}
	d := newDevice(t, lab, c)
	d.bypass(true)
	d.mustStart()
	d.mustStop()
	lab.Src.DeleteLink(netlab.S0)
	c.Interfaces = []string{"d2", "d3"}
	e := newDevice(t, lab, c)
	e.mustStart()
	if l := lab.Dut.Link(netlab.D1); !lab.Dut.Feature(netlab.D1, feature) || l.Promiscuity != 0 || l.XDPProgram != 0 {
		t.Errorf("%+v", l)
	}
	e.mustStop()
}

// What was changed on an interface is restored when it has been in another namespace meanwhile, although a start has
// failed in that time.
func TestSettingsOfAnInterfaceThatWasAway(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	if lab.OnNICs() {
		t.Skip("NICs stay where they are")
	}
	const feature = "tx-vlan-hw-insert"
	lab.Dut.SetFeature(netlab.D1, feature, true)
	d := newDevice(t, lab, dataplane.Config{RunDir: t.TempDir()})
	d.mustStart()
	away := netlab.NewNamespace(t, "away")
	lab.Dut.Move(netlab.D1, away)
	d.await("the loss is said", func() bool { return d.said("port d1: the interface has disappeared") == 1 })
	d.mustStop()
	if err := d.start(); err == nil {
		t.Error("it starts without d1")
	}
	away.Move(netlab.D1, lab.Dut)
	lab.Dut.SetUp(netlab.D1)
	d.mustStart()
	d.mustStop()
	if !lab.Dut.Feature(netlab.D1, feature) {
		t.Errorf("%s is off after the stop: %q", feature, d.lines())
	}
}

// A start anew that fails half way changes the interfaces, and the kernel tells of that. It is not tried again for that.
func TestFailingRestartDoesNotTriggerItself(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	if lab.OnNICs() {
		t.Skip("NICs are not deleted")
	}
	lab.Dut.SetFeature(netlab.D0, "tx-vlan-hw-insert", true)
	d := newDevice(t, lab, dataplane.Config{Attach: nic.AttachDRV, RunDir: t.TempDir()})
	d.mustStart()
	lab.Snk.DeleteLink(netlab.K1)
	d.await("the loss is said", func() bool { return d.said("port d1: the interface has disappeared") == 1 })
	begun := time.Now()
	before := d.said("port d0: switched off")
	if err := lab.Dut.Do(func() error { // a bridge has no native XDP
		a := netlink.NewLinkAttrs()
		a.Name = netlab.D1
		b := &netlink.Bridge{LinkAttrs: a}
		if err := netlink.LinkAdd(b); err != nil {
			return err
		}
		return netlink.LinkSetUp(b)
	}); err != nil {
		t.Fatal(err)
	}
	tries := func() int { return d.said("port d0: switched off") - before }
	d.await("it is tried twice", func() bool { return tries() >= 2 })
	if passed := time.Since(begun); tries() > 2+int(passed/nic.WatchTime) {
		t.Errorf("%d tries in %v", tries(), passed)
	}
}
