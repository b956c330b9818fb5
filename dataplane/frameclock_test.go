// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
	"ethertap/lib/filter"
	"ethertap/shm"
)

// offline makes the worker one between two files. send gets the frames that leave by the second one, with what is known of them.
func (b *bench) offline(send func(frame []byte, m xsk.Meta)) {
	b.w.frames = new(frameClock)
	b.w.lanes[1].described = true
	b.kernel[1].Copying(batchSize, func() unix.Errno { return 0 }, func(f []byte) bool { send(f, b.kernel[1].Meta()); return true })
}

// comes gives the worker a frame of a file, and says whether there was room.
func (b *bench) comes(seq int, at time.Duration) bool {
	return b.kernel[0].ReceiveWith(testFrame(125, 1, uint32(seq)), xsk.Meta{Time: int64(at)})
}

// ends serves the worker until all frames have left, after the last one has come.
func (b *bench) ends() {
	b.t.Helper()
	b.kernel[0].Ended.Store(true)
	for b.w.round() > 0 {
	}
	b.check()
	if c := b.w.countChunks(); c.RX+c.TX+c.Completion+c.Held > 0 {
		b.t.Errorf("frames are still on their way: %+v", c)
	}
}

// newTappedBench returns a bench with a TAP queue, which gets what interface 0 receives and interface 1 sends. It holds as many frames
// as it has. drain empties the queue.
func newTappedBench(t *testing.T, p policy.Policy) (b *bench, drain func() []shm.Record) {
	t.Helper()
	name := fmt.Sprintf("et-frameclock-%d-%d", os.Getpid(), time.Now().UnixNano())
	q, err := shm.Open(name, shm.Options{Slots: 4096, Role: shm.RoleEthertap, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shm.Delete(name) })
	t.Cleanup(func() { q.Close() })
	producer, err := q.NewProducer("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { producer.Close() })
	consumer, err := q.NewConsumer("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { consumer.Close() })
	p.Taps[0].RX[0], p.Taps[0].TX[1] = true, true
	b = newBench(t, 2, p)
	b.w.lanes[0].held.heap = make([]heldFrame, 0, benchFrames)
	now, err := planOf(p, producer)
	if err != nil {
		t.Fatal(err)
	}
	b.plan.Store(now)
	return b, func() (records []shm.Record) {
		for {
			r, ok, err := consumer.Get(nil)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return records
			}
			records = append(records, r)
		}
	}
}

// Frames that become due at once, more than a batch sends, leave while a batch is received. The taps get the bytes that each had,
// though faults of the same batch take the chunks that come back.
func TestTapsOfFramesThatBecomeDueAtOnce(t *testing.T) {
	p := faulty(policy.Fault{Dup: policy.Chance{Every: 1}, Delay: 10 * time.Millisecond}, 1)
	b, drain := newTappedBench(t, p)
	sent := map[uint32]int{}
	b.offline(func(f []byte, _ xsk.Meta) { sent[binary.BigEndian.Uint32(f[14:])]++ })
	const early, all = 300, 400 // twice the first ones are more than are sent at a time
	for seq := 0; seq < all; {
		at := time.Duration(seq) * time.Microsecond
		if seq >= early {
			at += time.Second
		}
		if seq == early && b.w.lanes[0].sock.RX.Ready() > 0 || !b.comes(seq, at) {
			b.w.round()
			continue
		}
		seq++
	}
	b.ends()
	copies := map[shm.Direction]map[uint32]int{shm.RX: {}, shm.TX: {}}
	for _, r := range drain() {
		copies[r.Direction][binary.BigEndian.Uint32(r.Data[14:])]++
	}
	for seq := range uint32(all) {
		if rx, tx := copies[shm.RX][seq], copies[shm.TX][seq]; rx != 1 || tx != 2 || sent[seq] != 2 {
			t.Errorf("frame %d: sent %d times, %d RX and %d TX copies; want 2, 1 and 2", seq, sent[seq], rx, tx)
		}
	}
}

// A jitter that is larger than the delay sends no frame before it has arrived, and none before those that were due by then.
func TestNoFrameLeavesBeforeItArrives(t *testing.T) {
	b := newBench(t, 2, faulty(policy.Fault{Delay: time.Millisecond, Jitter: 10 * time.Millisecond}, 1))
	var last int64
	sent := 0
	b.offline(func(f []byte, m xsk.Meta) {
		sent++
		if seq := binary.BigEndian.Uint32(f[14:]); m.Time < int64(seq)*1000 {
			t.Errorf("frame %d leaves %d ns before it arrives", seq, int64(seq)*1000-m.Time)
		}
		if m.Time < last {
			t.Errorf("a frame leaves at %d ns behind one that leaves at %d ns", m.Time, last)
		}
		last = m.Time
	})
	const all = 200
	for seq := 0; seq < all; seq++ {
		for !b.comes(seq, time.Duration(seq)*time.Microsecond) {
			b.w.round()
		}
	}
	b.ends()
	if sent != all {
		t.Errorf("%d of %d frames left", sent, all)
	}
}

// Frames of which a recorder has cut off the end have their whole length for rates, filters, taps and faults: they fare like the
// whole ones.
func TestFramesThatARecorderHasCutOff(t *testing.T) {
	type result struct {
		seq     uint32
		length  int // on the link
		when    int64
		fault   uint32
		content []byte
	}
	chance := policy.Chance{Every: 3}
	p := faulty(policy.Fault{Length: chance, Bitflip: policy.Chance{Every: 2}, Dup: policy.Chance{Every: 5}, Rate: policy.Rate{Kbits: 10000, Queue: time.Minute}}, 1)
	tree, err := filter.Parse("len < 1127")
	if err != nil {
		t.Fatal(err)
	}
	p.DropFilter = policy.Filter{Source: "len < 1127", Tree: tree}
	const whole = 1125
	run := func(captured int) (results []result, records []shm.Record) {
		b, drain := newTappedBench(t, p)
		b.offline(func(f []byte, m xsk.Meta) {
			results = append(results, result{binary.BigEndian.Uint32(f[14:]), len(f) + int(m.Missing), m.Time, m.Fault, bytes.Clone(f)})
		})
		for seq := range 200 {
			n := whole + seq%100
			m := xsk.Meta{Time: int64(seq) * 1000, Missing: uint32(n - min(n, captured))}
			for !b.kernel[0].ReceiveWith(testFrame(n, 1, uint32(seq))[:min(n, captured)], m) {
				b.w.round()
			}
		}
		b.ends()
		return results, drain()
	}
	want, wholeRecords := run(2000)
	got, records := run(100)
	if len(want) < 200 || len(got) != len(want) {
		t.Fatalf("%d frames left, of the whole ones %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if g.seq != w.seq || g.length != w.length || g.when != w.when || g.fault != w.fault || len(g.content) != min(100, w.length) || !bytes.Equal(g.content, w.content[:len(g.content)]) {
			t.Errorf("frame %d is %+v, as a whole one %+v", i, g, w)
		}
	}
	if len(records) != len(wholeRecords) {
		t.Fatalf("%d records, of the whole frames %d", len(records), len(wholeRecords))
	}
	for i, r := range records {
		if w := wholeRecords[i]; r.OrigLen != w.OrigLen || r.Direction != w.Direction || r.Timestamp != w.Timestamp {
			t.Errorf("record %d has the length %d, of the whole frame %d", i, r.OrigLen, w.OrigLen)
		}
	}
}
