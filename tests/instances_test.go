// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ethertap/tests/netlab"
)

// instance starts ethertap in the background under a name of its own.
func (r *rig) instance(name string, options ...string) {
	r.t.Helper()
	args := []string{"--daemon", "--name", name, "--tap-queue", r.queue, "--config", os.DevNull, "--log", filepath.Join(r.dir, "log."+name)}
	r.must(r.ethertap, append(args, options...)...)
}

// The error names the holder of an interface: another instance of ours, with the command that
// stops it; one that left a bypass, with the command that ends that; or somebody else's process.
func TestWhoHasTheInterface(t *testing.T) {
	t.Parallel()
	r, bpffs := bypassRig(t)
	refused := func(want string, options ...string) {
		t.Helper()
		args := append([]string{"--name", "late", "--tap-queue", r.queue, "--config", os.DevNull, "--bpffs", bpffs}, options...)
		out, errs, status := r.run(r.ethertap, append(args, netlab.D0, netlab.D1)...)
		if status != 1 || out != "" || errs != want {
			t.Errorf("status %d, %q\n%q, want\n%q", status, out, errs, want)
		}
	}
	pidOf := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(r.dir, "run", name+".pid"))
		if err != nil {
			t.Fatal(err)
		}
		pid, _, _ := strings.Cut(string(b), "\n")
		return pid
	}
	r.daemon("--bpffs", bpffs)
	refused(fmt.Sprintf("ethertap: port d0: ethertap \"ethertap\" (PID %s) is on it; to end that, run: control ethertap stop\n", pidOf("ethertap")))
	// --replace is for programs: the sockets of a process that runs stay where they are.
	if _, errs, status := r.run(r.ethertap, "--replace", "--name", "late", "--tap-queue", r.queue, "--config", os.DevNull, netlab.D0, netlab.D1); status != 1 ||
		!strings.Contains(errs, fmt.Sprintf("ethertap: port d0: queue 0 has a socket of ethertap \"ethertap\" (PID %s); to end that, run: control ethertap stop: ", pidOf("ethertap"))) {
		t.Errorf("--replace: status %d, %q", status, errs)
	}
	r.rpcl("if.check")
	r.must(r.control, "ethertap", "stop")

	r.instance("a.b", "--bpffs", bpffs, "-e", "bypass.enable", netlab.D0, netlab.D1)
	refused(fmt.Sprintf("ethertap: port d0: ethertap \"a.b\" (PID %s) is on it; to end that, run: control --name a.b ethertap stop\n", pidOf("ethertap.a.b")))
	clear := "ethertap --clear --name a.b --bpffs " + bpffs
	if out := r.must(r.ethertap, "--clear", "--bpffs", bpffs); out != fmt.Sprintf("nothing to clear\nethertap \"a.b\" (PID %s) has a bypass on d0 and d1 and runs; to end it: control --name a.b ethertap -e bypass.disable\n", pidOf("ethertap.a.b")) {
		t.Errorf("--clear: %s", out)
	}
	// A holder with another run directory is named by its process only.
	other := r.command(r.ethertap, "--tap-queue", r.queue, "--config", os.DevNull, netlab.D0, netlab.D1)
	other.Env = append(other.Env, "ETHERTAP_RUNDIR="+t.TempDir())
	pid := pidOf("ethertap.a.b")
	if _, errs, status := netlab.Run(t, other); status != 1 || errs != fmt.Sprintf("ethertap: port d0: ethertap (PID %s) is on it; to end that, run: kill %s\n", pid, pid) {
		t.Errorf("another run directory: status %d, %q", status, errs)
	}
	r.must(r.control, "--name", "a.b", "ethertap", "stop")

	refused("ethertap: port d0: the bypass that ethertap \"a.b\" has left is on it; to end that, run: " + clear + "\n")
	if out := r.must(r.ethertap, "--clear", "--bpffs", bpffs); out != "nothing to clear\nethertap \"a.b\" has left a bypass on d0 and d1; to end it: "+clear+"\n" {
		t.Errorf("--clear: %s", out)
	}
	if out := r.must(r.ethertap, "--clear", "--name", "late", "--bpffs", bpffs); out != "nothing to clear\n" {
		t.Errorf("--clear --name: %s", out)
	}
	if out := r.must(r.ethertap, strings.Fields(clear)[1:]...); !strings.Contains(out, "is removed; the link is cut\n") {
		t.Errorf("%s: %s", clear, out)
	}
	r.untouched()

	id := r.foreignProgram(netlab.K1)
	cmd := r.Snk.Command(r.ethertap, "--tap-queue", r.queue, "--config", os.DevNull, netlab.K1)
	cmd.Env = r.command("true").Env
	if _, errs, status := netlab.Run(t, cmd); status != 1 || errs != fmt.Sprintf("ethertap: port k1: an XDP program of %s (PID %d) (id %d) is attached; detach it, or start with --replace\n", comm(t), os.Getpid(), id) {
		t.Errorf("somebody else: status %d, %q", status, errs)
	}
}

// comm is the name of this process.
func comm(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
