package dataplane

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/xsk"
)

// header is what a frame may have before its payload: Ethernet and four tags.
const header = 14 + 4*4

// port is an interface, numbered since New and known since Start. Engine.mu
// guards it, but for gone.
type port struct {
	number int
	given  string // the name or alternative name of the command line
	identity
	seen     atomic.Pointer[identity] // the same, for those who hold no lock; see publish
	driver   string
	mtu      int
	limits   limits // followed while it runs
	rxQueues int
	txQueues int
	combined bool     // queues are for both directions
	master   int      // index of the bridge or bond it belongs to, as last seen; 0: none
	up       bool     // and has carrier, as last seen
	other    peer     // the other end of a veth, as last looked up
	joined   []string // which interfaces beneath join frames, as last seen
	downs    uint64
	generic  bool // XDP in generic mode
	mode     string
	program  *xdp.Program
	link     link.Link   // holds a program on the interface
	gone     atomic.Bool // has disappeared while running; set by the first thread that finds out
	goneSaid bool        // that is said, and not yet that it is back

	switchedOff []string // offloads
	promisc     bool     // made promiscuous beyond this process, for a bypass
	record      *os.File // that says so; holds its lock
	recorded    string   // its name
	bypass      string   // what it says of a bypass
}

// zeroCopy is the mode of a port whose frames are not copied.
const zeroCopy = "ZEROCOPY"

// notAttached is the mode of a port whose engine does not run.
const notAttached = "-"

// inspect looks the interface up and refuses what cannot be served. It changes
// nothing. An XDP program on it is no obstacle when it is ours, left by an earlier process.
func (p *port) inspect(c *Config, others []*port, ours bool, tool *ethtool) error {
	l, err := p.find(others)
	if err != nil {
		return err
	}
	a := l.Attrs()
	switch {
	case a.Flags&net.FlagLoopback != 0:
		return fmt.Errorf("port %s: a loopback interface has no other side", p.name)
	case a.EncapType != "ether" || len(a.HardwareAddr) != 6:
		return fmt.Errorf("port %s: not an Ethernet interface (%s)", p.name, a.EncapType)
	case a.Xdp != nil && a.Xdp.Attached && !c.Replace && !ours:
		return p.taken(c, a.Xdp.ProgId)
	case a.MTU > longMTU:
		return fmt.Errorf("port %s: MTU %d does not fit in %d chunks of user memory, which hold %d: ip link set %s mtu %d",
			p.name, a.MTU, maxChunks, longMTU, a.Name, longMTU)
	}
	p.become(a)
	p.mtu = a.MTU
	p.limits = limitsOf(l)
	p.driver = driver(p.device)
	p.countQueues(tool)
	return nil
}

// taken is the error that says whose XDP program is on the interface.
func (p *port) taken(c *Config, program uint32) error {
	who, end := c.Owner(program)
	switch {
	case end != "":
		return fmt.Errorf("port %s: %s is on it; to end that: %s", p.name, who, end)
	case who == "":
		who = "somebody else"
	}
	return fmt.Errorf("port %s: an XDP program of %s (id %d) is attached; detach or replace it first", p.name, who, program)
}

// holder names who is on the interface already, by the XDP program there.
func (p *port) holder(c *Config) string {
	who, end := "", ""
	if l, err := netlink.LinkByIndex(p.index); err == nil {
		if program := programOn(l.Attrs()); program != 0 {
			who, end = c.Owner(uint32(program))
		}
	}
	switch {
	case who == "":
		return "somebody else"
	case end != "":
		return fmt.Sprintf("%s; to end that: %s", who, end)
	}
	return who
}

// warn says what is unusual about the interface, though it can be served.
func (p *port) warn(tool *ethtool, logf func(string, ...any)) {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil {
		return // the next step will say why
	}
	a := l.Attrs()
	p.up = working(a)
	if a.Flags&net.FlagUp == 0 {
		logf("port %s: the link is down: ip link set %s up", p.name, p.device)
	} else if !p.up {
		logf("port %s: the link has no carrier", p.name)
	}
	p.warnAddresses(l, logf)
	p.warnMaster(a, logf)
	p.warnStacked(logf)
	p.warnPeer(tool, l, logf)
}

