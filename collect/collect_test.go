// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ethertap/shm"
)

// newQueue makes a queue of its own for the test.
func newQueue(t *testing.T, o shm.Options) string {
	t.Helper()
	name := fmt.Sprintf("test.collect.%d.%x", os.Getpid(), rand.Uint64())
	o.Role, o.Name = shm.RoleOther, "test"
	q, err := shm.Open(name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.Close()
		if err := shm.Delete(name); err != nil {
			t.Error(err)
		}
	})
	return name
}

func attach(t *testing.T, name string) *shm.Queue {
	t.Helper()
	q, err := shm.Open(name, shm.Options{NoCreate: true, Role: shm.RoleOther, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// producer opens the queue anew, as another process would.
func producer(t *testing.T, name string) *shm.Producer {
	t.Helper()
	p, err := attach(t, name).NewProducer("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// Limits are the limits of a run.
type Limits struct{ Packets, Bytes uint64 }

// collector opens the queue anew too; the stream goes to f.
func collector(t *testing.T, name string, f *os.File, l Limits) *Collector {
	t.Helper()
	files, err := Stream(f, f.Name(), Options{Limit: l.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	return collectorOf(t, name, Run{Output: files, Packets: l.Packets})
}

// collectorOf fills in the source.
func collectorOf(t *testing.T, name string, r Run) *Collector {
	t.Helper()
	r.Source = sourceOf(t, name)
	return New(r)
}

func sourceOf(t *testing.T, name string) *Source {
	t.Helper()
	s, err := OpenSource(name, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// counts returns the packets and bytes in the streams, and the packets beyond the limit.
func counts(c *Collector) (packets, bytes, unwritten uint64) {
	t := c.Tally()
	return t.Packets, t.Bytes, t.Unwritten
}

func newFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "x.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func readFile(t *testing.T, path string) (int, []packet) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(text), readStream(t, bytes.NewReader(text))
}

// eventually waits until the condition holds. The time-out only matters for a failure.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// put stores all records, waiting while the queue is full, and panics if it stays full.
func put(p *shm.Producer, records ...shm.Record) {
	for end := time.Now().Add(time.Minute); len(records) > 0; {
		if n, rest := p.Offer(records); n > 0 { // not Put, as what finds no room at first is not to count as refused
			records = rest
			continue
		}
		if time.Now().After(end) {
			panic("nobody empties the queue")
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// putFrames stores frames from..to-1 of size bytes.
func putFrames(p *shm.Producer, who, from, to, size int) {
	for i := from; i < to; i++ {
		put(p, shm.Record{Data: frame(who, i, size), OrigLen: uint32(size), Timestamp: 1})
	}
}

func waiting(t *testing.T, name string) int {
	t.Helper()
	st, err := attach(t, name).Status()
	if err != nil {
		t.Fatal(err)
	}
	return st.Waiting
}

func TestPacketLimit(t *testing.T) {
	for _, limit := range []int{1, 7, batch, batch + 1, 300} {
		name := newQueue(t, shm.Options{})
		putFrames(producer(t, name), 1, 0, 300, 60)
		f := newFile(t)
		c := collector(t, name, f, Limits{Packets: uint64(limit)})
		if err := c.Collect(bounded(t)); err != nil {
			t.Fatal(err)
		}
		n, got := readFile(t, f.Name())
		if len(got) != limit || n != HeaderSize+limit*76 {
			t.Errorf("limit %d: %d packets, %d bytes", limit, len(got), n)
		}
		if w := waiting(t, name); w != 300-limit {
			t.Errorf("limit %d: %d packets were left in the queue", limit, w)
		}
		packets, size, unwritten := counts(c)
		if packets != uint64(limit) || size != uint64(n) || unwritten != 0 {
			t.Errorf("limit %d: counted %d packets, %d bytes, %d unwritten", limit, packets, size, unwritten)
		}
	}
}

func TestByteLimit(t *testing.T) {
	const whole = HeaderSize + 5*116
	for _, l := range []struct {
		limit              uint64
		written, unwritten int
	}{
		{HeaderSize, 0, 0},
		{HeaderSize + recordHeader - 1, 0, 0},
		{HeaderSize + recordHeader, 0, 1},
		{whole - 1, 4, 1},
		{whole, 5, 0},
		{whole + recordHeader - 1, 5, 0},
		{whole + recordHeader, 5, 1},
	} {
		name := newQueue(t, shm.Options{})
		putFrames(producer(t, name), 1, 0, 20, 100)
		f := newFile(t)
		c := collector(t, name, f, Limits{Bytes: l.limit})
		if err := c.Collect(bounded(t)); err != nil {
			t.Fatal(err)
		}
		n, got := readFile(t, f.Name())
		if uint64(n) > l.limit || len(got) != l.written {
			t.Errorf("limit %d: %d bytes, %d packets", l.limit, n, len(got))
		}
		if w := waiting(t, name); w != 20-l.written-l.unwritten {
			t.Errorf("limit %d: %d packets were left in the queue", l.limit, w)
		}
		if p, b, u := counts(c); p != uint64(l.written) || b != uint64(n) || u != uint64(l.unwritten) {
			t.Errorf("limit %d: counted %d packets, %d bytes, %d unwritten", l.limit, p, b, u)
		}
	}
}

// Everything that a producer stores comes out once, in order, whole, with the time of writing.
func TestStream(t *testing.T) {
	const n = 30_000
	name := newQueue(t, shm.Options{Slots: 1024})
	f := newFile(t)
	c := collector(t, name, f, Limits{})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	begin := time.Now().Truncate(time.Microsecond)
	var wg sync.WaitGroup
	p := producer(t, name)
	wg.Go(func() {
		for i := range n {
			put(p, shm.Record{Data: frame(1, i, 60+i%1400), OrigLen: uint32(60 + i%1400)})
		}
		for got := uint64(0); got < n && ctx.Err() == nil; {
			got, _, _ = counts(c)
			time.Sleep(time.Millisecond)
		}
		stop()
	})
	err := c.Collect(ctx)
	stop()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	_, got := readFile(t, f.Name())
	if len(got) != n {
		t.Fatalf("%d packets", len(got))
	}
	last, end := begin, time.Now()
	for i, p := range got {
		if !bytes.Equal(p.data, frame(1, i, 60+i%1400)) {
			t.Fatalf("packet %d is another", i)
		}
		if p.Timestamp.Before(last) || p.Timestamp.After(end) {
			t.Fatalf("packet %d: timestamp %v after %v, before %v", i, p.Timestamp, last, end)
		}
		last = p.Timestamp
	}
}

// Packets that have waited together have a time each, and the times do not fall.
func TestEachPacketHasItsOwnTime(t *testing.T) {
	const n = 4000
	name := newQueue(t, shm.Options{})
	putFrames(producer(t, name), 1, 0, n, 60)
	f := newFile(t)
	files, err := Stream(f, f.Name(), Options{Format: PCAPNano})
	if err != nil {
		t.Fatal(err)
	}
	if err := collectorOf(t, name, Run{Output: files, Packets: n}).Collect(bounded(t)); err != nil {
		t.Fatal(err)
	}
	_, got := readFile(t, f.Name())
	times := map[time.Time]int{}
	for i, p := range got {
		if i > 0 && p.Timestamp.Before(got[i-1].Timestamp) {
			t.Fatalf("packet %d: %v after %v", i, p.Timestamp, got[i-1].Timestamp)
		}
		times[p.Timestamp]++
	}
	if len(got) != n || len(times) < n/2 { // a clock that is read twice within its resolution gives equal times
		t.Errorf("%d packets have %d times", len(got), len(times))
	}
}

func TestTruncated(t *testing.T) {
	name := newQueue(t, shm.Options{})
	long := frame(1, 1, 9000)
	put(producer(t, name), shm.Record{Data: long, OrigLen: 9000})
	f := newFile(t)
	put(producer(t, name), shm.Record{Data: long[:60]})
	c := collector(t, name, f, Limits{Packets: 2})
	if err := c.Collect(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if n := c.Tally().Truncated; n != 1 {
		t.Errorf("counted %d truncated packets", n)
	}
	_, got := readFile(t, f.Name())
	if len(got) != 2 || got[0].Length != 9000 || got[0].CaptureLength >= shm.DefaultSlotSize || !bytes.HasPrefix(long, got[0].data) {
		t.Errorf("%d packets, the first %+v", len(got), got[0].CaptureInfo)
	}
}

// Several collectors share the packets of several producers: they get all of them, and none
// twice.
func TestSharing(t *testing.T) {
	const collectors, producers, each = 2, 2, 10_000
	name := newQueue(t, shm.Options{Slots: 256})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var files [collectors]*os.File
	var cs [collectors]*Collector
	var running, producing sync.WaitGroup
	for i := range cs {
		files[i] = newFile(t)
		cs[i] = collector(t, name, files[i], Limits{})
		running.Go(func() {
			if err := cs[i].Collect(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for who := range producers {
		p := producer(t, name)
		producing.Go(func() { putFrames(p, who, 0, each, 64) })
	}
	producing.Wait()
	eventually(t, "all are collected", func() bool {
		var sum uint64
		for _, c := range cs {
			n, _, _ := counts(c)
			sum += n
		}
		return sum >= producers*each || t.Failed()
	})
	stop()
	running.Wait()

	var seen [producers][each]int
	for i, f := range files {
		var last [producers]int
		_, got := readFile(t, f.Name())
		for _, p := range got {
			who, seq := frameID(p.data)
			if who >= producers || seq >= each || !bytes.Equal(p.data, frame(who, seq, 64)) {
				t.Fatalf("collector %d: packet %d of %d is torn", i, seq, who)
			}
			if seq < last[who] {
				t.Fatalf("collector %d: packet %d of %d after %d", i, seq, who, last[who])
			}
			last[who] = seq
			seen[who][seq]++
		}
	}
	for who := range seen {
		for seq, n := range seen[who] {
			if n != 1 {
				t.Fatalf("packet %d of %d came %d times", seq, who, n)
			}
		}
	}
}
