// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/gopacket/pcapgo"

	"ethertap/shm"
	"ethertap/tests/netlab"
)

// rig is the lab with the real programs: src:s0–dut:d0, ethertap in dut, d1–snk:k1.
// It has a run directory and a queue of its own, so that rigs run side by side.
type rig struct {
	*netlab.Bridge
	t                          *testing.T
	ethertap, collect, control string
	queue, dir                 string
	further                    []string // queues, deleted at the end
}

func newRig(t *testing.T) *rig {
	t.Helper()
	netlab.RequireRoot(t)
	return newRigOn(t, netlab.NewBridge(t))
}

func newRigOn(t *testing.T, lab *netlab.Bridge) *rig {
	t.Helper()
	r := &rig{
		Bridge:   lab,
		t:        t,
		ethertap: netlab.Build(t, "./cmd/ethertap"),
		collect:  netlab.Build(t, "./cmd/collect"),
		control:  netlab.Build(t, "./cmd/control"),
		queue:    fmt.Sprintf("ixdp.pqueue.e2e.%d.%08x", os.Getpid(), rand.Uint32()),
		dir:      t.TempDir(),
	}
	t.Cleanup(func() {
		for _, p := range []string{"collect", "ethertap"} {
			r.run(r.control, p, "stop", "--all")
		}
		for _, name := range append(r.further, r.queue) { // not before: a queue that is fed is made anew
			if err := shm.Delete(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("queue: %v", err)
			}
		}
	})
	return r
}

// command prepares one of the programs, in dut, with the run directory of the rig.
func (r *rig) command(program string, args ...string) *exec.Cmd {
	cmd := r.Dut.Command(program, args...)
	cmd.Env = append(os.Environ(), "ETHERTAP_RUNDIR="+filepath.Join(r.dir, "run"), "HOME="+r.dir)
	return cmd
}

func (r *rig) run(program string, args ...string) (stdout, stderr string, status int) {
	r.t.Helper()
	return netlab.Run(r.t, r.command(program, args...))
}

// typed runs a command with lines on its standard input.
func typed(t *testing.T, cmd *exec.Cmd, lines string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(lines), &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait(t, cmd) // how it ended is in the exit status
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a program that has to end well and returns what it printed.
func (r *rig) must(program string, args ...string) string {
	r.t.Helper()
	out, errs, status := r.run(program, args...)
	if status != 0 {
		r.t.Fatalf("%s %s: status %d, %s%s", filepath.Base(program), strings.Join(args, " "), status, out, errs)
	}
	return out
}

// daemon starts ethertap in the background as a bridge.
func (r *rig) daemon(options ...string) {
	r.t.Helper()
	args := append([]string{"--daemon", "--tap-queue", r.queue, "--config", os.DevNull, "--log", filepath.Join(r.dir, "log")}, options...)
	if r.OnNICs() {
		args = append(args, map[string][]string{"zerocopy": {"--zerocopy"}, "copy": {"--copy", "--xdp_drv"}, "generic": {"--xdp_skb"}}[netlab.Mode()]...)
	}
	if cpus := netlab.StayOnCPUs(r.t, 2); cpus != nil {
		args = append(args, "--cpus", strings.Trim(strings.ReplaceAll(fmt.Sprint(cpus), " ", ","), "[]"))
	}
	r.must(r.ethertap, append(args, netlab.D0, netlab.D1)...)
	r.Settle()
}

// rpcl runs a line at the daemon's prompt.
func (r *rig) rpcl(line string) string {
	r.t.Helper()
	return r.must(r.control, "ethertap", "-e", line)
}

// stat returns a row of if.stats.all of an interface.
func (r *rig) stat(port int, name string) string {
	r.t.Helper()
	current := -1
	for _, line := range strings.Split(r.rpcl("if.stats.all"), "\n") {
		if !strings.HasPrefix(line, " ") {
			current++
		} else if len(line) > 24 && strings.TrimSpace(line[:24]) == name && current == port {
			return line[24:]
		}
	}
	r.t.Fatalf("if.stats.all has no row %s of interface %d", name, port)
	return ""
}

// send sends frames into the bridge from src.
func (r *rig) send(frames ...[]byte) {
	r.t.Helper()
	if err := r.Src.NewSender(netlab.S0, true).Send(frames...); err != nil {
		r.t.Fatal(err)
	}
}

// sendAll sends frames through a running bridge no faster than it takes them, so
// that none is lost to a ring that is full while a busy machine keeps the bridge
// from its CPU.
func (r *rig) sendAll(frames ...[]byte) {
	r.t.Helper()
	const burst = 500 // the rings hold four of them
	taken := func() int {
		n, err := strconv.Atoi(r.stat(0, "rx"))
		if err != nil {
			r.t.Fatal(err)
		}
		return n
	}
	want := taken()
	for part := range slices.Chunk(frames, burst) {
		r.send(part...)
		want += len(part)
		netlab.Await(r.t, "the frames are taken", func() bool { return taken() >= want })
	}
}

// foreignProgram attaches an XDP program of somebody else to a link of snk, until
// the test ends, and returns its id.
func (r *rig) foreignProgram(name string) uint32 {
	r.t.Helper()
	err := r.Snk.Do(func() error {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type:         ebpf.XDP,
			License:      "MIT",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
		})
		if err != nil {
			return err
		}
		defer program.Close()
		l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: r.Snk.Link(name).Index})
		if err != nil {
			return err
		}
		r.t.Cleanup(func() { l.Close() })
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.Snk.Link(name).XDPProgram
}

