// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"ethertap/tests/netlab"
)

// In a shell's background ethertap forwards and stays; brought to the foreground it has
// the prompt. Stopped, it leaves the terminal as the shell wants it, and goes on with the
// line that was being typed, also after a stop it was not told of and time in the
// background.
func TestShellJob(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	shell := r.command(netlab.RequireTool(t, "bash"), "--norc", "--noediting", "-i")
	shell.Env = append(shell.Env, "PATH="+filepath.Dir(r.ethertap)+":"+os.Getenv("PATH"))
	shell.Dir = r.dir // nohup writes there
	s := onTerminal(t, shell)
	s.press("PS1=she\"\"ll\\>\r")
	s.expect("shell>")
	s.press("ethertap --config /dev/null --tap-queue " + r.queue + " d0 d1 &\r")
	netlab.Await(t, "ethertap serves", func() bool { out, _, _ := r.run(r.control, "ethertap", "-e", "1 2 + ."); return out == "3\n" })
	if r.Dut.Link(netlab.D1).XDPProgram == 0 {
		t.Error("it does not forward")
	}
	pid := atoi(t, regexp.MustCompile(`PID (\d+)`).FindStringSubmatch(r.must(r.control, "ethertap", "status"))[1])
	stopped := func() bool { return frozen(pid) }
	if stopped() {
		t.Error("it is stopped in the background")
	}
	s.press("echo is\" \"running\r")
	s.expect("is running")
	s.press("fg\r")
	s.expect("ok ")
	s.press("40 2 + .\r")
	s.expect("\n42")
	s.expect("ok ")
	for _, sig := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGSTOP} {
		s.press("30 3")
		s.expect("30 3")
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
		s.expect("Stopped")
		s.expect("shell>")
		s.press("stty -a | tr \" \" _\r")
		s.expect("_icanon")
		if sig == syscall.SIGSTOP {
			s.press("bg\r")
			s.expect("&")
			netlab.Await(t, "it goes on", func() bool { return !stopped() })
			s.press("echo still\" \"mine\r")
			s.expect("still mine")
		}
		s.press("fg\r")
		s.expect("ok 30 3")
		s.press(" + .\r")
		s.expect("\n33")
		s.expect("ok ")
	}
	s.press("\x04")
	s.expect("shell>")
	s.press("stty -a | tr \" \" _; echo status $?\r")
	s.expect("_icanon")
	s.expect("status 0")
	// Nor does nohup, which takes the input away, make it end or fail.
	s.press("nohup ethertap --config /dev/null --tap-queue " + r.queue + " d0 d1 &\r")
	netlab.Await(t, "ethertap serves under nohup", func() bool { out, _, _ := r.run(r.control, "ethertap", "-e", "1 2 + ."); return out == "3\n" })
	if err := syscall.Kill(atoi(t, r.daemonPID()), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.must(r.control, "ethertap", "stop")
	s.press("wait $!; echo status $?\r")
	s.expect("status 0")
	// A shell that ends leaves its job as it is.
	s.press("ethertap --config /dev/null --tap-queue " + r.queue + " d0 d1 &\r")
	netlab.Await(t, "ethertap serves again", func() bool { out, _, _ := r.run(r.control, "ethertap", "-e", "1 2 + ."); return out == "3\n" })
	s.press("disown; exit\r")
	s.cmd.Wait()
	netlab.Await(t, "the terminal is gone", func() bool {
		out, err := os.ReadFile("/proc/" + r.daemonPID() + "/stat")
		_, rest, _ := strings.Cut(string(out), ") ")
		fields := strings.Fields(rest)
		return err == nil && len(fields) > 4 && fields[4] == "0"
	})
	if out := r.rpcl("300 ms 1 2 + ."); out != "3\n" { // in which it finds out
		t.Errorf("without the shell: %q", out)
	}
	r.must(r.control, "ethertap", "stop")
	r.untouched()
}
