// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Offer is a feature that the kernel or an interface has, or lacks.
type Offer struct {
	Feature string // as docs/requirements.md calls it
	Has     bool
	Known   bool   // Has is known: some kernels do not tell
	Note    string // what holds with it, or what is done without it; may be ""
}

// Interfaces returns the names of the Ethernet interfaces of the network namespace of the calling thread, without
// the loopback.
func Interfaces() (names []string, err error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("interfaces: %w", err)
	}
	for _, l := range links {
		if unfit(l.Attrs()) == "" {
			names = append(names, l.Attrs().Name)
		}
	}
	return names, nil
}

// Offers returns what an interface offers that Inspect has seen. It asks the kernel and changes nothing, so what
// a driver refuses only when a program is attached is not seen.
func (p *Port) Offers() []Offer {
	flags, known := featuresOf(p.index)
	const untold = "this kernel, before Linux 6.3, does not tell; a start tries"
	offer := func(feature string, flag xdpFeatures, with, without string) Offer {
		o := Offer{Feature: feature, Known: known, Has: flags&flag != 0}
		switch {
		case !known:
			o.Note = untold
		case o.Has:
			o.Note = with
		default:
			o.Note = without
		}
		return o
	}
	mtu, long := "", ""
	if n, limited := natives[p.driver]; limited {
		mtu = fmt.Sprintf("up to MTU %d in one buffer", n.mtu)
		if n.long {
			long = "so larger MTUs too"
		}
	}
	native := offer("native XDP", xdpBasic, mtu, "generic XDP is used, which has no zero-copy, fast path or bypass")
	if known && !native.Has {
		return []Offer{native}
	}
	fast := offer("fast path to it", xdpRedirected, "", "it takes no redirected frames"+p.TakeRedirects())
	if !fast.Has && known && p.driver != "veth" {
		fast.Known, fast.Note = false, "most drivers say so only while a program is attached; fastpath.status tells after a start"
	}
	return []Offer{
		native,
		offer("frames of several buffers", xdpReceivesLong, long, "longer frames need generic XDP"),
		offer("zero-copy", xdpZeroCopy, "", "the kernel copies each frame"),
		fast,
		Lack("time stamps of the device", p.stampsLack(p.index, p.device, p.options.Attach == AttachSKB)),
		Lack("busy polling", p.Unpollable()),
	}
}

// Lack is the offer of a feature that is there unless it is said what its lack means.
func Lack(feature, why string) Offer {
	return Offer{Feature: feature, Known: true, Has: why == "", Note: why}
}
