// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/memory"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
	"ethertap/tests/netlab"
)

// inMemory is a bridge of two ports in memory, which needs no rights.
type inMemory struct {
	*dataplane.Engine
	t     *testing.T
	ports [2]*memory.Port
	mu    sync.Mutex
	out   [2][][]byte // the frames that left by each port
}

func newInMemory(t *testing.T, c dataplane.Config, o memory.Options) *inMemory {
	t.Helper()
	m := &inMemory{t: t}
	c.Interfaces = []string{"left", "right"}
	for i, name := range c.Interfaces {
		o.MAC = policy.MAC{2, 0, 0, 0, 0, byte(i)}
		o.Sent = func(_ int, frame []byte) bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.out[i] = append(m.out[i], bytes.Clone(frame))
			return true
		}
		m.ports[i] = memory.New(name, o)
		c.Ports = append(c.Ports, m.ports[i])
	}
	c.Logf = t.Logf
	var err error
	if m.Engine, err = dataplane.New(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *inMemory) feed(number int, frames ...[]byte) {
	m.t.Helper()
	for _, f := range frames {
		if !m.ports[number].Receive(0, f) {
			m.t.Fatal("a frame found no room")
		}
	}
}

func (m *inMemory) stats(number int) dataplane.PortStats {
	m.t.Helper()
	return m.Snapshot(false).Ports[number].Stats
}

func (m *inMemory) await(what string, ok func() bool) {
	m.t.Helper()
	netlab.Await(m.t, what, ok)
}

func (m *inMemory) closes() {
	m.t.Helper()
	for _, b := range balances(m.Engine) {
		if b.Difference != 0 {
			m.t.Errorf("%+v", b)
		}
	}
	if f, err := m.Chunks(); err != nil || f.Total == 0 || f.Lost() != 0 {
		m.t.Errorf("chunks of memory: %+v, %v", f, err)
	}
}

