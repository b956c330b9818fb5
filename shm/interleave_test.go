// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The interleaving test runs the real code on a queue of two or four slots, one
// participant at a time, and gives the turn to another (or kills the one whose turn it
// is) at every point where shared memory is looked at or changed. It goes through all
// schedules with at most so many switches from somebody who could have gone on and so
// many kills, depth first: a schedule is the list of its choices, and the next one is the
// same list with its last choice changed that can still be changed.

// actor is a participant with its work. It runs in a goroutine of its own that waits at
// every point for its turn.
type actor struct {
	name     string
	work     func(a *actor)
	b        *member
	turn     chan bool // true: go on; false: die here
	yielded  chan bool // true: at a point; false: done
	done     bool
	dead     bool
	consumer *Consumer
}

// point is where a turn may end. A member that dies leaves everything as it is.
func (a *actor) point() {
	a.yielded <- true
	if !<-a.turn {
		if a.consumer != nil {
			a.consumer.held = 0 // the end of the goroutine is not to clear up
		}
		runtime.Goexit()
	}
}

func (a *actor) run() {
	defer func() { a.yielded <- false }()
	if !<-a.turn {
		runtime.Goexit()
	}
	a.work(a)
}

// scenario is who takes part. Each schedule begins with an empty queue.
type scenario struct {
	name      string
	slots     int
	overwrite bool
	producers int // each puts packets
	packets   int
	consumers int // each looks takes times
	takes     int
	resets    int // participants that empty the queue once
	switches  int
	kills     int
}

// world is one schedule of a scenario.
type world struct {
	t      *testing.T
	s      scenario
	q      *Queue
	actors []*actor
	given  map[uint64]int // packets that a consumer was given, by number
	stored map[uint64]bool
	kills  int
	choice []int
	width  []int // how many choices there were
	depth  int
}

func TestInterleavings(t *testing.T) {
	for _, s := range []scenario{
		{name: "one and one, killed", slots: 2, producers: 1, packets: 3, consumers: 1, takes: 4, switches: 3, kills: 1},
		{name: "two producers", slots: 2, producers: 2, packets: 2, consumers: 1, takes: 3, switches: 2, kills: 1},
		{name: "two consumers", slots: 2, producers: 1, packets: 3, consumers: 2, takes: 2, switches: 2, kills: 1},
		{name: "two and two", slots: 2, producers: 2, packets: 1, consumers: 2, takes: 2, switches: 2, kills: 1},
		{name: "two and two, two killed", slots: 4, producers: 2, packets: 1, consumers: 2, takes: 1, switches: 1, kills: 2},
		{name: "overwriting", slots: 2, overwrite: true, producers: 2, packets: 2, consumers: 1, takes: 2, switches: 2, kills: 1},
		{name: "emptied", slots: 2, producers: 1, packets: 3, consumers: 1, takes: 2, resets: 1, switches: 2, kills: 1},
		{name: "overwriting and emptied", slots: 2, overwrite: true, producers: 1, packets: 4, consumers: 1, takes: 2, resets: 1, switches: 2, kills: 1},
	} {
		if os.Getenv(chaosTime) == "" { // make chaos goes through all of them
			s.switches = max(1, s.switches-1)
			s.kills = 1
		}
		t.Run(s.name, func(t *testing.T) { explore(t, s) })
	}
}

// mostSchedules bounds a scenario; one that has more is not exhausted and fails.
const mostSchedules = 2_000_000

