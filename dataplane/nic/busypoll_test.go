// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ethertap/tests/netlab"
)

// childStep has the test binary take one step on interface d0 in a namespace, where /sys is that
// of the namespace.
const (
	childStep = "ETHERTAP_TEST_INTERRUPTS"
	childDir  = "ETHERTAP_TEST_RUNDIR"
)

func TestMain(m *testing.M) {
	if step := os.Getenv(childStep); step != "" {
		if err := childTakes(step); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childTakes(step string) error {
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	dir := os.Getenv(childDir)
	if step == "restore" {
		_, err := RestoreChanges(dir, say)
		return err
	}
	p := New([]string{netlab.D0}, Options{RunDir: dir, Owner: func(uint32) (string, string) { return "", "" }, Logf: say})[0]
	if err := p.Inspect(); err != nil {
		return err
	}
	if err := p.DeferInterrupts(true); err != nil {
		return err
	}
	now, err := interruptsOf(netlab.D0, p.index)
	if err != nil || now != deferred {
		return fmt.Errorf("%+v, %v", now, err)
	}
	if step == "die" {
		return nil
	}
	if err := p.DeferInterrupts(true); err != nil { // twice is once
		return err
	}
	return p.DeferInterrupts(false)
}

// The settings of interrupts are restored by the process that changed them, or by the next one
// if that was killed.
func TestInterruptsAreRestored(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(dir, name string, args ...string) string {
		t.Helper()
		cmd := lab.Dut.Command(name, args...)
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		p := netlab.StartProcess(t, cmd)
		if status, err := p.Wait(20 * time.Second); err != nil || status != 0 {
			t.Fatalf("%s %q: status %d, %v: %s", name, args, status, err, p.Output())
		}
		return p.Output()
	}
	step := func(dir, step string) string { return run(dir, "env", childStep+"="+step, self) }
	const file = "/sys/class/net/" + netlab.D0 + "/"
	set := func(deferral, timeout string) {
		run("", "sh", "-c", fmt.Sprintf("echo %s >%snapi_defer_hard_irqs; echo %s >%sgro_flush_timeout", deferral, file, timeout, file))
	}
	is := func(want string) {
		t.Helper()
		if got := strings.Fields(run("", "cat", file+"napi_defer_hard_irqs", file+"gro_flush_timeout")); strings.Join(got, " ") != want {
			t.Errorf("settings %q, want %q", got, want)
		}
	}
	dir := t.TempDir()
	set("5", "70000")
	step(dir, "whole")
	is("5 70000")
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	step(dir, "die")
	is("2 200000")
	if said := step(dir, "restore"); !strings.Contains(said, "port d0: restored, since an earlier process was killed: interrupts") {
		t.Errorf("said %q", said)
	}
	is("5 70000")

	// A thread that is in another namespace than /sys shows is refused.
	err = lab.Dut.Do(func() error {
		_, err := interruptsOf("lo", 1<<20)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "/sys shows another network namespace") {
		t.Errorf("error %v", err)
	}
}
