// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// device is an engine under test, in the middle of the lab.
type device struct {
	*dataplane.Engine
	t   *testing.T
	lab *netlab.Bridge
	mu  sync.Mutex
	log []string
}

// newDevice makes an engine that logs into the test. It starts and stops on a thread in the middle
// namespace of the lab. Its sockets are made there, and the threads of the engine only use them.
func newDevice(t *testing.T, lab *netlab.Bridge, c dataplane.Config) *device {
	t.Helper()
	d := &device{t: t, lab: lab}
	if c.Interfaces == nil {
		c.Interfaces = []string{netlab.D0, netlab.D1}
	}
	if lab.OnNICs() && c.Attach == nic.AttachAuto && c.Copy == nic.CopyAuto {
		c.Attach, c.Copy = rowMode()
	}
	if c.CPUs == nil {
		c.CPUs = netlab.StayOnCPUs(t, dataplane.MaxQueues)
	}
	c.Logf = func(format string, args ...any) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.log = append(d.log, fmt.Sprintf(format, args...))
	}
	var err error
	if d.Engine, err = dataplane.New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		for _, f := range d.Policy().Taps[1:] {
			shm.Delete(f.Name) // the engine may have made it anew since the test deleted it
		}
		if t.Failed() {
			for _, line := range d.lines() {
				t.Log(line)
			}
		}
	})
	return d
}

// during makes a subtest fail, and not the test around it, until the subtest ends.
func (d *device) during(t *testing.T) {
	before := d.t
	d.t = t
	t.Cleanup(func() { d.t = before })
}

func (d *device) start() error { return d.lab.Dut.Do(d.Start) }
func (d *device) stop() error  { return d.lab.Dut.Do(d.Stop) }

// mustStart starts the engine, and waits until the links are as before.
func (d *device) mustStart() {
	d.t.Helper()
	if err := d.start(); err != nil {
		d.t.Fatal(err)
	}
	d.lab.Settle()
}

// rowMode is the mode for a lab on NICs unless a test chooses one.
func rowMode() (nic.AttachMode, nic.CopyMode) {
	switch netlab.Mode() {
	case "zerocopy":
		return nic.AttachDRV, nic.ZeroCopyForced
	case "copy":
		return nic.AttachDRV, nic.CopyForced
	default:
		return nic.AttachSKB, nic.CopyAuto
	}
}

func (d *device) mustStop() {
	d.t.Helper()
	if err := d.stop(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.log...)
}

func (d *device) said(text string) int {
	n := 0
	for _, line := range d.lines() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (d *device) wish(fn func(*policy.Policy)) {
	d.t.Helper()
	if err := d.Update(func(p *policy.Policy) error { fn(p); return nil }); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) stats(port int) dataplane.PortStats {
	d.t.Helper()
	return d.Snapshot(false).Ports[port].Stats
}

// counted waits until the counters have there frames from port 0 to port 1, and back frames the other
// way. A thread counts a batch after it has sent it, so on a busy machine the receiver may be earlier.
func (d *device) counted(there, back uint64) {
	d.t.Helper()
	d.await(fmt.Sprintf("%d frames there and %d back are counted", there, back), func() bool {
		a, b := d.stats(0), d.stats(1)
		return a.RX == there && b.TX == there && b.RX == back && a.TX == back
	})
}

// await waits until the condition holds. The time-out only bounds a failure.
func (d *device) await(what string, ok func() bool) {
	d.t.Helper()
	netlab.Await(d.t, what, ok)
}

// balances returns the present accounts of an engine.
func balances(e *dataplane.Engine) []dataplane.Balance {
	now := e.Snapshot(false)
	return now.Balances()
}

// checkBooks demands that all accounts close at this very moment, and that no chunk of memory is
// lost.
func (d *device) checkBooks() {
	d.t.Helper()
	for _, b := range balances(d.Engine) {
		if b.Difference != 0 {
			d.t.Errorf("it does not close: %+v", b)
		}
	}
	d.checkFrames()
}

func (d *device) checkFrames() {
	d.t.Helper()
	if f, err := d.Chunks(); err != nil {
		d.t.Error(err)
	} else if f.Total == 0 || f.Lost() != 0 {
		d.t.Errorf("chunks of memory: %+v, %d lost", f, f.Lost())
	}
}

// pass sends frames from one end and demands that the other end gets them all, in order and byte
// for byte. send and receive are the links of the ends. Frames of traffic that has ended may still be under
// way, and are left out.
func pass(t *testing.T, from *netlab.Namespace, send string, to *netlab.Namespace, receive string, frames [][]byte) {
	t.Helper()
	r := to.NewReceiver(receive)
	defer r.Close()
	s := from.NewSender(send, true)
	defer s.Close()
	var got [][]byte
	// The frames go in portions that fit in every ring on the way, so that none is lost.
	for portion := range slices.Chunk(frames, 100) {
		if err := s.Send(portion...); err != nil {
			t.Fatal(err)
		}
		for missing := len(portion); missing > 0; {
			came, err := r.Collect(missing, 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if len(came) == 0 {
				compare(t, got, frames)
				return
			}
			came = slices.DeleteFunc(came, func(f []byte) bool { return bytes.Equal(f, trafficFrame) })
			got, missing = append(got, came...), missing-len(came)
		}
	}
	compare(t, got, frames)
}

func compare(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d frames came, %d were sent", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("frame %d: got  %d bytes %x\nsent %d bytes %x", i, len(got[i]), got[i], len(want[i]), want[i])
		}
	}
}

// newQueue makes a TAP queue for one test, which is deleted with it.
func newQueue(t *testing.T, slots int) *shm.Queue {
	t.Helper()
	name := fmt.Sprintf("et-dataplane-%d-%d", os.Getpid(), time.Now().UnixNano())
	q, err := shm.Open(name, shm.Options{Slots: slots, Role: shm.RoleEthertap, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := shm.Delete(name); err != nil {
			t.Error(err)
		}
	})
	return q
}

// drainQueue takes all waiting packets.
func drainQueue(t *testing.T, c *shm.Consumer) (records []shm.Record) {
	t.Helper()
	for {
		r, ok, err := c.Get(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return records
		}
		records = append(records, r)
	}
}
