package nic

import (
	"math"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"ethertap/dataplane/genl"
)

// Redirects is what an interface and its driver do with frames that are redirected in the kernel.
type Redirects struct {
	Longest uint32 // bytes of a frame that can leave by it
	Known   bool   // the rest is known: older kernels do not tell
	Taken   bool   // it takes any
	Buffers bool   // it takes those of several buffers too
}

// Redirects asks what the interface does now. A veth takes frames when its other end has NAPI on.
func (p *Port) Redirects() (r Redirects) {
	r.Taken, r.Buffers, r.Known = takesRedirected(p.index)
	r.Longest = p.limits.redirect
	return r
}

// Untold returns from how many bytes on a driver gives frames to the program in generic mode,
// though it is attached in native mode: what becomes of those when they are redirected is
// not told. A TAP device does so with frames that need more than a page.
func (p *Port) Untold() uint32 {
	if p.driver == "tun" {
		return uint32(os.Getpagesize() - 1024) // what the kernel takes off is 386 bytes in 6.18
	}
	return math.MaxUint32
}

// TakeRedirects is the end of a sentence: the command that makes a port take redirected frames, if there is one.
func (p *Port) TakeRedirects() string {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil || l.Type() != "veth" {
		return ""
	}
	// It is looked up once: this is asked every second, as long as it lasts.
	if a := l.Attrs(); p.other.index != a.ParentIndex || p.other.nsid != a.NetNsID || p.other.name == "" {
		p.other, _ = peerOf(l)
	}
	return ": " + p.other.ethtool("gro on")
}

// Of the kernel's netdev protocol (6.3 and later).
const (
	netdevCommandGet  = 1
	netdevIndex       = 1
	netdevXDPFeatures = 3
	netdevFlagXmit    = 1 << 2 // NETDEV_XDP_ACT_NDO_XMIT
	netdevFlagXmitSG  = 1 << 6 // NETDEV_XDP_ACT_NDO_XMIT_SG
)

// takesRedirected says whether a driver takes frames that are redirected to its
// interface, and those of several buffers too; a veth does so when its other end has NAPI
// on. Older kernels do not know.
func takesRedirected(index int) (xmit, buffers, known bool) {
	family, err := genl.Family("netdev")
	if err != nil {
		return false, false, false
	}
	attrs, err := request(family, netdevCommandGet, 1, nl.NewRtAttr(netdevIndex, nl.Uint32Attr(uint32(index))))
	if v := attrs[netdevXDPFeatures]; err == nil && len(v) == 8 {
		flags := nl.NativeEndian().Uint64(v)
		return flags&netdevFlagXmit != 0, flags&netdevFlagXmitSG != 0, true
	}
	return false, false, false
}
