// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/tests/need"
)

// RequireRoot is need.Root, for the tests of a lab, which all need it.
func RequireRoot(t testing.TB) {
	t.Helper()
	need.Root(t)
}

// RequireTool is need.Tool, likewise.
func RequireTool(t testing.TB, name string) string {
	t.Helper()
	return need.Tool(t, name)
}

// Await waits until the condition holds. The time-out only bounds a failure.
func Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// Pin keeps the calling goroutine on one CPU, until it calls back.
func Pin(cpu int) (back func() error, err error) {
	runtime.LockOSThread()
	var home, one unix.CPUSet
	one.Set(cpu)
	if err = unix.SchedGetaffinity(0, &home); err == nil {
		err = unix.SchedSetaffinity(0, &one)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("pin to CPU %d: %w", cpu, err)
	}
	return func() error {
		defer runtime.UnlockOSThread()
		return unix.SchedSetaffinity(0, &home)
	}, nil
}

// StayOnCPUs returns the CPUs to which threads that send have to be pinned, thread by thread, where
// frames on veths keep their order only so; nil elsewhere. Kernels before 6.5 leave the frames in
// the backlog of a CPU as long as its ksoftirqd is about to run, and frames that are sent on another
// CPU overtake them: of 2155 frames of a sender that changed its CPU every third one, 12 came late
// on 6.1, and none on 6.18. A Sender stays on the first CPU by itself.
func StayOnCPUs(t testing.TB, threads int) (cpus []int) {
	t.Helper()
	if OnNICs() || KernelHas(t, 6, 5) {
		return nil
	}
	for i := range threads {
		cpus = append(cpus, (i+1)%runtime.NumCPU())
	}
	return cpus
}

// OneCPU keeps the test on one of the CPUs it may use, until it ends: per-CPU maps
// then hold what it did in one place, and a limit of theirs is reached when it should.
func OneCPU(t testing.TB) {
	t.Helper()
	var home unix.CPUSet
	if err := unix.SchedGetaffinity(0, &home); err != nil {
		t.Fatalf("affinity: %v", err)
	}
	cpu := 0
	for !home.IsSet(cpu) {
		cpu++
	}
	back, err := Pin(cpu)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := back(); err != nil {
			t.Errorf("back to all CPUs: %v", err)
		}
	})
}
