// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// testName is a queue name of this test's own, deleted at its end.
func testName(t testing.TB) string {
	name := fmt.Sprintf("ethertap-test.%d.%x", os.Getpid(), rand.Uint64())
	t.Cleanup(func() { os.Remove("/dev/shm/" + name) })
	return name
}

func openTest(t testing.TB, name string, o Options) *Queue {
	t.Helper()
	q, err := Open(name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func producer(t testing.TB, q *Queue) *Producer {
	t.Helper()
	p, err := q.NewProducer("test producer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func consumer(t testing.TB, q *Queue) *Consumer {
	t.Helper()
	c, err := q.NewConsumer("test consumer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func status(t testing.TB, q *Queue) Status {
	t.Helper()
	st, err := q.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestPutGet(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16, SlotSize: 128})
	p, c := producer(t, q), consumer(t, q)
	var buf []byte
	for i := range 100 { // several laps
		in := Record{Timestamp: int64(i) * 7, Interface: 1, Queue: 3, Direction: TX, Fault: 9, PacketID: uint64(i) << 40,
			Data: bytes.Repeat([]byte{byte(i)}, i)}
		if n := p.Put([]Record{in}); n != 1 {
			t.Fatalf("packet %d: stored %d", i, n)
		}
		out, ok, err := c.Get(buf)
		if err != nil || !ok {
			t.Fatalf("packet %d: %v %v", i, ok, err)
		}
		buf = out.Data
		want := in.Data[:min(i, 64)]
		if !bytes.Equal(out.Data, want) || out.OrigLen != uint32(i) || out.Timestamp != in.Timestamp || out.Interface != 1 ||
			out.Queue != 3 || out.Direction != TX || out.Fault != 9 || out.PacketID != in.PacketID || out.Seq != uint64(i)+1 || out.Producer != p.id {
			t.Fatalf("packet %d came back as %+v", i, out)
		}
	}
	p.Put([]Record{{Data: make([]byte, 50), OrigLen: 51}, {Data: make([]byte, 50), OrigLen: 50}}) // the first one is short already
	for range 2 {
		c.Get(nil)
	}
	if _, ok, err := c.Get(nil); ok || err != nil {
		t.Fatalf("empty queue gave %v, %v", ok, err)
	}
	st := status(t, q)
	if st.Inserted != 102 || st.Retrieved != 102 || st.Truncated != 36 || st.Waiting != 0 || st.Head != 102%16 || st.Tail != 102%16 {
		t.Fatalf("%+v", st)
	}
}

// What is offered and finds no room counts nowhere, and can be offered again without a gap in the numbers.
func TestOffer(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16, SlotSize: 128})
	p, c := producer(t, q), consumer(t, q)
	recs := make([]Record, 40)
	for i := range recs {
		recs[i] = Record{PacketID: uint64(i), Data: []byte{byte(i)}}
	}
	next := uint64(0)
	for rest := recs; len(rest) > 0; {
		var stored int
		before := len(rest)
		stored, rest = p.Offer(rest)
		if want := min(before, 16); stored != want || len(rest) != before-want {
			t.Fatalf("%d stored and %d left of %d", stored, len(rest), before)
		}
		if stored, again := p.Offer(rest); stored != 0 || len(again) != len(rest) {
			t.Fatalf("a full queue took %d and left %d of %d", stored, len(again), len(rest))
		}
		for {
			out, ok, err := c.Get(nil)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if out.PacketID != next || out.Seq != next+1 {
				t.Fatalf("packet %d came as %d with the number %d", next, out.PacketID, out.Seq)
			}
			next++
		}
	}
	if st := status(t, q); next != 40 || st.Inserted != 40 || st.Full != 0 {
		t.Fatalf("%d came; %+v", next, st)
	}
	if n := p.Put(recs[:20]); n != 16 || status(t, q).Full != 4 {
		t.Fatalf("Put after Offer stored %d, %+v", n, status(t, q))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if stored, rest := p.Offer(recs); stored != 0 || len(rest) != 40 || p.Err() == nil {
		t.Fatalf("a closed producer stored %d and left %d, %v", stored, len(rest), p.Err())
	}
}

func TestFullResetStatus(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16})
	p, c := producer(t, q), consumer(t, q)
	if err := q.SetInterfaces([]Interface{{Index: 0, Name: "eth0"}, {Index: 1, Name: "eth1", MAC: [6]byte{1, 2, 3, 4, 5, 6}}}); err != nil {
		t.Fatal(err)
	}
	recs := make([]Record, 20)
	for i := range recs {
		recs[i] = Record{Interface: 1, Data: []byte{byte(i)}}
	}
	if n := p.Put(recs); n != 16 {
		t.Fatalf("stored %d of 20 in 16 slots", n)
	}
	st := status(t, q)
	if st.Inserted != 16 || st.Full != 4 || st.Waiting != 16 || st.Head != 0 || st.Tail != 0 || st.HighWater != 16 {
		t.Fatalf("%+v", st)
	}
	n, err := c.Drain(3, func(r *Record) error {
		if len(r.Data) != 1 || uint64(r.Data[0])+1 != r.Seq {
			t.Errorf("record %+v", r)
		}
		return nil
	})
	if n != 3 || err != nil {
		t.Fatal(n, err)
	}
	stop := errors.New("stop")
	if n, err := c.Drain(3, func(*Record) error { return stop }); n != 1 || err != stop {
		t.Fatal(n, err)
	}
	if n, err := q.Reset(); n != 12 || err != nil {
		t.Fatal(n, err)
	}
	st = status(t, q)
	if st.Inserted != 16 || st.Retrieved != 4 || st.Discarded != 12 || st.Waiting != 0 || st.Tail != 0 {
		t.Fatalf("%+v", st)
	}
	if n := p.Put(recs); n != 16 {
		t.Fatalf("after reset: stored %d", n)
	}
	got, ok, err := c.Get(nil)
	if !ok || err != nil || got.Seq != 21 { // 20 were offered before
		t.Fatalf("%+v %v %v", got, ok, err)
	}
	if err := q.SetTaps(TapStated, TapStated|TapTX, TapStated|TapRX); err != nil {
		t.Fatal(err)
	}
	ifs, err := q.Interfaces()
	if err != nil || len(ifs) != 2 || ifs[0].Taps != TapStated || ifs[1].Taps != TapStated|TapTX || ifs[1].Name != "eth1" || ifs[1].MAC != [6]byte{1, 2, 3, 4, 5, 6} || ifs[1].Refused != 8 || ifs[0].Refused != 0 {
		t.Fatalf("%+v %v", ifs, err)
	}
	parts, err := q.Participants()
	if err != nil || len(parts) != 3 {
		t.Fatalf("%+v %v", parts, err)
	}
	if x := parts[1]; !x.Producer || x.Packets != 32 || x.Refused != 8 || !x.Alive || x.PID != os.Getpid() || x.Name != "test producer" {
		t.Fatalf("%+v", x)
	}
	if x := parts[2]; !x.Consumer || x.Packets != 5 || !x.Alive {
		t.Fatalf("%+v", x)
	}
}

