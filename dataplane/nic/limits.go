package nic

import (
	"math"

	"github.com/vishvananda/netlink"
)

// linkHeader is what a frame may have beyond an MTU where the kernel compares them: an
// Ethernet header and one tag.
const linkHeader = 14 + 4

// limits are how many bytes a frame may have that leaves by an interface.
type limits struct {
	redirect uint32 // by a redirect in the kernel, which refuses longer ones, as does a veth whose other end does
	send     uint32 // by a socket: what a veth's other end takes; other drivers take what they can
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
