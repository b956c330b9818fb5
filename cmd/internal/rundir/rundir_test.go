// SPDX-License-Identifier: BSD-3-Clause

package rundir

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays the instances: with roleEnv set it registers as
// "prog" under that name and obeys SIGTERM, or not.
const (
	roleEnv = "RUNDIR_TEST_ROLE"
	nameEnv = "RUNDIR_TEST_NAME"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // for the children: they are many
		os.Exit(m.Run())
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	var in *Instance
	if role != "bystander" {
		var err error
		if in, err = Register(context.Background(), "prog", os.Getenv(nameEnv)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("up")
	for range term {
		if role != "deaf" {
			break
		}
	}
	if err := in.Close(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// start runs an instance until the test ends and returns once it is up.
func start(t *testing.T, role, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, nameEnv+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "up\n" {
		t.Fatalf("helper said %q, %v", line, err)
	}
	return cmd
}

func newDir(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "run")
	t.Setenv(Env, dir)
	return dir
}

func list(t *testing.T, program string) []Info {
	t.Helper()
	infos, err := List(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	return infos
}

func TestRegisterListClose(t *testing.T) {
	dir := newDir(t)
	if got := list(t, "prog"); got != nil {
		t.Fatalf("a directory that does not exist lists %v", got)
	}
	before := time.Now().Add(-time.Second)
	first, err := Register(t.Context(), "prog", "prog")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Register(t.Context(), "prog", "side.2")
	if err != nil {
		t.Fatal(err)
	}
	other, err := Register(t.Context(), "program", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() != dirMode {
		t.Errorf("directory: %v, %v", st.Mode(), err)
	}
	if want := filepath.Join(dir, "prog.sock"); first.SocketPath() != want {
		t.Errorf("socket %s, want %s", first.SocketPath(), want)
	}
	text, err := os.ReadFile(filepath.Join(dir, "prog.pid"))
	if line, _, _ := strings.Cut(string(text), "\n"); err != nil || line != strconv.Itoa(os.Getpid()) {
		t.Errorf("first line of the pid file %q, %v", line, err)
	}
	got := list(t, "prog")
	if len(got) != 2 || got[0].Name != "prog" || got[1].Name != "side.2" {
		t.Fatalf("listed %+v", got)
	}
	for i, in := range []*Instance{first, second} {
		g := got[i]
		if g.Program != "prog" || g.PID != os.Getpid() || g.Socket != in.SocketPath() || g.Started.Before(before) || g.Started.After(time.Now()) {
			t.Errorf("listed %+v", g)
		}
	}

	if err := os.WriteFile(second.SocketPath(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, in := range []*Instance{first, second, second, nil} {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := list(t, "prog"); len(got) != 0 {
		t.Errorf("after closing: %+v", got)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "prog.*")); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

func TestRegisterTwice(t *testing.T) {
	newDir(t)
	cmd := start(t, "good", "side")
	_, err := Register(t.Context(), "prog", "side")
	want := fmt.Sprintf(`prog "side" is already running as PID %d; choose another --name`, cmd.Process.Pid)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	in, err := Register(t.Context(), "prog", "another")
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
}

// Of many that want one name at once, one gets it.
func TestRegisterRace(t *testing.T) {
	newDir(t)
	const n = 16
	var wg sync.WaitGroup
	got := make(chan *Instance, n)
	for range n {
		wg.Go(func() {
			if in, err := Register(t.Context(), "prog", "one"); err == nil {
				got <- in
			} else if !strings.Contains(err.Error(), "already running") {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(got)
	if len(got) != 1 {
		t.Errorf("%d got the name", len(got))
	}
	for in := range got {
		in.Close()
	}
}

func TestKilledInstanceIsStale(t *testing.T) {
	dir := newDir(t)
	cmd := start(t, "good", "side")
	infos := list(t, "prog")
	if len(infos) != 1 || infos[0].PID != cmd.Process.Pid {
		t.Fatalf("listed %+v", infos)
	}
	sock := infos[0].Socket
	if err := os.WriteFile(sock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	// Not listed between death and removal, and the name is free at once.
	in, err := Register(t.Context(), "prog", "side")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(sock); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dead one's socket: %v", err)
	}
	in.Close()

	cmd = start(t, "good", "side")
	cmd.Process.Kill()
	cmd.Wait()
	if got := list(t, "prog"); len(got) != 0 {
		t.Errorf("a dead instance is listed: %+v", got)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

// A stale file whose number now belongs to somebody else.
func TestForeignPid(t *testing.T) {
	dir := newDir(t)
	by := start(t, "bystander", "")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	text := fmt.Appendf(nil, "%d\n", by.Process.Pid)
	path := filepath.Join(dir, "prog.x.pid")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	info := Info{Program: "prog", Name: "x", PID: by.Process.Pid, path: path}
	if err := Stop(info, time.Second); err != nil {
		t.Errorf("stop of a stale one: %v", err)
	}
	if got := list(t, "prog"); len(got) != 0 {
		t.Errorf("listed %+v", got)
	}

	// Held, but by a process other than the one it names.
	in, err := Register(t.Context(), "prog", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := in.pid.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := in.pid.WriteAt(text, 0); err != nil {
		t.Fatal(err)
	}
	infos := list(t, "prog")
	if len(infos) != 1 {
		t.Fatalf("listed %+v", infos)
	}
	if err := Stop(infos[0], time.Second); err == nil || !strings.Contains(err.Error(), "held by another process") {
		t.Errorf("stop: %v", err)
	}
	if !alive(t, by) {
		t.Error("the bystander was signalled")
	}

	// A program may be the process 1 of its container. Init, which is no holder, is not signalled.
	if err := in.pid.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := in.pid.WriteAt([]byte("1\n"), 0); err != nil {
		t.Fatal(err)
	}
	if infos = list(t, "prog"); len(infos) != 1 || infos[0].PID != 1 {
		t.Fatalf("listed %+v", infos)
	}
	if err := Signal(infos[0], unix.SIGURG); err == nil { // which would do nothing
		t.Error("the process 1 was signalled")
	}
}

// alive is asked after a while that would have sufficed for a SIGTERM: the
// helper's exit is what is waited for, and must not come.
func alive(t *testing.T, cmd *exec.Cmd) bool {
	t.Helper()
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	// A signal of the runtime ends a poll early, which says nothing: ask again.
	for end := time.Now().Add(300 * time.Millisecond); ; {
		left := max(0, time.Until(end))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if err != unix.EINTR || left == 0 {
			return err == nil && n == 0
		}
	}
}

func TestStop(t *testing.T) {
	newDir(t)
	cmd := start(t, "good", "a")
	start(t, "deaf", "b")
	infos := list(t, "prog")
	if len(infos) != 2 {
		t.Fatalf("listed %+v", infos)
	}
	if err := Stop(infos[0], time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it did not end well: %v", err)
	}
	if err := Stop(infos[0], time.Minute); err != nil {
		t.Errorf("stop of a stopped one: %v", err)
	}
	err := Stop(infos[1], 100*time.Millisecond)
	if !errors.Is(err, ErrTimeout) {
		t.Errorf("stop of a deaf one: %v", err)
	}
	if got := list(t, "prog"); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("listed %+v", got)
	}
}

func TestRefusals(t *testing.T) {
	dir := newDir(t)
	for _, name := range []string{"", ".", "..", ".x", "a/b", "a b", "a\n", "ä", strings.Repeat("x", maxName+1)} {
		if _, err := Register(t.Context(), "prog", name); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Register(t.Context(), "prog", "x"); err == nil || !strings.Contains(err.Error(), "anybody may write") {
		t.Errorf("a directory open to all: %v", err)
	}
	if _, err := List(t.Context(), "prog"); err == nil {
		t.Error("a directory open to all is listed")
	}
	t.Setenv(Env, filepath.Join(dir, "not", "there"))
	if _, err := Register(t.Context(), "prog", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory without parent: %v", err)
	}
	os.Chmod(dir, 0o700)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(Env, file)
	if _, err := Register(t.Context(), "prog", "x"); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file for a directory: %v", err)
	}
	// A pid file that is a symbolic link is not followed.
	t.Setenv(Env, dir)
	if err := os.Symlink(file, filepath.Join(dir, "prog.x.pid")); err != nil {
		t.Fatal(err)
	}
	if _, err := Register(t.Context(), "prog", "x"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a symbolic link: %v", err)
	}
}

// A log that was given no place goes with the run directory if that was moved, or with the
// state of a user who is not root.
func TestLogPath(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(Env, filepath.Join(dir, "run"))
	for name, want := range map[string]string{"x": "run/prog.x.log", "prog": "run/prog.log"} {
		if got, err := LogPath("prog", name); err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, "run")); err != nil || st.Mode().Perm() != dirMode {
		t.Errorf("the directory: %v, %v", st, err)
	}
}

// Who may read a pid file can lock it for reading. That does not make a dead instance live, nor keep another one
// from its name.
func TestReaderOfPidFile(t *testing.T) {
	dir := newDir(t)
	cmd := start(t, "obedient", "prog")
	f, err := os.Open(filepath.Join(dir, "prog.pid"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Mode().Perm() != pidMode {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	cmd.Process.Kill()
	lk := unix.Flock_t{Type: unix.F_RDLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLKW, &lk); err != nil { // when the instance is dead
		t.Fatal(err)
	}
	if all := list(t, "prog"); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	in, err := Register(t.Context(), "prog", "prog")
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}
