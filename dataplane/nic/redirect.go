// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"math"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"ethertap/dataplane/genl"
)

// Redirects says which redirected frames an interface takes.
type Redirects struct {
	Longest uint32 // bytes of the longest frame that can leave by it
	Known   bool   // the other fields are known, which older kernels do not report
	Taken   bool   // it takes redirected frames
	Buffers bool   // it takes those of several buffers too
}

// Redirects returns which redirected frames the interface takes now. A veth takes them while its
// other end has NAPI on.
func (p *Port) Redirects() (r Redirects) {
	flags, known := featuresOf(p.index)
	r.Known, r.Taken, r.Buffers = known, flags&xdpRedirected != 0, flags&xdpRedirectedLong != 0
	r.Longest = p.limits.redirect
	return r
}

// Untold returns the shortest length in bytes of frames that a driver gives to the program in
// generic mode though it is attached in native mode. The kernel does not report what becomes of
// these when they are redirected. A TAP device does this with frames that need more than a page.
func (p *Port) Untold() uint32 {
	if p.driver == "tun" {
		return uint32(os.Getpagesize() - 1024) // the kernel 6.18 reserves 386 bytes of a page
	}
	return math.MaxUint32
}

// ownHeader are the drivers that put a header of their own before each frame that is redirected to
// them, and refuse frames without room for it.
var ownHeader = map[string]bool{
	"virtio_net": true, // __virtnet_xdp_xmit_one
}

// TakesFromZeroCopy says whether the interface takes redirected frames that were received by
// zero-copy. The kernel copies these to a page, in which nothing is free before the frame.
func (p *Port) TakesFromZeroCopy() bool { return !ownHeader[p.driver] }

// TakeRedirects returns the end of a sentence: the command that makes the interface take redirected
// frames, or "" if there is none.
func (p *Port) TakeRedirects() string {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil || l.Type() != "veth" {
		return ""
	}
	// The other end is looked up only when it has changed, as this is called every second.
	if a := l.Attrs(); p.other.index != a.ParentIndex || p.other.nsid != a.NetNsID || p.other.name == "" {
		p.other, _ = peerOf(l)
	}
	return p.other.fix("gro on")
}

// Numbers of the kernel's netdev protocol (6.3 and later).
const (
	netdevCommandGet  = 1
	netdevIndex       = 1
	netdevXDPFeatures = 3
)

// xdpFeatures are what a driver has for XDP (NETDEV_XDP_ACT_*).
type xdpFeatures uint64

const (
	xdpBasic          xdpFeatures = 1 << 0
	xdpRedirected     xdpFeatures = 1 << 2 // takes frames that are redirected to it: NDO_XMIT
	xdpZeroCopy       xdpFeatures = 1 << 3
	xdpReceivesLong   xdpFeatures = 1 << 5 // gives frames of several buffers: RX_SG
	xdpRedirectedLong xdpFeatures = 1 << 6 // NDO_XMIT_SG
)

// featuresOf returns what the driver of an interface has for XDP now. known is false if the kernel does not
// report it.
func featuresOf(index int) (flags xdpFeatures, known bool) {
	family, err := genl.Family("netdev")
	if err != nil {
		return 0, false
	}
	attrs, err := request(family, netdevCommandGet, 1, nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))))
	if v := attrs[netdevXDPFeatures]; err == nil && len(v) == 8 {
		return xdpFeatures(nl.NativeEndian().Uint64(v)), true
	}
	return 0, false
}
