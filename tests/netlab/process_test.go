// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	n := NewNamespace(t, "proc")
	p := n.Start("sh", "-c", `echo ready; echo warning >&2; read line; echo "got $line"; exit 3`)
	if err := p.WaitOutput("ready", patience); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitOutput("warning", patience); err != nil {
		t.Fatal(err)
	}
	if pids := n.Processes(); !slices.Contains(pids, p.PID()) {
		t.Errorf("process %d is not among %v", p.PID(), pids)
	}
	if _, err := p.Write([]byte("it\n")); err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(patience); status != 3 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	if p.Stdout() != "ready\ngot it\n" || p.Stderr() != "warning\n" {
		t.Errorf("stdout %q, stderr %q", p.Stdout(), p.Stderr())
	}
	if err := p.WaitOutput("never", patience); err == nil {
		t.Error("the text never written is found")
	}
	if err := p.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to an ended process: %v", err)
	}
	killed := n.Start("sleep", "1000")
	if _, err := killed.Wait(time.Millisecond); err == nil {
		t.Error("sleep has ended")
	}
	if err := killed.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	if status, err := killed.Wait(patience); status != -1 || err != nil {
		t.Errorf("killed: status %d, %v", status, err)
	}
	stdout, stderr, status := Run(t, n.Command("sh", "-c", "cat; echo e >&2; exit 1"))
	if stdout != "" || stderr != "e\n" || status != 1 {
		t.Errorf("Run: %q, %q, %d", stdout, stderr, status)
	}
}

func TestBuild(t *testing.T) {
	const pkg = "./tests/netlab/testdata/hello"
	path := Build(t, pkg)
	if again := Build(t, pkg); again != path {
		t.Errorf("second build in %s, not %s", again, path)
	}
	stdout, _, status := Run(t, exec.Command(path))
	if stdout != "hello\n" || status != 0 {
		t.Errorf("wrote %q, status %d", stdout, status)
	}
}

func TestCapture(t *testing.T) {
	a, b := pair(t, VethOptions{})
	c := b.Tcpdump("b0", "udp or vlan")
	sender := a.NewSender("a0", false)
	if err := sender.Send(UDP(100, 1), Runt(50, 2), VLAN(200, 3, 42)); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(2); err != nil {
		t.Fatal(err)
	}
	got := Tshark(t, c.Path, "-T", "fields", "-e", "frame.len", "-e", "vlan.id")
	if want := []string{"100\t", "200\t42"}; !slices.Equal(got, want) {
		t.Errorf("tshark reads %q, want %q", got, want)
	}
}

// TestNothingIsLeftBehind runs this test binary again in ways in which a test
// may end, and looks for what is left.
func TestNothingIsLeftBehind(t *testing.T) {
	if how := os.Getenv("NETLAB_END"); how != "" {
		endInThisWay(t, how)
		return
	}
	RequireRoot(t)
	for _, how := range []string{"pass", "fail", "panic", "process", "kill"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestNothingIsLeftBehind$", "-test.v")
			cmd.Env = append(os.Environ(), "NETLAB_END="+how)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (how == "pass") {
				t.Fatalf("ended with %v:\n%s", err, out)
			}
			if how == "process" && !strings.Contains(string(out), "left processes running") {
				t.Errorf("the process left running is not an error:\n%s", out)
			}
			found := map[string]string{}
			for line := range strings.Lines(string(out)) {
				if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
					found[key] = value
				}
			}
			name, pid, dir := found["namespace"], found["sleeper"], found["binary"]
			if name == "" || pid == "" || dir == "" {
				t.Fatalf("the test did not come far:\n%s", out)
			}
			if how == "kill" {
				if _, err := os.Stat(namesDir + "/" + name); err != nil {
					t.Errorf("a killed test leaves its namespace to the sweeper: %v", err)
				}
				sweep()
			}
			for what, path := range map[string]string{"namespace": namesDir + "/" + name, "sleeper": "/proc/" + pid, "binary": dir} {
				gone := false
				for deadline := time.Now().Add(patience); !gone && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
					_, err := os.Stat(path)
					gone = errors.Is(err, os.ErrNotExist)
				}
				if !gone {
					t.Errorf("%s is still there: %s", what, path)
				}
			}
		})
	}
}

func endInThisWay(t *testing.T, how string) {
	binary := Build(t, "./tests/netlab/testdata/hello")
	n := NewNamespace(t, "end")
	var pid int
	if how == "process" || how == "kill" {
		cmd := n.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid = cmd.Process.Pid
		go cmd.Wait()
		Await(t, "ip gets there", func() bool { return slices.Contains(n.Processes(), pid) })
	} else {
		pid = n.Start("sleep", "1000").PID()
	}
	os.Stdout.WriteString("\nnamespace=" + n.Name() + "\nsleeper=" + strconv.Itoa(pid) + "\nbinary=" + binary + "\n")
	switch how {
	case "fail":
		t.Fatal("on purpose")
	case "panic":
		panic("on purpose")
	case "kill":
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		t.Fatal("killed, but still here: ", err)
	}
}

func TestOwnerOf(t *testing.T) {
	if pid, ok := ownerOf(uniqueName("src")); !ok || pid != os.Getpid() {
		t.Errorf("own name: %d, %t", pid, ok)
	}
	for _, name := range []string{"", "et", "eth0", "et12", "et12-src", "et-01234567-src", "etx-01234567-src", "et12-0123456-src", "my12-01234567-src", "et-5-01234567-x"} {
		if pid, ok := ownerOf(name); ok {
			t.Errorf("%q is taken for ours, of process %d", name, pid)
		}
	}
}
