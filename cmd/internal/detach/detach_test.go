// SPDX-License-Identifier: BSD-3-Clause

package detach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays the program: with roleEnv set it is a child that Start
// started, or ("parent") a parent in a process of its own.
const (
	roleEnv   = "DETACH_TEST_ROLE"
	reportEnv = "DETACH_TEST_REPORT"

	inheritedEnv = "DETACH_TEST_INHERITED"
)

// report is what the child finds around itself.
type report struct {
	Args            []string
	PID, SID        int
	Dir             string
	TTY             string // what opening /dev/tty says
	Streams         [3]string
	Env             string
	PipeCloseOnExec bool
	Inherited       bool // a descriptor that is not the daemon's to keep
}

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // for the children: they are many
		os.Exit(m.Run())
	}
	child := Inherit()
	if child == nil {
		os.Exit(parent())
	}
	switch role {
	case "ready":
		var r report
		r.Args, r.PID = os.Args[1:], os.Getpid()
		r.SID, _ = unix.Getsid(0)
		r.Dir, _ = os.Getwd()
		_, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		r.TTY = fmt.Sprint(err)
		for i := range r.Streams {
			r.Streams[i], _ = os.Readlink(fmt.Sprint("/proc/self/fd/", i))
		}
		r.Env = os.Getenv(Env)
		flags, err := unix.FcntlInt(child.pipe.Fd(), unix.F_GETFD, 0)
		r.PipeCloseOnExec = err == nil && flags&unix.FD_CLOEXEC != 0
		r.Inherited = unix.Access("/proc/self/fd/"+os.Getenv(inheritedEnv), unix.F_OK) == nil
		fmt.Println("to the log")
		log, errs := child.Output(nil, nil)
		if log != errs {
			fmt.Println("two logs")
		}
		fmt.Fprint(log, "a line\nhalf ")
		fmt.Fprint(log, "a line\n")
		name, err := os.Readlink("/proc/self/fd/2")
		if err == nil && name != os.DevNull {
			os.Rename(name, name+".1")
			fmt.Fprint(log, "of another file\n") // before anybody says that it was moved
			os.Remove(name)
			fmt.Fprint(log, "of a third\n")
		}
		text, _ := json.Marshal(r)
		if err := os.WriteFile(os.Getenv(reportEnv), text, 0o600); err != nil {
			child.Fail(err)
			os.Exit(1)
		}
		for range 2 { // the second time it says nothing
			if child.Ready() != nil {
				os.Exit(1)
			}
		}
		child.Fail(errors.New("too late"))
	case "fail":
		child.Fail(errors.New("the queue is\nbroken"))
		os.Exit(1)
	case "die":
		os.Exit(7)
	case "abandoned":
		// Wait until the parent is gone; the report says what Ready makes of it.
		poll(int(child.pipe.Fd()), 0, time.Minute)
		err := os.WriteFile(os.Getenv(reportEnv)+".new", fmt.Append(nil, child.Ready()), 0o600)
		if err == nil {
			os.Rename(os.Getenv(reportEnv)+".new", os.Getenv(reportEnv))
		}
	}
	os.Exit(0)
}

