// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// noted returns the contents of the records in a run directory, by the name of the interface.
func noted(t *testing.T, dir string) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, name := range records(t, dir) {
		var r struct{ Name, MAC string }
		b, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		list[r.Name] = r.MAC
	}
	return list
}

// table returns the table of interfaces of a queue, as collect reads it.
func table(t *testing.T, d *device, c *dataplane.Config) (names []string) {
	t.Helper()
	list, err := c.Queue.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		names = append(names, i.Name)
	}
	return names
}

// A renamed interface stays the port. Its new name appears everywhere, and the engine attaches to
// it again by that name. An interface with the old name is a stranger.
func TestRenamedInterfaceStaysThePort(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	lab.Dut.SetFeature(netlab.D0, "tx-vlan-hw-insert", true)
	c := dataplane.Config{RunDir: t.TempDir(), Queue: newQueue(t, 64)}
	d := newDevice(t, lab, c)
	d.mustStart()
	lab.Dut.Rename(netlab.D0, "lan0")
	d.await("the name is followed", func() bool { return d.Ports()[0].Name == "lan0" })
	if d.said("port lan0: the interface is renamed from d0 to lan0") != 1 {
		t.Errorf("said %q", d.lines())
	}
	d.await("the queue has it", func() bool { return slices.Equal(table(t, d, &c), []string{"lan0", netlab.D1}) })
	d.await("the record has it", func() bool { return noted(t, c.RunDir)["lan0"] != "" })
	mac := netlab.MAC{2, 0, 0, 0, 0, 77}
	lab.Dut.SetMAC("lan0", mac)
	d.await("the address is followed", func() bool { return d.Ports()[0].MAC == mac })
	d.await("the record has it too", func() bool { return noted(t, c.RunDir)["lan0"] == "02:00:00:00:00:4d" })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))

	// The other port goes and comes back, while a stranger has the old name.
	netlab.Veth(lab.Dut, netlab.D0, lab.Dut, "d0x", netlab.VethOptions{})
	stranger := lab.Dut.Link(netlab.D0)
	lab.Snk.DeleteLink(netlab.K1)
	d.await("the loss is said", func() bool { return d.said("port d1: the interface has disappeared") == 1 })
	netlab.Veth(lab.Dut, netlab.D1, lab.Snk, netlab.K1, netlab.VethOptions{})
	d.await("it is attached again", func() bool { p := d.Ports(); return d.Running() && !p[1].Gone && p[0].Name == "lan0" })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(2, 50))

	// The renamed interface goes. The engine does not take the stranger for it, but an interface
	// with its last name.
	lab.Src.DeleteLink(netlab.S0)
	d.await("the loss is said", func() bool { return d.said("port lan0: the interface has disappeared") == 1 })
	d.await("it is missed", func() bool {
		return d.Snapshot(false).Waiting == "port lan0: no such interface any more; another interface has its former name d0 now"
	})
	if l := lab.Dut.Link(netlab.D0); l.XDPProgram != 0 || l.Promiscuity != 0 || l.Index != stranger.Index {
		t.Errorf("the stranger: %+v", l)
	}
	netlab.Veth(lab.Src, netlab.S0, lab.Dut, "lan0", netlab.VethOptions{})
	d.await("it is attached again", func() bool { return d.Running() && d.Snapshot(false).Waiting == "" && !d.Ports()[0].Gone })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(3, 50))
	d.checkBooks()
	d.mustStop()
	if l := lab.Dut.Link(netlab.D0); l.XDPProgram != 0 {
		t.Errorf("the stranger: %+v", l)
	}
}

