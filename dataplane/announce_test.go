package dataplane_test

import (
	"testing"

	"ethertap/dataplane"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// Whoever reads a queue sees what is tapped for it, before the first frame and after each
// change, also where a policy is refused.
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
				t.Errorf("%s: interface %d: taps %05b, want %05b", what, i, list[i].Taps, taps[i]|shm.TapStated)
			}
		}
	}
	d.policy(func(p *dataplane.Policy) { p.Port[1].TapTX = true })
	d.mustStart()
	want("set before the start", q, 0, shm.TapTX)
	want("a further queue, nothing set", further, shm.TapFurther, shm.TapFurther)
	d.policy(func(p *dataplane.Policy) {
		p.Port[0].TapRX, p.Port[1].TapTX = true, false
		p.TapHash = p.TapHash.With(dataplane.MAC{2, 1})
		p.Port[0].Fault.Enabled = true
		f, err := p.Feed(name)
		if err != nil {
			t.Fatal(err)
		}
		f.TapRX[1] = true
	})
	want("changed", q, shm.TapRX|shm.TapHosts, shm.TapHosts)
	want("a further queue, changed", further, shm.TapFurther, shm.TapFurther|shm.TapRX)
	err = d.Update(func(p *dataplane.Policy) error {
		p.Port[0].TapRX, p.Port[0].Fault.Drop.Probability = false, dataplane.Certain+1
		return nil
	})
	if err == nil {
		t.Error("a probability above certain was taken")
	}
	want("a policy that was refused", q, shm.TapRX|shm.TapHosts, shm.TapHosts)
	d.mustStop()
	d.mustStart()
	want("after a new start", q, shm.TapRX|shm.TapHosts, shm.TapHosts)
	want("a further queue after a new start", further, shm.TapFurther, shm.TapFurther|shm.TapRX)
}
