// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// MAC is an Ethernet address.
type MAC = [6]byte

// upTimeout bounds the wait for a link to come up; it takes milliseconds, or seconds with a NIC.
const upTimeout = 30 * time.Second

// VethOptions describe both ends of a pair.
type VethOptions struct {
	Queues int  // receive and transmit queues of each end; 0 = 1
	MTU    int  // 0 = 1500
	GRO    bool // leave generic receive offload on, and with it NAPI
	Down   bool // leave both ends down
}

// Veth makes a pair of links, one end in each namespace (which may be the
// same), switches their offloads off, brings them up and waits until both are
// operational.
func Veth(a *Namespace, aName string, b *Namespace, bName string, o VethOptions) {
	a.t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = aName
	attrs.MTU = max(o.MTU, 0)
	if attrs.MTU == 0 {
		attrs.MTU = 1500
	}
	attrs.NumTxQueues = max(o.Queues, 1)
	attrs.NumRxQueues = max(o.Queues, 1)
	pair := netlink.NewVeth(attrs)
	pair.PeerName = bName
	pair.PeerNamespace = netlink.NsFd(int(b.file.Fd()))
	a.must(a.Do(func() error { return netlink.LinkAdd(pair) }))
	ends := []struct {
		n    *Namespace
		name string
	}{{a, aName}, {b, bName}}
	for _, end := range ends {
		end.n.OffloadsOff(end.name)
		if o.GRO {
			end.n.SetFeature(end.name, "rx-gro", true)
		}
		if !o.Down {
			end.n.SetUp(end.name)
		}
	}
	if o.Down {
		return
	}
	for _, end := range ends {
		end.n.WaitUp(end.name)
	}
}

// DeleteLink removes a link; the other end of a veth goes with it.
func (n *Namespace) DeleteLink(name string) {
	n.t.Helper()
	n.withLink(name, netlink.LinkDel)
}

// SetUp brings a link up, without waiting.
func (n *Namespace) SetUp(name string) {
	n.t.Helper()
	n.withLink(name, netlink.LinkSetUp)
}

// SetDown takes a link down.
func (n *Namespace) SetDown(name string) {
	n.t.Helper()
	n.withLink(name, netlink.LinkSetDown)
}

// WaitUp waits until a link is up and has carrier.
func (n *Namespace) WaitUp(name string) {
	n.t.Helper()
	deadline := time.Now().Add(upTimeout)
	for {
		s := n.Link(name)
		if s.Up && s.Operational && s.Carrier {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("namespace %s: link %s did not come up: %+v", n.name, name, s)
		}
		time.Sleep(time.Millisecond)
	}
}

// SetMTU changes the largest payload of a link, in bytes.
func (n *Namespace) SetMTU(name string, mtu int) {
	n.t.Helper()
	n.withLink(name, func(l netlink.Link) error { return netlink.LinkSetMTU(l, mtu) })
}

// Rename gives a link another name.
func (n *Namespace) Rename(name, newName string) {
	n.t.Helper()
	n.withLink(name, func(l netlink.Link) error { return netlink.LinkSetName(l, newName) })
}

// Move takes a link to another namespace, where it is down.
func (n *Namespace) Move(name string, to *Namespace) {
	n.t.Helper()
	n.withLink(name, func(l netlink.Link) error { return netlink.LinkSetNsFd(l, int(to.file.Fd())) })
}

// SetMAC changes the address of a link.
func (n *Namespace) SetMAC(name string, mac MAC) {
	n.t.Helper()
	n.withLink(name, func(l netlink.Link) error { return netlink.LinkSetHardwareAddr(l, mac[:]) })
}

// SetPromisc sets or clears the promiscuous flag of a link, as `ip link set
// promisc` does: it counts as one in Link.Promiscuity.
func (n *Namespace) SetPromisc(name string, on bool) {
	n.t.Helper()
	if on {
		n.withLink(name, netlink.SetPromiscOn)
	} else {
		n.withLink(name, netlink.SetPromiscOff)
	}
}

// AddAddress gives a link an address such as "10.77.0.1/24". From then on the
// kernel answers and sends frames of its own there.
func (n *Namespace) AddAddress(name, address string) {
	n.t.Helper()
	n.withLink(name, func(l netlink.Link) error {
		addr, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, addr)
	})
}

// Link is the state of a network interface as the kernel tells it.
type Link struct {
	Index       int
	Name        string
	Kind        string // "veth", "tun", …
	MAC         MAC
	MTU         int
	Queues      int    // receive queues
	Up          bool   // administratively
	Operational bool   // and ready to send
	Carrier     bool   // and the other end is there; unlike Operational this changes at once
	Promiscuity int    // how many want the link to be promiscuous
	XDPProgram  uint32 // id of the attached XDP program; 0 = none
	XDPMode     string // "", "native", "generic", "offload" or "multi"
	Counters    Counters
}

// Counters are the kernel's own statistics of a link since it was made.
type Counters struct {
	RxPackets, TxPackets, RxBytes, TxBytes, RxDropped, TxDropped, RxErrors, TxErrors uint64
}

// Link tells the state of a link.
func (n *Namespace) Link(name string) Link {
	n.t.Helper()
	s, err := n.lookLink(name)
	n.must(err)
	return s
}

// LinkExists tells whether there is a link of this name.
func (n *Namespace) LinkExists(name string) bool {
	n.t.Helper()
	_, err := n.lookLink(name)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return false
	}
	n.must(err)
	return true
}

func (n *Namespace) lookLink(name string) (Link, error) {
	var s Link
	err := n.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
		a := l.Attrs()
		s = Link{
			Index:       a.Index,
			Name:        a.Name,
			Kind:        l.Type(),
			MTU:         a.MTU,
			Queues:      a.NumRxQueues,
			Up:          a.Flags&net.FlagUp != 0,
			Operational: a.OperState == netlink.OperUp,
			Carrier:     a.RawFlags&unix.IFF_LOWER_UP != 0,
			Promiscuity: a.Promisc,
		}
		copy(s.MAC[:], a.HardwareAddr)
		if x := a.Xdp; x != nil && x.Attached {
			s.XDPProgram = x.ProgId
			// IFLA_XDP_ATTACHED: XDP_ATTACHED_DRV, _SKB, _HW, _MULTI.
			s.XDPMode = []string{"", "native", "generic", "offload", "multi"}[min(x.AttachMode, 4)]
		}
		if c := a.Statistics; c != nil {
			s.Counters = Counters{
				RxPackets: c.RxPackets, TxPackets: c.TxPackets,
				RxBytes: c.RxBytes, TxBytes: c.TxBytes,
				RxDropped: c.RxDropped, TxDropped: c.TxDropped,
				RxErrors: c.RxErrors, TxErrors: c.TxErrors,
			}
		}
		return nil
	})
	return s, err
}

// withLink looks a link up in the namespace and works on it.
func (n *Namespace) withLink(name string, fn func(netlink.Link) error) {
	n.t.Helper()
	n.must(n.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = fn(l)
		}
		if err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
		return nil
	}))
}
