package nic

import (
	"math"

	"github.com/vishvananda/netlink"
)

// linkHeader is what the kernel adds to an MTU before it compares the length of a frame with it, in
// bytes: an Ethernet header and one tag.
const linkHeader = 14 + 4

// limits are the lengths in bytes of the longest frames that can leave by an interface.
type limits struct {
	redirect uint32 // by a redirect; the kernel refuses longer ones, and so does a veth for the MTU of its other end
	send     uint32 // by a socket: as much as the other end of a veth takes; other drivers take what they can
}

func limitsOf(l netlink.Link) limits {
	own := l.Attrs().MTU
	send := own
	if hasPeer(l) {
		if other, err := peerLink(l); err == nil {
			send = other.Attrs().MTU
		}
	}
	bytes := func(mtu int) uint32 { return uint32(min(mtu+linkHeader, math.MaxInt32)) }
	return limits{redirect: bytes(min(own, send)), send: bytes(send)}
}
