// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"ethertap/tests/netlab"
)

// The lab of --demo is there while its prompt runs lines, and gone afterwards, however it ends.
func TestDemoLeavesNothing(t *testing.T) {
	t.Parallel()
	netlab.RequireRoot(t)
	for _, tool := range []string{"ip", "ping", "ethtool"} {
		netlab.RequireTool(t, tool)
	}
	program := netlab.Build(t, "./cmd/ethertap")
	command := func() *exec.Cmd {
		cmd := exec.Command(program, "--demo")
		cmd.Env = append(cmd.Environ(), "ETHERTAP_RUNDIR="+filepath.Join(t.TempDir(), "run"))
		return cmd
	}
	gone := func(said string) {
		t.Helper()
		name := regexp.MustCompile(`control --name (demo\d+) ethertap`).FindStringSubmatch(said)
		if name == nil {
			t.Fatalf("it says %q", said)
		}
		if list, _, _ := netlab.Run(t, exec.Command("ip", "netns", "list")); strings.Contains(list, name[1]+"-") {
			t.Errorf("left behind: %s", list)
		}
		if _, err := os.Stat("/dev/shm/ixdp.pqueue." + name[1]); err == nil {
			t.Errorf("the queue of %s is left behind", name[1])
		}
	}
	out, errs, status := typed(t, command(), "30% 0 fault.drop.probability 0 fault.enable tap.on fastpath.status\n")
	if status != 0 || !strings.Contains(out, "0 d0 in use\n1 d1 in use\n") {
		t.Errorf("lines: %d %s%s", status, out, errs)
	}
	gone(out)
	lines, end := exec.Command("sleep", "60"), command() // an input that stays open
	pipe, err := lines.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lines.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lines.Process.Kill(); lines.Wait() })
	end.Stdin = pipe
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	end.Stdout, end.Stderr = log, log
	said := func() string {
		b, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if err := end.Start(); err != nil {
		t.Fatal(err)
	}
	netlab.Await(t, "the bridge runs", func() bool { return strings.Count(said(), "switched off") == 2 })
	end.Process.Signal(syscall.SIGTERM)
	if err := wait(t, end); err != nil {
		t.Errorf("after SIGTERM: %v: %s", err, said())
	}
	gone(said())
}
