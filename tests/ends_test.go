// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/tests/netlab"
)

// timeoutEnds does the same as timeout(1): it signals its child, then the child's process group,
// and lets it continue.
func timeoutEnds(p *netlab.Process, sig syscall.Signal) {
	p.Signal(sig)
	syscall.Kill(-p.PID(), sig)
	syscall.Kill(-p.PID(), syscall.SIGCONT)
}

// grouped makes a command lead a process group, as timeout(1) does.
func grouped(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// runDirectory lists the files in the run directory of the rig.
func (r *rig) runDirectory() (names []string) {
	entries, err := os.ReadDir(filepath.Join(r.dir, "run"))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".log") { // logs of daemons stay
			names = append(names, e.Name())
		}
	}
	return names
}

// A signal that cuts a line of -e short is told by the status, 128 and its number, and nothing is left.
func TestSignalCutsLineShort(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := netlab.StartProcess(t, r.command(r.ethertap, "--config", os.DevNull, "--tap-queue", r.queue, "-e", `"begun\n" type 1000000 ms`, netlab.D0, netlab.D1))
		if err := p.WaitOutput("begun", patience); err != nil {
			t.Fatal(err)
		}
		p.Signal(sig)
		if status, err := p.Wait(patience); err != nil || status != 128+int(sig) || !strings.HasSuffix(p.Stderr(), "ms: interrupted\n") {
			t.Errorf("%v: status %d, %v, %q", sig, status, err, p.Output())
		}
		r.untouched()
	}
}

// A signal that comes twice, as from timeout(1), is one wish: collect writes its file
// out, names it and sums up, ethertap gives the interfaces back; both end with 0.
func TestSignalledTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 20 {
		sig := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}[i%2]
		dir := filepath.Join(r.dir, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		p := netlab.StartProcess(t, grouped(r.command(r.collect, "-q", r.queue, "--rotate", "size=1M", filepath.Join(dir, "x.pcap"))))
		netlab.Await(t, "collect is listed", func() bool { return len(r.runDirectory()) > 0 })
		timeoutEnds(p, sig)
		status, err := p.Wait(patience)
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || status != 0 || !strings.Contains(p.Stderr(), "  0 packets  24 B  ") || len(files) != 2 || !strings.HasSuffix(files[0], ".pcap") || files[1] != files[0]+".index" || len(r.runDirectory()) > 0 {
			t.Errorf("%v: status %d, %v, %q; left: %v, %v", sig, status, err, p.Stderr(), files, r.runDirectory())
		}
	}
	for i := range 4 {
		sig := []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}[i%2]
		r.Dut.SetFeature(netlab.D0, "tx-vlan-hw-insert", true)
		p := netlab.StartProcess(t, grouped(r.command(r.ethertap, "--config", os.DevNull, "--tap-queue", r.queue, netlab.D0, netlab.D1)))
		netlab.Await(t, "ethertap forwards", func() bool { return r.Dut.Link(netlab.D1).XDPProgram != 0 })
		timeoutEnds(p, sig)
		if status, err := p.Wait(patience); err != nil || status != 0 || p.Stdout() != "" || strings.Contains(p.Stderr(), "error") || len(r.runDirectory()) > 0 {
			t.Errorf("%v: status %d, %v, %q; left: %v", sig, status, err, p.Output(), r.runDirectory())
		}
		r.untouched()
		if !r.Dut.Feature(netlab.D0, "tx-vlan-hw-insert") {
			t.Error("offloads are not restored")
		}
	}
}

// hasOpen tells whether a process has a file open.
func hasOpen(pid int, path string) bool {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, name := range names {
		if to, err := os.Readlink(name); err == nil && to == path {
			return true
		}
	}
	return false
}

// asked tells whether a signal waits for a process that is stopped.
func asked(pid int, sig syscall.Signal) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, mask, _ := strings.Cut(string(b), "\nShdPnd:\t")
	n, err := strconv.ParseUint(strings.SplitN(mask, "\n", 2)[0], 16, 64)
	return err == nil && n>>(sig-1)&1 == 1
}

// freeze stops a process and returns when it has stopped: a signal that comes before that
// is handled first.
func freeze(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "it is stopped", func() bool { return frozen(pid) })
}

// frozen tells whether a process is stopped.
func frozen(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "T")
}

