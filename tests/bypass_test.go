// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/tests/netlab"
)

// bypassRig is a rig whose outer ends take redirected frames, and a BPF file system of
// its own.
func bypassRig(t *testing.T) (r *rig, bpffs string) {
	t.Helper()
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.Bypass)
	r = newRigOn(t, netlab.NewBridgeWith(t, netlab.Options{GRO: true}))
	bpffs = filepath.Join(r.dir, "bpffs")
	if err := os.Mkdir(bpffs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("bpf", bpffs, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// With it goes what is pinned in it.
		if err := unix.Unmount(bpffs, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return r, bpffs
}

// flowing are numbered frames that are sent until stop, which returns how many.
type flowing struct {
	stopping chan struct{}
	sent     chan int
	count    atomic.Int64 // how many until now
}

func (r *rig) flow() *flowing {
	r.t.Helper()
	s := &flowing{stopping: make(chan struct{}), sent: make(chan int, 1)}
	sender := r.Src.NewSender(netlab.S0, true)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-s.stopping:
				s.sent <- n
				return
			default:
			}
			if sender.Send(netlab.UDP(64+n%1000, uint64(n))) != nil {
				close(s.sent)
				return
			}
			s.count.Add(1)
			if n%8 == 7 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	return s
}

// goOn waits until so many further frames have been sent.
func (s *flowing) goOn(t *testing.T, n int64) {
	t.Helper()
	n += s.count.Load()
	netlab.Await(t, "frames flow", func() bool { return s.count.Load() >= n })
}

func (s *flowing) stop(t *testing.T) int {
	t.Helper()
	close(s.stopping)
	n, ok := <-s.sent
	if !ok {
		t.Fatal("sending failed")
	}
	return n
}

// once demands that of n numbered frames each came, and once, but for at most so many beside those
// that the bridge counts as lost: on a busy machine a thread may be late for longer than its rings last.
func (r *rig) once(receiver *netlab.Receiver, n, allowed int) {
	t := r.t
	t.Helper()
	atMost := 20 * time.Second
	if allowed > 0 {
		atMost = 2 * time.Second
	}
	frames, err := receiver.Collect(n, atMost)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[uint64]bool, n)
	for _, f := range frames {
		seq, ok := netlab.Seq(f)
		if !ok {
			continue
		}
		if seen[seq] {
			t.Errorf("frame %d came twice", seq)
		}
		seen[seq] = true
	}
	drops, err := receiver.Drops()
	lost := atoi(t, r.stat(0, "lost"))
	if missing := n - len(seen) - int(drops); err != nil || missing > allowed+lost || missing < 0 {
		t.Errorf("%d frames sent, %d came, %d found no room at the receiver, %d were lost at the bridge, %d may be missing: %v", n, len(seen), drops, lost, allowed, err)
	}
}

