package shm

import (
	"fmt"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// One iteration is one packet put and taken, in one goroutine.
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
		b.Run(fmt.Sprintf("%d/vyukov", size), func(b *testing.B) {
			v := newVyukov(DefaultSlots)
			data, buf := make([]byte, size), make([]byte, 2048)
			b.ResetTimer()
			for range b.N {
				if !v.put(data) || v.get(buf) != size {
					b.Fatal("ring")
				}
			}
		})
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

// One producer and one consumer at once, in batches of 32, the consumer spinning.
func BenchmarkPair(b *testing.B) {
	for _, size := range []int{64, 1500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
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
			done := make(chan bool)
			b.ResetTimer()
			go func() {
				defer close(done)
				buf := make([]byte, 2048)
				for n := 0; n < b.N; {
					k, err := c.Drain(32, func(r *Record) error { copy(buf, r.Data); return nil })
					if n += k; err != nil {
						b.Error(err)
						return
					}
				}
			}()
			recs := make([]Record, 32)
			for i := range recs {
				recs[i].Data = make([]byte, size)
			}
			for n := 0; n < b.N; {
				n += p.Put(recs[:min(32, b.N-n)])
			}
			<-done
		})
	}
}

// vyukov is the plain bounded ring to compare with: not robust, same stride.
type vyukov struct {
	mask       uint64
	cells      []vyukovCell
	_          [128]byte
	head, tail atomic.Uint64
}

type vyukovCell struct {
	seq  atomic.Uint64
	n    int
	_    [48]byte
	data [DefaultSlotSize - slotHeader]byte
}

func newVyukov(n int) *vyukov {
	// Shared memory, populated, as a queue has it.
	b, err := unix.Mmap(-1, 0, n*DefaultSlotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		panic(err)
	}
	v := &vyukov{mask: uint64(n - 1), cells: unsafe.Slice((*vyukovCell)(unsafe.Pointer(&b[0])), n)}
	for i := range v.cells {
		v.cells[i].seq.Store(uint64(i))
	}
	return v
}

func (v *vyukov) put(b []byte) bool {
	for {
		pos := v.head.Load()
		c := &v.cells[pos&v.mask]
		switch seq := c.seq.Load(); {
		case seq == pos:
			if v.head.CompareAndSwap(pos, pos+1) {
				c.n = copy(c.data[:], b)
				c.seq.Store(pos + 1)
				return true
			}
		case seq < pos:
			return false
		}
	}
}

func (v *vyukov) get(b []byte) int {
	for {
		pos := v.tail.Load()
		c := &v.cells[pos&v.mask]
		switch seq := c.seq.Load(); {
		case seq == pos+1:
			if v.tail.CompareAndSwap(pos, pos+1) {
				n := copy(b, c.data[:c.n])
				c.seq.Store(pos + v.mask + 1)
				return n
			}
		case seq < pos+1:
			return -1
		}
	}
}
