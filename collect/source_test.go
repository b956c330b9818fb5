// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"ethertap/shm"
	"ethertap/tests/need"
)

// noQueue returns the name of a queue for this test alone that does not exist.
func noQueue(t *testing.T) string {
	name := fmt.Sprintf("test.collect.%d.%x", os.Getpid(), rand.Uint64())
	t.Cleanup(func() { os.Remove("/dev/shm/" + name) })
	return name
}

// made makes a queue, in which filled puts packets.
func made(t *testing.T, name string, o shm.Options) *shm.Queue {
	t.Helper()
	q, err := shm.Open(name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func filled(t *testing.T, q *shm.Queue) *shm.Producer {
	t.Helper()
	p, err := q.NewProducer("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// running starts a collector of a queue. It returns functions that wait for its packets and that
// end it.
func running(t *testing.T, name string, log *notes) (c *Collector, await func(packets uint64), end func() []packet) {
	t.Helper()
	f := newFile(t)
	files, err := Stream(f, f.Name(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	source, err := OpenSource(name, log.logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	c = New(Run{Source: source, Output: files})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan error, 1)
	go func() { done <- c.Collect(ctx) }()
	await = func(packets uint64) {
		t.Helper()
		for c.Tally().Packets < packets {
			if ctx.Err() != nil {
				t.Fatalf("%d packets of %d; it said %q", c.Tally().Packets, packets, log.text())
			}
			time.Sleep(time.Millisecond)
		}
	}
	return c, await, func() []packet {
		t.Helper()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_, got := readFile(t, f.Name())
		return got
	}
}

// A queue that comes later is collected from its first packet on. A run that waits for it makes
// no file, and ends as usual.
func TestQueueThatComesLater(t *testing.T) {
	name := noQueue(t)
	var log notes
	c, await, end := running(t, name, &log)
	for range 3 { // two calls with a look in between
		source := c.r.Source.(*Source)
		source.Wake()
		eventually(t, "it waits", func() bool { return len(source.wake) == 0 })
	}
	if _, err := os.Stat("/dev/shm/" + name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
	putFrames(filled(t, made(t, name, shm.Options{})), 1, 0, 100, 60)
	await(100)
	for i, got := range end() {
		if !bytes.Equal(got.data, frame(1, i, 60)) {
			t.Fatalf("packet %d is another", i)
		}
	}
	if text := log.text(); text != "" {
		t.Errorf("it said %q", text)
	}

	_, _, end = running(t, noQueue(t), &log)
	if got := end(); len(got) != 0 {
		t.Errorf("%d packets of no queue", len(got))
	}
}

// When the queue disappears, the run takes the packets in it and goes on with the next one, as
// often as that happens. The counts go on too.
func TestQueueThatIsReplaced(t *testing.T) {
	for what, take := range map[string]func(t *testing.T, q *shm.Queue){
		"removed":   func(t *testing.T, q *shm.Queue) { os.Remove("/dev/shm/" + q.Name()) },
		"truncated": func(t *testing.T, q *shm.Queue) { os.Truncate("/dev/shm/"+q.Name(), 100) },
	} {
		t.Run(what, func(t *testing.T) {
			name := noQueue(t)
			q := made(t, name, shm.Options{Slots: 16})
			var log notes
			c, await, end := running(t, name, &log)
			const each = 20
			total, refused := 0, uint64(0)
			for range 3 {
				table := []shm.Interface{{Index: 0, Name: "a"}}
				if err := q.SetInterfaces(table); err != nil {
					t.Fatal(err)
				}
				p := filled(t, q)
				first := total
				for total < first+each {
					if p.Put([]shm.Record{{Data: frame(1, total, 60)}}) == 1 {
						total++
					} else {
						refused++
					}
				}
				if what == "truncated" { // then the waiting packets are lost
					await(uint64(total))
				}
				if r := c.r.Source.Refused(); r != refused {
					t.Errorf("%d refused, counted %d", refused, r)
				}
				take(t, q)
				if what == "removed" { // the program that fills it has not noticed yet
					put(p, shm.Record{Data: frame(1, total, 60)})
					total++
					await(uint64(total))
				}
				next, err := q.Renew()
				if err != nil {
					t.Fatal(err)
				}
				p.Close()
				q.Close()
				q = next
			}
			defer q.Close()
			putFrames(filled(t, q), 1, total, total+5, 60)
			await(uint64(total + 5))
			if r := c.r.Source.Refused(); r != refused {
				t.Errorf("at the end: %d refused, counted %d", refused, r)
			}
			got := end()
			if len(got) != total+5 {
				t.Errorf("%d packets, %d were put in", len(got), total+5)
			}
			for i, got := range got {
				if !bytes.Equal(got.data, frame(1, i, 60)) {
					t.Fatalf("packet %d is another", i)
				}
			}
			lines := strings.Split(log.text(), "\n")
			if len(lines) != 6 || !strings.Contains(lines[0], "; recording goes on with the next one") || lines[5] != "queue "+name+": the next one is there" {
				t.Errorf("it said %q", lines)
			}
		})
	}
}

// The packets that former queues refused stay in the drop counts of their interfaces.
func TestRefusedCountsOnOverQueues(t *testing.T) {
	name := noQueue(t)
	q := made(t, name, shm.Options{Slots: 16})
	s := sourceOf(t, name)
	fill := func(q *shm.Queue, names ...string) {
		t.Helper()
		var table []shm.Interface
		for i, n := range names {
			table = append(table, shm.Interface{Index: i, Name: n})
		}
		if err := q.SetInterfaces(table); err != nil {
			t.Fatal(err)
		}
		p := filled(t, q)
		for i := range 20 {
			p.Put([]shm.Record{{Data: frame(1, i, 60), Interface: 1}}) // there is no room for 4
		}
		p.Close()
	}
	fill(q, "a", "b")
	for i, want := range []struct {
		second  string
		refused uint64
	}{{"b", 4}, {"b", 8}, {"other", 4}, {"other", 8}} {
		if got := s.Interfaces(); len(got) != 2 || got[1].Name != want.second || got[1].Refused != want.refused || got[0].Refused != 0 {
			t.Fatalf("queue %d: %+v, want %+v", i, got, want)
		}
		for {
			n, err := s.Drain(100, func(*shm.Record) error { return nil })
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
		os.Remove("/dev/shm/" + name)
		next, err := q.Renew()
		if err != nil {
			t.Fatal(err)
		}
		q.Close()
		q = next
		fill(q, "a", []string{"b", "other", "other", "other"}[i])
		for s.Queue() == nil || s.Queue().Intact() != nil {
			if _, err := s.Wait(idleWait); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r := s.Refused(); r != 4*5 {
		t.Errorf("%d refused", r)
	}
	if r := sourceOf(t, name).Refused(); r != 0 { // they are from before its time
		t.Errorf("%d refused at the start", r)
	}
	q.Close()
}

// If a stranger's file takes the place of the queue, the run waits until the program that fills
// the queue has replaced it. If a file of ours that is no queue does, that is an error.
func TestQueueWhoseNameAStrangerHas(t *testing.T) {
	need.Root(t)
	name := noQueue(t)
	path := "/dev/shm/" + name
	if err := os.WriteFile(path, []byte("not a queue"), 0o666); err != nil {
		t.Fatal(err)
	}
	var log notes
	if _, err := OpenSource(name, log.logf); !errors.Is(err, shm.ErrForeign) {
		t.Errorf("a file of ours: %v", err)
	}
	if err := os.Chown(path, 65533, 65533); err != nil {
		t.Fatal(err)
	}
	_, await, end := running(t, name, &log)
	putFrames(filled(t, made(t, name, shm.Options{Repair: true})), 1, 0, 5, 60)
	await(5)
	if got := end(); len(got) != 5 {
		t.Errorf("%d packets", len(got))
	}
	if text := log.text(); strings.Contains(text, "\n") || !strings.HasSuffix(text, "user 65533 has its name; waiting for one") {
		t.Errorf("it said %q", text)
	}
}
