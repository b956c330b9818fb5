// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"fmt"
	"testing"

	"ethertap/dataplane"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// The log names queues that cut frames, with the command that fixes it: at the start, when a
// further queue is added, and when the MTU is raised. It names no queue whose slots are large
// enough.
func TestQueuesThatCutFramesAreSaid(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	q := newQueue(t, 64)
	d := newDevice(t, lab, dataplane.Config{Queue: q})
	defer d.Close()
	small, large := feedName(t), feedName(t)
	for name, size := range map[string]int{small: 512, large: shm.SlotFor(3000 + 30)} {
		made, err := shm.Open(name, shm.Options{SlotSize: size})
		if err != nil {
			t.Fatal(err)
		}
		defer made.Close()
	}
	d.mustStart()
	if n := d.said("are cut"); n != 0 {
		t.Errorf("at the start it said %d times %q", n, d.lines())
	}
	for _, name := range []string{small, large} {
		if err := d.AddQueue(name); err != nil {
			t.Fatal(err)
		}
	}
	fix := func(size int) string {
		return fmt.Sprintf(`and make it with 0 %d "%s" pqueue.create`, size, small)
	}
	if d.said("are cut") != 2 || d.said(fix(1600)) != 2 || d.said(fmt.Sprintf("queue %s: a slot holds 448 bytes of a frame, and port d1 has MTU 1500: longer frames are cut", small)) != 1 {
		t.Errorf("after the further queues it said %q", d.lines())
	}
	d.raise(1600) // the same memory suffices
	d.await("it says what the MTU does", func() bool { return d.said(fix(1728)) == 2 })
	d.raise(3000) // everything starts anew
	tap := fmt.Sprintf("queue %s: a slot holds 2048 bytes of a frame, and port d0 has MTU 3000: longer frames are cut; to record them whole, delete the queue (rpclsh -q %s -e tap.queue.delete) and start with --queue-slot-size 3136", q.Name(), q.Name())
	d.await("it says what the MTU does", func() bool { return d.said(tap) == 1 && d.said(fix(3136)) > 0 })
	if d.said("queue "+large) != 0 {
		t.Errorf("a queue that cuts nothing: %q", d.lines())
	}
}

// raise sets the MTU of all interfaces of the lab.
func (d *device) raise(mtu int) {
	d.lab.Src.SetMTU(netlab.S0, mtu)
	d.lab.Dut.SetMTU(netlab.D0, mtu)
	d.lab.Dut.SetMTU(netlab.D1, mtu)
	d.lab.Snk.SetMTU(netlab.K1, mtu)
}
