// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
	"ethertap/shm"
)

// bench is a worker on simulated rings. It runs the chain without rights and interfaces.
type bench struct {
	t      *testing.T
	w      *worker
	kernel []*xsk.Kernel
	plan   atomic.Pointer[plan]
	out    [2][][]byte // the frames transmitted on each interface
}

const (
	benchFrames = 1024
	benchHold   = 256
)

func newBench(t *testing.T, ports int, p policy.Policy) *bench {
	t.Helper()
	b := &bench{t: t}
	b.wish(p)
	u, err := xsk.NewUMEM(benchFrames, 2048)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &worker{plan: &b.plan, counts: new(counters), umem: u, cpu: -1, vanish: func(int) {}, lanes: make([]lane, ports), tables: newPortTables(), paces: new([2]pace), epoch: time.Now()}
	w.free = make([]uint64, 0, u.Frames())
	for i := range uint64(benchFrames) {
		w.free = append(w.free, i*2048)
	}
	for i := range w.lanes {
		s, k, err := xsk.Simulate(u, xsk.Options{Fill: 128, Completion: 256, RX: 128, TX: 256})
		if err != nil {
			t.Fatal(err)
		}
		b.kernel = append(b.kernel, k)
		l := &w.lanes[i]
		l.sock, l.output, l.held.heap = s, mirror, make([]heldFrame, 0, benchHold)
		l.limit.Store(1514)
		if ports == 2 {
			w.lanes[i].output = 1 - i
		}
	}
	w.allocate()
	b.w = w
	w.round()
	return b
}

