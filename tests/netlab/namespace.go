// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	namesDir = "/run/netns" // where iproute2 keeps named namespaces
	prefix   = "et"         // of every name that this package gives
)

// Namespace is a network namespace that lives as long as its test. Methods
// without an error result end the test when they fail, so they belong into the
// test's own goroutine; methods that return errors may be called anywhere.
type Namespace struct {
	t    testing.TB
	name string
	file *os.File // the namespace itself, for setns
}

// NewNamespace makes an empty namespace with IPv6 off and lo up. The role is
// the last part of its name. It is removed when the test ends, together with
// processes that are still in it; leaving some is an error of the test.
func NewNamespace(t testing.TB, role string) *Namespace {
	t.Helper()
	RequireRoot(t)
	RequireTool(t, "ip")
	sweep()
	n := &Namespace{t: t, name: uniqueName(role)}
	if out, err := exec.Command("ip", "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Fatalf("namespace %s: %v: %s", n.name, err, out)
	}
	t.Cleanup(n.remove)
	file, err := os.Open(n.Path())
	if err != nil {
		t.Fatalf("namespace %s: %v", n.name, err)
	}
	n.file = file
	n.must(n.Do(func() error {
		// /proc/sys/net shows the namespace of the thread that opens it.
		for _, which := range []string{"all", "default"} {
			err := os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}))
	n.SetUp("lo")
	return n
}

// uniqueName gives et<pid>-<random>-<role>; sweep reads the pid from it.
func uniqueName(role string) string {
	return fmt.Sprintf("%s%d-%08x-%s", prefix, os.Getpid(), rand.Uint32(), role)
}

// Name is what `ip netns` calls the namespace.
func (n *Namespace) Name() string { return n.name }

// Path is the file that stands for the namespace.
func (n *Namespace) Path() string { return filepath.Join(namesDir, n.name) }

// Do runs fn on a locked thread inside the namespace and comes back. Sockets
// and BPF links made by fn belong to the namespace for good; goroutines that
// fn starts run outside of it. /sys still shows the network of the test
// process: only Command and Start give a process its own view of it.
func (n *Namespace) Do(fn func() error) (err error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("namespace %s: %w", n.name, err)
	}
	defer home.Close()
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("namespace %s: setns: %w", n.name, err)
	}
	defer func() {
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			// The thread stays locked, so that it dies with its goroutine
			// and nothing else ever runs in the wrong namespace.
			panic(fmt.Sprintf("namespace %s: cannot leave: %v", n.name, back))
		}
		runtime.UnlockOSThread()
	}()
	return fn()
}

// Command prepares a program to be run inside the namespace by `ip netns
// exec`, with /sys showing the namespace too. ip replaces itself by the
// program, so signals go to the right process.
func (n *Namespace) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.name, name}, args...)...)
}

// Processes lists the processes in the namespace, without the test itself.
func (n *Namespace) Processes() []int { return processes(n.name) }

func processes(name string) []int {
	// An error means that the namespace is gone, and with it its processes.
	out, _ := exec.Command("ip", "netns", "pids", name).Output()
	var pids []int
	for field := range strings.FieldsSeq(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Delete deletes the namespace before the test ends, and its links with it.
func (n *Namespace) Delete() {
	n.t.Helper()
	if n.file != nil { // it would keep the namespace
		n.file.Close()
		n.file = nil
	}
	n.must(discard(n.name))
}

// leaving is how long a process may take to go: a daemon that was stopped has given
// up its lock, and so is said to be gone, before the kernel has closed its sockets.
const leaving = 10 * time.Second

// remove deletes the namespace after ending what still runs in it.
func (n *Namespace) remove() {
	n.t.Helper()
	left := n.Processes()
	for end := time.Now().Add(leaving); len(left) > 0 && time.Now().Before(end) && !n.t.Failed(); left = n.Processes() {
		time.Sleep(20 * time.Millisecond)
	}
	if len(left) > 0 && !n.t.Failed() {
		n.t.Errorf("namespace %s: the test left processes running: %s", n.name, describe(left))
	}
	if err := discard(n.name); err != nil {
		n.t.Errorf("namespace %s: %v", n.name, err)
	}
	if n.file != nil {
		n.file.Close()
	}
}

// describe names processes for a message.
func describe(pids []int) string {
	var all []string
	for _, pid := range pids {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		args := strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
		all = append(all, fmt.Sprintf("%d (%s)", pid, args))
	}
	return strings.Join(all, ", ")
}

// discard ends the processes in a namespace of ours and deletes its name.
func discard(name string) error {
	for range 100 {
		left := processes(name)
		if len(left) == 0 {
			break
		}
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
	out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput()
	if _, gone := os.Lstat(filepath.Join(namesDir, name)); errors.Is(gone, fs.ErrNotExist) {
		return nil // deleted, by us or by another sweeper
	}
	if err != nil {
		return fmt.Errorf("delete: %w: %s", err, out)
	}
	return nil
}

// sweep removes namespaces whose test process died without cleaning up. A
// living process with the same pid only delays that.
func sweep() {
	entries, err := os.ReadDir(namesDir)
	if err != nil {
		return // no namespace was ever made here
	}
	for _, entry := range entries {
		if pid, ok := ownerOf(entry.Name()); ok && !alive(pid) {
			// Failing is harmless: the next test tries again.
			_ = discard(entry.Name())
		}
	}
}

// ownerOf reads the pid from a name in the form of uniqueName.
func ownerOf(name string) (pid int, ok bool) {
	rest, ours := strings.CutPrefix(name, prefix)
	digits, rest, found := strings.Cut(rest, "-")
	random, _, foundRole := strings.Cut(rest, "-")
	if !ours || !found || !foundRole || len(random) != 8 {
		return 0, false
	}
	pid, err := strconv.Atoi(digits)
	return pid, err == nil && pid > 0
}

// alive is true when in doubt.
func alive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// must ends the test when err is not nil.
func (n *Namespace) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatalf("namespace %s: %v", n.name, err)
	}
}
