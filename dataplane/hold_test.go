// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ethertap/dataplane/policy"
)

// pass advances the clock of the worker and serves it.
func (b *bench) pass(d time.Duration) {
	b.w.epoch = b.w.epoch.Add(-d)
	for range 20 {
		b.w.round()
		b.transmit()
	}
	b.w.round()
	b.check()
}

// batch receives n frames in one batch, so at one moment, and serves the worker once.
func (b *bench) batch(n int) {
	b.t.Helper()
	for i := range n {
		if !b.kernel[0].Receive(testFrame(125, 1, uint32(i))) {
			b.t.Fatal("not received")
		}
	}
	b.w.round()
	b.check()
}

// numbers returns the numbers in the frames that came out.
func (b *bench) numbers() (list []int) {
	for _, f := range b.out[1] {
		list = append(list, int(binary.BigEndian.Uint32(f[14:])))
	}
	return list
}

func TestQueueGivesWhatIsDueInOrder(t *testing.T) {
	q := holdQueue{heap: make([]heldFrame, 0, 1000)}
	random := rand.New(rand.NewPCG(1, 1))
	var want []heldFrame
	for range 20 {
		for len(q.heap) < cap(q.heap) && random.IntN(100) > 0 {
			h := heldFrame{due: random.Int64N(500)}
			q.push(h)
			h.seq = q.seq - 1
			want = append(want, h)
		}
		slices.SortFunc(want, func(a, b heldFrame) int {
			if a.before(&b) {
				return -1
			}
			return 1
		})
		for len(want) > 0 && random.IntN(60) > 0 {
			if got := q.pop(); got != want[0] {
				t.Fatalf("%+v, want %+v", got, want[0])
			}
			want = want[1:]
		}
	}
	for _, h := range want {
		if got := q.pop(); got != h {
			t.Fatalf("%+v, want %+v", got, h)
		}
	}
	if q.isDue(math.MaxInt64) {
		t.Error("an empty queue has something due")
	}
}

func TestDelayHoldsAndKeepsOrder(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Delay: time.Minute}, 1))
	b.batch(50)
	b.pass(59 * time.Second)
	if c := b.count(0); c[countHeld] != 50 || c[countWaiting] != 50 || len(b.out[1]) != 0 || b.w.countChunks().Held != 50 {
		t.Fatalf("held %d, out %d", c[countHeld], len(b.out[1]))
	}
	b.batch(10)
	b.pass(time.Second)
	if c := b.count(0); c[countHeld] != 10 || len(b.out[1]) != 50 {
		t.Fatalf("held %d, out %d", c[countHeld], len(b.out[1]))
	}
	b.pass(time.Hour)
	if got := b.numbers(); len(got) != 60 || !slices.IsSorted(got[:50]) || !slices.IsSorted(got[50:]) {
		t.Errorf("out of order: %v", got)
	}
	for i, f := range b.out[1][:50] {
		if !bytes.Equal(f, testFrame(125, 1, uint32(i))) {
			t.Fatalf("frame %d has changed", i)
		}
	}
	if c := b.count(0); c[countFault+policy.FaultDelay] != 60 {
		t.Errorf("delayed %d", c[countFault+policy.FaultDelay])
	}
}

// Jitter spreads the frames evenly over twice its size. They keep their order only if KeepOrder is
// set.
func TestJitter(t *testing.T) {
	f := policy.Fault{Delay: 10 * time.Second, Jitter: 5 * time.Second}
	b := newBench(t, 2, faulty(f, 1))
	for range 4 {
		b.batch(60)
	}
	var dues []int64
	for _, h := range b.w.lanes[0].held.heap {
		dues = append(dues, h.due-b.w.clock)
	}
	slices.Sort(dues)
	if lo, mid, hi := dues[0], dues[120], dues[239]; lo < 5e9-1e9 || lo > 6e9 || mid < 9e9 || mid > 11e9 || hi < 14e9 || hi > 15e9 {
		t.Errorf("from %d over %d to %d", lo, mid, hi)
	}
	b.pass(time.Minute)
	if got := b.numbers(); len(got) != 240 || slices.IsSorted(got[:60]) {
		t.Errorf("in order: %v", got)
	}
	f.KeepOrder = true
	b = newBench(t, 2, faulty(f, 1))
	b.batch(60)
	b.pass(time.Minute)
	if got := b.numbers(); len(got) != 60 || !slices.IsSorted(got) {
		t.Errorf("out of order: %v", got)
	}
	// With more jitter than delay, some frames have no delay at all.
	b = newBench(t, 2, faulty(policy.Fault{Delay: time.Second, Jitter: 10 * time.Second}, 1))
	b.batch(60)
	b.pass(time.Microsecond)
	if n := len(b.out[1]); n < 10 || n > 45 {
		t.Errorf("%d of 60 went at once", n)
	}
	b.pass(time.Minute)
}

