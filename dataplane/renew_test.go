// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"fmt"
	"os"
	"testing"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// A queue whose file is removed is made anew under its name: the TAP queue and a further one, for
// the threads and for the fast path. The lost packets are counted exactly, by interface, and the
// accounts close.
func TestQueueThatIsTakenAwayIsMadeAnew(t *testing.T) {
	bothEngines(t, netlab.Options{}, queueThatIsTakenAwayIsMadeAnew)
}

func queueThatIsTakenAwayIsMadeAnew(t *testing.T, lab *netlab.Bridge, fast bool) {
	q := newQueue(t, 1024)
	d := newDevice(t, lab, dataplane.Config{Queue: q, FastPath: fast})
	defer d.Close()
	further := feedName(t)
	if err := d.AddQueue(further); err != nil {
		t.Fatal(err)
	}
	d.wish(func(p *policy.Policy) {
		p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true
		f, err := p.Tap(further)
		if err != nil {
			t.Fatal(err)
		}
		f.TX[1] = true
	})
	d.mustStart()
	if fast {
		d.mustUseFastPath()
	}
	paths := map[string]string{q.Name(): "/dev/shm/" + q.Name(), further: "/dev/shm/" + further}
	var sent uint64
	send := func(n int) {
		t.Helper()
		pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, n))
		sent += uint64(n)
		d.await("all is tapped", func() bool {
			return d.stats(0).TapQualified == sent && d.stats(1).TapQualified == sent && d.offered(further) == sent
		})
	}
	for round, take := range []func(path string){
		func(path string) { os.Remove(path) },
		func(path string) { // another file has its name
			if err := os.Rename(path, path+".moved"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(path + ".moved") })
			other, err := shm.Open(path[len("/dev/shm/"):], shm.Options{Slots: 512, SlotSize: 256})
			if err != nil {
				t.Fatal(err)
			}
			other.Close()
		},
	} {
		send(100)
		reader := openQueue(t, q.Name())
		rest, err := reader.NewConsumer("test")
		if err != nil {
			t.Fatal(err)
		}
		for range 30 { // of 100 RX and 100 TX copies; nothing waits for our own process
			if _, ok, err := rest.Get(nil); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		rest.Close()
		reader.Close()
		before := d.Queue()
		for _, path := range paths {
			take(path)
		}
		for name := range paths {
			d.await(name+" is made anew", func() bool {
				return d.said(fmt.Sprintf("queue %s: file is gone", name)) == round+1 &&
					d.said(fmt.Sprintf("queue %s: ", name)) >= 2*(round+1)
			})
		}
		lost := uint64(170 * (round + 1))
		d.await("what was lost is counted", func() bool { return d.stats(0).TapLost+d.stats(1).TapLost == lost })
		if d.said(fmt.Sprintf("queue %s: 170 packets that nobody had taken are lost with its old file", q.Name())) != round+1 {
			t.Errorf("said %q", d.lines())
		}
		d.await("also of the further queue", func() bool { _, _, lost := d.FurtherCounts(further); return lost == uint64(100*(round+1)) })
		if s := d.stats(0); s.TapStored+s.TapLost+s.TapRefused != sent || s.TapRefused != 0 {
			t.Errorf("%+v", s)
		}
		if d.Queue() == before || d.Queue().Intact() != nil {
			t.Errorf("the queue is the same, or gone: %v", d.Queue().Intact())
		}
		d.checkBooks()
	}
	// Frames that come now are in the new queues, with the table and the taps.
	send(50)
	for name, want := range map[string]int{q.Name(): 100, further: 50} {
		now := openQueue(t, name)
		st, err := now.Status()
		if err != nil || st.Waiting != want || st.Slots != 512 {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
		list, err := now.Interfaces()
		if err != nil || len(list) != 2 || list[1].Name != netlab.D1 || list[1].Taps&shm.TapTX == 0 {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
	}
	// After a reset, the loss of packets that were stored before it does not count.
	d.ResetStats()
	sent = 0
	if s := d.stats(0); s.TapLost != 0 || s.TapStored != 0 {
		t.Errorf("after the reset: %+v", s)
	}
	os.Remove(paths[q.Name()])
	d.await("the third one", func() bool { return d.said(fmt.Sprintf("queue %s: 100 packets", q.Name())) == 1 })
	if s := d.stats(0); s.TapLost != 0 || s.TapStored != 0 {
		t.Errorf("lost after the reset: %+v", s)
	}
	d.checkBooks()
	d.mustStop()
	os.Remove(paths[further])
	d.mustStart()
	if d.said(fmt.Sprintf("queue %s: file is gone", further)) != 3 {
		t.Errorf("removed while it was stopped: %q", d.lines())
	}
}

// offered returns how many frames the tap of a further queue wanted.
func (d *device) offered(queue string) uint64 {
	stored, refused, lost := d.FurtherCounts(queue)
	return stored + refused + lost
}

func openQueue(t *testing.T, name string) *shm.Queue {
	t.Helper()
	q, err := shm.Open(name, shm.Options{NoCreate: true, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// tappedBridge is a bridge on which the frames received on interface 0 are tapped.
func tappedBridge(t *testing.T) (*netlab.Bridge, *shm.Queue, *device) {
	t.Helper()
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	q := newQueue(t, 256)
	d := newDevice(t, lab, dataplane.Config{Queue: q})
	t.Cleanup(func() { d.Close() })
	d.wish(func(p *policy.Policy) { p.Taps[0].RX[0] = true })
	d.mustStart()
	return lab, q, d
}

// A damaged queue is replaced. As many packets count as lost as may have been in it, and the bridge
// goes on.
func TestQueueThatIsDamagedIsMadeAnew(t *testing.T) {
	lab, q, d := tappedBridge(t)
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 100))
	d.await("all is tapped", func() bool { return d.stats(0).TapStored == 100 })
	if err := os.Truncate("/dev/shm/"+q.Name(), 4096); err != nil {
		t.Fatal(err)
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))
	d.await("it is made anew", func() bool { return d.said("queue is corrupt: 4096 bytes long") == 1 })
	d.await("what may be lost is counted", func() bool { return d.stats(0).TapLost >= 100 })
	d.await("all are counted", func() bool { return d.stats(0).TapQualified == 150 })
	if s := d.stats(0); s.TapStored+s.TapLost+s.TapRefused != 150 || d.said("at most") != 1 {
		t.Errorf("%+v, said %q", s, d.lines())
	}
	before := d.stats(0).TapStored
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 50))
	d.await("frames are in the new one", func() bool { return d.stats(0).TapStored == before+50 })
	d.checkBooks()
}

// A file that is no queue is left alone, and logged once. When it goes, the queue is made.
func TestForeignFileInPlaceOfAQueue(t *testing.T) {
	lab, q, d := tappedBridge(t)
	path := "/dev/shm/" + q.Name()
	os.Remove(path)
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	const said = "file is gone: another one has its name; there is no replacement, and nobody gets the tapped frames: queue "
	d.await("it is said", func() bool { return d.said(said) == 1 })
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 20))
	os.Remove(path)
	d.await("the queue is there again", func() bool { return d.Queue().Intact() == nil })
	d.await("what was lost is counted", func() bool { return d.stats(0).TapLost == 20 })
	if d.said(said) != 1 {
		t.Errorf("said %q", d.lines())
	}
	d.checkBooks()
}
