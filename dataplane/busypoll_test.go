// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// With busy polling, frames pass as otherwise, and it can be changed while they do. For devices
// without interrupts the log says that they have none.
func TestBusyPolling(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	d := newDevice(t, lab, dataplane.Config{Poll: dataplane.PollBusy})
	d.mustStart()
	if !lab.OnNICs() && d.said("has no interrupts to leave off, so busy polling only spins") != 2 {
		t.Errorf("said %q", d.lines())
	}
	frames := netlab.Mix(1, 200)
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
	for _, m := range []dataplane.PollMode{dataplane.PollAdaptive, dataplane.PollBusy} {
		if err := lab.Dut.Do(func() error { d.SetPoll(m); return nil }); err != nil {
			t.Fatal(err)
		}
		pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	}
	d.checkBooks()
	d.mustStop()
}

// Devices with interrupts have them off while a process polls them, also when it was killed. The next
// process restores their settings, and so does one that ends by itself.
func TestBusyPollingOfAProcess(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	settings := func() string {
		t.Helper()
		const dir = "/sys/class/net/" + netlab.D0 + "/"
		out, said, status := netlab.Run(t, lab.Dut.Command("cat", dir+"napi_defer_hard_irqs", dir+"gro_flush_timeout"))
		if status != 0 {
			t.Fatal(said)
		}
		return strings.Join(strings.Fields(out), " ")
	}
	before := settings()
	polled := before
	pollable := lab.OnNICs()
	if pollable {
		polled = "2 200000"
	}
	dir := t.TempDir()
	start := func(mode string) *netlab.Process {
		t.Helper()
		p := startChild(t, lab.Dut, "env", childPoll+"="+mode, childRunDir+"="+dir)
		if err := p.WaitOutput("running", 20*time.Second); err != nil {
			t.Fatalf("%v: %s", err, p.Output())
		}
		lab.Settle()
		return p
	}
	end := func(p *netlab.Process, by syscall.Signal) {
		t.Helper()
		if err := p.Signal(by); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(20 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	is := func(what, want string) {
		t.Helper()
		if now := settings(); now != want {
			t.Errorf("%s the settings are %q, want %q", what, now, want)
		}
	}
	p := start("busy")
	is("while it polls", polled)
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 200))
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, netlab.Mix(2, 200))
	end(p, syscall.SIGKILL)
	is("after the kill", polled)
	p = start("adaptive")
	is("of the next process", before)
	if pollable && !strings.Contains(p.Output(), "port "+netlab.D0+": restored, since an earlier process was killed: ") {
		t.Errorf("it said %s", p.Output())
	}
	end(p, syscall.SIGTERM)
	p = start("busy")
	is("while it polls again", polled)
	end(p, syscall.SIGTERM)
	is("after the stop", before)
}
