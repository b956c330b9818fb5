// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// add makes a link in the lab's middle namespace.
func add(t *testing.T, lab *netlab.Bridge, make func(a netlink.LinkAttrs) netlink.Link, name string, parent int) {
	t.Helper()
	a := netlink.NewLinkAttrs()
	a.Name, a.ParentIndex = name, parent
	if err := lab.Dut.Do(func() error { return netlink.LinkAdd(make(a)) }); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// enslave makes a link a port of a bridge.
func enslave(t *testing.T, lab *netlab.Bridge, name, master string) {
	t.Helper()
	if err := lab.Dut.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		m, err := netlink.LinkByName(master)
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(l, m)
	}); err != nil {
		t.Fatal(err)
	}
}

// The log names what the tap cuts off: the bridge that an interface belongs to, at the start and
// when that changes, and the devices made on the interface.
func TestWarningsOfWhatIsCutOff(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	for _, name := range []string{"brm", "brn"} {
		add(t, lab, func(a netlink.LinkAttrs) netlink.Link { return &netlink.Bridge{LinkAttrs: a} }, name, 0)
	}
	enslave(t, lab, netlab.D0, "brm")
	index := lab.Dut.Link(netlab.D1).Index
	for i := range 10 {
		add(t, lab, func(a netlink.LinkAttrs) netlink.Link {
			return &netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}
		}, fmt.Sprintf("mac%d", i), index)
	}
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	for _, want := range []string{
		"port d0: the interface is a port of the bridge brm, which no longer gets the frames that arrive at d0; to fix this, run: ip link set d0 nomaster",
		"port d1: other interfaces are made on it, and no longer get the frames that arrive at d1: mac0 (macvlan), mac1 (macvlan), mac2 (macvlan), mac3 (macvlan), mac4 (macvlan), mac5 (macvlan), mac6 (macvlan), mac7 (macvlan), 2 more",
	} {
		if d.said(want) != 1 {
			t.Errorf("said %d times: %q", d.said(want), want)
		}
	}
	if d.said("made on it") != 1 { // the peer of d0, a veth, does not count
		t.Errorf("said %q", d.lines())
	}
	enslave(t, lab, netlab.D0, "brn")
	d.await("the change is said", func() bool { return d.said("port d0: the interface is a port of the bridge brn, ") == 1 })
}

// The log names the place of the other end of a veth: in a namespace of a process, or in ours.
func TestPeerIsNamed(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.RequireTool(t, "unshare")
	lab := netlab.NewBridge(t)
	p := netlab.StartProcess(t, exec.Command("unshare", "-n", "sh", "-c", "echo up; exec sleep 60"))
	if err := p.WaitOutput("up", 20*time.Second); err != nil {
		t.Fatal(err)
	}
	netlab.Veth(lab.Dut, "p0", lab.Dut, "p1", netlab.VethOptions{Down: true})
	if err := lab.Dut.Do(func() error {
		l, err := netlink.LinkByName("p1")
		if err != nil {
			return err
		}
		return netlink.LinkSetNsPid(l, p.PID())
	}); err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, lab, dataplane.Config{Interfaces: []string{"p0"}})
	d.mustStart()
	if want := fmt.Sprintf("port p0: the other end of this veth is p1 in another namespace; unless its offloads are off, TCP and tagged frames of that host arrive broken; to fix this, run: nsenter -t %d -n ethtool -K p1 tx off", p.PID()); d.said(want) != 1 {
		t.Errorf("said %q, want %q", d.lines(), want)
	}
}
