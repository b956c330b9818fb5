// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// feedName returns a name for a further queue of this test.
func feedName(t *testing.T) string {
	name := fmt.Sprintf("%stest.%d.%x", shm.Prefix, os.Getpid(), rand.Uint64())
	t.Cleanup(func() {
		if err := shm.Delete(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return name
}

// storedIn returns the number of frames put into a further queue.
func (d *device) storedIn(queue string) uint64 {
	stored, _, _ := d.FurtherCounts(queue)
	return stored
}

// Two further queues get what their own taps and hashes say, independently of the TAP queue.
func TestFurtherQueuesHaveRulesOfTheirOwn(t *testing.T) {
	bothEngines(t, netlab.Options{}, furtherQueuesHaveRulesOfTheirOwn)
}

func furtherQueuesHaveRulesOfTheirOwn(t *testing.T, lab *netlab.Bridge, fast bool) {
	d := newDevice(t, lab, dataplane.Config{Queue: newQueue(t, 1024), FastPath: fast})
	names := []string{feedName(t), feedName(t)}
	hosts := []netlab.MAC{{2, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2}}
	add := func(i int) {
		t.Helper()
		if err := d.AddQueue(names[i]); err != nil {
			t.Fatal(err)
		}
		d.wish(func(p *policy.Policy) {
			f, err := p.Tap(names[i])
			if err != nil {
				t.Fatal(err)
			}
			f.RX[0], f.TX[1] = i == 0, i == 1
			f.MACs = f.MACs.With(hosts[i])
		})
	}
	add(0)
	d.mustStart()
	if fast {
		d.mustUseFastPath()
	}
	add(1)
	var consumers []*shm.Consumer
	for _, name := range names {
		q, err := shm.Open(name, shm.Options{NoCreate: true})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		if list, err := q.Interfaces(); err != nil || len(list) != 2 || list[1].Name != netlab.D1 || list[1].MAC != d.Ports()[1].MAC {
			t.Errorf("interfaces in %s: %+v, %v", name, list, err)
		}
		c, err := q.NewConsumer("test")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		consumers = append(consumers, c)
	}
	var frames [][]byte
	for i := range uint64(90) {
		f := netlab.Frame{Src: netlab.SrcMAC, Seq: i}
		if i%3 < 2 {
			f.Src = hosts[i%3]
		}
		frames = append(frames, f.Bytes())
	}
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	d.await("both are fed", func() bool {
		return d.storedIn(names[0]) == 30 && d.storedIn(names[1]) == 30
	})
	for i, c := range consumers {
		records := drainQueue(t, c)
		if len(records) != 30 {
			t.Fatalf("queue %d has %d records, want 30", i, len(records))
		}
		for k, r := range records {
			if !bytes.Equal(r.Data, frames[3*k+i]) || r.Direction != []shm.Direction{shm.RX, shm.TX}[i] || int(r.Interface) != i {
				t.Fatalf("queue %d, record %d: %+v", i, k, r)
			}
		}
	}
	if s := d.stats(0); s.TapQualified != 0 {
		t.Errorf("%d frames qualified for the TAP queue, which taps nothing", s.TapQualified)
	}

	// One queue is removed under traffic, and the other one goes on.
	done := make(chan error, 1)
	go func() { done <- d.RemoveQueue(names[0]) }()
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	d.await("the other is fed", func() bool { return d.storedIn(names[1]) == 60 })
	before := len(drainQueue(t, consumers[0]))
	pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, frames)
	d.await("the other is fed again", func() bool { return d.storedIn(names[1]) == 90 })
	if n := len(drainQueue(t, consumers[0])); n != 0 {
		t.Errorf("%d frames (after %d) in a queue that is fed no longer", n, before)
	}
	d.checkBooks()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// A queue that cannot be fed is refused with the reason, before and after a start.
func TestAddQueueRefuses(t *testing.T) {
	q := newQueue(t, 64)
	e, err := dataplane.New(dataplane.Config{Interfaces: []string{"x", "y"}, Queue: q})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	foreign := feedName(t)
	if err := os.WriteFile("/dev/shm/"+foreign, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/dev/shm/" + foreign)
	for name, want := range map[string]string{
		q.Name():                              "is the TAP queue",
		"et-no-such-queue":                    "no such file",
		"a/b":                                 "cannot be the name of a file",
		foreign:                               "not a queue",
		shm.Prefix + strings.Repeat("x", 200): "cannot be the name of a file",
	} {
		if err := e.AddQueue(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	for range dataplane.MaxFurther {
		name := feedName(t)
		small, err := shm.Open(name, shm.Options{Slots: 16, SlotSize: 128})
		if err != nil {
			t.Fatal(err)
		}
		defer small.Close()
		if err := e.AddQueue(name); err != nil {
			t.Fatal(err)
		}
		if err := e.AddQueue(name); err != nil {
			t.Fatalf("the second time: %v", err)
		}
	}
	if err := e.AddQueue(feedName(t)); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("one too many: %v", err)
	}
	if err := e.RemoveQueue("nobody"); err == nil {
		t.Error("removed what was not there")
	}
}
