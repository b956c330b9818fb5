// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"bufio"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"ethertap/tests/need"
)

// buildReader compiles the C reader.
func buildReader(t *testing.T) string {
	cc := need.Tool(t, "cc")
	reader := t.TempDir() + "/reader"
	if out, err := exec.Command(cc, "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-o", reader, "example/reader.c", "-pthread").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return reader
}

// The C reader, made by the system's compiler, takes what Go puts in: packets that wait
// already and packets it has to be woken for by the real sem_timedwait.
func TestCReader(t *testing.T) {
	reader := buildReader(t)
	name := testName(t)
	q := openTest(t, name, Options{Slots: 16, SlotSize: 256})
	p := producer(t, q)
	const packets = 300
	cmd := exec.Command(reader, name, fmt.Sprint(packets), "20000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var recs [3]Record
	put := func(first int) {
		for i := range recs {
			n := first + i
			data := make([]byte, n)
			for k := range data {
				data[k] = byte(n + k)
			}
			recs[i] = Record{Timestamp: int64(n) * 1e9, Interface: uint16(n % 2), Direction: TX, Data: data}
		}
		end := time.Now().Add(20 * time.Second)
		for done := p.Put(recs[:]); done < len(recs); done += p.Put(recs[done:]) { // it is full
			if time.Now().After(end) {
				t.Error("the reader does not read")
				return
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	put(0)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fed := make(chan bool)
	go func() {
		defer close(fed)
		for n := 3; n < packets; n += 3 {
			if n%5 > 0 { // else it may find them without a wake-up
				awaitSleep(t, q)
			}
			put(n)
		}
	}()
	defer func() { <-fed }() // the producer is closed after this test
	lines := bufio.NewScanner(out)
	n := 0
	for ; lines.Scan(); n++ {
		var prod, iface, dir, orig, length, sum int
		var seq, ts int64
		if _, err := fmt.Sscan(lines.Text(), &prod, &seq, &ts, &iface, &dir, &orig, &length, &sum); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		want := uint32(0)
		for k := range min(n, 256-64) {
			want = want*31 + uint32(byte(n+k))
		}
		if prod != int(p.id) || ts != int64(n)*1e9 || iface != n%2 || dir != 2 || orig != n || length != min(n, 192) || uint32(sum) != want {
			t.Fatalf("packet %d: %q", n, lines.Text())
		}
	}
	<-fed
	if err := cmd.Wait(); err != nil || n != packets {
		t.Fatalf("%d packets: %v", n, err)
	}
	st := status(t, q)
	if st.Retrieved != packets || st.Waiting != 0 || st.Inserted != packets {
		t.Fatalf("%+v", st)
	}
	if sleepersSet(q.m.header()) != 0 || q.m.header().bell.data.Load()>>32 != 0 {
		t.Fatalf("sleepers %d, semaphore %#x", sleepersSet(q.m.header()), q.m.header().bell.data.Load())
	}
}