// readPcap returns the packets of a capture file, read by an independent reader.
func readPcap(t *testing.T, name string) (packets [][]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := reader.ReadPacketData()
		if err == io.EOF {
			return packets
		}
		if err != nil || info.Length != len(data) {
			t.Fatalf("%s: packet %d: %v, length %d of %d", name, len(packets), err, len(data), info.Length)
		}
		packets = append(packets, data)
	}
}

// wait waits for a command that was started; the time-out only bounds a failure.
func wait(t *testing.T, cmd *exec.Cmd) error {
	t.Helper()
	late := time.AfterFunc(time.Minute, func() {
		t.Errorf("%s does not end", cmd)
		cmd.Process.Kill()
	})
	defer late.Stop()
	return cmd.Wait()
}

// untouched fails the test if anything of ethertap is left on the interfaces of dut.
func (r *rig) untouched() {
	r.t.Helper()
	for _, name := range []string{netlab.D0, netlab.D1} {
		netlab.Await(r.t, name+" is as before", func() bool {
			l := r.Dut.Link(name)
			return l.XDPProgram == 0 && l.Promiscuity == 0
		})
	}
}

// Frames of all sizes and tags cross the bridge both ways, unchanged and in order;
// collect has the same, as a file and through a pipe into tshark.
func TestFramesCrossAndAreCollected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	options := []string{"-e", "0 tap.rx.enable"}
	if !netlab.OnNICs() && !netlab.KernelHas(t, 6, 3) {
		options = append(options, "--fastpath=false") // these veths would refuse the first frames, which nobody can know
	}
	r.daemon(options...)
	frames := netlab.Mix(1, 2000)
	pcap := filepath.Join(r.dir, "packets.pcap")
	recording := r.command(r.collect, "-q", r.queue, "--silent", "--plimit", fmt.Sprint(len(frames)), pcap)
	if err := recording.Start(); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "collect runs", func() bool {
		_, _, status := r.run(r.control, "collect", "status")
		return status == 0
	})
	for _, way := range []struct {
		name     string
		from, to *netlab.Namespace
		out, in  string
	}{{"forth", r.Src, r.Snk, netlab.S0, netlab.K1}, {"back", r.Snk, r.Src, netlab.K1, netlab.S0}} {
		receiver := way.to.NewReceiver(way.in)
		sender := way.from.NewSender(way.out, true)
		for at := 0; at < len(frames); at += 100 { // portions that fit in every ring on the way
			portion := frames[at : at+100]
			if err := sender.Send(portion...); err != nil {
				t.Fatalf("%s: %v", way.name, err)
			}
			got, err := receiver.Collect(len(portion), 20*time.Second)
			if err != nil || len(got) != len(portion) {
				t.Fatalf("%s: %d frames of %d, %v\n%s%s", way.name, at+len(got), len(frames), err, r.Counters(), r.rpcl("if.stats.all"))
			}
			for i, want := range portion {
				if !bytes.Equal(got[i], want) {
					t.Fatalf("%s: frame %d differs:\n%x\n%x", way.name, at+i, got[i], want)
				}
			}
		}
	}
	if err := wait(t, recording); err != nil {
		t.Fatalf("collect: %v", err)
	}
	recorded := readPcap(t, pcap)
	if len(recorded) != len(frames) {
		t.Fatalf("%d packets recorded of %d", len(recorded), len(frames))
	}
	for i, want := range frames {
		if !bytes.Equal(recorded[i], want) {
			t.Fatalf("recorded frame %d differs:\n%x\n%x", i, recorded[i], want)
		}
	}
	t.Run("tshark", func(t *testing.T) { // which not every machine has
		if n := len(netlab.Tshark(t, pcap)); n != len(frames) {
			t.Errorf("it reads %d packets of %d", n, len(frames))
		}
	})
	n := fmt.Sprint(len(frames))
	netlab.Await(t, "all are counted", func() bool { // a batch is, after it has been sent
		return r.stat(0, "rx") == n && r.stat(1, "tx") == n && r.stat(1, "rx") == n && r.stat(0, "tx") == n && r.stat(0, "tapped") == n
	})
}

