// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"testing"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/lib/predicate"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// The readers of a queue see what is tapped for it, before the first frame and after each change of
// the policy, even where a policy is refused.
func TestTapsAreAnnounced(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	q := newQueue(t, 64)
	d := newDevice(t, lab, dataplane.Config{Queue: q})
	name := feedName(t)
	if err := d.AddQueue(name); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	further, err := shm.Open(name, shm.Options{NoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer further.Close()
	want := func(what string, q *shm.Queue, taps ...shm.Taps) {
		t.Helper()
		list, err := q.Interfaces()
		if err != nil || len(list) != len(taps) {
			t.Fatalf("%s: %+v, %v", what, list, err)
		}
		for i := range taps {
			if list[i].Taps != taps[i]|shm.TapStated {
				t.Errorf("%s: interface %d: taps %06b, want %06b", what, i, list[i].Taps, taps[i]|shm.TapStated)
			}
		}
	}
	d.wish(func(p *policy.Policy) { p.Taps[0].TX[1] = true })
	d.mustStart()
	want("set before the start", q, 0, shm.TapTX)
	want("a further queue, nothing set", further, shm.TapFurther, shm.TapFurther)
	d.wish(func(p *policy.Policy) {
		p.Taps[0].RX[0], p.Taps[0].TX[1] = true, false
		p.Taps[0].MACs = p.Taps[0].MACs.With(policy.MAC{2, 1})
		p.Ports[0].Fault.Enabled = true
		f, err := p.Tap(name)
		if err != nil {
			t.Fatal(err)
		}
		filter := policy.Filter{Source: "tcp?", Tree: predicate.Is{Any: predicate.TCP}}
		f.RX[1], f.RXFilter[1], f.TXFilter[0] = true, filter, filter // a filter of a tap that is off is none
	})
	want("changed", q, shm.TapRX|shm.TapHosts, shm.TapHosts)
	want("a further queue, changed", further, shm.TapFurther, shm.TapFurther|shm.TapRX|shm.TapFilter)
	err = d.Update(func(p *policy.Policy) error {
		p.Taps[0].RX[0], p.Ports[0].Fault.Drop.Probability = false, policy.Certain+1
		return nil
	})
	if err == nil {
		t.Error("a probability above certain was taken")
	}
	want("a policy that was refused", q, shm.TapRX|shm.TapHosts, shm.TapHosts)
	d.mustStop()
	d.mustStart()
	want("after a new start", q, shm.TapRX|shm.TapHosts, shm.TapHosts)
	want("a further queue after a new start", further, shm.TapFurther, shm.TapFurther|shm.TapRX|shm.TapFilter)
}
