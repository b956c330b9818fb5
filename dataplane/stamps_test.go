// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"ethertap/dataplane"
	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/stamp"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// No driver that a test can have gives XDP programs a time stamp: igb and virtio_net have none to
// give, and veth loses those of its frames when it moves them to memory that XDP can work with. So a
// function stands for the clock of the device. All that comes after it is as with a driver.

// ticking is the pattern in the lowest bits of the stamps of the clock of a test. Of other times one
// in 4096 has it.
const ticking = 0xabc

// clockOfTests returns a clock that is the wall clock plus an offset in ns, with the pattern in its
// lowest bits.
func clockOfTests(t *testing.T, offset time.Duration) asm.Instructions {
	t.Helper()
	zero, err := fastpath.Zero(func() int64 { return time.Now().UnixNano() })
	if err != nil {
		t.Fatal(err)
	}
	return asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R2).WithSymbol(stamp.ClockSymbol),
		asm.FnKtimeGetNs.Call(),
		asm.LoadImm(asm.R1, zero+int64(offset), asm.DWord),
		asm.Add.Reg(asm.R0, asm.R1),
		asm.And.Imm(asm.R0, ^0xfff),
		asm.Or.Imm(asm.R0, ticking),
		asm.StoreMem(asm.R6, 0, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}
}

// withoutStamps stands for a device that has no stamp for a frame.
func withoutStamps() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, -int32(unix.ENODATA)).WithSymbol(stamp.ClockSymbol), asm.Return()}
}

// stampRig is an engine with a TAP queue that gets the received frames of port 0 and the sent ones of
// port 1.
type stampRig struct {
	*device
	queue    *shm.Queue
	consumer *shm.Consumer
	passed   int
}

func newStampRig(t *testing.T, lab *netlab.Bridge, c dataplane.Config) *stampRig {
	t.Helper()
	r := &stampRig{queue: newQueue(t, 1024)}
	var err error
	if r.consumer, err = r.queue.NewConsumer("test"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.consumer.Close() })
	c.Queue = r.queue
	r.device = newDevice(t, lab, c)
	return r
}

func (r *stampRig) tap() {
	r.t.Helper()
	r.wish(func(p *policy.Policy) { p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true })
}

// records passes frames and returns the records of them.
func (r *stampRig) records() (rx, tx []shm.Record) {
	r.t.Helper()
	pass(r.t, r.lab.Src, netlab.S0, r.lab.Snk, netlab.K1, netlab.Mix(1, 100))
	r.passed += 100
	r.await("all is in the queue", func() bool {
		return r.stats(0).TapStored == uint64(r.passed) && r.stats(1).TapStored == uint64(r.passed)
	})
	for _, record := range drainQueue(r.t, r.consumer) {
		if record.Direction == shm.RX {
			rx = append(rx, record)
		} else {
			tx = append(tx, record)
		}
	}
	if len(rx) != 100 || len(tx) != 100 {
		r.t.Fatalf("%d and %d records", len(rx), len(tx))
	}
	return rx, tx
}

// stampedByDevice returns how many records have the time of the clock of tests.
func stampedByDevice(records []shm.Record) (n int) {
	for i := range records {
		if records[i].Timestamp&0xfff == ticking {
			n++
		}
	}
	return n
}

func TestStampsOfDevice(t *testing.T) { bothEngines(t, netlab.Options{GRO: true}, stampsOfDevice) }

func stampsOfDevice(t *testing.T, lab *netlab.Bridge, fast bool) {
	// The clock of tests is read when a program asks for it, not when the frame comes. Until then the program may
	// be interrupted, on an emulator for milliseconds, and a stamp that is late cannot be right.
	const early = time.Second
	d := newStampRig(t, lab, dataplane.Config{FastPath: fast, Stamps: nic.StampsHardware, StampClock: clockOfTests(t, -early)})
	d.mustStart()
	if fast {
		d.mustUseFastPath()
	}
	d.tap()
	taps := func(what string, wanted bool) {
		t.Helper()
		list, err := d.queue.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range list {
			if got := i.Taps&shm.TapStamped != 0; got != wanted {
				t.Errorf("%s: the queue says of %s that it has stamps of its device: %v", what, i.Name, got)
			}
		}
	}
	check := func(what string) {
		t.Helper()
		before := time.Now()
		rx, tx := d.records()
		if n := stampedByDevice(rx); n != 100 {
			t.Errorf("%s: %d of 100 records of received frames have the time of the device", what, n)
		}
		if n := stampedByDevice(tx); n > 10 {
			t.Errorf("%s: %d of 100 records of sent frames have it", what, n)
		}
		for i := range rx {
			sent := before.Add(-early).UnixNano() - 0xfff
			if rx[i].Timestamp < sent || rx[i].Timestamp > time.Now().Add(-early).UnixNano()+0xfff {
				t.Fatalf("%s: record %d: %v is not the time of reception", what, i, time.Unix(0, rx[i].Timestamp))
			}
			if rx[i].PacketID != tx[i].PacketID || rx[i].Timestamp >= tx[i].Timestamp {
				t.Fatalf("%s: record %d: sent at %d, received at %d", what, i, tx[i].Timestamp, rx[i].Timestamp)
			}
		}
	}
	taps("at first", true)
	check("at first")
	// Frames that are delayed go through the threads.
	d.wish(func(p *policy.Policy) { p.Ports[0].Fault = policy.Fault{Enabled: true, Delay: time.Microsecond} })
	check("with faults")
	d.wish(func(p *policy.Policy) { p.Ports[0].Fault.Enabled = false })
	check("without faults")
	taps("after changes of the policy", true)

	set := func(m nic.StampMode) {
		t.Helper()
		if err := lab.Dut.Do(func() error { return d.SetStamps(m) }); err != nil {
			t.Fatal(err)
		}
	}
	set(nic.StampsSoftware)
	taps("with stamps of the program", false)
	if fast {
		d.mustUseFastPath()
	}
	if rx, _ := d.records(); stampedByDevice(rx) > 10 {
		t.Errorf("%d of 100 records have the time of the device, which is not asked", stampedByDevice(rx))
	}
	set(nic.StampsAuto)
	taps("with auto", true)
	check("with auto")
	if now := d.Snapshot(false); now.Stamps != nic.StampsAuto || now.Ports[1].Stamps != "hardware" {
		t.Errorf("mode %v, port 1 %s", now.Stamps, now.Ports[1].Stamps)
	}
	for i := range 2 {
		if n := d.stats(i).Unstamped; n != 0 {
			t.Errorf("port %d: %d frames count as without a stamp", i, n)
		}
	}
	d.checkBooks()
	d.mustStop()
}