// working says whether a link is up and has carrier. Some drivers do not tell.
func working(a *netlink.LinkAttrs) bool {
	return a.Flags&net.FlagUp != 0 && a.OperState != netlink.OperDown && a.OperState != netlink.OperLowerLayerDown
}

// maxMTU is what the larger chunk holds.
const maxMTU = 4096 - xsk.Headroom - header

// longMTU is what a frame of the largest number of chunks holds.
const longMTU = maxChunks*(4096-xsk.Headroom) - header

// frameSize is the chunk that holds frames of an MTU.
func frameSize(mtu int) int {
	if mtu <= 2048-xsk.Headroom-header {
		return 2048
	}
	return 4096
}

// driver returns the name of the interface's driver, or "-".
func driver(name string) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "-"
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	if err != nil {
		return "-"
	}
	if s := unix.ByteSliceToString(info.Driver[:]); s != "" {
		return s
	}
	return "-"
}

// countQueues finds out how many queues the interface has.
func (p *port) countQueues(tool *ethtool) {
	c, err := tool.channels(p.index)
	if err != nil {
		// Devices that cannot tell have the queues that sysfs lists, or one.
		c = channels{rx: sysfsQueues(p.device, "rx"), tx: sysfsQueues(p.device, "tx")}
	}
	p.rxQueues, p.txQueues, p.combined = c.rx+c.combined, c.tx+c.combined, c.combined > 0
}

// checkQueues demands as many queues as there are threads: frames of a queue
// without a thread would go past the bridge, and a thread without a queue has
// nothing to bind to.
func (p *port) checkQueues(threads int) error {
	mend := p.queueCommand(threads)
	switch rx, tx := p.rxQueues, p.txQueues; {
	case rx > threads:
		return fmt.Errorf("port %s: %d receive queues but %d to be served: the rest of the traffic would be lost: %s", p.name, rx, threads, mend)
	case rx < threads:
		return fmt.Errorf("port %s: only %d receive queues for %d threads: %s", p.name, rx, threads, mend)
	case tx < threads:
		return fmt.Errorf("port %s: only %d transmit queues for %d threads: %s", p.name, tx, threads, mend)
	}
	return nil
}

// queueCommand gives the interface so many queues.
func (p *port) queueCommand(n int) string {
	if p.combined {
		return fmt.Sprintf("ethtool -L %s combined %d", p.device, n)
	}
	return fmt.Sprintf("ethtool -L %s rx %d tx %d", p.device, n, n)
}

// unservable says what is lost while so many threads run; "" if nothing is. Fewer queues than
// threads are no loss: the kernel takes none away that has a socket.
func (p *port) unservable(threads int) string {
	if p.rxQueues <= threads {
		return ""
	}
	return fmt.Sprintf("port %s: %d receive queues and %s: what comes on the other queues is lost, unless the fast path forwards it: %s",
		p.name, p.rxQueues, counted(threads, "thread"), p.queueCommand(threads))
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func sysfsQueues(name, direction string) int {
	entries, err := os.ReadDir(filepath.Join("/sys/class/net", name, "queues"))
	n := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), direction+"-") {
			n++
		}
	}
	if err != nil || n == 0 {
		return 1
	}
	return n
}

// warnAddresses speaks of IP addresses: what is sent to them goes over the
// bridge and does not reach this host.
func (p *port) warnAddresses(l netlink.Link, logf func(string, ...any)) {
	addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return
	}
	for _, a := range addresses {
		if !a.IP.IsLinkLocalUnicast() {
			logf("port %s: has the IP address %s: this host will not be reached by it while frames are bridged", p.name, a.IPNet)
		}
	}
}

// promiscuous makes the interface receive all frames, as long as the returned
// function is not called and the process lives: a packet socket's membership
// ends with the socket.
func (p *port) promiscuous() (end func() error, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("port %s: packet socket: %w", p.name, err)
	}
	mreq := unix.PacketMreq{Ifindex: int32(p.index), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
		return nil, errors.Join(fmt.Errorf("port %s: promiscuous mode: %w", p.name, err), unix.Close(fd))
	}
	return func() error {
		if err := unix.Close(fd); err != nil {
			return fmt.Errorf("port %s: leave promiscuous mode: %w", p.name, err)
		}
		return nil
	}, nil
}