func TestPanicOfDrainFunctionFreesTheSlot(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16})
	p, c := producer(t, q), consumer(t, q)
	p.Put(make([]Record, 2))
	func() {
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("recovered %v", r)
			}
		}()
		c.Drain(1, func(*Record) error { panic("mine") })
	}()
	if _, ok, err := c.Get(nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	st := status(t, q)
	if st.Discarded != 1 || st.Retrieved != 1 || st.Waiting != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestOverwrite(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16})
	p, c := producer(t, q), consumer(t, q)
	if err := q.SetOverwrite(true); err != nil {
		t.Fatal(err)
	}
	recs := make([]Record, 100)
	if n := p.Put(recs); n != 100 {
		t.Fatalf("stored %d", n)
	}
	st := status(t, q)
	if st.Inserted != 100 || st.Overwritten != 84 || st.Full != 0 || st.Waiting != 16 || !st.Overwrite {
		t.Fatalf("%+v", st)
	}
	for seq := uint64(85); seq <= 100; seq++ {
		if r, ok, err := c.Get(nil); !ok || err != nil || r.Seq != seq {
			t.Fatalf("got %d, want %d: %v %v", r.Seq, seq, ok, err)
		}
	}
}

// A reader that sits on its slot is gone round, lap after lap, and gives it back.
func TestSlowReader(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16})
	p, slow, c := producer(t, q), consumer(t, q), consumer(t, q)
	one := make([]Record, 1)
	p.Put(one)
	slow.Drain(1, func(*Record) error {
		for range 100 {
			if p.Put(one) != 1 {
				t.Fatal("refused although the queue is empty")
			}
			if _, ok, err := c.Get(nil); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		return nil
	})
	st := status(t, q)
	if st.Holes < 5 || st.Retrieved != 101 || st.Waiting != 0 {
		t.Fatalf("%+v", st)
	}
	if n := p.Put(make([]Record, 17)); n != 16 {
		t.Fatalf("stored %d: the slot did not come back", n)
	}
}

