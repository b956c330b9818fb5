// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"bytes"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

// A driver that runs the program in generic mode, though it is attached in native mode, does not
// report what becomes of redirected frames. The engine finds that out, and the threads take over.
func TestRedirectsThatAreNotTold(t *testing.T) {
	netlab.RequireRoot(t)
	lab := &netlab.Bridge{Src: netlab.NewNamespace(t, "src"), Dut: netlab.NewNamespace(t, "dut"), Snk: netlab.NewNamespace(t, "snk")}
	in, out := lab.Dut.NewTAP(netlab.D0, 0), lab.Dut.NewTAP(netlab.D1, 0)
	if err := in.LimitSending(1 << 20); err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, lab, dataplane.Config{FastPath: true})
	d.mustStart()
	d.mustUseFastPath()
	pass := func(n int) {
		t.Helper()
		for i := range n {
			frame := netlab.UDP(100, uint64(i))
			if err := in.Write(frame); err != nil {
				t.Fatal(err)
			}
			got, err := out.Read(time.Now().Add(20 * time.Second))
			for ; err == nil && !bytes.Equal(got, frame); got, err = out.Read(time.Now().Add(20 * time.Second)) {
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var before uint64
	d.await("it is found out", func() bool {
		pass(20)
		before = d.stats(0).Held
		_, why := d.FastPath()
		return why[0] != ""
	})
	pass(100)
	if s := d.stats(0); before == 0 || s.Held != before || d.said("does not tell what becomes of") != 1 {
		t.Errorf("held %d, before %d; said %q", s.Held, before, d.lines())
	}
	d.checkBooks()
}