// wish puts a policy in force. There is no TAP queue.
func (b *bench) wish(p policy.Policy) {
	b.t.Helper()
	now, err := planOf(p, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.plan.Store(now)
}

// planOf returns the plan of a policy for one thread, with a producer for the frames that the TAP
// queue gets.
func planOf(p policy.Policy, producer *shm.Producer) (*plan, error) {
	if p.Taps == nil {
		p.Taps = policy.New().Taps
	}
	out := newOutlet("", tapQueue, nil)
	out.lanes[0].producer = producer
	return compile(p, []*outlet{out}, nil)
}

func newPortTables() *portTables {
	t := new(portTables)
	for i := range t {
		t[i].Store(newTables())
	}
	return t
}

// run passes frames received on one interface through the chain, and lets the simulated kernel
// transmit all that come out.
func (b *bench) run(in int, frames ...[]byte) {
	b.t.Helper()
	for len(frames) > 0 {
		n := 0
		for n < len(frames) && n < 64 && b.kernel[in].Receive(frames[n]) {
			n++
		}
		if n == 0 {
			b.t.Fatal("the simulated kernel found no room")
		}
		frames = frames[n:]
		b.w.round()
		b.transmit()
		b.w.round()
	}
	b.w.round()
	b.check()
}

func (b *bench) transmit() {
	for i, k := range b.kernel {
		k.Transmit(math.MaxInt, func(f []byte) { b.out[i] = append(b.out[i], bytes.Clone(f)) })
		k.Complete(math.MaxInt)
	}
}

func (b *bench) count(port int) tally { return b.w.counts.read()[port] }

// check demands that the accounts close and that every chunk is in exactly one place.
func (b *bench) check() {
	b.t.Helper()
	b.w.publish()
	for i := range b.w.lanes {
		t := b.count(i)
		var errs uint64
		for r := range reasons {
			errs += t[countErr+r]
		}
		sum := t[countDrop] + t[countMirrored] + t[countNoIf] + t[countFIDropped] + t[countHeld] + errs - t[countFault+policy.FaultDup]
		if o := b.w.lanes[i].output; o != mirror {
			sum += b.count(o)[countTX]
		}
		if t[countRX] != sum {
			b.t.Errorf("interface %d: rx %d, the rest %d", i, t[countRX], sum)
		}
		var sent uint64
		for _, f := range b.out[i] {
			sent += uint64(len(f))
		}
		if uint64(len(b.out[i])) == t[countTX] && t[countTXBytes] != sent {
			b.t.Errorf("interface %d: %d bytes sent, %d counted", i, sent, t[countTXBytes])
		}
	}
	if f := b.w.countChunks(); f.Lost() != 0 {
		b.t.Errorf("frames %+v: %d lost", f, f.Lost())
	}
	free := slices.Clone(b.w.free)
	slices.Sort(free)
	if n := len(slices.Compact(free)); n != len(b.w.free) {
		b.t.Errorf("%d chunks are free twice", len(b.w.free)-n)
	}
}

func testFrame(n int, src byte, seq uint32) []byte {
	f := make([]byte, n)
	copy(f, []byte{2, 0, 0, 0, 0, 0xfe, 2, 0, 0, 0, 0, src, 0x88, 0xb5})
	for i := 14; i < n; i++ {
		f[i] = byte(i)
	}
	if n >= 18 {
		binary.BigEndian.PutUint32(f[14:], seq)
	}
	return f
}

func mac(last byte) policy.MAC { return policy.MAC{2, 0, 0, 0, 0, last} }

func TestChainForwardsUnchanged(t *testing.T) {
	b := newBench(t, 2, policy.Policy{})
	var frames [][]byte
	for i := range 1000 {
		frames = append(frames, testFrame(14+i, byte(i), uint32(i)))
	}
	b.run(0, frames...)
	b.run(1, frames[:500]...)
	if !slices.EqualFunc(b.out[1], frames, bytes.Equal) || !slices.EqualFunc(b.out[0], frames[:500], bytes.Equal) {
		t.Error("what came out is not what went in")
	}
}

func TestChainDropHash(t *testing.T) {
	for _, ports := range []int{1, 2} {
		b := newBench(t, ports, policy.Policy{Drop: policy.MACs("").With(mac(1), mac(3))})
		var frames [][]byte
		for i := range 100 {
			frames = append(frames, testFrame(60, byte(i%5), uint32(i)))
		}
		b.run(0, frames...)
		c := b.count(0)
		if c[countDrop] != 40 {
			t.Errorf("%d interfaces: dropped %d, want 40", ports, c[countDrop])
		}
		if ports == 1 && c[countMirrored] != 60 || ports == 2 && b.count(1)[countTX] != 60 {
			t.Errorf("%d interfaces: mirrored %d, sent %d, want 60", ports, c[countMirrored], b.count(1)[countTX])
		}
	}
}

func TestChainTapCountsWithoutAQueue(t *testing.T) {
	p := policy.New()
	p.Taps[0].MACs = policy.MACs("").With(mac(1))
	p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true
	b := newBench(t, 2, p)
	b.run(0, testFrame(60, 1, 0), testFrame(60, 2, 1), testFrame(13, 1, 2), testFrame(5, 1, 3))
	for i := range 2 {
		if c := b.count(i); c[countTapQualified] != 2 || c[countTapRefused] != 2 || c[countTapStored] != 0 {
			t.Errorf("interface %d: qualified %d, refused %d", i, c[countTapQualified], c[countTapRefused])
		}
	}
	// The tap looks at destinations as well.
	p = p.Clone()
	p.Taps[0].MACs = policy.MACs("").With(mac(0xfe))
	b.wish(p)
	b.run(0, testFrame(60, 9, 0))
	if c := b.count(0); c[countTapQualified] != 3 {
		t.Errorf("qualified by destination: %d, want 3", c[countTapQualified])
	}
}

func TestChainCountsWhatFindsNoRoom(t *testing.T) {
	b := newBench(t, 2, policy.Policy{})
	for range 8 { // 512 frames for a TX ring of 256 that nobody empties
		for i := range uint32(64) {
			if !b.kernel[0].Receive(testFrame(60, 1, i)) {
				t.Fatal("not received")
			}
		}
		b.w.round()
		b.check()
	}
	c := b.count(0)
	if c[countRX] != 512 || c[countHeld] != 256 || c[countErr+int(reasonFull)] != 256 || b.count(1)[countTX] != 0 {
		t.Errorf("rx %d, held %d, err %d, tx %d", c[countRX], c[countHeld], c[countErr+int(reasonFull)], b.count(1)[countTX])
	}
	b.transmit()
	b.w.round()
	b.check()
	if c := b.count(0); c[countHeld] != 0 || b.count(1)[countTX] != 256 || len(b.out[1]) != 256 {
		t.Errorf("after transmission: held %d, tx %d, out %d", c[countHeld], b.count(1)[countTX], len(b.out[1]))
	}
}

func TestChainVanishedOutputCountsAsNoIf(t *testing.T) {
	b := newBench(t, 2, policy.Policy{})
	b.w.lanes[1].gone = true
	b.run(0, testFrame(60, 1, 0), testFrame(60, 1, 1))
	if c := b.count(0); c[countNoIf] != 2 {
		t.Errorf("noif %d, want 2", c[countNoIf])
	}
}

func faulty(f policy.Fault, seed uint64) policy.Policy {
	f.Enabled = true
	return policy.Policy{Ports: [2]policy.Port{{Fault: f}}, Taps: policy.New().Taps, Seed: policy.Seed{Seed: seed}}
}

// near demands that a count is within four standard deviations of n draws with the probability
// p/policy.Certain.
func near(t *testing.T, what string, got uint64, n int, p uint32) {
	t.Helper()
	q := float64(p) / policy.Certain
	mean := float64(n) * q
	if dev := math.Sqrt(float64(n) * q * (1 - q)); math.Abs(float64(got)-mean) > 4*dev {
		t.Errorf("%s: %d of %d, expected %.0f ± %.0f", what, got, n, mean, 4*dev)
	}
}

func TestFaultsOccurAsOftenAsAsked(t *testing.T) {
	const n = 20000
	f := policy.Fault{Drop: policy.Chance{Probability: 10000}, Bitflip: policy.Chance{Probability: 30000}, Dup: policy.Chance{Probability: 5000}, Length: policy.Chance{Probability: 20000}}
	b := newBench(t, 2, faulty(f, 7))
	for i := range n / 50 {
		var frames [][]byte
		for j := range 50 {
			frames = append(frames, testFrame(100, 1, uint32(50*i+j)))
		}
		b.run(0, frames...)
	}
	c := b.count(0)
	near(t, "drop", c[countFIDropped], n, f.Drop.Probability)
	rest := n - int(c[countFIDropped])
	near(t, "length", c[countFault+policy.FaultLength], rest, f.Length.Probability)
	near(t, "bitflip", c[countFault+policy.FaultBitflip], rest, f.Bitflip.Probability)
	near(t, "dup", c[countFault+policy.FaultDup], rest, f.Dup.Probability)
	if got := len(b.out[1]); got != rest+int(c[countFault+policy.FaultDup]) {
		t.Errorf("%d came out, want %d", got, rest+int(c[countFault+policy.FaultDup]))
	}
}

// Every n-th of the frames that reach a fault suffers it, and no other.
func TestFaultsEveryNth(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Drop: policy.Chance{Every: 5}, Bitflip: policy.Chance{Every: 3}, Dup: policy.Chance{Every: 2}}, 1))
	for i := range uint32(100) {
		b.run(0, testFrame(60, 1, i))
	}
	if c := b.count(0); c[countFIDropped] != 20 || c[countFault+policy.FaultBitflip] != 26 || c[countFault+policy.FaultDup] != 40 {
		t.Errorf("dropped %d, bitflipped %d, duplicated %d, want 20, 26, 40", c[countFIDropped], c[countFault+policy.FaultBitflip], c[countFault+policy.FaultDup])
	}
	// Another n starts the count anew.
	p := faulty(policy.Fault{Drop: policy.Chance{Every: 2}}, 1)
	b.wish(p)
	n := b.count(0)[countFIDropped]
	b.run(0, testFrame(60, 1, 0))
	b.run(0, testFrame(60, 1, 0))
	if got := b.count(0)[countFIDropped]; got != n+1 {
		t.Errorf("dropped %d of two, want 1", got-n)
	}
}