// A producer that goes round slow readers and finds no room moves the head all the same:
// the next producer starts there, and looks at two laps at most.
func TestHeadAfterRefusal(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16})
	if err := q.SetOverwrite(true); err != nil {
		t.Fatal(err)
	}
	p := producer(t, q)
	if n := p.Put(make([]Record, 16)); n != 16 {
		t.Fatalf("stored %d", n)
	}
	var hold func(n int)
	hold = func(n int) { // n slots, each in the hand of a reader of its own
		if n == 0 {
			for range 3 {
				if stored := p.Put(make([]Record, 1)); stored != 0 || p.Err() != nil {
					t.Errorf("stored %d where every slot is held: %v", stored, p.Err())
				}
				if head := q.m.header().head.Load(); p.pos-head >= lag {
					t.Errorf("head %d, the producer is at %d", head, p.pos)
				}
			}
			return
		}
		if k, err := consumer(t, q).Drain(1, func(*Record) error { hold(n - 1); return nil }); k != 1 || err != nil {
			t.Error(k, err)
		}
	}
	hold(16)
	if err := q.SetOverwrite(false); err != nil {
		t.Fatal(err)
	}
	if n := producer(t, q).Put(make([]Record, 17)); n != 16 {
		t.Errorf("another producer stored %d", n)
	}
}

// A writer that sits on its slot is orphaned by a consumer when packets wait behind it.
func TestSlowWriter(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 16})
	slow, p, c := producer(t, q), producer(t, q), consumer(t, q)
	slow.pause = func() {
		slow.pause = nil
		p.Put(make([]Record, 2))
		for range 2 {
			for deadline := time.Now().Add(10 * time.Second); ; {
				if _, ok, err := c.Get(nil); err != nil {
					t.Fatal(err)
				} else if ok {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("stuck behind a slow writer")
				}
				c.Wait(time.Second)
			}
		}
	}
	if n := slow.Put(make([]Record, 1)); n != 0 {
		t.Fatalf("an orphan counts as stored (%d)", n)
	}
	st := status(t, q)
	if st.Inserted != 2 || st.Retrieved != 2 || st.Orphaned != 1 {
		t.Fatalf("%+v", st)
	}
	if n := p.Put(make([]Record, 17)); n != 16 {
		t.Fatalf("stored %d: the slot did not come back", n)
	}
}

// awaitSleep waits until the consumer of a queue has taken all that is there and sleeps.
func awaitSleep(t *testing.T, q *Queue) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); sleepersSet(q.m.header()) == 0 || status(t, q).Waiting > 0; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Error("the consumer does not sleep")
			return
		}
	}
}

func TestWait(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 64})
	p, c := producer(t, q), consumer(t, q)
	if again, err := c.Wait(time.Millisecond); again || err != nil {
		t.Fatal(again, err)
	}
	const packets = 200
	done := make(chan error, 1)
	go func() {
		for n := 0; n < packets; {
			if again, err := c.Wait(10 * time.Second); !again || err != nil {
				done <- fmt.Errorf("after %d: %v %w", n, again, err)
				return
			}
			k, err := c.Drain(10, func(*Record) error { return nil })
			if err != nil {
				done <- err
				return
			}
			n += k
		}
		done <- nil
	}()
	for range packets {
		awaitSleep(t, q)
		p.Put(make([]Record, 1))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	go func() {
		awaitSleep(t, q)
		c.Wake()
	}()
	if again, err := c.Wait(time.Minute); !again || err != nil {
		t.Fatal(again, err)
	}
	if sleepersSet(q.m.header()) != 0 || q.m.header().bell.data.Load()>>32 != 0 {
		t.Fatalf("sleepers %d, semaphore %#x", sleepersSet(q.m.header()), q.m.header().bell.data.Load())
	}
}

func TestNoAllocation(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: 64})
	p, c := producer(t, q), consumer(t, q)
	recs := make([]Record, 8)
	for i := range recs {
		recs[i].Data = make([]byte, 100)
	}
	buf := make([]byte, 0, 200)
	fn := func(*Record) error { return nil }
	if n := testing.AllocsPerRun(100, func() {
		p.Put(recs)
		c.Drain(4, fn)
		for range 4 {
			c.Get(buf)
		}
	}); n != 0 {
		t.Fatalf("%v allocations for 8 packets", n)
	}
}