func (r *rig) kill() {
	r.t.Helper()
	pid := atoi(r.t, r.daemonPID())
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	netlab.Await(r.t, "it is gone", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

// While frames flow the process is killed, started again, stopped, started again: none
// of them is lost. In the end nothing is left behind.
func TestBypassOutlivesTheProcess(t *testing.T) {
	netlab.Needs(t, netlab.NoLossAtAKill)
	t.Parallel()
	r, bpffs := bypassRig(t)
	r.daemon("--bpffs", bpffs, "-e", "bypass.enable")
	pins := filepath.Join(bpffs, "ethertap-ethertap")
	if out := r.rpcl("bypass.status"); out != "bypass enabled, after 200 ms without a sign of life\npinned in "+pins+"\n0 d0 bypassed 0\n1 d1 bypassed 0\n" {
		t.Fatalf("bypass.status: %s", out)
	}
	program := r.Dut.Link(netlab.D0).XDPProgram
	receiver := r.Snk.NewReceiver(netlab.K1)
	s := r.flow()
	s.goOn(t, 300)
	r.kill()
	if l := r.Dut.Link(netlab.D0); l.XDPProgram != program || l.Promiscuity == 0 {
		t.Errorf("after the kill: program %d (was %d), promiscuity %d", l.XDPProgram, program, l.Promiscuity)
	}
	s.goOn(t, 300)
	r.daemon("--bpffs", bpffs)
	if out := r.rpcl("bypass.status"); !strings.HasPrefix(out, "bypass enabled, after 200 ms without a sign of life\npinned in ") {
		t.Errorf("taken over: %s", out)
	}
	if l := r.Dut.Link(netlab.D0); l.XDPProgram != program {
		t.Errorf("taken over: program %d, was %d", l.XDPProgram, program)
	}
	s.goOn(t, 300)
	r.must(r.control, "ethertap", "stop")
	s.goOn(t, 300)
	r.daemon("--bpffs", bpffs)
	s.goOn(t, 300)
	n := s.stop(t)
	r.once(receiver, n, 0)
	netlab.Await(t, "all are counted", func() bool { return r.stat(1, "tx") == r.stat(0, "rx") && atoi(t, r.stat(0, "rx")) >= n })
	r.rpcl("if.check bypass.disable")
	if _, err := os.Stat(pins); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", pins, err)
	}
	r.rpcl("bypass.enable bypass.disable bypass.enable")
	if _, err := os.Stat(pins); err != nil {
		t.Error(err)
	}
	r.rpcl("bypass.disable")
	r.must(r.control, "ethertap", "stop")
	r.untouched()
}

// Programs that ask the device for time stamps are taken over by a process that wants these, and
// replaced by one that does not, or at the prompt. No frame is lost by that.
func TestBypassWithStampsOfTheDevice(t *testing.T) {
	netlab.RequireRoot(t)
	netlab.Needs(t, netlab.FarEnd) // of NICs no driver that an emulator has can be asked
	netlab.NeedsKernel(t, 6, 15, "programs bound to a device that redirect")
	t.Parallel()
	r, bpffs := bypassRig(t)
	program := func() uint32 { return r.Dut.Link(netlab.D0).XDPProgram }
	r.daemon("--bpffs", bpffs, "--timestamps", "hardware", "-e", "bypass.enable")
	first := program()
	receiver := r.Snk.NewReceiver(netlab.K1)
	s := r.flow()
	s.goOn(t, 300)
	r.kill()
	s.goOn(t, 300)
	r.daemon("--bpffs", bpffs, "--timestamps", "hardware")
	if now := program(); now != first {
		t.Errorf("taken over: program %d, was %d", now, first)
	}
	if out := r.rpcl("if.list"); strings.Count(out, " timestamps:hardware\n") != 2 {
		t.Errorf("if.list: %s", out)
	}
	r.kill()
	r.daemon("--bpffs", bpffs)
	second := program()
	if second == first {
		t.Error("a process that asks for no time stamps of the device has the programs of one that did")
	}
	s.goOn(t, 300)
	r.rpcl("hardware if.timestamps")
	if now := program(); now == second || now == first {
		t.Errorf("program %d after if.timestamps", now)
	}
	if out := r.rpcl("bypass.status fastpath.status"); !strings.Contains(out, "pinned in ") || strings.Contains(out, "not used") {
		t.Errorf("status: %s", out)
	}
	s.goOn(t, 300)
	n := s.stop(t)
	r.once(receiver, n, 0)
	r.rpcl("bypass.disable if.check")
}

// Programs of another version are replaced in one step, under traffic, on links that keep
// their names; likewise where somebody was killed who was about to do that.
func TestBypassOfAnotherVersion(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	r.daemon("--bpffs", bpffs, "-e", "bypass.enable")
	dir := filepath.Join(bpffs, "ethertap-ethertap")
	pinned := func() string {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(dir, "version-*"))
		if err != nil || len(list) != 1 {
			t.Fatalf("%v %v", list, err)
		}
		return list[0]
	}
	inode := func() uint64 {
		t.Helper()
		info, err := os.Stat(filepath.Join(dir, "link0"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	version, link := pinned(), inode()
	receiver := r.Snk.NewReceiver(netlab.K1)
	for _, left := range []func(name string) error{
		func(name string) error { // all, of version 0
			if filepath.Join(dir, name) == version {
				return os.Rename(version, filepath.Join(dir, "version-0"))
			}
			return nil
		},
		func(name string) error { // the links
			if name == "link0" || name == "link1" {
				return nil
			}
			return os.Remove(filepath.Join(dir, name))
		},
	} {
		s := r.flow()
		r.kill()
		program := r.Dut.Link(netlab.D0).XDPProgram
		names, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range names {
			if err := left(e.Name()); err != nil {
				t.Fatal(err)
			}
		}
		r.daemon("--bpffs", bpffs)
		s.goOn(t, 150)
		r.once(receiver, s.stop(t), 0)
		if again := pinned(); again != version {
			t.Errorf("pins of %v, want %v", again, version)
		}
		if l := r.Dut.Link(netlab.D0); l.XDPProgram == program || l.XDPProgram == 0 {
			t.Errorf("program %d, was %d", l.XDPProgram, program)
		}
		if inode() != link {
			t.Error("link0 has been pinned anew")
		}
		netlab.Await(t, "nothing is held", func() bool { return r.stat(0, "held") == "0" && r.stat(0, "rx") == r.stat(1, "tx") })
	}
	r.rpcl("if.check bypass.disable")
	r.must(r.control, "ethertap", "stop")
	r.untouched()
}

// With a delay every frame is diverted. A process that hangs is gone past after the limit, and
// comes back. Where the driver takes none of these frames, that was said.
func TestBypassOfAHangingProcess(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	r.daemon("--bpffs", bpffs, "-e", "0 fault.enable 1us 0 0 fault.delay 0 tap.rx.enable 50 bypass.limit bypass.enable")
	said, err := os.ReadFile(filepath.Join(r.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	loses := netlab.Mode() == "zerocopy" && netlab.Driver(t) == "virtio_net"
	if strings.Contains(string(said), "bypass: while a thread hangs, frames from port d0 to port d1 are lost: the driver (virtio_net)") != loses {
		t.Errorf("said %s", said)
	}
	netlab.Needs(t, netlab.BypassOfHangs)
	receiver := r.Snk.NewReceiver(netlab.K1)
	s := r.flow()
	// What is tapped does not tell: the queue is full after a while.
	taken := func() int { return atoi(t, r.stat(0, "rx")) - atoi(t, r.stat(0, "bypassed")) }
	netlab.Await(t, "frames are taken to user space", func() bool { return taken() > 100 })
	before := atoi(t, r.stat(0, "bypassed"))
	pid := atoi(t, r.daemonPID())
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	arrived := r.Snk.Link(netlab.K1).Counters.RxPackets
	netlab.Await(t, "frames go past it", func() bool { return r.Snk.Link(netlab.K1).Counters.RxPackets > arrived+300 })
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	after := atoi(t, r.stat(0, "bypassed"))
	if after <= before {
		t.Errorf("%d frames went past, %d before it hung", after, before)
	}
	so := taken()
	netlab.Await(t, "frames are taken to user space again", func() bool { return taken() > so+100 })
	// Frames that waited when it hung came late, none is missing.
	r.once(receiver, s.stop(t), 0)
	r.rpcl("if.check")
	netlab.Await(t, "all that came is tapped or refused", func() bool {
		return atoi(t, r.stat(0, "tapped"))+atoi(t, r.stat(0, "tap full")) == atoi(t, r.stat(0, "rx"))
	})
	r.rpcl("bypass.disable if.stop")
	r.untouched()
}

// With a delay every frame is diverted. A process that is killed loses what it had in its hands.
func TestBypassOfWhatIsDiverted(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	r.daemon("--bpffs", bpffs, "-e", "0 fault.enable 1us 0 0 fault.delay 50 bypass.limit bypass.enable")
	receiver := r.Snk.NewReceiver(netlab.K1)
	s := r.flow()
	s.goOn(t, 150)
	r.kill()
	s.goOn(t, 150)
	r.daemon("--bpffs", bpffs, "-e", "0 fault.enable 1us 0 0 fault.delay")
	s.goOn(t, 150)
	// What was in the rings of the killed process is lost: at most what came within the limit
	// after which its thread passes for dead, 50 ms, at 8 frames a millisecond.
	const inRings = 50 * 8
	sent := s.stop(t)
	// virtio_net refuses what comes until the zero-copy of the killed process is gone, and this is counted.
	refused := 0
	if netlab.Mode() == "zerocopy" && netlab.Driver(t) == "virtio_net" {
		refused = atoi(t, r.stat(0, "err"))
	}
	r.once(receiver, sent, inRings+refused)
	r.rpcl("bypass.disable if.stop")
	r.untouched()
}

// Filters of the drop list and of taps are pinned with the rest: they stay in force when the
// process is killed, and the next one takes them over with the programs until it says otherwise.
func TestFiltersStayUnderBypass(t *testing.T) {
	netlab.Needs(t, netlab.NoLossAtAKill)
	t.Parallel()
	r, bpffs := bypassRig(t)
	r.daemon("--bpffs", bpffs, "-e", `"udp" drop.filter bypass.enable`)
	receiver := r.Snk.NewReceiver(netlab.K1)
	sender := r.Src.NewSender(netlab.S0, true)
	send := func(want int) {
		t.Helper()
		for i := range 20 {
			frame := netlab.UDP(100, uint64(i))
			if i%2 == 1 {
				frame[23] = 6 // no UDP any more
			}
			if err := sender.Send(frame); err != nil {
				t.Fatal(err)
			}
		}
		frames, err := receiver.Collect(want, 5*time.Second)
		if err != nil || len(frames) != want {
			t.Errorf("%d frames came, want %d: %v", len(frames), want, err)
		}
		for _, f := range frames {
			if want == 10 && f[23] != 6 {
				t.Error("a frame came that is to be dropped")
			}
		}
	}
	if out := r.rpcl("drop.filter.show"); !strings.Contains(out, "kernel") {
		t.Fatalf("the filter is not in the kernel: %s", out)
	}
	send(10)
	r.kill()
	send(10)
	r.daemon("--bpffs", bpffs)
	if out := r.rpcl("bypass.status drop.filter.show"); !strings.Contains(out, "bypass enabled") || strings.Contains(out, "udp") {
		t.Errorf("the next process: %s", out)
	}
	send(20) // it has no drop filter, unless it is told
	r.rpcl(`"udp" drop.filter`)
	send(10)
	r.rpcl("if.check bypass.disable")
	r.must(r.control, "ethertap", "stop")
	r.untouched()
}

// The pins of a killed process are removed by --clear, which refuses while a process runs.
func TestBypassCleared(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	const feature = "tx-vlan-hw-insert"
	r.Dut.SetFeature(netlab.D0, feature, true)
	r.daemon("--bpffs", bpffs, "-e", "bypass.enable")
	if _, errs, status := r.run(r.ethertap, "--clear", "--bpffs", bpffs); status != 1 || !strings.Contains(errs, "already running") || !strings.Contains(errs, "bypass.disable") {
		t.Errorf("--clear while it runs: status %d, %q", status, errs)
	}
	r.kill()
	if l := r.Dut.Link(netlab.D0); l.XDPProgram == 0 || l.Promiscuity == 0 || r.Dut.Feature(netlab.D0, feature) {
		t.Errorf("killed: %+v, %s %v", l, feature, r.Dut.Feature(netlab.D0, feature))
	}
	// Another instance in the namespace leaves it as it is.
	netlab.Veth(r.Dut, "e0", r.Dut, "e1", netlab.VethOptions{})
	r.must(r.ethertap, "--name", "other", "--config", os.DevNull, "--tap-queue", r.queue, "--bpffs", bpffs, "-e", "bye", "e0")
	other := r.command(r.ethertap, "--name", "other", "--config", os.DevNull, "--tap-queue", r.queue, "--bpffs", bpffs, "e0")
	if out, errs, status := typed(t, other, "bypass.enable\n"); status != 1 || !strings.Contains(errs, "bypass: a mirrored interface forwards nothing") {
		t.Errorf("bypass of a mirror: status %d, %q %q", status, out, errs)
	}
	if l := r.Dut.Link(netlab.D0); l.XDPProgram == 0 || l.Promiscuity == 0 || r.Dut.Feature(netlab.D0, feature) {
		t.Errorf("another instance restored: %+v", l)
	}
	out := r.must(r.ethertap, "--clear", "--bpffs", bpffs)
	if !regexp.MustCompile(`(?m)^bypass: \S+/ethertap-ethertap is removed; the link is cut\nport d0: restored, since the bypass has ended: tx-vlan-hw-insert promiscuous mode$`).MatchString(out) {
		t.Errorf("--clear: %s", out)
	}
	if !r.Dut.Feature(netlab.D0, feature) {
		t.Errorf("%s is still off", feature)
	}
	r.untouched()
	if out := r.must(r.ethertap, "--clear", "--bpffs", bpffs); out != "nothing to clear\n" {
		t.Errorf("--clear again: %s", out)
	}
	if _, errs, status := r.run(r.ethertap, "--bpffs", r.dir, netlab.D0, netlab.D1); status != 2 || !strings.Contains(errs, "no BPF file system; to fix this, run: mount -t bpf bpf "+r.dir) {
		t.Errorf("--bpffs: status %d, %q", status, errs)
	}
}

// Pins of interfaces that have disappeared are no obstacle; those of others are left alone.
func TestBypassOfOtherInterfaces(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	netlab.Veth(r.Dut, "e0", r.Src, "f0", netlab.VethOptions{GRO: true})
	netlab.Veth(r.Dut, "e1", r.Snk, "f1", netlab.VethOptions{GRO: true})
	r.daemon("--bpffs", bpffs, "-e", "bypass.enable")
	r.kill()
	args := []string{"--daemon", "--tap-queue", r.queue, "--config", os.DevNull, "--log", filepath.Join(r.dir, "log2"), "--bpffs", bpffs}
	if _, errs, status := r.run(r.ethertap, append(args, "e0", "e1")...); status != 1 || !strings.Contains(errs, "for other interfaces: it is on d0 and d1; ethertap --clear --bpffs "+bpffs+" ends it") {
		t.Errorf("other interfaces: status %d, %q", status, errs)
	}
	if r.Dut.Link(netlab.D0).XDPProgram == 0 {
		t.Error("the bypass has ended")
	}
	r.Dut.DeleteLink(netlab.D0)
	r.Dut.DeleteLink(netlab.D1)
	r.must(r.ethertap, append(args, "e0", "e1")...)
	if out := r.rpcl("bypass.status"); !strings.HasPrefix(out, "bypass disabled") {
		t.Errorf("bypass.status: %s", out)
	}
}

// An interface that disappears while it runs and comes back is in the bypass again.
func TestBypassOfAnInterfaceThatComesBack(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	r.daemon("--bpffs", bpffs, "-e", "20 bypass.limit bypass.enable")
	r.Dut.DeleteLink(netlab.D0)
	netlab.Await(t, "that is said", contains(t, filepath.Join(r.dir, "log"), "port d0: the interface has disappeared"))
	netlab.Veth(r.Src, netlab.S0, r.Dut, netlab.D0, netlab.VethOptions{GRO: true})
	netlab.Await(t, "it is pinned again", func() bool {
		return r.Dut.Link(netlab.D0).XDPProgram != 0 && strings.Contains(r.rpcl("bypass.status"), "\npinned in ")
	})
	r.kill()
	receiver := r.Snk.NewReceiver(netlab.K1)
	r.send(netlab.Mix(1, 50)...)
	if frames, err := receiver.Collect(50, 20*time.Second); len(frames) != 50 {
		t.Errorf("%d of 50 frames came: %v", len(frames), err)
	}
	if out := r.must(r.ethertap, "--clear", "--bpffs", bpffs); !strings.Contains(out, "the link is cut") {
		t.Errorf("--clear: %s", out)
	}
	r.untouched()
}

// Pins belong to the interfaces, whatever their names are: the bypass goes on while one is
// renamed, a start with the new names takes it over, and --clear restores the settings there.
func TestBypassOfRenamedInterfaces(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	const feature = "tx-vlan-hw-insert"
	r.Dut.SetFeature(netlab.D0, feature, true)
	r.daemon("--bpffs", bpffs, "-e", "bypass.enable")
	program := r.Dut.Link(netlab.D0).XDPProgram
	receiver := r.Snk.NewReceiver(netlab.K1)
	s := r.flow()
	r.Dut.Rename(netlab.D0, "lan0")
	netlab.Await(t, "the name is followed", func() bool { return strings.Contains(r.rpcl("if.list"), "\n0 lan0 veth ") })
	r.kill()
	r.Dut.Rename(netlab.D1, "wan0")
	args := []string{"--daemon", "--tap-queue", r.queue, "--config", os.DevNull, "--log", filepath.Join(r.dir, "log"), "--bpffs", bpffs}
	r.must(r.ethertap, append(args, "lan0", "wan0")...)
	if out := r.rpcl("bypass.status"); !strings.Contains(out, "\npinned in ") || !strings.Contains(out, "\n0 lan0 bypassed ") {
		t.Errorf("bypass.status: %s", out)
	}
	if l := r.Dut.Link("lan0"); l.XDPProgram != program {
		t.Errorf("program %d, was %d", l.XDPProgram, program)
	}
	r.once(receiver, s.stop(t), 0)
	r.rpcl("if.check")
	r.kill()
	r.Dut.Rename("lan0", "east")
	netlab.Veth(r.Dut, "e0", r.Dut, "e1", netlab.VethOptions{})
	if _, errs, status := r.run(r.ethertap, append(args, "e0", "wan0")...); status != 1 || !strings.Contains(errs, "for other interfaces: it is on east and wan0; ethertap --clear --bpffs "+bpffs+" ends it") {
		t.Errorf("others: status %d, %q", status, errs)
	}
	if out := r.must(r.ethertap, "--clear", "--bpffs", bpffs); !strings.Contains(out, "port east: restored, since the bypass has ended: "+feature+" promiscuous mode\n") {
		t.Errorf("--clear: %s", out)
	}
	if l := r.Dut.Link("east"); !r.Dut.Feature("east", feature) || l.Promiscuity != 0 || l.XDPProgram != 0 {
		t.Errorf("%+v, %s %v", l, feature, r.Dut.Feature("east", feature))
	}
}

// Links of interfaces elsewhere are not taken for ours, though the numbers are the same.
func TestBypassInAnotherNamespace(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	r.daemon("--bpffs", bpffs, "-e", "bypass.enable")
	r.kill()
	other := newRigOn(t, netlab.NewBridgeWith(t, netlab.Options{GRO: true}))
	if a, b := r.Dut.Link(netlab.D0).Index, other.Dut.Link(netlab.D0).Index; a != b {
		t.Fatalf("d0 has the index %d here and %d there", a, b)
	}
	args := []string{"--tap-queue", other.queue, "--config", os.DevNull, "--bpffs", bpffs, netlab.D0, netlab.D1}
	if _, errs, status := typed(t, other.command(other.ethertap, args...), ""); status != 1 || !strings.Contains(errs, "for other interfaces: it is on an interface of another network namespace (index ") {
		t.Errorf("status %d, %q", status, errs)
	}
	if r.Dut.Link(netlab.D0).XDPProgram == 0 || other.Dut.Link(netlab.D0).XDPProgram != 0 {
		t.Error("programs have moved")
	}
}

// An incomplete set of pins is removed by the next start, and the settings of the interfaces are
// restored. bypass.disable ends what Stop has left.
func TestBypassHalfPinnedAndLeft(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	r.daemon("--bpffs", bpffs, "-e", "bypass.enable")
	r.kill()
	if err := os.Remove(filepath.Join(bpffs, "ethertap-ethertap", "link0")); err != nil {
		t.Fatal(err)
	}
	r.daemon("--bpffs", bpffs, "-e", "20 bypass.limit")
	if out := r.rpcl("bypass.status"); !strings.HasPrefix(out, "bypass disabled, after 20 ms") {
		t.Errorf("after a half: %s", out)
	}
	if p := r.Dut.Link(netlab.D1).Promiscuity; p != 1 {
		t.Errorf("d1: promiscuity %d", p)
	}
	r.rpcl("bypass.enable if.stop")
	if out := r.rpcl("bypass.status"); !strings.HasPrefix(out, "bypass enabled, after 20 ms without a sign of life\npinned in ") {
		t.Errorf("stopped: %s", out)
	}
	if r.Dut.Link(netlab.D0).XDPProgram == 0 {
		t.Error("stopped: nothing is there")
	}
	r.rpcl("bypass.disable")
	r.untouched()
	// A limit alone leaves an inherited bypass on.
	r.rpcl("if.start bypass.enable")
	r.kill()
	r.daemon("--bpffs", bpffs, "-e", "30 bypass.limit")
	if out := r.rpcl("bypass.status"); !strings.HasPrefix(out, "bypass enabled, after 30 ms without a sign of life\npinned in ") {
		t.Errorf("taken over with a limit: %s", out)
	}
	r.kill()
	r.daemon("--bpffs", bpffs, "--fastpath=false", "-e", "bypass.disable")
	if out := r.rpcl("bypass.status"); !strings.HasPrefix(out, "bypass disabled") {
		t.Errorf("switched off: %s", out)
	}
	r.must(r.control, "ethertap", "stop")
	r.untouched()
}