func TestFaultsAreTheSameWithTheSameSeed(t *testing.T) {
	run := func(seed uint64, batches ...int) [][]byte {
		b := newBench(t, 2, faulty(policy.Fault{Drop: policy.Chance{Probability: 20000}, Bitflip: policy.Chance{Probability: 20000}, Dup: policy.Chance{Probability: 20000}, Length: policy.Chance{Probability: 20000}}, seed))
		seq := uint32(0)
		for _, n := range batches {
			var frames [][]byte
			for range n {
				frames = append(frames, testFrame(200, 1, seq))
				seq++
			}
			b.run(0, frames...)
			b.run(1, testFrame(60, 3, 0)) // the other direction has other dice
		}
		return b.out[1]
	}
	a := run(5, 60, 1, 39)
	if !slices.EqualFunc(a, run(5, 10, 10, 80), bytes.Equal) {
		t.Error("same seed, same traffic, other faults")
	}
	if slices.EqualFunc(a, run(6, 60, 1, 39), bytes.Equal) {
		t.Error("another seed, the same faults")
	}
}

func TestBitflipChangesOneBitBehindTheHeader(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Bitflip: policy.Chance{Probability: policy.Certain}}, 1))
	where := map[int]bool{}
	for i := range 2000 {
		in := testFrame(64, 1, uint32(i))
		b.run(0, in)
		out := b.out[1][len(b.out[1])-1]
		flipped := 0
		for j := range in {
			if n := bits.OnesCount8(in[j] ^ out[j]); n > 0 {
				flipped += n
				where[j] = true
				if j < 14 {
					t.Fatalf("byte %d changed", j+1)
				}
			}
		}
		if flipped != 1 {
			t.Fatalf("%d bits changed", flipped)
		}
	}
	if len(where) != 50 {
		t.Errorf("only %d of 50 bytes were ever hit", len(where))
	}
	b.run(0, testFrame(14, 1, 0))
	if c := b.count(0); c[countFault+policy.FaultBitflip] != 2000 {
		t.Errorf("bitflipped %d, want 2000: a frame of a header alone has nothing to flip", c[countFault+policy.FaultBitflip])
	}
}