// Whatever a program waits for, a signal ends the wait, and the exit status is that of the
// manuals.
func TestWaitsEndOnSignals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rpclsh := netlab.Build(t, "./cmd/rpclsh")
	fifo := filepath.Join(r.dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r.daemon()
	daemon := atoi(t, r.daemonPID())
	said := func(p *netlab.Process) bool { return strings.Contains(p.Output(), "seen\n") }
	for _, c := range []struct {
		name    string
		program string
		args    []string
		input   string
		waits   func(p *netlab.Process) bool
		ended   int // 0: as all that cut work short, 128 and the signal; -1: 0
	}{
		{"a FIFO nobody reads", r.collect, []string{"-q", r.queue, fifo}, "", func(p *netlab.Process) bool { return strings.Contains(p.Output(), "waiting for somebody to read it") }, -1},
		{"a daemon that waits", r.collect, []string{"-q", r.queue, "--daemon", fifo}, "", func(p *netlab.Process) bool { return strings.Contains(p.Output(), "going to background") }, 0},
		{"a script nobody writes", rpclsh, []string{"-q", r.queue, "-e", `"seen" .`, fifo}, "", said, 0},
		{"input nobody writes", rpclsh, []string{"-q", r.queue}, "\"seen\" .\n", said, 0},
		{"a loop", rpclsh, []string{"-q", r.queue, "-e", `"seen" . begin again`}, "", said, 0},
		{"a loop over there", r.control, []string{"ethertap", "-e", `"seen" . begin again`}, "", said, 0},
		{"input for over there", r.control, []string{"ethertap"}, "\"seen\" .\n", said, 0},
		{"a script over there", r.control, []string{"ethertap"}, "\"seen\" . 1000000 ms\n", said, 0},
	} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			p := netlab.StartProcess(t, r.command(c.program, c.args...))
			if _, err := p.Write([]byte(c.input)); err != nil {
				t.Fatal(err)
			}
			netlab.Await(t, c.name, func() bool { return c.waits(p) })
			p.Signal(sig)
			want := 128 + int(sig)
			if c.ended < 0 {
				want = 0
			}
			if status, err := p.Wait(patience); err != nil || status != want {
				t.Errorf("%s, %v: status %d, %v, not %d: %q", c.name, sig, status, err, want, p.Output())
			}
			netlab.Await(t, c.name+": nothing is left", func() bool { return len(r.Dut.Processes()) == 1 && len(r.runDirectory()) == 2 })
		}
	}

	// A start in the background whose configuration never ends.
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := r.Src.Command(r.ethertap, "--daemon", "--name", "loops", "-e", `"seen" .`, "-e", "begin 0 until", "--config", os.DevNull, "--tap-queue", r.queue, "--log", filepath.Join(r.dir, "loops.log"), netlab.S0)
		cmd.Env = r.command("true").Env
		p := netlab.StartProcess(t, cmd)
		netlab.Await(t, "it loops", contains(t, filepath.Join(r.dir, "loops.log"), " seen\n"))
		p.Signal(sig)
		if status, err := p.Wait(patience); err != nil || status != 128+int(sig) {
			t.Errorf("a configuration that loops, %v: status %d, %v, %q", sig, status, err, p.Output())
		}
		netlab.Await(t, "nothing is left of it", func() bool { return len(r.Src.Processes()) == 0 && len(r.runDirectory()) == 2 })
		if err := os.Remove(filepath.Join(r.dir, "loops.log")); err != nil {
			t.Fatal(err)
		}
	}

	// The lock of the run directory, held by somebody.
	dir, err := os.Open(filepath.Join(r.dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{r.collect, "-q", r.queue, "--name", "x", filepath.Join(r.dir, "x.pcap")},
		{r.ethertap, "--name", "x", "--config", os.DevNull, "--tap-queue", r.queue, netlab.D0, netlab.D1},
	} {
		p := netlab.StartProcess(t, r.command(c[0], c[1:]...))
		netlab.Await(t, "it waits", func() bool { return hasOpen(p.PID(), dir.Name()) })
		p.Signal(syscall.SIGTERM)
		if status, err := p.Wait(patience); err != nil || status != 0 {
			t.Errorf("the lock, %s: status %d, %v, %q", c[0], status, err, p.Output())
		}
	}
	dir.Close()

	// A daemon does not answer: a signal ends the program that waits for it.
	for _, args := range [][]string{{"ethertap", "-e", "1 ."}, {"ethertap", "stop"}} {
		freeze(t, daemon)
		p := netlab.StartProcess(t, r.command(r.control, args...))
		if args[1] == "stop" {
			netlab.Await(t, "it is asked", func() bool { return asked(daemon, syscall.SIGTERM) })
		}
		p.Signal(syscall.SIGINT)
		status, err := p.Wait(patience)
		if err != nil || status != 130 && status != -1 { // -1: it was killed before it had begun
			t.Errorf("control %v: status %d, %v, %q", args, status, err, p.Output())
		}
		if err := syscall.Kill(daemon, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}
