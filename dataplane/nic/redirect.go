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
	r.Taken, r.Buffers, r.Known = takesRedirected(p.index)
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
	return ": " + p.other.ethtoolCommand("gro on")
}

// Numbers of the kernel's netdev protocol (6.3 and later).
const (
	netdevCommandGet  = 1
	netdevIndex       = 1
	netdevXDPFeatures = 3
	netdevFlagXmit    = 1 << 2 // NETDEV_XDP_ACT_NDO_XMIT
	netdevFlagXmitSG  = 1 << 6 // NETDEV_XDP_ACT_NDO_XMIT_SG
)

// takesRedirected says whether a driver takes frames that are redirected to its interface, and
// whether it takes those of several buffers. known is false if the kernel does not report it.
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