// A TCP stream crosses both ways, and ping does.
func TestHostsTalk(t *testing.T) {
	t.Parallel()
	netlab.RequireRoot(t)
	ping, socat := netlab.RequireTool(t, "ping"), netlab.RequireTool(t, "socat")
	r := newRigOn(t, netlab.NewBridgeWith(t, netlab.Options{Addresses: true}))
	r.daemon()
	if out, errs, status := netlab.Run(t, r.Src.Command(ping, "-c", "3", "-i", "0.2", netlab.SnkAddress)); status != 0 {
		t.Fatalf("ping: %s%s", out, errs)
	}
	sent := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{1}).Read(sent)
	file, back := filepath.Join(r.dir, "sent"), filepath.Join(r.dir, "received")
	if err := os.WriteFile(file, sent, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		from, to *netlab.Namespace
		address  string
	}{{r.Src, r.Snk, netlab.SnkAddress}, {r.Snk, r.Src, netlab.SrcAddress}} {
		listener := way.to.Command(socat, "-u", "TCP-LISTEN:7000,reuseaddr", "CREATE:"+back)
		if err := listener.Start(); err != nil {
			t.Fatal(err)
		}
		if out, errs, status := netlab.Run(t, way.from.Command(socat, "-u", "FILE:"+file, "TCP:"+way.address+":7000,retry=50,interval=0.1")); status != 0 {
			t.Fatalf("socat: %s%s", out, errs)
		}
		if err := wait(t, listener); err != nil {
			t.Fatalf("socat: %v", err)
		}
		got, err := os.ReadFile(back)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("the stream changed on its way: %d bytes of %d, %v", len(got), len(sent), err)
		}
	}
}

// collect into a pipe, live: tshark sees packets while collect goes on.
func TestPipeIntoTshark(t *testing.T) {
	t.Parallel()
	netlab.RequireRoot(t)
	tshark := netlab.RequireTool(t, "tshark")
	r := newRig(t)
	r.daemon("-e", "0 tap.rx.enable")
	reader := exec.Command(tshark, "-r", "-", "-c", "3")
	recording := r.command(r.collect, "-q", r.queue, "--silent", "-")
	pipe, err := recording.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	reader.Stdin, reader.Stdout = pipe, &seen
	if err := recording.Start(); err != nil {
		t.Fatal(err)
	}
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	pipe.Close() // tshark alone reads it, so that its end is the pipe's
	netlab.Await(t, "collect runs", func() bool {
		_, _, status := r.run(r.control, "collect", "status")
		return status == 0
	})
	r.send(netlab.UDP(100, 1), netlab.VLAN(200, 2, 7), netlab.QinQ(300, 3, 8, 9))
	if err := wait(t, reader); err != nil { // ends after three packets, collect running
		t.Errorf("tshark: %v", err)
	}
	if n := strings.Count(seen.String(), "\n"); n != 3 {
		t.Errorf("tshark saw %d packets:\n%s", n, seen.String())
	}
	// tshark gone, the next packet ends collect quietly
	r.send(netlab.UDP(100, 4))
	if err := wait(t, recording); err != nil {
		t.Errorf("collect: %v", err)
	}
}

