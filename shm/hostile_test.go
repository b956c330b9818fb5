// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// FuzzHostile scribbles over the mapped file while a reader and a writer work: errors
// are welcome; a crash, an access outside, or an endless loop is not.
//
// Input: records of 13 bytes: operation, offset (4), value (8). The file may also be
// truncated or deleted under them.
func FuzzHostile(f *testing.F) {
	op := func(kind byte, at uint32, v uint64) []byte {
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32([]byte{kind}, at), v)
	}
	f.Add(op(1, 256, 1<<40))
	f.Add(op(1, 384, ^uint64(0)))
	f.Add(op(1, 384, 5))
	f.Add(op(1, 544, ^uint64(0)))
	f.Add(op(1, 512, ^uint64(0)))
	f.Add(op(1, slotsOffset, ^uint64(0)))
	f.Add(op(1, slotsOffset, uint64(makeWord(0, writing, 5))))
	f.Add(op(1, slotsOffset, uint64(makeWord(0, reading, 0xffff))))
	f.Add(op(2, slotsOffset+32, ^uint64(0)))
	f.Add(op(1, participantsOffset+512+128, ^uint64(0)))
	f.Add(op(2, 640, 1))
	f.Add(op(8, 300, 1))
	f.Add(append(op(1, 300, 1), op(9, slotsOffset+256, 5)...))
	f.Add(append(op(10, 300, 1), op(1, 0, 5)...))
	f.Fuzz(func(t *testing.T, script []byte) {
		q := openTest(t, testName(t), Options{Slots: 16, SlotSize: 128})
		p, c := producer(t, q), consumer(t, q)
		hostile(t, q, p, c, script)
		q.Close()
		p.Close()
		c.Close()
	})
}

func hostile(t *testing.T, q *Queue, p *Producer, c *Consumer, script []byte) {
	recs := make([]Record, 5)
	for i := range recs {
		recs[i].Data = make([]byte, 20*i)
	}
	buf := make([]byte, 0, 256)
	truncated := false
	work := func() {
		p.Put(recs)
		if r, ok, err := c.Get(buf); ok && (err != nil || len(r.Data) > 64) {
			t.Fatalf("%d bytes, %v", len(r.Data), err)
		}
		c.Drain(3, func(r *Record) error {
			if len(r.Data) > 64 {
				t.Fatalf("%d bytes", len(r.Data))
			}
			return nil
		})
	}
	for ops := 0; len(script) >= 13 && ops < 100; ops++ {
		start := time.Now()
		at := binary.LittleEndian.Uint32(script[1:]) % uint32(len(q.m.bytes)-8)
		v := binary.LittleEndian.Uint64(script[5:])
		if !truncated { // what is not there raises SIGBUS, here too
			binary.LittleEndian.PutUint64(q.m.bytes[at:], v)
		}
		switch script[0] % 14 {
		case 0:
			q.Status()
		case 1:
			work()
		case 2:
			work()
			c.Wait(time.Microsecond)
		case 3:
			q.Reset()
		case 4:
			q.Participants()
		case 5:
			q.Interfaces()
		case 6:
			if x, err := q.NewConsumer("x"); err == nil {
				x.Close()
			}
		case 7:
			if x, err := Open(q.name, Options{NoCreate: true}); err == nil { // Repair would wait for us to leave
				x.Close()
			}
		case 8:
			os.Truncate(q.path, int64(at))
			truncated = true
		case 9:
			os.Truncate(q.path, 0)
			truncated = true
		case 10:
			os.Remove(q.path)
		case 11:
			q.SetTaps(Taps(at), Taps(v), TapStated)
		case 12:
			q.Intact()
			q.Backlog()
		case 13:
			if x, err := q.Renew(); err == nil {
				x.Close()
			}
		}
		work()
		q.SetOverwrite(v%2 == 0)
		if d := time.Since(start); d > 10*time.Second {
			t.Fatalf("operation %d took %v", script[0]%14, d)
		}
		script = script[13:]
	}
}

// A scribbler at full speed beside a reader and a writer.
func TestScribble(t *testing.T) {
	for round := range 20 {
		q := openTest(t, testName(t), Options{Slots: 16, SlotSize: 128})
		p, c := producer(t, q), consumer(t, q)
		stop, done := make(chan bool), make(chan bool)
		go func() {
			defer close(done)
			r := rand.New(rand.NewPCG(1, uint64(round)))
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				v := r.Uint64()
				if i%2 == 0 {
					v = uint64(makeWord(v%4, uint16(v>>8%6), uint16(v>>16%130)))
				}
				at := uint64(256 + r.IntN(512)*8) // hints, doorbell, first participants
				if i%3 != 0 {
					at = slotsOffset + r.Uint64N(16)*128 + r.Uint64N(4)*8
				}
				binary.LittleEndian.PutUint64(q.m.bytes[at:], v)
			}
		}()
		for range 300 {
			hostile(t, q, p, c, []byte{byte(round % 8), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) // writes the magic's bytes
			if p.Err() != nil || c.err != nil {
				p.err, c.err = nil, nil // go on all the same
				q.m.header().state.Store(stateReady)
			}
		}
		close(stop)
		<-done
		q.Close()
		p.Close()
		c.Close()
	}
}
