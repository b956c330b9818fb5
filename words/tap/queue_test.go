// SPDX-License-Identifier: BSD-3-Clause

package tap

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"ethertap/shm"
)

// The words use up a queue that has lost its file, and then go over to the next one, if there is
// one.
func TestQueueThatIsGone(t *testing.T) {
	name := fmt.Sprintf("test.words.%d.%x", os.Getpid(), rand.Uint64())
	t.Cleanup(func() { os.Remove("/dev/shm/" + name) })
	open := func() *shm.Queue {
		t.Helper()
		q, err := shm.Open(name, shm.Options{Slots: 16})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { q.Close() })
		return q
	}
	first := open()
	next := first
	w := &tapQueue{open: func() (*shm.Queue, error) { return next, nil }}
	want := func(what string, q *shm.Queue) {
		t.Helper()
		if got, err := w.opened(); err != nil || got != q {
			t.Errorf("%s: it has the first one: %v, %v", what, got == first, err)
		}
	}
	p, err := first.NewProducer("test")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Put(make([]shm.Record, 1))
	want("as it is", first)
	if w.consumer, err = first.NewConsumer("test"); err != nil {
		t.Fatal(err)
	}
	os.Remove("/dev/shm/" + name)
	want("nothing is in its place", first)
	next = open()
	want("a packet waits", first)
	if _, ok, err := w.consumer.Get(nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	want("nothing waits any more", next)
	if w.consumer != nil {
		t.Error("it has the old consumer")
	}
	last := next
	os.Truncate("/dev/shm/"+name, 0)
	want("damaged, and nothing in its place", last)
	os.Remove("/dev/shm/" + name)
	next = open()
	want("damaged", next)
}