// A whole engine runs on ports in memory: threads, chain, taps, accounts and a stop.
func TestEngineOnPortsInMemory(t *testing.T) {
	q := newQueue(t, 512)
	c, err := q.NewConsumer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := newInMemory(t, dataplane.Config{Queue: q, Queues: 1}, memory.Options{})
	for i, p := range portsOf(m.Engine) {
		if p.Mode != port.Memory || p.Driver != "memory" || p.MTU != 1500 || !p.Up || p.MAC[5] != byte(i) {
			t.Errorf("%+v", p)
		}
	}
	if n, ok := m.PortNamed("right"); n != 1 || !ok {
		t.Errorf("right is port %d, %v", n, ok)
	}
	dropped := netlab.UDP(200, 9)
	dropped[6], dropped[11] = 0xaa, 0xbb
	if err := m.Update(func(p *policy.Policy) error {
		p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true
		p.Drop = p.Drop.With(policy.MAC(dropped[6:12]))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	frames := netlab.Mix(1, 100)
	m.feed(0, frames...)
	m.feed(0, dropped)
	m.feed(1, frames[:10]...)
	m.await("all are counted", func() bool { return m.stats(0).RX == 101 && m.stats(1).TX == 100 && m.stats(0).TX == 10 })
	m.mu.Lock()
	if !slices.EqualFunc(m.out[1], frames, bytes.Equal) || !slices.EqualFunc(m.out[0], frames[:10], bytes.Equal) {
		t.Errorf("%d and %d frames left, or others than came", len(m.out[1]), len(m.out[0]))
	}
	m.mu.Unlock()
	if s := m.stats(0); s.Drop != 1 || s.TapStored != 101 || m.stats(1).TapStored != 100 {
		t.Errorf("%+v", s)
	}
	if n := len(drainQueue(t, c)); n != 201 {
		t.Errorf("%d records, want 201", n)
	}
	m.closes()
	if f := m.Snapshot(false).FastPath; f.Wanted || f.Why[0] == "" {
		t.Errorf("fast path: %+v", f)
	}
	if err := m.SetFastPath(true); err != nil {
		t.Fatal(err)
	}
	if f := m.Snapshot(false).FastPath; f.Why[0] != "port left: the kernel forwards between network interfaces only" {
		t.Errorf("%q", f.Why)
	}
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if m.ports[0].Receive(0, frames[0]) {
		t.Error("a stopped engine receives")
	}
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	m.feed(0, frames[0])
	m.await("it goes on", func() bool { return m.stats(0).RX == 102 })
	m.closes()
}

// A port in memory fails as a device does: without a link, without the interface, and without room.
func TestPortInMemoryThatFails(t *testing.T) {
	const rings = dataplane.MinRings
	m := newInMemory(t, dataplane.Config{Queues: 1, Rings: rings}, memory.Options{})
	frames := netlab.Mix(1, rings/2)
	m.ports[1].SetUp(false)
	m.feed(0, frames...)
	m.await("they wait", func() bool { return m.stats(0).Held > 0 && m.stats(0).RX == uint64(len(frames)) })
	m.closes()
	m.ports[1].SetUp(true)
	m.await("they are sent", func() bool { s := m.stats(0); return s.Held == 0 && m.stats(1).TX+s.Err == s.RX })

	m.ports[1].Remove()
	m.await("it is gone", func() bool { return portsOf(m.Engine)[1].Gone })
	before := m.stats(0).NoIf
	m.feed(0, frames[0])
	m.await("the output does not exist", func() bool { return m.stats(0).NoIf == before+1 })
	m.closes()
	m.ports[1].Restore()
	m.await("it is back", func() bool { return !portsOf(m.Engine)[1].Gone && m.Running() })
	tx := m.stats(1).TX
	m.await("frames pass", func() bool { m.ports[0].Receive(0, frames[0]); return m.stats(1).TX > tx })
	m.closes()
}

// The accounts also close with faults, several threads, and frames longer than a chunk.
func TestFaultsOnPortsInMemory(t *testing.T) {
	m := newInMemory(t, dataplane.Config{Queues: 2}, memory.Options{Queues: 2, MTU: 9000})
	if err := m.Update(func(p *policy.Policy) error {
		p.Seed = policy.Seed{Seed: 7, Epoch: p.Seed.Epoch + 1}
		f := &p.Ports[0].Fault
		f.Enabled = true
		f.Drop.Every, f.Dup.Every, f.Bitflip.Every, f.Length.Every = 3, 4, 5, 6
		f.Delay = time.Millisecond
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat(netlab.UDP(1500, 1), 5)
	for i := range 50 {
		for q := range 2 {
			if !m.ports[0].Receive(q, netlab.UDP(100, uint64(i))) || !m.ports[0].Receive(q, long) {
				t.Fatal("no room")
			}
		}
	}
	m.await("none is held", func() bool { s := m.stats(0); return s.RX == 200 && s.Held == 0 })
	s := m.stats(0)
	if by := s.ByFI; by[policy.FaultDrop] == 0 || by[policy.FaultDup] == 0 || by[policy.FaultBitflip] == 0 || by[policy.FaultLength] == 0 || by[policy.FaultDelay] == 0 {
		t.Errorf("%+v", s)
	}
	m.closes()
}

// A port that is no network interface has no device that stamps frames: to ask for its stamps is an error, at the start and later.
func TestNoDeviceStampsInMemory(t *testing.T) {
	const want = "port left: no device stamps its frames, as it is no network interface"
	ports := []port.Port{memory.New("left", memory.Options{}), memory.New("right", memory.Options{})}
	if _, err := dataplane.New(dataplane.Config{Interfaces: []string{"left", "right"}, Ports: ports, Stamps: nic.StampsHardware}); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	m := newInMemory(t, dataplane.Config{}, memory.Options{})
	if err := m.SetStamps(nic.StampsHardware); err == nil || err.Error() != want || m.StampMode() != nic.StampsSoftware {
		t.Errorf("%v, %v", err, m.StampMode())
	}
	if err := m.SetStamps(nic.StampsAuto); err != nil {
		t.Error(err)
	}
}
