// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"testing"

	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/tests/netlab"
)

type mode struct {
	name   string
	attach nic.AttachMode
	mode   string // as the ports show it
}

// modes are the ways in which the links of the lab can be served.
func modes() []mode {
	switch netlab.Mode() {
	case "":
		return []mode{{"native", nic.AttachDRV, "COPY"}, {"generic", nic.AttachSKB, "SKB"}}
	case "zerocopy":
		return []mode{{"zerocopy", nic.AttachAuto, "ZEROCOPY"}}
	case "copy":
		return []mode{{"copy", nic.AttachAuto, "COPY"}}
	default:
		return []mode{{"generic", nic.AttachAuto, "SKB"}}
	}
}

// Every kind of frame that a link of MTU 1500 carries crosses the bridge both ways.
func TestBridgePassesEverythingUnchangedInOrder(t *testing.T) {
	netlab.RequireRoot(t)
	for _, m := range modes() {
		t.Run(m.name, func(t *testing.T) {
			lab := netlab.NewBridge(t)
			d := newDevice(t, lab, dataplane.Config{Attach: m.attach})
			d.mustStart()
			if got := d.Ports()[1]; got.Mode != m.mode || got.Driver != netlab.Driver(t) || got.MTU != 1500 || got.Name != netlab.D1 {
				t.Errorf("port 1: %+v", got)
			}
			frames := netlab.Mix(1, 1000)
			for size := netlab.Shortest(); size < 60; size++ {
				frames = append(frames, netlab.Runt(size, uint64(size)))
			}
			frames = append(frames, netlab.UDP(1514, 1), netlab.VLAN(1518, 2, 5), netlab.QinQ(1514, 3, 100, 200), netlab.QinQ(64, 4, 1, 4094))
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
			pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
			n := uint64(len(frames))
			d.counted(n, n)
			for i := range 2 {
				s := d.stats(i)
				if s.RX != n || s.TX != n || s.Lost != 0 || s.Err != 0 || s.Held != 0 {
					t.Errorf("interface %d: %+v, want rx and tx %d", i, s, n)
				}
			}
			d.checkBooks()
			d.mustStop()
			d.checkFrames()
		})
	}
}

// The rings have the length of the options, the fill rings are full from the start, and more frames
// than the shortest ring holds pass through them.
func TestRingsAreAsLongAsAskedFor(t *testing.T) {
	netlab.RequireRoot(t)
	for _, rings := range []int{dataplane.MinRings, dataplane.MaxRings} {
		lab := netlab.NewBridge(t)
		d := newDevice(t, lab, dataplane.Config{Rings: rings})
		d.mustStart()
		f, err := d.Chunks()
		if want := 2 * rings; err != nil || f.Fill+f.RX != want || f.Total != 2*(3*rings+dataplane.DefaultHold) {
			t.Errorf("rings of %d: %+v, %v", rings, f, err)
		}
		for i := range 4 {
			frames := netlab.Mix(uint64(i), dataplane.MinRings/2)
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
			pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
		}
		d.checkBooks()
		d.mustStop()
		d.checkFrames()
	}
}