// An interface may get its last name just before it goes.
func TestRenamedAndGoneAtOnce(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	if err := lab.Dut.Do(func() error {
		l, err := netlink.LinkByName(netlab.D0)
		if err == nil {
			err = netlink.LinkSetName(l, "lan0")
		}
		if err == nil {
			err = netlink.LinkDel(l)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	netlab.Veth(lab.Src, netlab.S0, lab.Dut, netlab.D0, netlab.VethOptions{})
	d.await("the loss is said", func() bool { return d.said("port lan0: the interface has disappeared") == 1 })
	d.await("the other one is not taken", func() bool { return strings.Contains(d.Snapshot(false).Waiting, "former name d0") })
	lab.Dut.Rename(netlab.D0, "lan0")
	d.await("it is attached again", func() bool { return d.Running() && d.Snapshot(false).Waiting == "" && !d.Ports()[0].Gone })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))
}

// Two interfaces that exchange their names stay the same ports, even when one is made anew, and
// when one goes and the other one takes its name.
func TestNamesSwapped(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	index := lab.Dut.Link(netlab.D0).Index
	lab.Dut.Rename(netlab.D0, "tmp")
	lab.Dut.Rename(netlab.D1, netlab.D0)
	lab.Dut.Rename("tmp", netlab.D1)
	d.await("the names are followed", func() bool { p := d.Ports(); return p[0].Name == netlab.D1 && p[1].Name == netlab.D0 })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))
	d.mustStop() // as the words of the prompt do
	lab.Dut.Rename(netlab.D1, "east")
	netlab.Veth(lab.Dut, netlab.D1, lab.Dut, "stranger", netlab.VethOptions{})
	d.mustStart()
	if l := lab.Dut.Link("east"); l.Index != index || d.Ports()[0].Name != "east" || lab.Dut.Link(netlab.D1).XDPProgram != 0 {
		t.Errorf("%+v is not port 0", l)
	}
	lab.Dut.DeleteLink("stranger")
	lab.Dut.Rename("east", netlab.D1)
	d.await("the name is followed", func() bool { return d.Ports()[0].Name == netlab.D1 })
	lab.Snk.DeleteLink(netlab.K1) // port 1, called d0
	d.await("the loss is said", func() bool { return d.said("port d0: the interface has disappeared") == 1 })
	lab.Dut.Rename(netlab.D1, netlab.D0) // port 0 gets the name of the interface that is gone
	d.await("it is not taken for both", func() bool {
		return d.Snapshot(false).Waiting == "port d0: no such interface any more; this name now belongs to port 0"
	})
	lab.Dut.Rename(netlab.D0, "lan0")
	netlab.Veth(lab.Dut, netlab.D0, lab.Snk, netlab.K1, netlab.VethOptions{})
	d.await("it is attached again", func() bool { p := d.Ports(); return d.Running() && !p[1].Gone && p[0].Name == "lan0" })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(2, 50))
	d.checkBooks()
}

// An interface that is moved to another namespace and back is still the port, whether it was
// renamed there or not, and its offloads are restored in the end. An interface that only has its
// index is not the port.
func TestInterfaceThatWasElsewhere(t *testing.T) {
	netlab.RequireRoot(t)
	const feature = "tx-vlan-hw-insert"
	lab := netlab.NewBridge(t)
	lab.Dut.SetFeature(netlab.D1, feature, true)
	d := newDevice(t, lab, dataplane.Config{RunDir: t.TempDir()})
	d.mustStart()
	index := lab.Dut.Link(netlab.D1).Index
	away := netlab.NewNamespace(t, "away")
	lab.Dut.Move(netlab.D1, away)
	d.await("the loss is said", func() bool { return d.said("port d1: the interface has disappeared") == 1 })
	stranger := netlink.NewLinkAttrs()
	stranger.Name, stranger.Index = "odd", index
	if err := lab.Dut.Do(func() error {
		pair := netlink.NewVeth(stranger)
		pair.PeerName = "oddx"
		return netlink.LinkAdd(pair)
	}); err != nil {
		t.Fatal(err)
	}
	lab.Dut.SetMTU(netlab.D0, 1400) // the test sees by this change that the engine has looked
	d.await("the MTU is followed", func() bool { return d.said("port d0: the MTU was 1500 and is 1400") == 1 })
	d.await("it works there", func() bool { return away.Link(netlab.D1).XDPProgram == 0 })
	lab.Dut.DeleteLink("odd")
	away.Rename(netlab.D1, "wan0")
	away.Move("wan0", lab.Dut)
	if got := lab.Dut.Link("wan0").Index; got != index {
		t.Fatalf("index %d, was %d", got, index)
	}
	lab.Dut.SetUp("wan0")
	d.await("it is attached again", func() bool { p := d.Ports()[1]; return d.Running() && !p.Gone && p.Name == "wan0" })
	if d.said("the interface is back") != 1 || d.said("port wan0: the interface is renamed from d1 to wan0") != 1 {
		t.Errorf("said %q", d.lines())
	}
	lab.Dut.SetMTU(netlab.D0, 1500)
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))
	d.checkBooks()
	d.mustStop()
	if !lab.Dut.Feature("wan0", feature) {
		t.Errorf("%s is off after the stop", feature)
	}
	lab.Dut.Rename("wan0", netlab.D1)
	untouched(t, lab.Dut)
}