func TestLengthFaultStaysInBounds(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Length: policy.Chance{Probability: policy.Certain}}, 1))
	shorter, longer := 0, 0
	for i, n := range []int{14, 60, 1000, 1514} {
		for range 500 {
			b.run(0, testFrame(n, 1, uint32(i)))
			out := b.out[1][len(b.out[1])-1]
			switch {
			case len(out) == n || len(out) < 14 || len(out) > 1514:
				t.Fatalf("%d bytes became %d", n, len(out))
			case len(out) < n:
				shorter++
			default:
				longer++
			}
			same := min(n, len(out))
			if !bytes.Equal(out[:same], testFrame(n, 1, uint32(i))[:same]) {
				t.Fatalf("length %d to %d: other bytes changed", n, len(out))
			}
		}
	}
	if shorter < 800 || longer < 800 {
		t.Errorf("%d shorter, %d longer", shorter, longer)
	}
}

func TestFaultHashRestrictsToSources(t *testing.T) {
	p := faulty(policy.Fault{Drop: policy.Chance{Probability: policy.Certain}}, 1)
	p.Fault = policy.MACs("").With(mac(1))
	b := newBench(t, 2, p)
	b.run(0, testFrame(60, 1, 0), testFrame(60, 2, 0))
	b.run(1, testFrame(60, 1, 0))
	if c := b.count(0); c[countFIDropped] != 1 || len(b.out[1]) != 1 || len(b.out[0]) != 1 {
		t.Errorf("dropped %d, out %d and %d", c[countFIDropped], len(b.out[1]), len(b.out[0]))
	}
}

// The chain allocates nothing, with any feature switched on.
func TestChainAllocatesNothing(t *testing.T) {
	p := faulty(policy.Fault{Drop: policy.Chance{Probability: 1000}, Bitflip: policy.Chance{Probability: 50000}, Dup: policy.Chance{Probability: 30000}, Length: policy.Chance{Probability: 10000}}, 3)
	p.Drop, p.Taps[0].MACs, p.Fault = policy.MACs("").With(mac(9)), policy.MACs("").With(mac(1)), policy.MACs("").With(mac(1), mac(2))
	p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true
	b := newBench(t, 2, p)
	frame := testFrame(100, 1, 0)
	n := testing.AllocsPerRun(100, func() {
		for range 32 {
			b.kernel[0].Receive(frame)
		}
		b.w.round()
		b.kernel[1].Transmit(64, func([]byte) {})
		b.kernel[1].Complete(64)
		b.w.round()
	})
	if n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// A zero-copy driver may take a frame from the TX ring and complete it between two looks of the thread
// at that ring. What the next round finds taken is published, although it does nothing else.
func TestTakenInSilenceIsPublished(t *testing.T) {
	b := newBench(t, 2, policy.New())
	if !b.kernel[0].Receive(testFrame(64, 1, 0)) {
		t.Fatal("no room")
	}
	b.w.round() // puts it in the TX ring, and finds that nobody has taken it
	if n := b.count(0)[countHeld]; n != 1 {
		t.Fatalf("%d frames are held, want 1", n)
	}
	b.transmit()
	if n := b.w.complete(1); n != 1 {
		t.Fatalf("%d completions", n)
	}
	b.w.round()
	if held, sent := b.count(0)[countHeld], b.count(1)[countTX]; held != 0 || sent != 1 {
		t.Errorf("held %d, sent %d", held, sent)
	}
	b.check()
}
