// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Environment variables by which a machine says what its lab is. tests/guest sets them.
const (
	modeVariable     = "NETLAB_MODE"       // OnNICs and the mode of the ports: zerocopy, copy or generic
	deviceVariable   = "NETLAB_DEVICE"     // the emulator's device under test and its properties, as JSON
	programsVariable = "ETHERTAP_PROGRAMS" // a directory with our programs, for a machine that cannot build
)

// Mode is how programs under test are to use the NICs of this machine: "zerocopy", "copy" or
// "generic". It is empty where the links are veths, and tests choose for themselves.
func Mode() string { return os.Getenv(modeVariable) }

// InGuest tells whether this is a virtual machine of tests/guest, with an emulated processor most
// likely.
func InGuest() bool { return os.Getenv(programsVariable) != "" }

// OnNICs tells whether the four ends of a Bridge are NICs, joined in pairs by a hub, instead of
// veths. There is one such set in a machine, so one Bridge at a time: tests run with
// -test.parallel 1, and a second Bridge in a test takes the NICs out of the first.
func OnNICs() bool { return Mode() != "" }

// Driver is the driver of d0 and d1.
func Driver(t testing.TB) string {
	t.Helper()
	if !OnNICs() {
		return "veth"
	}
	name, _ := emulated(t)["driver"].(string)
	if name == "virtio-net-pci" {
		return "virtio_net"
	}
	return name
}

// emulated is the emulator's device under test.
func emulated(t testing.TB) (device map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(os.Getenv(deviceVariable)), &device); err != nil {
		t.Fatalf("%s: %v", deviceVariable, err)
	}
	return device
}

// A Need is something that a test cannot do without and that only some links give.
type Need string

// What veths give and NICs do not, or not all. The text says why not.
const (
	FarEnd        Need = "the other end is in another machine, as far as the driver knows"
	LinksOfOurOwn Need = "such links are neither made nor deleted"
	AnyOffload    Need = "the driver has offloads that it does not switch"
	ManyQueues    Need = "the number of queues is the device's" // igb has them
	ChosenModes   Need = "the mode of the ports is that of the row"
	FastPath      Need = "frames go through the threads"                      // but with native XDP that copies
	Bypass        Need = "generic XDP has no bypass"                          // native XDP has
	BypassOfHangs Need = "while a thread hangs the driver refuses the frames" // in zero-copy, where they lack room for its header
	NoLossAtAKill Need = "frames go through the threads, and what one has in its hands when it is killed is lost"
)

// Needs skips the test where the links do not give what it needs.
func Needs(t testing.TB, needs ...Need) {
	t.Helper()
	if !OnNICs() {
		return
	}
	for _, n := range needs {
		switch {
		case n == ManyQueues && Driver(t) == "igb":
		case (n == FastPath || n == NoLossAtAKill) && Mode() == "copy":
		case n == Bypass && Mode() != "generic":
		case n == BypassOfHangs && (Mode() != "zerocopy" || Driver(t) != "virtio_net"):
		default:
			t.Skipf("not on links of %s in mode %s: %s", Driver(t), Mode(), string(n))
		}
	}
}

// NeedsKernel skips the test where the kernel is older than one that has what it needs.
func NeedsKernel(t testing.TB, major, minor int, what string) {
	t.Helper()
	if !KernelHas(t, major, minor) {
		t.Skipf("needs Linux %d.%d: %s", major, minor, what)
	}
}

// KernelHas tells whether the kernel is of this version or later.
func KernelHas(t testing.TB, major, minor int) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var a, b int
	release := unix.ByteSliceToString(name.Release[:])
	if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
		t.Fatalf("kernel %q: %v", release, err)
	}
	return a > major || a == major && b >= minor
}

// Shortest is the smallest frame that arrives as it was sent.
func Shortest() int {
	if OnNICs() {
		return MinFrame
	}
	return headerSize
}

// place is the number of an end's NIC: its root port and the end of its address.
func place(end string) int {
	return map[string]int{S0: 1, D0: 2, D1: 3, K1: 4}[end]
}

