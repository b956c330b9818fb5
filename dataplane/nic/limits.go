package nic

import (
	"errors"
	"fmt"
	"math"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkHeader is what the kernel adds to an MTU before it compares the length of a frame with it, in
// bytes: an Ethernet header and one tag.
const linkHeader = 14 + 4

// nativeMTU is the largest MTU with which drivers take native XDP without frames of several
// buffers, as their sources say: a frame with its headers has to fit in a buffer.
var nativeMTU = map[string]int{
	"igb":        3072 - (14 + 4 + 2*4),   // igb_xdp_setup, igb_rx_bufsz: with checksum and two tags
	"virtio_net": 4096 - (256 + 320) - 14, // virtnet_xdp_set: less headroom and skb_shared_info
	"veth":       4096 - 256 - 320 - 14,   // veth_xdp_set: likewise
}

// aboutMTU says how an MTU may be the reason why a driver refuses native XDP; "" if it is none.
func (p *Port) aboutMTU(err error) string {
	most, known := nativeMTU[p.driver]
	switch {
	case p.generic || p.long || p.mtu <= 1500 || !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ERANGE):
		return ""
	case !known:
		return fmt.Sprintf(": its MTU is %d, and few drivers take more than 3000 for native XDP", p.mtu)
	case p.mtu <= most:
		return ""
	}
	return fmt.Sprintf(": its MTU is %d, and the driver takes %d at most for native XDP: ip link set %s mtu %d", p.mtu, most, p.device, most)
}

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