// A stamp that is missing or cannot be right is not used, and counted.
func TestStampsThatAreNone(t *testing.T) {
	bothEngines(t, netlab.Options{GRO: true}, stampsThatAreNone)
}

func stampsThatAreNone(t *testing.T, lab *netlab.Bridge, fast bool) {
	for _, c := range []struct {
		name  string
		clock asm.Instructions
	}{
		{"no data", withoutStamps()},
		{"of the future", clockOfTests(t, time.Second)},
		{"long ago", clockOfTests(t, -time.Hour)},
	} {
		d := newStampRig(t, lab, dataplane.Config{FastPath: fast, Stamps: nic.StampsHardware, StampClock: c.clock})
		d.mustStart()
		d.tap()
		before := time.Now().UnixNano()
		rx, _ := d.records()
		for i := range rx {
			if rx[i].Timestamp < before || rx[i].Timestamp > time.Now().UnixNano() {
				t.Errorf("%s: record %d: %v", c.name, i, time.Unix(0, rx[i].Timestamp))
			}
		}
		if n := d.stats(0).Unstamped; n != 100 {
			t.Errorf("%s: %d of 100 frames count as without a stamp", c.name, n)
		}
		d.mustStop()
	}
}

// The driver of veth can be asked and has no clock. virtio_net and igb cannot be asked.
func TestStampsOfDrivers(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridgeWith(t, netlab.Options{GRO: true})
	if lab.OnNICs() {
		d := newDevice(t, lab, dataplane.Config{Stamps: nic.StampsHardware})
		if err := d.start(); err == nil || !strings.Contains(err.Error(), "port "+netlab.D0+": no hardware time stamps: ") {
			t.Errorf("error %v", err)
		}
		d = newDevice(t, lab, dataplane.Config{Stamps: nic.StampsAuto})
		d.mustStart()
		if d.said("time stamps are the program's: ") != 2 {
			t.Errorf("said %q", d.lines())
		}
		pass(t, lab.Src, netlab.S0, lab.Snk, netlab.K1, netlab.Mix(1, 100))
		return
	}
	d := newDevice(t, lab, dataplane.Config{Attach: nic.AttachSKB, Stamps: nic.StampsHardware})
	if err := d.start(); err == nil || err.Error() != "port "+netlab.D0+": no hardware time stamps: generic XDP gives none" {
		t.Errorf("error %v", err)
	}
	d = newDevice(t, lab, dataplane.Config{Attach: nic.AttachSKB, Stamps: nic.StampsAuto})
	d.mustStart()
	if d.said("time stamps are the program's: generic XDP gives none") != 2 {
		t.Errorf("said %q", d.lines())
	}
	d.mustStop()

	d = newDevice(t, lab, dataplane.Config{Stamps: nic.StampsAuto})
	d.mustStart()
	if d.said("time stamps are the program's: the driver (veth) has no clock") != 2 && d.said("this kernel") != 2 {
		t.Errorf("said %q", d.lines())
	}
	d.mustStop()

	netlab.NeedsKernel(t, 6, 15, "programs bound to a device that redirect")
	for _, fast := range []bool{false, true} {
		r := newStampRig(t, lab, dataplane.Config{FastPath: fast, Stamps: nic.StampsHardware})
		r.mustStart()
		if fast {
			r.mustUseFastPath()
		}
		r.tap()
		before := time.Now().UnixNano()
		rx, _ := r.records()
		if n := r.stats(0).Unstamped; n != 100 {
			t.Errorf("%d of 100 frames of a sender without a clock count as without a stamp", n)
		}
		if rx[0].Timestamp < before || rx[0].Timestamp > time.Now().UnixNano() {
			t.Errorf("received at %v", time.Unix(0, rx[0].Timestamp))
		}
		if r.said("the driver (veth) has no clock") != 2 {
			t.Errorf("said %q", r.lines())
		}
		r.mustStop()
	}
}
