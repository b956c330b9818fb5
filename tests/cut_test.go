// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ethertap/tests/netlab"
)

// While a link is cut with its carrier, the other side has none, and no frame passes. It has it again
// after fault.mend, after a stop, and after a crash with the next start.
func TestCutTakesTheCarrierDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	carrier := func(want bool) {
		t.Helper()
		netlab.Await(t, "the carrier follows", func() bool {
			return r.Snk.Link(netlab.K1).Carrier == want && r.Dut.Link(netlab.D1).Up == want
		})
		if !r.Src.Link(netlab.S0).Carrier {
			t.Error("the side that is received from has lost its carrier")
		}
	}
	r.daemon()
	r.rpcl("0 fault.enable -1 0 fault.cut.carrier")
	carrier(true)
	r.rpcl("0 fault.cut")
	carrier(false)
	r.send(netlab.Mix(1, 50)...)
	netlab.Await(t, "all are lost", func() bool { return r.stat(0, "outage by FI") == "50" })
	if shown := r.rpcl("fault.show if.check"); !strings.Contains(shown, "cut, with carrier") {
		t.Error(shown)
	}
	for line, back := range map[string]string{
		"0 fault.mend":              "0 fault.cut",
		"1ms 0 fault.outage":        "0 fault.cut",
		"0 fault.disable":           "0 fault.enable",
		"0 0 fault.cut.carrier":     "-1 0 fault.cut.carrier",
		"if.stop":                   "if.start",
		"0 fault.reset":             "0 fault.enable -1 0 fault.cut.carrier 0 fault.cut",
		"0 fault.mend 1 fault.mend": "0 fault.cut",
	} {
		r.rpcl(line)
		carrier(true)
		r.rpcl(back)
		carrier(false)
	}

	// The next start after a crash restores the carrier, and knows of no cut.
	r.kill()
	carrier(false)
	r.daemon()
	carrier(true)
	r.Snk.WaitUp(netlab.K1)
	r.sendAll(netlab.Mix(1, 50)...)
	if log, err := os.ReadFile(filepath.Join(r.dir, "log")); err != nil || !strings.Contains(string(log), "restored, since an earlier process was killed: link up") {
		t.Errorf("%s, %v", log, err)
	}

	// An interface that was down before stays down, and one of another direction is untouched.
	r.Dut.SetDown(netlab.D1)
	r.rpcl("0 fault.enable -1 0 fault.cut.carrier 0 fault.cut")
	r.rpcl("0 fault.mend")
	if r.Dut.Link(netlab.D1).Up {
		t.Error("an interface is up that was down before the cut")
	}
	r.Dut.SetUp(netlab.D1)
	carrier(true)
	r.rpcl("0 fault.cut")
	carrier(false)
	r.must(r.control, "ethertap", "stop")
	carrier(true)
	if left := r.runDirectory(); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}
