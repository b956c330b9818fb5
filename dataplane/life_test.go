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

// childInterfaces makes the test binary an engine's process of its own: tests run
// it inside the lab, to kill it or to take its rights away.
const childInterfaces = "ETHERTAP_TEST_CHILD"

func TestMain(m *testing.M) {
	if names := os.Getenv(childInterfaces); names != "" {
		os.Exit(child(strings.Split(names, ",")))
	}
	os.Exit(m.Run())
}

func child(interfaces []string) int {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	e, err := dataplane.New(dataplane.Config{Interfaces: interfaces, Logf: func(f string, a ...any) { fmt.Printf(f+"\n", a...) }})
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
	for range 3 {
		p := startChild(t, lab.Dut)
		if err := p.WaitOutput("running", 20*time.Second); err != nil {
			t.Fatalf("%v: %s", err, p.Output())
		}
		if l := lab.Dut.Link(netlab.D0); l.XDPProgram == 0 || l.Promiscuity == 0 {
			t.Fatalf("it runs, but %+v", l)
		}
		stop := traffic(t, lab.Src, netlab.S0)
		time.Sleep(20 * time.Millisecond)
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		stop()
		await(t, "nothing is left", func() bool {
			a, b := lab.Dut.Link(netlab.D0), lab.Dut.Link(netlab.D1)
			return a.XDPProgram == 0 && a.Promiscuity == 0 && b.XDPProgram == 0 && b.Promiscuity == 0
		})
	}
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 100))
}

// resources counts what a process has: mappings, descriptors, goroutines.
func resources(t *testing.T) (maps, fds, goroutines int) {
	t.Helper()
	runtime.GC() // closes what only garbage holds, and is no leak of ours
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		// The Go heap, its stacks and those of threads come and go as the
		// runtime likes; what we map has another name or is a UMEM's size.
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

// umemSized says whether a mapping is as large as the UMEM of a bridge of MTU
// 1500: 2 × 6144 frames of 2048 bytes. The kernel joins neighbours, so larger
// anonymous mappings count as well.
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
		d.mustStart()
		if err := d.start(); err == nil {
			t.Fatal("it was started twice")
		}
		d.mustStop()
		d.mustStop() // once more is no error
		d.checkFrames()
	}
	cycle() // what is opened once and for all is open now
	maps, fds, goroutines := resources(t)
	for range 50 {
		cycle()
	}
	await(t, "as before", func() bool {
		m, f, g := resources(t)
		return m <= maps && f <= fds && g <= goroutines
	})
	untouched(t, lab.Dut)
	d.mustStart()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 100))
	if s := d.stats(0); s.RX != 100 {
		t.Errorf("rx %d, want 100", s.RX)
	}
	d.ResetStats()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 10))
	if s, err := d.QueueStats(0, 0); err != nil || s.RX != 10 || d.stats(1).TX != 10 {
		t.Errorf("after the reset: %+v, tx %d, %v", s, d.stats(1).TX, err)
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

func TestOffloadsAreSwitchedOffAndRestored(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	features := []string{"tx-vlan-hw-insert", "rx-vlan-hw-parse", "tx-checksum-ip-generic"}
	for _, f := range features {
		lab.Dut.SetFeature(netlab.D0, f, true)
	}
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	for _, f := range features {
		if lab.Dut.Feature(netlab.D0, f) {
			t.Errorf("%s is on while frames are bridged", f)
		}
	}
	if d.said("port d0: switched off: ") != 1 || d.said("port d1: switched off") != 0 {
		t.Errorf("said %q", d.lines())
	}
	d.mustStop()
	for _, f := range features {
		if !lab.Dut.Feature(netlab.D0, f) || lab.Dut.Feature(netlab.D1, f) {
			t.Errorf("%s is not as it was: d0 %v, d1 %v", f, lab.Dut.Feature(netlab.D0, f), lab.Dut.Feature(netlab.D1, f))
		}
	}
	if d.said("port d0: restored: ") != 1 {
		t.Errorf("said %q", d.lines())
	}
}

func TestStartRefusesWithAReason(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	netlab.Veth(lab.Dut, "wide0", lab.Dut, "wide1", netlab.VethOptions{Queues: 2})
	netlab.Veth(lab.Dut, "long0", lab.Dut, "long1", netlab.VethOptions{MTU: 9000})
	for _, c := range []struct {
		want string
		c    dataplane.Config
	}{
		{"port nothere: no such interface", dataplane.Config{Interfaces: []string{netlab.D0, "nothere"}}},
		{"port lo: a loopback interface", dataplane.Config{Interfaces: []string{netlab.D0, "lo"}}},
		{"port wide0: 2 receive queues but 1 to be served: the rest of the traffic would be lost: ethtool -L wide0 rx 1 tx 1", dataplane.Config{Interfaces: []string{netlab.D0, "wide0"}}},
		{"port d0: only 1 receive queues for 2 threads", dataplane.Config{Queues: 2}},
		{"port long0: MTU 9000 does not fit", dataplane.Config{Interfaces: []string{netlab.D0, "long0"}}},
		{"port d0: the driver (veth) has no zero-copy", dataplane.Config{Copy: dataplane.ZeroCopyForced}},
		{"pin to CPU 1000", dataplane.Config{CPUs: []int{1000}}},
	} {
		d := newDevice(t, lab, c.c)
		if err := d.start(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want %q in one line", err, c.want)
		}
		if d.Running() || d.Ports()[0].Mode != "-" {
			t.Error("it seems to run")
		}
		untouched(t, lab.Dut)
	}
}

func TestQueueThatSomebodyHoldsIsNamed(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{})
	d.mustStart()
	other := newDevice(t, lab, dataplane.Config{Replace: true})
	if err := other.start(); err == nil || !strings.Contains(err.Error(), "port d0: bind to queue 0: device or resource busy") {
		t.Errorf("error %v", err)
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50)) // the first one goes on
}

