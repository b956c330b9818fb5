package netlab

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// skip skips the test, or fails it when CI=true: there, what is missing is a
// fault of the machine that must not pass unseen.
func skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format+" (CI=true: not skipped)", args...)
	}
	t.Skipf(format, args...)
}

// RequireRoot skips the test when it does not run as root, and fails it then
// when CI=true.
func RequireRoot(t testing.TB) {
	t.Helper()
	if uid := os.Geteuid(); uid != 0 {
		skip(t, "needs root (effective uid is %d)", uid)
	}
}

// RequireTool returns the path of a program. Without it the test is skipped,
// or fails when CI=true.
func RequireTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skip(t, "needs %s: %v", name, err)
	}
	return path
}

// Await waits until the condition holds. The time-out of 20 s only bounds a failure.
func Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// OneCPU keeps the test on one of the CPUs it may use, until it ends: per-CPU maps
// then hold what it did in one place, and a limit of theirs is reached when it should.
func OneCPU(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	var home, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &home); err != nil {
		t.Fatalf("affinity: %v", err)
	}
	cpu := 0
	for !home.IsSet(cpu) {
		cpu++
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatalf("pin to CPU %d: %v", cpu, err)
	}
	t.Cleanup(func() {
		if err := unix.SchedSetaffinity(0, &home); err != nil {
			t.Errorf("back to all CPUs: %v", err)
		}
		runtime.UnlockOSThread()
	})
}
