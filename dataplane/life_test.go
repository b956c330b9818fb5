// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asavie/xdp"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// childInterfaces makes the test binary run an engine in a process of its own. Tests run it in the
// lab, to kill it or to take its rights away.
const (
	childInterfaces = "ETHERTAP_TEST_CHILD"
	childRunDir     = "ETHERTAP_TEST_RUNDIR"
	childPoll       = "ETHERTAP_TEST_POLL" // a name of ParsePollMode; adaptive without it
)

func TestMain(m *testing.M) {
	if names := os.Getenv(childInterfaces); names != "" {
		os.Exit(child(strings.Split(names, ",")))
	}
	os.Exit(m.Run())
}

func child(interfaces []string) int {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	poll, _ := dataplane.ParsePollMode(os.Getenv(childPoll))
	e, err := dataplane.New(dataplane.Config{Interfaces: interfaces, RunDir: os.Getenv(childRunDir), Poll: poll, Logf: func(f string, a ...any) { fmt.Printf(f+"\n", a...) }})
	if err == nil {
		err = e.Start()
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("running")
	<-ended
	if err := e.Stop(); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

func startChild(t *testing.T, ns *netlab.Namespace, wrapper ...string) *netlab.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(wrapper, "env", childInterfaces+"="+netlab.D0+","+netlab.D1, self)
	return ns.Start(args[0], args[1:]...)
}

func untouched(t *testing.T, ns *netlab.Namespace) {
	t.Helper()
	for _, name := range []string{netlab.D0, netlab.D1} {
		if l := ns.Link(name); l.XDPProgram != 0 || l.Promiscuity != 0 {
			t.Errorf("%s: XDP program %d, promiscuity %d", name, l.XDPProgram, l.Promiscuity)
		}
	}
}

func TestKilledEngineLeavesNothingAndStartsAgain(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	rounds := 3
	if netlab.Driver(t) == "igb" {
		rounds = 1
	}
	for range rounds {
		p := startChild(t, lab.Dut)
		if err := p.WaitOutput("running", 20*time.Second); err != nil {
			t.Fatalf("%v: %s", err, p.Output())
		}
		if l := lab.Dut.Link(netlab.D0); l.XDPProgram == 0 || l.Promiscuity == 0 {
			t.Fatalf("it runs, but %+v", l)
		}
		stop := traffic(t, lab.Src, netlab.S0)
		before := lab.Snk.Link(netlab.K1).Counters.RxPackets
		netlab.Await(t, "frames pass", func() bool { return lab.Snk.Link(netlab.K1).Counters.RxPackets > before+20 })
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		stop()
		netlab.Await(t, "nothing is left", func() bool {
			a, b := lab.Dut.Link(netlab.D0), lab.Dut.Link(netlab.D1)
			return a.XDPProgram == 0 && a.Promiscuity == 0 && b.XDPProgram == 0 && b.Promiscuity == 0
		})
	}
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 100))
}

// resources counts the mappings, descriptors and goroutines of a process.
func resources(t *testing.T) (maps, fds, goroutines int) {
	t.Helper()
	runtime.GC() // closes descriptors that only garbage holds, which are no leak of ours
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		// The Go heap, its stacks and those of threads come and go as the runtime likes. Our
		// mappings have another name, or the size of a UMEM.
		if strings.Contains(line, "socket:") || strings.Contains(line, "xdp") || strings.Contains(line, "hugepage") || umemSized(line) {
			maps++
		}
	}
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return maps, len(d), runtime.NumGoroutine()
}

// umemSized says whether a mapping is as large as the UMEM of a bridge of MTU 1500: 2 × 6144 frames
// of 2048 bytes. The kernel joins neighbours, so larger anonymous mappings count as well.
func umemSized(line string) bool {
	var from, to uint64
	if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
		return false
	}
	return to-from >= 2*6144*2048 && strings.Contains(line, "rw-p") && !strings.Contains(line, "c0000")
}

func TestFiftyStartsAndStopsLeaveNothing(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	q := newQueue(t, 128)
	d := newDevice(t, lab, dataplane.Config{Queue: q})
	cycle := func() {
		if err := d.start(); err != nil {
			t.Fatal(err)
		}
		if err := d.start(); err == nil {
			t.Fatal("it was started twice")
		}
		d.mustStop()
		d.mustStop() // stopping again is no error
		d.checkFrames()
	}
	cycle() // everything that is opened once is open now
	maps, fds, goroutines := resources(t)
	cycles := 50
	if netlab.Driver(t) == "igb" { // the driver starts the device anew four times in each, which takes eight seconds in emulation
		cycles = 3
	}
	for range cycles {
		cycle()
	}
	netlab.Await(t, "as before", func() bool {
		m, f, g := resources(t)
		return m <= maps && f <= fds && g <= goroutines
	})
	untouched(t, lab.Dut)
	d.mustStart()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 100))
	d.counted(100, 0)
	d.ResetStats()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 10))
	d.counted(10, 0)
	if s := d.queueStats(0, 0); s.RX != 10 {
		t.Errorf("after the reset: %+v", s)
	}
}

func passProgram(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "foreign", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestForeignProgramIsLeftAloneUnlessReplaced(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	foreign := passProgram(t)
	if err := lab.Dut.Do(func() error {
		l, err := netlink.LinkByName(netlab.D1)
		if err != nil {
			return err
		}
		return (&xdp.Program{Program: foreign}).Attach(l.Attrs().Index)
	}); err != nil {
		t.Fatal(err)
	}
	id := lab.Dut.Link(netlab.D1).XDPProgram
	if id == 0 {
		t.Fatal("the foreign program is not attached")
	}
	d := newDevice(t, lab, dataplane.Config{})
	err := d.start()
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port d1: an XDP program of somebody else (id %d)", id)) {
		t.Fatalf("error %v", err)
	}
	if got := lab.Dut.Link(netlab.D1).XDPProgram; got != id {
		t.Fatalf("program %d is attached, was %d", got, id)
	}
	if l := lab.Dut.Link(netlab.D0); l.XDPProgram != 0 || l.Promiscuity != 0 || d.Ports()[0].Mode != "-" {
		t.Errorf("the refused start left %+v", l)
	}
	replacing := newDevice(t, lab, dataplane.Config{Replace: true})
	replacing.mustStart()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))
	replacing.mustStop()
	if got := lab.Dut.Link(netlab.D1).XDPProgram; got != id {
		t.Errorf("program %d is attached after the stop, was %d", got, id)
	}
}

func TestForeignLinkIsReplacedOnRequest(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	foreign := passProgram(t)
	if err := lab.Dut.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: foreign, Interface: lab.Dut.Link(netlab.D0).Index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, lab, dataplane.Config{})
	if err := d.start(); err == nil || !strings.Contains(err.Error(), "port d0: an XDP program of somebody else") {
		t.Fatalf("error %v", err)
	}
	replacing := newDevice(t, lab, dataplane.Config{Replace: true})
	replacing.mustStart()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))
}
