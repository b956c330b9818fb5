package dataplane_test

import (
	"os"
	"strings"
	"testing"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// With busy polling, frames pass as otherwise. Devices with interrupts have them off while the engine
// runs; for others the log says that they have none.
func TestBusyPolling(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	setting := func() string {
		b, err := os.ReadFile("/sys/class/net/" + netlab.D0 + "/napi_defer_hard_irqs")
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(b))
	}
	d := newDevice(t, lab, dataplane.Config{Poll: dataplane.PollBusy})
	before := setting()
	d.mustStart()
	if lab.OnNICs() {
		if now := setting(); now != "2" {
			t.Errorf("napi_defer_hard_irqs is %q", now)
		}
	} else if d.said("has no interrupts to leave off, so busy polling only spins") != 2 {
		t.Errorf("said %q", d.lines())
	}
	frames := netlab.Mix(1, 200)
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	pass(t, lab.Snk, netlab.K1, lab.Src, netlab.S0, frames)
	if err := lab.Dut.Do(func() error { d.SetPoll(dataplane.PollAdaptive); return nil }); err != nil {
		t.Fatal(err)
	}
	if now := setting(); now != before {
		t.Errorf("in another mode napi_defer_hard_irqs is %q, and was %q", now, before)
	}
	if err := lab.Dut.Do(func() error { d.SetPoll(dataplane.PollBusy); return nil }); err != nil {
		t.Fatal(err)
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	d.checkBooks()
	d.mustStop()
	if now := setting(); now != before {
		t.Errorf("after the stop napi_defer_hard_irqs is %q, and was %q", now, before)
	}
}
