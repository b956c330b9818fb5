// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
	"ethertap/lib/filter"
	"ethertap/lib/predicate"
	"ethertap/shm"
	"ethertap/tests/netlab"
)

// BenchmarkStep measures what the chain costs on rings in memory, where a simulated kernel does
// what a driver with zero-copy does. ns/frame is the time of the thread alone, without the kernel's
// share. The cost of each step of a frame's way is the difference between the chain with it and
// without it.
func BenchmarkStep(b *testing.B) {
	thousand := make([]policy.MAC, 1000)
	for i := range thousand {
		thousand[i] = policy.MAC{2, 0, 0, 9, byte(i >> 8), byte(i)}
	}
	hash := policy.MACs("").With(thousand...)
	faults := policy.Fault{Enabled: true, Drop: policy.Chance{Probability: 1}, Bitflip: policy.Chance{Probability: 1}, Dup: policy.Chance{Probability: 1}, Length: policy.Chance{Probability: 1}}
	tapped := []policy.Tap{{RX: [2]bool{true}}}
	choosy := []policy.Tap{{RX: [2]bool{true}, MACs: hash}}
	filtered := func(e predicate.Expr) []policy.Tap {
		return []policy.Tap{{RX: [2]bool{true}, RXFilter: [2]policy.Filter{{Source: "?", Tree: e}}}}
	}
	datagram := netlab.UDP(64, 1)
	port := predicate.Need{Any: predicate.Ports, Then: predicate.Compare{A: predicate.DestinationPort, B: predicate.Number(443)}}
	expression, err := filter.Parse("udp port 443 and host 10.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range []step{
		{name: "mirror", ports: 1},
		{name: "bridge", ports: 2},
		{name: "bridge of 1500 bytes", ports: 2, size: 1500},
		{name: "bridge, 1000 sources", ports: 2, sources: 1000},
		{name: "with drop machash of 1000", ports: 2, policy: policy.Policy{Drop: hash}},
		{name: "with faults", ports: 2, policy: policy.Policy{Ports: [2]policy.Port{{Fault: faults}}}},
		{name: "with RX tap and its machash of 1000, none qualifies", ports: 2, policy: policy.Policy{Taps: choosy}},
		{name: "with RX tap and filter of a port, none qualifies", ports: 2, frame: datagram, policy: policy.Policy{Taps: filtered(port)}},
		{name: "with RX tap and filter udp port 443 and host 10.0.0.1, none qualifies", ports: 2, frame: datagram, policy: policy.Policy{Taps: filtered(expression)}},
		{name: "with RX tap", ports: 2, queue: true, policy: policy.Policy{Taps: tapped}},
		{name: "with RX tap, of 1500 bytes", ports: 2, size: 1500, queue: true, policy: policy.Policy{Taps: tapped}},
	} {
		b.Run(s.name, s.run)
	}
	b.Run("part: clock", benchClock)
	b.Run("part: statistics", benchStatistics)
	b.Run("part: counters published", benchPublish)
	b.Run("part: machash", func(b *testing.B) { benchHash(b, hash) })
}

type step struct {
	name    string
	ports   int
	size    int    // 0 means 64
	sources int    // 0 means 1
	frame   []byte // nil: of an Ethertype of its own
	queue   bool
	policy  policy.Policy
}

// stepFrames and stepRing are those of an engine that holds no frames.
const (
	stepFrames = 6 * stepRing
	stepRing   = 2048
)

func (s step) run(b *testing.B) {
	var now atomic.Pointer[plan]
	u, err := xsk.NewUMEM(stepFrames, 2048)
	if err != nil {
		b.Fatal(err)
	}
	defer u.Close()
	w := &worker{plan: &now, counts: new(counters), umem: u, cpu: -1, vanish: func(int) {}, lanes: make([]lane, s.ports), tables: newPortTables(), paces: new([2]pace), epoch: time.Now()}
	for i := range uint64(stepFrames) {
		w.free = append(w.free, i*2048)
	}
	var kernel []*xsk.Kernel
	for i := range w.lanes {
		socket, k, err := xsk.Simulate(u, xsk.Options{Fill: stepRing, Completion: stepRing, RX: stepRing, TX: stepRing})
		if err != nil {
			b.Fatal(err)
		}
		kernel = append(kernel, k)
		l := &w.lanes[i]
		l.sock, l.output = socket, mirror
		l.limit.Store(1514)
		if s.ports == 2 {
			l.output = 1 - i
		}
	}
	collected := func() {}
	var producer *shm.Producer
	if s.queue {
		name := fmt.Sprintf("et-step-%d", os.Getpid())
		q, err := shm.Open(name, shm.Options{Slots: 4096, Role: shm.RoleEthertap, Name: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		defer shm.Delete(name)
		defer q.Close()
		if producer, err = q.NewProducer("bench"); err != nil {
			b.Fatal(err)
		}
		defer producer.Close()
		c, err := q.NewConsumer("bench")
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		collected = func() { _, _ = c.Drain(batchSize, func(*shm.Record) error { return nil }) }
	}
	first, err := planOf(s.policy, producer)
	if err != nil {
		b.Fatal(err)
	}
	now.Store(first)
	w.allocate()
	w.round()
	frame := s.frame
	if frame == nil {
		frame = testFrame(max(s.size, 64), 1, 0)
	}
	n := uint16(0)
	median(b, func() time.Duration {
		for range batchSize {
			if s.sources > 0 {
				n = (n + 1) % uint16(s.sources)
				binary.BigEndian.PutUint16(frame[10:], n)
			}
			kernel[0].Receive(frame)
		}
		start := time.Now()
		work := w.round() // takes back what was sent in the batch before
		took := time.Since(start)
		if work < batchSize {
			b.Fatalf("%d frames of %d", work, batchSize)
		}
		for _, k := range kernel {
			k.Transmit(batchSize, func([]byte) {})
			k.Complete(batchSize)
		}
		collected()
		return took
	})
}

// median times batches and reports the median per frame, which leaves out the time of others on the
// core. Reading the clock takes a third of a nanosecond of it.
func median(b *testing.B, batch func() (took time.Duration)) {
	times := make([]time.Duration, b.N/batchSize+1)
	for i := range times {
		times[i] = batch()
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/batchSize, "ns/frame")
	b.ReportMetric(0, "ns/op")
}

func timed(fn func()) func() time.Duration {
	return func() time.Duration {
		start := time.Now()
		fn()
		return time.Since(start)
	}
}

// benchClock reads the clock, once a batch.
func benchClock(b *testing.B) {
	w := &worker{epoch: time.Now()}
	median(b, timed(w.readClock))
}

// benchStatistics measures the share of the tables, with frames of one source.
func benchStatistics(b *testing.B) {
	t, frame := newTables(), testFrame(64, 1, 0)
	median(b, timed(func() {
		for range batchSize {
			t.countFrame(frame, len(frame))
		}
		t.publish(1e9)
	}))
}

// benchPublish publishes the counters, once a batch.
func benchPublish(b *testing.B) {
	var c counters
	var t [2]tally
	median(b, timed(func() {
		t[0][countRX] += batchSize
		t[1][countTX] += batchSize
		c.publish(&t)
	}))
}

// benchHash looks up addresses that are not in the hash.
func benchHash(b *testing.B, macs policy.MACs) {
	hash := newHosts(macs)
	frame := testFrame(64, 1, 0)
	median(b, timed(func() {
		for i := range batchSize {
			frame[10] = byte(i)
			if hash.has(source(frame)) {
				b.Fatal("found")
			}
		}
	}))
}