// altName gives a link an alternative name, or removes it.
func altName(t *testing.T, lab *netlab.Bridge, change func(netlink.Link, string) error, link, alt string) {
	t.Helper()
	if err := lab.Dut.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		return change(l, alt)
	}); err != nil {
		t.Fatal(err)
	}
}

// A port given by an alternative name keeps that name, and follows the name of the interface.
func TestAlternativeNameStays(t *testing.T) {
	netlab.RequireRoot(t)
	const alt = "left-hand-side"
	lab := netlab.NewBridge(t)
	altName(t, lab, netlink.LinkAddAltName, netlab.D0, alt)
	c := dataplane.Config{Interfaces: []string{alt, netlab.D1}, Queue: newQueue(t, 64)}
	d := newDevice(t, lab, c)
	d.mustStart()
	lab.Dut.Rename(netlab.D0, "lan0")
	d.await("the queue has the name", func() bool { return slices.Equal(table(t, d, &c), []string{"lan0", netlab.D1}) })
	if p := d.Ports()[0]; p.Name != alt || d.said("port "+alt+": the interface is renamed from d0 to lan0") != 1 {
		t.Errorf("%+v, said %q", p, d.lines())
	}
	altName(t, lab, netlink.LinkDelAltName, "lan0", alt)
	d.await("it has its own name", func() bool { return d.Ports()[0].Name == "lan0" })
	altName(t, lab, netlink.LinkAddAltName, "lan0", alt)
	d.await("it has the given name again", func() bool { return d.Ports()[0].Name == alt })
}

// A start restores what an earlier process changed on an interface, whatever its name or address is
// now, and not on an interface that only has its index.
func TestRecordsFindTheInterface(t *testing.T) {
	netlab.RequireRoot(t)
	const feature = "tx-vlan-hw-insert"
	lab := netlab.NewBridge(t)
	netlab.Veth(lab.Dut, "m0", lab.Dut, "m1", netlab.VethOptions{})
	for _, c := range []struct {
		what, link string
		change     func()
		found      bool
		restore    string
	}{
		{"renamed", netlab.D0, func() { lab.Dut.Rename(netlab.D0, "lan0") }, true, "lan0"},
		{"another address", "lan0", func() { lab.Dut.SetMAC("lan0", netlab.MAC{2, 0, 0, 0, 0, 78}) }, true, "lan0"},
		{"another interface", "lan0", func() {
			lab.Dut.SetMAC("lan0", netlab.MAC{2, 0, 0, 0, 0, 79})
			lab.Dut.Rename("lan0", "wan0")
		}, false, "wan0"},
	} {
		link := c.link
		lab.Dut.SetFeature(link, feature, true)
		l := lab.Dut.Link(link)
		dir := t.TempDir()
		d := newDevice(t, lab, dataplane.Config{Interfaces: []string{link}, RunDir: dir})
		d.mustStart()
		files := records(t, dir)
		if len(files) != 1 || lab.Dut.Feature(link, feature) {
			t.Fatalf("%s: records %q", c.what, files)
		}
		b, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		d.mustStop()
		// The record looks as if the process had been killed.
		lab.Dut.SetFeature(link, feature, false)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(files[0])), b, 0o600); err != nil {
			t.Fatal(err)
		}
		c.change()
		next := newDevice(t, lab, dataplane.Config{Interfaces: []string{"m0"}, RunDir: dir})
		next.mustStart()
		next.mustStop()
		said := next.said("port " + c.restore + ": restored, since an earlier process was killed: " + feature)
		if on := lab.Dut.Feature(c.restore, feature); on != c.found || (said == 1) != c.found || len(records(t, dir)) != 0 {
			t.Errorf("%s (%+v): on %v, said %q, records %q", c.what, l, on, next.lines(), records(t, dir))
		}
	}
}