func TestReorder(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Delay: time.Second, Reorder: policy.Chance{Every: 5}}, 1))
	b.batch(20)
	b.pass(time.Microsecond)
	if got := b.numbers(); !slices.Equal(got, []int{4, 9, 14, 19}) {
		t.Errorf("went first: %v", got)
	}
	b.pass(time.Minute)
	if c := b.count(0); c[countFault+policy.FaultReorder] != 4 || c[countFault+policy.FaultDelay] != 16 || len(b.out[1]) != 20 {
		t.Errorf("reordered %d, delayed %d, out %d", c[countFault+policy.FaultReorder], c[countFault+policy.FaultDelay], len(b.out[1]))
	}
}

// At 1000 kbit/s, 125 bytes take a millisecond.
func TestRate(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Rate: policy.Rate{Kbits: 1000, Queue: 5 * time.Millisecond}}, 1))
	b.w.epoch = time.Now().Add(-time.Hour)
	b.batch(64)
	start := b.w.clock
	if c := b.count(0); c[countHeld] != 6 || c[countFault+policy.FaultRate] != 58 || c[countFIDropped] != 58 {
		t.Fatalf("held %d, dropped %d", c[countHeld], c[countFault+policy.FaultRate])
	}
	for i, h := range b.w.lanes[0].held.heap {
		if h.due != start+int64(i+1)*int64(time.Millisecond) {
			t.Errorf("frame %d is due after %d ns", i, h.due-start)
		}
	}
	b.pass(time.Minute)
	if got := b.numbers(); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5}) {
		t.Errorf("out: %v", got)
	}
	b.batch(1) // the link is free again
	if c := b.count(0); c[countHeld] != 1 || c[countFault+policy.FaultRate] != 58 {
		t.Errorf("held %d, dropped %d", c[countHeld], c[countFault+policy.FaultRate])
	}
}

func TestHoldLimitIsCounted(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Delay: time.Minute, Dup: policy.Chance{Every: 1}}, 1))
	for range 5 {
		b.batch(60)
	}
	if c := b.count(0); c[countHeld] != benchHold || c[countFault+policy.FaultHold] != 600-benchHold || c[countFault+policy.FaultDup] != 300 {
		t.Errorf("held %d, no room for %d of %d duplicated", c[countHeld], c[countFault+policy.FaultHold], c[countFault+policy.FaultDup])
	}
	b.pass(time.Hour)
	b.batch(60)
	b.pass(time.Hour)
	if c := b.count(0); c[countHeld] != 0 || len(b.out[1]) != benchHold+120 {
		t.Errorf("held %d, out %d", c[countHeld], len(b.out[1]))
	}
}

// A stop sends the held frames at once.
func TestDrainSendsWhatIsHeld(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Delay: time.Minute}, 1))
	b.batch(60)
	b.batch(40)
	b.w.drain()
	b.transmit()
	if len(b.out[1]) != 100 {
		t.Errorf("%d of 100 came out", len(b.out[1]))
	}
	b.check()
}

func TestHeldForAVanishedInterface(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Delay: time.Minute}, 1))
	b.batch(60)
	b.w.lanes[1].gone = true
	b.pass(time.Hour)
	if c := b.count(0); c[countNoIf] != 60 || c[countHeld] != 0 {
		t.Errorf("noif %d, held %d", c[countNoIf], c[countHeld])
	}
}