func TestMissingPrivilegesAreNamed(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.RequireTool(t, "setpriv")
	lab := netlab.NewBridge(t)
	for _, drop := range []struct{ flag, want string }{
		{"-all", "error: privileges: missing CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF"},
		{"-net_admin", "error: privileges: missing CAP_NET_ADMIN\n"},
		{"-bpf,-sys_admin", "error: privileges: missing CAP_BPF\n"},
	} {
		p := startChild(t, lab.Dut, "setpriv", "--bounding-set", drop.flag)
		status, err := p.Wait(20 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if out := p.Output(); status != 1 || !strings.HasPrefix(out, drop.want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: status %d: %s", drop.flag, status, out)
		}
	}
	untouched(t, lab.Dut)
}

func TestWarnings(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	lab.Dut.AddAddress(netlab.D0, "192.0.2.1/24")
	netlab.Veth(lab.Dut, "down0", lab.Dut, "down1", netlab.VethOptions{Down: true})
	lab.Dut.SetFeature("down1", "tx-checksum-ip-generic", true)
	d := newDevice(t, lab, dataplane.Config{Interfaces: []string{netlab.D0, "down0"}})
	d.mustStart()
	for _, want := range []string{
		"port d0: has the IP address 192.0.2.1/24",
		"port d0: the other end of this veth is in another namespace",
		"port down0: the link is down",
		"port down0: its veth peer has tx-checksum-ip-generic on, so frames of that host may arrive broken: ethtool -K down1 tx off",
	} {
		if d.said(want) != 1 {
			t.Errorf("said %d times: %q", d.said(want), want)
		}
	}
}

// A frame of 3800 bytes needs the larger chunk, and native XDP on a veth has no
// room for it: the automatic mode goes over to generic XDP and says so.
func TestLargeMTU(t *testing.T) {
	netlab.RequireRoot(t)
	for _, c := range []struct {
		mtu  int
		mode string
	}{{3000, "COPY"}, {3810, "SKB"}} {
		lab := netlab.NewBridgeWith(t, netlab.Options{MTU: c.mtu})
		d := newDevice(t, lab, dataplane.Config{})
		d.mustStart()
		if p := d.Ports()[1]; p.Mode != c.mode || p.MTU != c.mtu {
			t.Errorf("port %+v, want %s", p, c.mode)
		}
		var frames [][]byte
		for i := range uint64(50) {
			frames = append(frames, netlab.UDP(14+c.mtu-int(i), i), netlab.VLAN(18+c.mtu-int(i), i, 7))
		}
		pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
		pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
		d.checkBooks()
	}
}

func TestTwoQueues(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridgeWith(t, netlab.Options{Queues: 2})
	d := newDevice(t, lab, dataplane.Config{Queues: 2, CPUs: []int{0, 1}})
	d.mustStart()
	s := lab.Src.NewSender(netlab.S0, false)
	for i := range uint64(400) {
		frame := netlab.UDP(100, i)
		frame[34], frame[35] = byte(i>>8), byte(i) // source ports: flows are spread over the queues
		if err := s.Send(frame); err != nil {
			t.Fatal(err)
		}
	}
	d.await("all are counted", func() bool { return d.stats(0).RX == 400 && d.stats(1).TX == 400 })
	var sum uint64
	for q := range 2 {
		st, err := d.QueueStats(0, q)
		if err != nil {
			t.Fatal(err)
		}
		if st.RX == 0 {
			t.Errorf("queue %d carried nothing", q)
		}
		sum += st.RX
	}
	if sum != 400 {
		t.Errorf("the queues' sum is %d", sum)
	}
	d.checkBooks()
}

func TestIdleModes(t *testing.T) {
	netlab.RequireRoot(t)
	for _, mode := range []dataplane.PollMode{dataplane.PollAdaptive, dataplane.PollSpin, dataplane.PollSleep} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			lab := netlab.NewBridge(t)
			d := newDevice(t, lab, dataplane.Config{Poll: mode})
			d.mustStart()
			frames := netlab.Mix(uint64(mode), 300)
			pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
			pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
			d.checkBooks()
		})
	}
}
