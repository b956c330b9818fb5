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

// A program on a device that lies on others gets the frames that those have joined. The log says so
// with the command that fixes it, at the start and when it begins while frames flow.
func TestInterfacesBeneathThatJoinFrames(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	add := func(l netlink.Link) {
		t.Helper()
		if err := lab.Dut.Do(func() error { return netlink.LinkAdd(l) }); err != nil {
			t.Fatal(err)
		}
		lab.Dut.SetUp(l.Attrs().Name)
	}
	attrs := func(name string, parent string) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Name = name
		if parent != "" {
			a.ParentIndex = lab.Dut.Link(parent).Index
		}
		return a
	}
	// d0 carries a macvlan. d1 is in a bridge that carries a macvlan, so d1 is two steps beneath
	// it.
	add(&netlink.Macvlan{LinkAttrs: attrs("m0", netlab.D0), Mode: netlink.MACVLAN_MODE_PASSTHRU})
	add(&netlink.Bridge{LinkAttrs: attrs("br", "")})
	if err := lab.Dut.Do(func() error {
		port, err := netlink.LinkByName(netlab.D1)
		if err != nil {
			return err
		}
		return netlink.LinkSetMasterByIndex(port, lab.Dut.Link("br").Index)
	}); err != nil {
		t.Fatal(err)
	}
	add(&netlink.Macvlan{LinkAttrs: attrs("m1", "br"), Mode: netlink.MACVLAN_MODE_PASSTHRU})
	lab.Dut.SetFeature(netlab.D0, "rx-gro", true)
	d := newDevice(t, lab, dataplane.Config{Interfaces: []string{"m0", "m1"}})
	d.mustStart()
	for _, p := range d.Ports() {
		if p.Mode != "SKB" {
			t.Fatalf("%+v", p)
		}
	}
	const first = "port m0: d0 beneath it joins frames (rx-gro), and joined frames longer than 1792 bytes are lost; to fix this, run: ethtool -K d0 gro off"
	const second = "port m1: d1 beneath it joins frames (rx-gro), and joined frames longer than 1792 bytes are lost; to fix this, run: ethtool -K d1 gro off"
	if d.said(first) != 1 || d.said("beneath") != 1 {
		t.Errorf("said %q", d.lines())
	}
	lab.Dut.SetFeature(netlab.D1, "rx-gro", true)
	d.await("it is said of the other", func() bool { return d.said(second) == 1 })

	// A joined frame has this length.
	if a := d.Advice(); len(a) != 0 {
		t.Errorf("advice before anything is lost: %q", a)
	}
	lab.Src.SetMTU(netlab.S0, 4000)
	lab.Dut.SetMTU(netlab.D0, 4000) // m0 keeps 1500
	if err := lab.Src.NewSender(netlab.S0, true).Send(netlab.UDP(3000, 1), netlab.UDP(1793, 2), netlab.UDP(1500, 3)); err != nil {
		t.Fatal(err)
	}
	d.await("two are lost", func() bool { s := d.stats(0); return s.Lost == 2 && s.RX >= 1 })
	const want = "interface 0 m0: 2 frames longer than the 1792 bytes that can be received: d0 beneath it joins frames (rx-gro); to fix this, run: ethtool -K d0 gro off"
	if a := d.Advice(); len(a) != 1 || a[0] != want {
		t.Errorf("advice %q, want %q", a, want)
	}
	lab.Dut.SetFeature(netlab.D0, "rx-gro", false)
	d.await("it is over", func() bool {
		a := d.Advice()
		return len(a) == 1 && strings.HasSuffix(a[0], "their sender has a larger MTU than 1500, or joins frames")
	})
	d.checkBooks()
}

// A tunnel lies on the interface by which its other end is reached. A native program, and one on a
// plain interface, sees frames as they came.
func TestWhatIsBeneathATunnel(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridgeWith(t, netlab.Options{Addresses: true})
	lab.Dut.AddAddress(netlab.D0, "10.77.0.9/24")
	a := netlink.NewLinkAttrs()
	a.Name = "vx"
	if err := lab.Dut.Do(func() error {
		return netlink.LinkAdd(&netlink.Vxlan{LinkAttrs: a, VxlanId: 5, Group: []byte{10, 77, 0, 1}, Port: 4789})
	}); err != nil {
		t.Skipf("this kernel has no vxlan: %v", err)
	}
	lab.Dut.SetUp("vx")
	for _, name := range []string{netlab.D0, netlab.D1} {
		lab.Dut.SetFeature(name, "rx-gro", true)
	}
	d := newDevice(t, lab, dataplane.Config{Interfaces: []string{"vx", netlab.D1}, Attach: nic.AttachSKB})
	d.mustStart()
	if d.said("port vx: d0 beneath it joins frames (rx-gro), and joined frames longer than 1792 bytes are lost; to fix this, run: ethtool -K d0 gro off") != 1 || d.said("beneath") != 1 {
		t.Errorf("said %q", d.lines())
	}
	d.mustStop()
	native := newDevice(t, lab, dataplane.Config{Interfaces: []string{netlab.D0, netlab.D1}})
	native.mustStart()
	if native.said("beneath") != 0 {
		t.Errorf("said %q", native.lines())
	}
}