func explore(t *testing.T, s scenario) {
	name := testName(t)
	fd, m, err := create("/dev/shm/"+name, s.slots, 128, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := &Queue{name: name, path: "/dev/shm/" + name, m: m, fd: fd}
	if q.self, err = q.join("test", 0); err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	fresh := append([]byte(nil), m.bytes[:slotsOffset]...)
	empty := make([]byte, len(m.bytes)-slotsOffset)
	var choice []int
	for n := 1; ; n++ {
		copy(m.bytes, fresh)
		copy(m.bytes[slotsOffset:], empty)
		w := &world{t: t, s: s, q: q, given: map[uint64]int{}, stored: map[uint64]bool{}, choice: choice}
		w.run()
		if t.Failed() {
			t.Fatalf("schedule %d: %v", n, w.choice[:w.depth])
		}
		// the next one
		choice = w.choice[:w.depth]
		for len(choice) > 0 && choice[len(choice)-1]+1 >= w.width[len(choice)-1] {
			choice = choice[:len(choice)-1]
		}
		if len(choice) == 0 {
			t.Logf("%d schedules", n)
			return
		}
		choice[len(choice)-1]++
		if n == mostSchedules {
			t.Fatal("too many schedules")
		}
	}
}

// choose returns the choice of this schedule among n, the first one where it is new.
func (w *world) choose(n int) int {
	if w.depth == len(w.choice) {
		w.choice = append(w.choice, 0)
	}
	w.width = append(w.width, n)
	w.depth++
	return w.choice[w.depth-1]
}

func (w *world) run() {
	w.cast()
	for _, a := range w.actors {
		go a.run()
	}
	switches, kills := w.s.switches, w.s.kills
	var current *actor
	for {
		// What may happen: the same one goes on, another does, or the same one dies.
		var options []*actor
		if current != nil && !current.done {
			options = append(options, current)
		}
		if len(options) == 0 || switches > 0 {
			for _, a := range w.actors {
				if a != current && !a.done {
					options = append(options, a)
				}
			}
		}
		if len(options) == 0 {
			break
		}
		n := len(options)
		mortal := current != nil && !current.done && kills > 0
		if mortal {
			n++
		}
		pick := 0
		if n > 1 {
			pick = w.choose(n)
		}
		if pick == len(options) {
			kills--
			w.kill(current)
			continue
		}
		if current != nil && !current.done && options[pick] != current {
			switches--
		}
		current = options[pick]
		current.turn <- true
		current.done = !<-current.yielded
	}
	w.check()
}

// kill ends an actor where it is, as SIGKILL would: the kernel drops its lock, and
// nothing else happens.
func (w *world) kill(a *actor) {
	a.turn <- false
	<-a.yielded
	a.done, a.dead = true, true
	w.kills++
	a.b.m.unmap()
	if err := unix.Close(a.b.fd); err != nil {
		w.t.Error(err)
	}
}

// cast makes the actors.
func (w *world) cast() {
	if w.s.overwrite {
		w.q.m.header().mode.Store(modeOverwrite)
	}
	for i := range w.s.producers {
		p, err := w.q.NewProducer("p")
		if err != nil {
			w.t.Fatal(err)
		}
		a := w.add(fmt.Sprintf("p%d", i), &p.member)
		a.work = func(*actor) {
			for k := range w.s.packets {
				number := uint64(i)<<8 | uint64(k)
				p.tight = true // the way on which every step is seen
				if p.Put([]Record{{Data: numbered(number)}}) == 1 {
					w.stored[number] = true
				}
				if p.Err() != nil {
					w.t.Error(a.name, p.Err())
				}
			}
		}
	}
	for i := range w.s.consumers {
		c, err := w.q.NewConsumer("c")
		if err != nil {
			w.t.Fatal(err)
		}
		c.spins, c.askAfter, c.orphanAfter = 1, 0, 0
		a := w.add(fmt.Sprintf("c%d", i), &c.member)
		a.consumer = c
		a.work = func(*actor) {
			for range w.s.takes {
				w.take(c, a.name)
			}
		}
	}
	for i := range w.s.resets {
		q := &Queue{name: w.q.name, path: w.q.path, m: w.q.m, fd: w.q.fd}
		var err error
		if q.self, err = q.join("reset", 0); err != nil {
			w.t.Fatal(err)
		}
		a := w.add(fmt.Sprintf("r%d", i), q.self)
		a.work = func(*actor) {
			if _, err := q.Reset(); err != nil {
				w.t.Error(a.name, err)
			}
		}
	}
}

func (w *world) add(name string, b *member) *actor {
	a := &actor{name: name, b: b, turn: make(chan bool), yielded: make(chan bool)}
	b.pause = a.point
	w.actors = append(w.actors, a)
	return a
}

func numbered(n uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, n)
	return binary.LittleEndian.AppendUint64(b, ^n)
}

func (w *world) take(c *Consumer, who string) (n int) {
	c.misses = 0 // look closely each time
	n, err := c.Drain(1, func(r *Record) error {
		if len(r.Data) != 16 || binary.LittleEndian.Uint64(r.Data) != ^binary.LittleEndian.Uint64(r.Data[8:]) {
			return fmt.Errorf("torn packet %x", r.Data)
		}
		w.given[binary.LittleEndian.Uint64(r.Data)]++
		return nil
	})
	if err != nil {
		w.t.Error(who, err)
	}
	return n
}

// check empties the queue, when all have ended or died, and does the accounts.
func (w *world) check() {
	for _, a := range w.actors {
		if !a.dead {
			a.b.pause = nil
			if err := a.b.leave(); err != nil {
				w.t.Error(err)
			}
		}
	}
	st := status(w.t, w.q) // buries the dead
	p, err := w.q.NewProducer("check")
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.q.NewConsumer("check")
	if err != nil {
		w.t.Fatal(err)
	}
	for range 2 * w.s.slots {
		w.take(c, "check")
	}
	st = status(w.t, w.q)
	if st.Waiting != 0 || st.Inserted != st.Retrieved+st.Discarded+st.Overwritten+st.Lost {
		w.t.Errorf("the accounts do not close: %+v", st)
	}
	if st.Lost > uint64(w.kills) {
		w.t.Errorf("%d lost by %d who were killed", st.Lost, w.kills)
	}
	for number, n := range w.given {
		if n != 1 {
			w.t.Errorf("packet %x given %d times", number, n)
		}
	}
	missing := uint64(0)
	for number := range w.stored {
		if w.given[number] == 0 {
			missing++
		}
	}
	if missing > st.Lost+st.Discarded+st.Overwritten {
		w.t.Errorf("%d packets are missing: %+v", missing, st)
	}
	// All slots are usable, lap after lap.
	w.q.m.header().mode.Store(0)
	for range 2 {
		if n := p.Put(make([]Record, w.s.slots+1)); n != w.s.slots {
			w.t.Errorf("%d of %d slots usable: %+v", n, w.s.slots, st)
		}
		if n, err := c.Drain(w.s.slots+1, func(*Record) error { return nil }); n != w.s.slots || err != nil {
			w.t.Error(n, err)
		}
	}
	if err := errors.Join(p.Close(), c.Close()); err != nil {
		w.t.Error(err)
	}
}
