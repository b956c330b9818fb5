// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"ethertap/dataplane/policy"
)

// The long-run rate is that of the setting, with any number of threads and any frames, and no frame
// waits longer than it may.
func TestPaceIsSharedAndExact(t *testing.T) {
	for _, kbits := range []uint64{1, 7, 64, 4000, 99999, 1e6, 1e7, 333333333} {
		for _, threads := range []int{1, 2, 8} {
			r := policy.Rate{Kbits: kbits, Queue: time.Duration(20 * 800e6 / kbits)} // some twenty frames
			random := rand.New(rand.NewPCG(kbits, uint64(threads)))
			var p pace
			rest := make([]uint64, threads)
			sent := make([]float64, threads)
			var bits, last float64
			now, start := int64(0), int64(0)
			gap := 800 * 1e6 / float64(kbits) / 4 // between the offered frames, which are four times what the rate allows
			for i := range 20000 {
				now = int64(float64(i) * gap)
				thread, length := random.IntN(threads), 60+random.IntN(80)
				if i == 5000 { // from here on the link is always busy
					start, bits, last = p.freeAt.Load(), 0, 0
					clear(sent)
				}
				due, ok := p.reserve(now, length, &r, &rest[thread])
				if late := p.late(now, &r); ok && due-now > int64(r.Queue)+int64(math.Ceil(1e6*8*float64(length)/float64(kbits))) {
					t.Fatalf("%d kbit/s: frame %d waits %d ns", kbits, i, due-now)
				} else if !ok && !late {
					t.Fatalf("%d kbit/s: frame %d refused though the link is not late", kbits, i)
				}
				if ok {
					bits += float64(8 * length)
					sent[thread] += float64(8 * length)
					last = float64(due)
				}
			}
			if want := bits * 1e6 / float64(kbits); math.Abs(last-float64(start)-want) > float64(threads)+1 {
				t.Errorf("%d kbit/s, %d threads: took %.0f ns, want %.0f", kbits, threads, last-float64(start), want)
			}
			for i, s := range sent {
				if share := s / bits * float64(threads); share < 0.8 || share > 1.2 {
					t.Errorf("%d kbit/s: thread %d of %d has %.2f of its share", kbits, i, threads, share)
				}
			}
		}
	}
}

// Threads that reserve at the same moment never get the same time.
func TestPaceUnderContention(t *testing.T) {
	const threads, frames, length = 4, 5000, 125
	r := policy.Rate{Kbits: 1000, Queue: time.Hour} // a millisecond for each frame
	var p pace
	var mu sync.Mutex
	seen := make(map[int64]bool)
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			var rest uint64
			dues := make([]int64, frames)
			for i := range dues {
				dues[i], _ = p.reserve(0, length, &r, &rest)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, due := range dues {
				seen[due] = true
			}
		})
	}
	all.Wait()
	if len(seen) != threads*frames || p.freeAt.Load() != threads*frames*int64(time.Millisecond) {
		t.Errorf("%d times for %d frames, busy until %d", len(seen), threads*frames, p.freeAt.Load())
	}
}

// Two queues of an interface share one link. At a thousand bits a second, frames of 10 s are let in
// until one would wait longer than 50 s.
func TestRateOfTwoQueues(t *testing.T) {
	a := newBench(t, 2, faulty(policy.Fault{Rate: policy.Rate{Kbits: 1, Queue: 50 * time.Second}}, 1))
	b := newBench(t, 2, a.plan.Load().Policy)
	b.w.paces, b.w.epoch = a.w.paces, a.w.epoch
	for i := range 10 {
		for _, half := range []*bench{a, b} {
			if !half.kernel[0].Receive(testFrame(1250, 1, uint32(i))) {
				t.Fatal("not received")
			}
			half.w.round()
			half.check()
		}
	}
	held, lost := a.count(0)[countHeld]+b.count(0)[countHeld], a.count(0)[countFault+policy.FaultRate]+b.count(0)[countFault+policy.FaultRate]
	if held != 6 || lost != 14 {
		t.Errorf("%d held, %d lost of 20, want 6 and 14", held, lost)
	}
	if a.count(0)[countHeld] != 3 {
		t.Errorf("one queue has %d of 6", a.count(0)[countHeld])
	}
	// The other direction is another link.
	if !a.kernel[1].Receive(testFrame(1250, 1, 0)) {
		t.Fatal("not received")
	}
	a.w.round()
	if a.count(1)[countTX]+a.count(1)[countHeld]+a.count(1)[countRX] == 0 || a.count(1)[countFault+policy.FaultRate] != 0 {
		t.Errorf("the other way: %d lost", a.count(1)[countFault+policy.FaultRate])
	}
}
