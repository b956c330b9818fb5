// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"fmt"
	"testing"
)

// One iteration is one packet put and taken, in one goroutine: for profiles. How the queue
// compares is measured by tests/bench/queue.
func BenchmarkPutGet(b *testing.B) {
	for _, size := range []int{64, 1500} {
		for _, batch := range []int{1, 32} {
			b.Run(fmt.Sprintf("%d/batch%d", size, batch), func(b *testing.B) {
				q := openTest(b, testName(b), Options{})
				p, err := q.NewProducer("bench")
				if err != nil {
					b.Fatal(err)
				}
				defer p.Close()
				c, err := q.NewConsumer("bench")
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				recs := make([]Record, batch)
				for i := range recs {
					recs[i].Data = make([]byte, size)
				}
				buf := make([]byte, 0, 2048)
				copyOut := func(r *Record) error { copy(buf[:len(r.Data)], r.Data); return nil }
				b.ResetTimer()
				for n := 0; n < b.N; n += batch {
					if p.Put(recs) != batch {
						b.Fatal("full")
					}
					if batch == 1 {
						c.Get(buf)
					} else if k, err := c.Drain(batch, copyOut); k != batch || err != nil {
						b.Fatal(k, err)
					}
				}
			})
		}
	}
}

// What a full queue costs a producer, for each packet.
func BenchmarkFull(b *testing.B) {
	for _, batch := range []int{1, 32} {
		b.Run(fmt.Sprintf("batch%d", batch), func(b *testing.B) {
			q := openTest(b, testName(b), Options{Slots: 16})
			p, err := q.NewProducer("bench")
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			recs := make([]Record, batch)
			p.Put(make([]Record, 16))
			b.ResetTimer()
			for n := 0; n < b.N; n += batch {
				p.Put(recs)
			}
		})
	}
}