func parent() int {
	if _, err := Start(context.Background(), Options{}); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// stamp is the time in front of a line, with its zone.
const stamp = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)`

func TestCheckLog(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", journalName, os.DevNull, filepath.Join(dir, "log")} {
		if err := CheckLog(name); err != nil {
			t.Error(err)
		}
	}
	if err := CheckLog(filepath.Join(dir, "no", "log")); err == nil {
		t.Error("a log in no directory")
	}
}

func TestReady(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(roleEnv, "ready")
	t.Setenv(reportEnv, filepath.Join(dir, "report"))
	const inherited = 87 // as from a shell: not closed on exec
	if err := unix.Dup2(0, inherited); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inherited)
	t.Setenv(inheritedEnv, fmt.Sprint(inherited))
	for _, log := range []string{"", filepath.Join(dir, "log")} {
		pid, err := Start(t.Context(), Options{Args: []string{"--one", "two words"}, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		var ws unix.WaitStatus
		if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || ws.ExitStatus() != 0 {
			t.Errorf("child: %v, status %d", err, ws.ExitStatus())
		}
		text, err := os.ReadFile(filepath.Join(dir, "report"))
		if err != nil {
			t.Fatal(err)
		}
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		if strings.Join(r.Args, "|") != "--one|two words" {
			t.Errorf("arguments %q", r.Args)
		}
		if r.PID != pid || r.SID != pid {
			t.Errorf("started %d, which is %d in session %d", pid, r.PID, r.SID)
		}
		if r.Dir != "/" || !strings.Contains(r.TTY, syscall.ENXIO.Error()) || r.Env != "" || !r.PipeCloseOnExec || r.Inherited {
			t.Errorf("surroundings %+v", r)
		}
		want := [3]string{os.DevNull, os.DevNull, os.DevNull}
		if log != "" {
			want[1], want[2] = log, log
		}
		if r.Streams != want {
			t.Errorf("streams %q", r.Streams)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil || !regexp.MustCompile("^"+stamp+" of a third\n$").Match(text) {
		t.Errorf("log %q, %v", text, err)
	}
	text, err = os.ReadFile(filepath.Join(dir, "log.1"))
	if err != nil || !regexp.MustCompile("^to the log\n"+stamp+" a line\n"+stamp+" half a line\n$").Match(text) {
		t.Errorf("the log that was moved away: %q, %v", text, err)
	}
}

func TestFail(t *testing.T) {
	for role, want := range map[string]string{
		"fail": "the queue is; broken",
		"die":  "background process ended before it was ready: exit status 7; see LOG",
	} {
		log := filepath.Join(t.TempDir(), "log")
		t.Setenv(roleEnv, role)
		want = strings.ReplaceAll(want, "LOG", log)
		if _, err := Start(t.Context(), Options{Log: log}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", role, err, want)
		}
	}
	if _, err := Start(t.Context(), Options{Log: filepath.Join(t.TempDir(), "no", "log")}); err == nil || !strings.HasPrefix(err.Error(), "log: ") {
		t.Errorf("a log that cannot be opened: %v", err)
	}
}

// A child whose parent was interrupted is told by Ready.
func TestAbandoned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=abandoned", reportEnv+"="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := childOf(t, cmd.Process.Pid)
	fd, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	cmd.Process.Kill()
	cmd.Wait()
	if n, err := poll(fd, unix.POLLIN, 30*time.Second); n != 1 {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		t.Fatalf("the child stays: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "the start was given up") {
		t.Errorf("Ready said %q, %v", text, err)
	}
}

// poll waits for events (errors always count) on fd. The runtime's own
// signals interrupt the call, which says nothing about fd.
func poll(fd int, events int16, limit time.Duration) (int, error) {
	for end := time.Now().Add(limit); ; {
		left := max(0, time.Until(end))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(left.Milliseconds()))
		if err != unix.EINTR || left == 0 {
			return n, err
		}
	}
}

// childOf waits until the process has a child that runs the same program and
// returns it.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	for {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		if err != nil || len(tasks) == 0 {
			t.Fatalf("parent %d: %v", pid, err)
		}
		for _, task := range tasks {
			text, _ := os.ReadFile(task)
			var child int
			if _, err := fmt.Sscan(string(text), &child); err != nil {
				continue
			}
			// Before exec it is still a copy of the parent.
			if sid, _ := unix.Getsid(child); sid == child {
				return child
			}
		}
	}
}

func TestForeground(t *testing.T) {
	for _, v := range []string{"", "x", "3", "3:/", "0"} {
		t.Setenv(Env, v)
		// Descriptor 3 of a test is the runtime's or none, in no case a pipe
		// of ours, so the variable alone makes no child.
		var st unix.Stat_t
		if v[:min(1, len(v))] == "3" && unix.Fstat(3, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFIFO {
			continue
		}
		if Inherit() != nil {
			t.Errorf("%s=%q makes a child", Env, v)
		}
	}
	var c *Child
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	c.Fail(errors.New("nobody hears"))
}
