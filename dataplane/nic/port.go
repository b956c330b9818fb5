// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
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

	"ethertap/dataplane/port"
)

// Port is a network interface. It implements port.Port. Its other methods serve the fast path and
// the bypass, and are called under the lock of the engine too.
type Port struct {
	options *Options
	number  int
	given   string  // the name or alternative name of the command line
	others  []*Port // all network interfaces of the engine by number, with this one
	identity
	seen     atomic.Pointer[identity] // a copy of identity for those who hold no lock; see publish
	driver   string
	onBus    bool // it is a device on a bus, with interrupts
	mtu      int
	limits   limits // followed while the port is attached
	rxQueues int
	txQueues int
	combined bool     // a queue serves both directions
	master   int      // index of the bridge or bond to which it belongs, as last seen; 0 if there is none
	up       bool     // the link is up and has carrier, as last seen
	other    peer     // the other end of a veth, as last looked up
	joined   []joiner // which interfaces beneath join frames, as last logged
	downs    uint64

	ours    bool // an XDP program on the interface is ours, left by an earlier process
	generic bool // XDP runs in generic mode
	long    bool // the program accepts frames of several buffers
	// wholePages says that a socket turned out to work by zero-copy, which takes chunks of a page.
	wholePages bool
	mode       string
	program    *xdp.Program
	link       link.Link // holds the program on the interface; nil: the port is not attached
	open       []opened  // the open sockets
	unserved   unserved

	// For the bypass, which belongs to the engine:
	inherited *inheritance // what an earlier process left; nil if nothing
	outlives  bool         // changes of the interface stay when they should be undone

	switchedOff []string    // offloads
	interrupts  *interrupts // the settings before busy polling; nil: they were not changed
	stamps      stamps
	promisc     bool     // a bypass has made the interface promiscuous
	takenDown   bool     // the interface is set down, for a link that is cut
	record      *os.File // holds the lock of the record, which lists the changed settings; nil if there is none
	recorded    string   // its file name
	bypass      string   // the directory of the bypass in the record
}

// New returns a port for each name, by number; nil for the name "". Inspect looks the interfaces
// up.
func New(names []string, o Options) []*Port {
	all := make([]*Port, len(names))
	for i, name := range names {
		if name == "" {
			continue
		}
		all[i] = &Port{options: &o, number: i, given: name, identity: identity{name: name}, driver: "-", mode: port.NotAttached}
		all[i].publish()
	}
	for _, p := range all {
		if p != nil {
			p.others = all
		}
	}
	return all
}

func (p *Port) logf(format string, args ...any) { p.options.Logf(format, args...) }

// Facts implements port.Port.
func (p *Port) Facts() port.Facts {
	return port.Facts{
		Name: p.name, Device: p.device, Driver: p.driver, Mode: p.mode, MAC: p.mac, MTU: p.mtu, Chunk: p.chunk(), Longest: p.limits.send,
		Stamps: p.stamps.clock, RXQueues: p.rxQueues, TXQueues: p.txQueues, Up: p.up, Downs: p.downs,
	}
}

// chunk returns the size in bytes of the chunks that the frames need. Drivers with zero-copy tell
// the device how much of a chunk it may fill, and some do so in whole KiB (igb, igc, ixgbe): a
// chunk of 2048 bytes has 1 KiB beside its headroom, and a longer frame would come in pieces.
func (p *Port) chunk() int {
	if p.wholePages || p.options.Copy == ZeroCopyForced {
		return port.LargeChunk
	}
	return port.ChunkFor(p.mtu)
}

// Index returns the index of the interface, or 0 before it was seen.
func (p *Port) Index() int { return p.index }

// Generic says whether XDP runs in generic mode.
func (p *Port) Generic() bool { return p.generic }

// Inspect implements port.Port. It accepts an XDP program on the interface if ExpectOurs said that
// the program is ours.
func (p *Port) Inspect() error {
	before := p.identity
	if err := p.inspect(); err != nil {
		return err
	}
	p.generic, p.wholePages = p.options.Attach == AttachSKB, false
	p.sayChange(before)
	return nil
}

// Check implements port.Port.
func (p *Port) Check() error {
	candidate := &Port{options: p.options, number: p.number, given: p.given, others: p.others, identity: p.identity, ours: p.ours}
	return candidate.inspect()
}

// ExpectOurs says whether an XDP program that Inspect and Check find is ours.
func (p *Port) ExpectOurs(ours bool) { p.ours = ours }

func (p *Port) inspect() error {
	l, err := p.find()
	if err != nil {
		return err
	}
	a := l.Attrs()
	switch why := unfit(a); {
	case why != "":
		return fmt.Errorf("port %s: %s", p.name, why)
	case a.Xdp != nil && a.Xdp.Attached && !p.options.Replace && !p.ours:
		return p.programPresent(a.Xdp.ProgId)
	case a.MTU > port.LongMTU:
		return fmt.Errorf("port %s: MTU %d does not fit in %d chunks of user memory, which hold %d; to fix this, run: ip link set %s mtu %d",
			p.name, a.MTU, port.MaxChunks, port.LongMTU, port.Word(a.Name), port.LongMTU)
	}
	if p.options.Stamps == StampsHardware { // some reasons show only when it is attached
		if why := p.stampsLack(a.Index, a.Name, p.options.Attach == AttachSKB); why != "" {
			return p.noStamps(why)
		}
	}
	tool, err := newEthtool()
	if err != nil {
		return err
	}
	p.setIdentity(a)
	p.mtu = a.MTU
	p.limits = limitsOf(l)
	p.driver, p.onBus = driver(p.device)
	p.countQueues(tool)
	return nil
}