func TestOutage(t *testing.T) {
	p := faulty(policy.Fault{}, 1)
	b := newBench(t, 2, p)
	b.w.readClock()
	p.Ports[0].Fault.Outage = b.w.clock + int64(time.Minute)
	b.batch(10)
	b.wish(p)
	b.batch(10)
	b.pass(time.Hour)
	b.batch(10)
	b.pass(0)
	if c := b.count(0); c[countFault+policy.FaultOutage] != 10 || c[countFIDropped] != 10 || len(b.out[1]) != 20 {
		t.Errorf("outage %d, out %d", c[countFault+policy.FaultOutage], len(b.out[1]))
	}
}

// The Gilbert-Elliott model loses the fraction of frames that its Markov chain predicts, in bursts
// of the predicted length.
func TestBurst(t *testing.T) {
	const n = 40000
	m := policy.Burst{Enter: 2000, Leave: 20000, LossBad: 90000, LossGood: 1000}
	b := newBench(t, 2, faulty(policy.Fault{Burst: m}, 3))
	for range n / 50 {
		b.batch(50)
		b.transmit()
	}
	enter, leave := float64(m.Enter)/policy.Certain, float64(m.Leave)/policy.Certain
	bad, good := float64(m.LossBad)/policy.Certain, float64(m.LossGood)/policy.Certain
	share := enter / (enter + leave)
	p := share*bad + (1-share)*good
	// Consecutive frames are correlated, so the variance is larger than that of independent ones:
	// the covariance falls by the factor 1-enter-leave with each frame.
	decay := 1 - enter - leave
	variance := n * (p*(1-p) + 2*share*(1-share)*(bad-good)*(bad-good)*decay/(1-decay))
	got := float64(b.count(0)[countFault+policy.FaultBurst])
	if math.Abs(got-n*p) > 4*math.Sqrt(variance) {
		t.Errorf("%v lost of %d, expected %.0f ± %.0f", got, n, n*p, 4*math.Sqrt(variance))
	}
	if b.count(0)[countFIDropped] != b.count(0)[countFault+policy.FaultBurst] {
		t.Error("other losses")
	}
}

// The mean length of a burst is the inverse of the probability of its end.
func TestBurstLength(t *testing.T) {
	m := policy.Burst{Enter: 2000, Leave: 20000, LossBad: policy.Certain}
	d := newDice(1, 0, 2)
	bursts, lost, before := 0, 0, false
	for range 100000 {
		d.frame++
		now := d.burst(&m)
		if now {
			lost++
			if !before {
				bursts++
			}
		}
		before = now
	}
	leave := float64(m.Leave) / policy.Certain
	mean, dev := 1/leave, math.Sqrt((1-leave)/float64(bursts))/leave
	if got := float64(lost) / float64(bursts); math.Abs(got-mean) > 4*dev {
		t.Errorf("bursts of %.3f on average, expected %.3f ± %.3f", got, mean, 4*dev)
	}
	if d.burst(&policy.Burst{}) || d.bad {
		t.Error("a burst goes on though none are wanted")
	}
}

func TestHoldingAllocatesNothing(t *testing.T) {
	p := faulty(policy.Fault{
		Burst: policy.Burst{Enter: 1000, Leave: 50000, LossBad: policy.Certain}, Delay: time.Millisecond, Jitter: time.Millisecond,
		Reorder: policy.Chance{Probability: 1000}, Dup: policy.Chance{Probability: 1000}, Rate: policy.Rate{Kbits: 1e6, Queue: time.Second},
	}, 3)
	b := newBench(t, 2, p)
	frame := testFrame(100, 1, 0)
	n := testing.AllocsPerRun(100, func() {
		for range 32 {
			b.kernel[0].Receive(frame)
		}
		b.w.round()
		b.w.epoch = b.w.epoch.Add(-time.Millisecond)
		b.w.round()
		b.kernel[1].Transmit(64, func([]byte) {})
		b.kernel[1].Complete(64)
	})
	if n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	b.check()
}