// Killed at any time, ethertap leaves nothing behind and starts again at once.
func TestKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 5 {
		cmd := r.command(r.ethertap, "--config", os.DevNull, "--tap-queue", r.queue, "--stay", netlab.D0, netlab.D1)
		cmd.Stdin = nil
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // the others die while they start
			netlab.Await(t, "ethertap forwards", func() bool { return r.Dut.Link(netlab.D1).XDPProgram != 0 })
		} else {
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		}
		pid := cmd.Process.Pid
		for _, p := range r.Dut.Processes() {
			pid = p // behind ip netns exec it is the same process
		}
		if p, err := os.FindProcess(pid); err == nil {
			p.Kill()
		}
		cmd.Process.Kill()
		cmd.Wait()
		r.untouched()
	}
	r.daemon()
	if l := r.Dut.Link(netlab.D0); l.XDPProgram == 0 || l.Promiscuity == 0 {
		t.Errorf("ethertap runs but is not on its interface: %+v", l)
	}
	r.must(r.control, "ethertap", "stop")
	r.untouched()
}

// A start that is not possible fails with one line and status 1, and changes nothing; wrong usage
// is status 2.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	broken := filepath.Join(r.dir, "broken.rpcl")
	if err := os.WriteFile(broken, []byte("# comment\n0 tap.rx.enabel\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := r.foreignProgram(netlab.K1)
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{netlab.D0, "nosuch0"}, 1, "port nosuch0: no such interface"},
		{[]string{"--config", broken, netlab.D0, netlab.D1}, 1, broken + ":2:3: tap.rx.enabel: no such word; did you mean tap.rx.enable?"},
		{[]string{"--config", broken + ".absent", netlab.D0, netlab.D1}, 1, "no such file"},
		{[]string{"--daemon", "--config", broken, netlab.D0, netlab.D1}, 1, broken + ":2:3: tap.rx.enabel"},
		{[]string{"-e", "1 0 /", netlab.D0, netlab.D1}, 1, "/: division by zero"},
		{[]string{"lo"}, 1, "loopback"},
		{nil, 2, "no interface named"},
		{[]string{"a", "b", "c"}, 2, "3 interfaces"},
		{[]string{netlab.D0, netlab.D0}, 2, "named twice"},
		{[]string{"--nosuch", netlab.D0}, 2, "unknown flag"},
		{[]string{"--poll", "never", netlab.D0}, 2, "--poll never"},
		{[]string{"--queues", "0", netlab.D0}, 2, "--queues 0"},
		{[]string{"--rings", "3000", netlab.D0}, 2, "--rings 3000: a power of two"},
	} {
		args := c.args
		if c.status == 1 && !strings.Contains(strings.Join(args, " "), "--config") {
			args = append([]string{"--config", os.DevNull}, args...)
		}
		out, errs, status := r.run(r.ethertap, append([]string{"--tap-queue", r.queue}, args...)...)
		if status != c.status || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.says) {
			t.Errorf("%v: status %d, %q, %q; not %d, %q", c.args, status, out, errs, c.status, c.says)
		}
		r.untouched()
	}
	// warnings may come before what only attaching shows
	out, errs, status := r.run(r.ethertap, "--tap-queue", r.queue, "--config", os.DevNull, "--zerocopy", netlab.D0, netlab.D1)
	if status != 1 || out != "" || !strings.HasSuffix(errs, "operation not supported\n") || !strings.Contains(errs, "port d0: the driver (veth) has no zero-copy") {
		t.Errorf("--zerocopy: status %d, %q, %q", status, out, errs)
	}
	r.untouched()
	// an interface with a program of somebody else
	cmd := r.Snk.Command(r.ethertap, "--tap-queue", r.queue, "--config", os.DevNull, netlab.K1)
	cmd.Env = r.command("true").Env
	out, errs, status = netlab.Run(t, cmd)
	if status != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, fmt.Sprintf("id %d", foreign)) {
		t.Errorf("foreign program: status %d, %q, %q", status, out, errs)
	}
	if id := r.Snk.Link(netlab.K1).XDPProgram; id != foreign {
		t.Errorf("the foreign program %d is gone, there is %d", foreign, id)
	}
}

