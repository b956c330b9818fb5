// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/port"
)

// linkHeader is what the kernel adds to an MTU before it compares the length of a frame with it, in
// bytes: an Ethernet header and one tag.
const linkHeader = 14 + 4

// native is what a driver takes for native XDP.
type native struct {
	mtu   int  // the largest MTU without frames of several buffers: a frame with its headers has to fit in a buffer
	long  bool // it takes frames of several buffers
	loses bool // it takes a program at a larger MTU too, and then loses the longest frames
}

// natives are drivers that take less than every MTU, as their sources say.
var natives = map[string]native{
	"igb":  {3072 - (14 + 4 + 2*4), false, false},  // igb_xdp_setup, igb_rx_bufsz: with checksum and two tags
	"veth": {page - (256 + 320) - 14, true, false}, // veth_xdp_set: less headroom and skb_shared_info
	// virtnet_xdp_set compares in the same way, but a frame has the driver's own header of 12 bytes before it, and
	// may have a tag: xdp_linearize_page drops what does not fit in a page with these.
	"virtio_net": {page - (256 + 320) - 14 - 12 - 4, true, true},
}

var page = os.Getpagesize()

// fits returns the error that the driver should return where it takes a program and loses frames.
func (p *Port) fits() error {
	if n := natives[p.driver]; n.loses && !p.generic && !p.long && p.mtu > n.mtu {
		return unix.EINVAL
	}
	return nil
}

// aboutMTU says how an MTU may be the reason why a driver refuses native XDP; "" if it is none.
func (p *Port) aboutMTU(err error) string {
	n, known := natives[p.driver]
	switch {
	case p.generic || p.mtu <= 1500 || !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ERANGE):
		return ""
	case !known:
		return fmt.Sprintf("; its MTU is %d, and few drivers take more than 3000 for native XDP", p.mtu)
	case p.mtu <= n.mtu || p.long && n.long:
		return ""
	}
	return fmt.Sprintf("; its MTU is %d, and the driver takes %d at most for native XDP; to fix this, run: ip link set %s mtu %d", p.mtu, n.mtu, port.Word(p.device), n.mtu)
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
