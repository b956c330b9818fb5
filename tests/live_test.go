// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/tests/netlab"
	"ethertap/tests/vt"
)

// seat is a program at a terminal of its own, which is its controlling terminal.
type seat struct {
	*vt.Pty
	t      *testing.T
	cmd    *exec.Cmd
	before unix.Termios
	ended  chan error
}

// sitAt starts a program at a terminal.
func sitAt(t *testing.T, cmd *exec.Cmd) *seat {
	t.Helper()
	s := &seat{t: t, cmd: cmd, ended: make(chan error, 1)}
	s.Pty = vt.Open(t, 100, 30, func(rune) int { return 1 }, nil)
	s.before = s.Mode()
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Slave, s.Slave, s.Slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- cmd.Wait(); s.Wake() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	return s
}

// shows waits until the view, or the main screen, shows a text.
func (s *seat) shows(view bool, text string) {
	s.t.Helper()
	s.Until(fmt.Sprintf("with %q", text), func(v *vt.Screen) bool {
		return v.Alternate() == view && v.Hidden == view && strings.Contains(v.String(), text)
	})
}

// ends waits for the end of the program with a status, and wants the terminal as it was.
func (s *seat) ends(status int) {
	s.t.Helper()
	var err error
	select {
	case err = <-s.ended:
	case <-time.After(time.Minute):
		s.cmd.Process.Kill()
		s.t.Fatalf("%s does not end", s.cmd)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || s.cmd.ProcessState.ExitCode() != status {
		s.t.Errorf("%s: %v, not status %d", s.cmd, err, status)
	}
	s.shows(false, "")
	if after := s.Mode(); after != s.before {
		s.t.Errorf("%s left the terminal as %+v, it was %+v", s.cmd, after, s.before)
	}
}

// The view shows a bridge that forwards: through control alone, at control's prompt, and at
// ethertap's own, and follows the size of its terminal.
func TestLive(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.daemon("-e", "0 tap.rx.enable")
	alone := sitAt(t, r.command(r.control, "ethertap", "live"))
	alone.shows(true, "1 d1  up · ")
	r.send(netlab.Mix(1, 100)...)
	alone.Type("5")
	alone.shows(true, "\nrx                                   100 ")
	alone.Resize(60, 20)
	alone.Until("narrow", func(v *vt.Screen) bool {
		rows := strings.Split(v.String(), "\n")
		return len(rows) == 20 && strings.HasPrefix(rows[19], "Tab page")
	})
	alone.Type("q")
	alone.ends(0)

	prompt := sitAt(t, r.command(r.control, "ethertap"))
	prompt.shows(false, "ok")
	prompt.Type("live\r")
	prompt.shows(true, "1 d1  up · ")
	prompt.Type("q")
	prompt.shows(false, "ok live\nok")
	prompt.Type("1 2 + .\r")
	prompt.shows(false, "\n3\nok")
	prompt.Type("\x04")
	prompt.ends(0)

	if _, errs, status := r.run(r.control, "ethertap", "live"); status != 1 || errs != "control: live needs a terminal for its input and output\n" {
		t.Errorf("without a terminal: status %d, %q", status, errs)
	}
	if _, errs, status := r.run(r.control, "ethertap", "-e", "live"); status != 1 || errs != "error: -e:1:1: live: needs a terminal; type at one: control ethertap live\n" {
		t.Errorf("a word without a terminal: status %d, %q", status, errs)
	}
	r.must(r.control, "ethertap", "stop")

	own := sitAt(t, r.command(r.ethertap, "--tap-queue", r.queue, "--config", "/dev/null", netlab.D0, netlab.D1))
	own.shows(false, "ok")
	own.Type("live\r")
	own.shows(true, "1 d1  up · ")
	r.Dut.SetDown(netlab.D1)
	own.shows(true, "d1: link down")
	own.Type("q")
	own.shows(false, "ok live\n") // and what was logged meanwhile
	own.shows(false, "d1")
	own.Type("bye\r")
	own.ends(0)
}

// Whatever signal ends a program, its terminal is as it was; also when nobody reads what the
// view draws.
func TestLiveEndsOnSignals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	start := func(program string) *seat {
		t.Helper()
		if filepath.Base(program) == "control" {
			s := sitAt(t, r.command(r.control, "ethertap", "live"))
			s.shows(true, "1 d1  up · ")
			return s
		}
		s := sitAt(t, r.command(r.ethertap, "--tap-queue", r.queue, "--config", "/dev/null", netlab.D0, netlab.D1))
		s.shows(false, "ok")
		s.Type("live\r")
		s.shows(true, "1 d1  up · ")
		return s
	}
	for sig, status := range map[syscall.Signal]int{syscall.SIGINT: 0, syscall.SIGTERM: 0} {
		s := start(r.ethertap)
		s.cmd.Process.Signal(sig)
		s.ends(status)
	}
	unread := start(r.ethertap)
	unread.Pause(true)
	for n := range 100 {
		unread.Type([]string{"\t", "s"}[n%2])
	}
	unread.cmd.Process.Signal(syscall.SIGTERM)
	<-unread.ended
	unread.ended <- nil
	unread.Pause(false)
	unread.ends(0)

	r.daemon()
	for sig, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		s := start(r.control)
		s.cmd.Process.Signal(sig)
		s.ends(status)
	}
}