// unfit says why an interface can never be a port; "" if it can.
func unfit(a *netlink.LinkAttrs) string {
	switch {
	case a.Flags&net.FlagLoopback != 0:
		return "a loopback interface has no other side"
	case a.EncapType != "ether" || len(a.HardwareAddr) != 6:
		return fmt.Sprintf("not an Ethernet interface (%s)", a.EncapType)
	}
	return ""
}

// Fit implements port.Port. A network interface has the queues and the MTU that it has.
func (p *Port) Fit(queues, mtu, longest int) {}

// Prepare implements port.Port. It switches off the features that falsify frames.
func (p *Port) Prepare() (undo func() error, err error) {
	tool, err := newEthtool()
	if err != nil {
		return nil, err
	}
	p.warn(tool)
	p.readRecord()
	restore, err := p.offloadsOff(tool)
	if err != nil {
		return nil, err
	}
	return func() error {
		switch {
		case p.outlives:
			p.closeRecord()
			return nil
		case restore == nil:
			return nil
		}
		return restore()
	}, nil
}

// programPresent returns the error that says whose XDP program is on the interface.
func (p *Port) programPresent(program uint32) error {
	who, end := p.options.Owner(program)
	switch {
	case end != "":
		return fmt.Errorf("port %s: %s is on it; to end that, run: %s", p.name, who, end)
	case who == "":
		who = "somebody else"
	}
	return fmt.Errorf("port %s: an XDP program of %s (id %d) is attached; detach it, or start with --replace", p.name, who, program)
}

// holder says who uses the interface, by the owner of the XDP program on it.
func (p *Port) holder() string {
	who, end := "", ""
	if l, err := netlink.LinkByIndex(p.index); err == nil {
		if program := programOn(l.Attrs()); program != 0 {
			who, end = p.options.Owner(uint32(program))
		}
	}
	switch {
	case who == "":
		return "somebody else"
	case end != "":
		return fmt.Sprintf("%s; to end that, run: %s", who, end)
	}
	return who
}

// warn logs what is unusual about the interface, though it can be served.
func (p *Port) warn(tool *ethtool) {
	l, err := netlink.LinkByIndex(p.index)
	if err != nil {
		return // the next step will return this error
	}
	a := l.Attrs()
	p.up = working(a)
	if a.Flags&net.FlagUp == 0 {
		p.logf("port %s: the link is down; to fix this, run: ip link set %s up", p.name, port.Word(p.device))
	} else if !p.up {
		p.logf("port %s: the link has no carrier", p.name)
	}
	p.warnAddresses(l)
	p.warnMaster(a)
	p.warnStacked()
	p.warnPeer(tool, l)
}

// working says whether a link is up and has carrier. Some drivers do not report the carrier.
func working(a *netlink.LinkAttrs) bool {
	return a.Flags&net.FlagUp != 0 && a.OperState != netlink.OperDown && a.OperState != netlink.OperLowerLayerDown
}

// driver returns the name of the interface's driver, or "-", and whether the driver names a bus that
// the device is on.
func driver(name string) (driver string, onBus bool) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "-", false
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	if err != nil {
		return "-", false
	}
	driver, onBus = unix.ByteSliceToString(info.Driver[:]), info.Bus_info[0] != 0
	if driver == "" {
		driver = "-"
	}
	return driver, onBus
}

// countQueues finds out how many queues the interface has.
func (p *Port) countQueues(tool *ethtool) {
	c, err := tool.channels(p.index)
	if err != nil {
		// If the device does not tell, the queues are those that sysfs lists, or one.
		c = channels{rx: sysfsQueues(p.device, "rx"), tx: sysfsQueues(p.device, "tx")}
	}
	p.rxQueues, p.txQueues, p.combined = c.rx+c.combined, c.tx+c.combined, c.combined > 0
}

// QueueCommand implements port.Port.
func (p *Port) QueueCommand(n int) string {
	if p.combined {
		return fmt.Sprintf("ethtool -L %s combined %d", port.Word(p.device), n)
	}
	return fmt.Sprintf("ethtool -L %s rx %d tx %d", port.Word(p.device), n, n)
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

// warnAddresses warns of IP addresses: what is sent to them crosses the bridge and does not reach
// this host.
func (p *Port) warnAddresses(l netlink.Link) {
	addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return
	}
	for _, a := range addresses {
		if !a.IP.IsLinkLocalUnicast() {
			p.logf("port %s: it has the IP address %s, at which this host cannot be reached while frames are bridged", p.name, a.IPNet)
		}
	}
}