// Without rights the missing capabilities are named.
func TestWithoutRights(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	setpriv := netlab.RequireTool(t, "setpriv")
	program := filepath.Join("/tmp", filepath.Base(r.queue)) // where nobody may read it
	data, err := os.ReadFile(r.ethertap)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(program) })
	for _, args := range [][]string{{netlab.D0, netlab.D1}, {"--check"}} {
		out, errs, status := r.run(setpriv, append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", program}, args...)...)
		if status != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF") {
			t.Errorf("%v: status %d, %q, %q", args, status, out, errs)
		}
	}
	r.untouched()
}

// The lines of standard input are run, and the end of input ends the program.
func TestStandardInput(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	config := filepath.Join(r.dir, "ethertap.rpcl")
	if err := os.WriteFile(config, []byte("1 tap.rx.enable\n: greet \"configured\" . ;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		stdin, out string
		status     int
	}{
		{"greet\n3 4 + .\nversion.ethertap @ .\n", "configured\n7\ndev\n", 0},
		{"greet\nnosuch @\ngreet\n", "configured\n", 1},
		{"5 .\nbye\n6 .\n", "5\n", 0},
	} {
		cmd := r.command(r.ethertap, "--config", config, "--tap-queue", r.queue, netlab.D0, netlab.D1)
		if out, errs, status := typed(t, cmd, c.stdin); out != c.out || status != c.status {
			t.Errorf("%q: status %d, %q, %q", c.stdin, status, out, errs)
		}
		r.untouched()
	}
}

// A reader of the output that goes away, and a signal while lines run that never
// end, are clean ends: the offloads are back, nothing is left.
func TestEndsCleanly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Dut.SetFeature(netlab.D0, "tx-vlan-hw-insert", true)
	piped := r.command(r.ethertap, "--config", os.DevNull, "--tap-queue", r.queue, netlab.D0, netlab.D1)
	piped.Stdin = strings.NewReader("begin 1 . 0 until\n")
	out, err := piped.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := piped.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	wait(t, piped)
	if status := piped.ProcessState.ExitCode(); status != 1 {
		t.Errorf("output gone: status %d", status)
	}
	r.untouched()
	if !r.Dut.Feature(netlab.D0, "tx-vlan-hw-insert") {
		t.Error("offloads are not restored")
	}

	looping := r.command(r.ethertap, "--config", os.DevNull, "--tap-queue", r.queue, "-e", "begin 0 until", netlab.D0, netlab.D1)
	if err := looping.Start(); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "ethertap runs", func() bool { return len(r.Dut.Processes()) > 0 })
	netlab.Await(t, "the signal ends it", func() bool {
		looping.Process.Signal(syscall.SIGTERM) // again, for the time before it is caught
		return len(r.Dut.Processes()) == 0
	})
	wait(t, looping)
	r.untouched()
}

// Two prompts at a time, each with its own stack; stop ends the program cleanly.
func TestControl(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if out, _, status := r.run(r.control, "ethertap", "status"); status != 1 || !strings.Contains(out, "no ethertap running") {
		t.Errorf("status of nothing: %d, %q", status, out)
	}
	r.daemon()
	if out := r.rpcl("3 three ! three @ ."); out != "3\n" {
		t.Errorf("control: %q", out)
	}
	if out := r.rpcl("three @ . .s"); out != "3\n" {
		t.Errorf("variables are shared, stacks are not: %q", out)
	}
	if out, errs, status := r.run(r.control, "ethertap", "-e", "tap.nosuch"); status != 1 || out != "" || !strings.HasPrefix(errs, "error: -e:1:1: tap.nosuch: no such word") {
		t.Errorf("error: status %d, %q, %q", status, out, errs)
	}
	script := r.command(r.control, "ethertap")
	if out, errs, status := typed(t, script, "1 2 +\n.\n"); out != "3\n" || status != 0 {
		t.Errorf("script: status %d, %q, %q", status, out, errs)
	}
	if _, errs, status := r.run(r.ethertap, "--config", os.DevNull, "--tap-queue", r.queue, netlab.D0); status != 1 || !strings.Contains(errs, "already running") {
		t.Errorf("a second instance of the name: status %d, %q", status, errs)
	}
	if out := r.must(r.control, "ethertap", "stop"); !strings.Contains(out, "shutdown of ethertap PID") {
		t.Errorf("stop: %q", out)
	}
	r.untouched()
	if files, err := os.ReadDir(filepath.Join(r.dir, "run")); err != nil || len(files) > 0 {
		t.Errorf("left in the run directory: %v, %v", files, err)
	}
}