// nicPatience bounds the wait for a NIC that leaves a namespace, is plugged in, or finds
// its carrier again.
const nicPatience = 30 * time.Second

// nicAt finds the interface at a place, which is what is on the bus of that number.
func nicAt(place int) (string, error) {
	all, err := filepath.Glob("/sys/class/net/*")
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if to, err := os.Readlink(p); err == nil && strings.Contains(to, fmt.Sprintf("/0000:%02x:00.0/", place)) {
			return filepath.Base(p), nil
		}
	}
	return "", fmt.Errorf("no NIC at place %d: %w", place, fs.ErrNotExist)
}

// home takes the NICs out of the Bridge that has them.
var home = func() {}

// nicBridge puts the NICs of the machine at the ends of a Bridge, as if they were new.
func nicBridge(t testing.TB, b *Bridge, o Options) {
	t.Helper()
	home()
	b.nics = true
	for _, end := range b.ends() {
		takeNIC(t, end.n, end.link, o)
	}
	for _, end := range b.ends() {
		end.n.SetUp(end.link)
	}
	// The ends under test may lose their carrier once more when a program is attached, so that is
	// when a test waits for it, by Settle.
	b.Src.WaitUp(S0)
	b.Snk.WaitUp(K1)
	home = func() {
		for _, end := range b.ends() {
			// One that was unplugged or moved is not there.
			_ = end.n.Do(func() error {
				l, err := netlink.LinkByName(end.link)
				if err != nil {
					return err
				}
				return errors.Join(netlink.LinkSetDown(l), netlink.LinkSetNsPid(l, 1))
			})
		}
		home = func() {}
	}
	t.Cleanup(home)
}

// takeNIC brings the NIC of an end into its namespace, with the name of the end.
func takeNIC(t testing.TB, n *Namespace, end string, o Options) {
	t.Helper()
	at := place(end)
	name := ""
	for deadline := time.Now().Add(nicPatience); name == ""; time.Sleep(5 * time.Millisecond) {
		var err error
		if name, err = nicAt(at); err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	mtu := o.MTU
	if mtu == 0 {
		mtu = 1500
	}
	err := func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if x := l.Attrs().Xdp; x != nil && x.Attached {
			return errors.New("an earlier test has left an XDP program on it")
		}
		err = netlink.LinkSetDown(l)
		for i := l.Attrs().Promisc; i > 0 && err == nil; i-- {
			err = netlink.SetPromiscOff(l)
		}
		mac := net.HardwareAddr{2, 0, 0, 0, 0, byte(at)}
		// Names may be taken in either namespace: by a NIC at another end, that is.
		return errors.Join(err, netlink.LinkSetName(l, fmt.Sprintf("nic%d", at)), netlink.LinkSetHardwareAddr(l, mac),
			netlink.LinkSetMTU(l, mtu), netlink.LinkSetNsFd(l, int(n.file.Fd())))
	}()
	if err != nil {
		t.Fatalf("NIC %s for %s: %v", name, end, err)
	}
	n.Rename(fmt.Sprintf("nic%d", at), end)
	if end == D0 || end == D1 {
		n.setCombined(end, max(1, o.Queues))
	} else {
		n.SetPromisc(end, true) // as a veth, it is to take in every frame
	}
	n.OffloadsOff(end)
}

// end is one of the four of a Bridge.
type end struct {
	n    *Namespace
	link string
}

// OnNICs tells whether this bridge has the NICs of the machine.
func (b *Bridge) OnNICs() bool { return b.nics }

func (b *Bridge) ends() []end {
	return []end{{b.Src, S0}, {b.Dut, D0}, {b.Dut, D1}, {b.Snk, K1}}
}

// Settle waits until all links that are up have their carrier. A driver may take it down for some
// seconds when an XDP program is attached or goes, and frames are lost then: call
// it when a program under test has started. On veths it does nothing.
func (b *Bridge) Settle() {
	if !b.nics {
		return
	}
	for _, end := range b.ends() {
		end.n.t.Helper()
		if s, err := end.n.lookLink(end.link); err == nil && s.Up { // it may be away
			end.n.WaitUp(end.link)
		}
	}
}
