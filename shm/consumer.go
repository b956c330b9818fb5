// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"
)

const (
	// A writer that stands in the way this long is asked about: it may be dead.
	askAfter = time.Millisecond
	// And after this long it is gone past, if there is a packet behind it.
	orphanAfter = 10 * time.Millisecond

	spins = 200 // looks before a writer or an empty queue is taken seriously
)

// Consumer takes packets out of a queue. Not for concurrent use, Wake excepted.
type Consumer struct {
	member
	pos       uint64 // where the next packet comes from, as far as this consumer knows
	retrieved uint64 // copy of the counter in the entry
	known     uint64 // the head as last read: before it packets wait, most likely
	hint      uint64 // the tail as last read or written
	reading   word   // added to FREE of a position: our claim
	inside    bool   // within a call: a panic is on its way if this is set when it ends
	misses    uint   // looks in a row that found nothing
	rec       Record // handed to Drain's fn
	held      word   // READING, of the slot before pos, while that is in hand; otherwise 0
	roused    atomic.Bool

	// As the constants say; other values are for tests.
	spins                 int
	askAfter, orphanAfter time.Duration

	// The writer in the way and since when.
	stall      word
	stallPos   uint64
	stallSince time.Time
	asked      time.Time
}

// NewConsumer adds a participant that takes packets out.
func (q *Queue) NewConsumer(name string) (*Consumer, error) {
	b, err := q.join(name, kindConsumer)
	if err != nil {
		return nil, fmt.Errorf("queue %s: consumer %s: %w", q.name, name, err)
	}
	c := &Consumer{member: *b, reading: readingBits | word(b.id), spins: spins, askAfter: askAfter, orphanAfter: orphanAfter}
	if err := c.init(); err != nil {
		b.leave()
		return nil, err
	}
	return c, nil
}

func (c *Consumer) init() (err error) {
	defer c.m.rescue(guard(), &err)
	c.retrieved = c.me.retrieved.get()
	return nil
}

// Close gives the participant's place back. Closing twice is harmless.
func (c *Consumer) Close() error {
	if c.err == ErrClosed {
		return nil
	}
	c.err = ErrClosed
	return c.leave()
}

// Get takes the next packet; ok is false when none waits. The bytes are copied into
// buf[:0], which grows when it must. An error means corruption. When it concerns one
// record only, the record is dropped and the next Get goes on.
func (c *Consumer) Get(buf []byte) (rec Record, ok bool, err error) {
	if c.err != nil {
		return Record{}, false, c.err
	}
	rec.Data = buf[:0]
	old := guard()
	c.inside = true
	defer func() {
		if debug.SetPanicOnFault(old); c.inside { // recover costs some nanoseconds
			err = c.caught(recover())
		}
	}()
	n, err := c.drain(1, nil, &rec)
	if c.inside = false; n == 0 {
		rec.Data = nil
	}
	return rec, n > 0, err
}

// Drain takes up to max packets one by one. fn gets each with Data pointing into shared
// memory: valid only during fn, and a hostile process may change the bytes meanwhile;
// the length is clamped. n is how many were taken, the one that fn failed on included.
// Drain stops at fn's error and returns it. Called again and again on an empty queue, it
// looks closely only now and then; a Wait in between makes it look.
func (c *Consumer) Drain(max int, fn func(*Record) error) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	old, before := guard(), c.retrieved
	c.inside = true
	defer func() {
		if debug.SetPanicOnFault(old); c.inside {
			n = int(c.retrieved - before)
			err = c.caught(recover())
		}
	}()
	n, err = c.drain(max, fn, &c.rec)
	c.inside = false
	return n, err
}

// drain takes up to most packets into rec and says how many. Each is given to fn; without
// fn its bytes are copied to rec.Data, which grows when it must.
func (c *Consumer) drain(most int, fn func(*Record) error, rec *Record) (n int, err error) {
	if c.pos >= c.known {
		c.known = c.h.head.Load()
	}
	if most > 1 {
		if k := min(int64(c.known-c.pos), int64(most), int64(c.mask+1-c.pos&c.mask), 32); k > 1 {
			prefetchWrite(unsafe.Pointer(c.slot(c.pos)), uintptr(c.stride), int(k), 2)
		}
	}
	for n < most {
		// Before c.known it is there, most likely, and claimed without looking, which would
		// fetch the line twice.
		pos := c.pos
		f, s := c.freeAt(pos), c.slot(pos)
		if pos >= c.known && s.word.Load() != uint64(f+fullBits) || !s.word.CompareAndSwap(uint64(f+fullBits), uint64(f+c.reading)) {
			var ok bool
			if pos, ok, err = c.search(n == 0); !ok {
				return n, err
			}
			f, s = c.freeAt(pos), c.slot(pos)
		}
		c.held = f + c.reading
		c.pos = pos + 1
		if c.misses > 0 {
			c.misses = 0
		}
		if int64(c.pos-c.hint) >= lag {
			advance(&c.h.tail, c.pos)
			c.hint = c.pos
		}

		// Every field may be a lie; the length is the only one that could hurt.
		room, size := c.room(s), s.captured()
		if size > len(room) {
			c.letGo()
			return n, fmt.Errorf("queue %s: %w: record of %d bytes at position %d", c.q.name, ErrCorrupt, size, pos)
		}
		n++
		*rec.head() = s.head
		rec.OrigLen = max(rec.OrigLen, uint32(size))
		if fn != nil {
			c.rec.Data = room[:size:size]
			err = fn(&c.rec) // not rec, which is to stay on the stack of Get
		} else if size <= cap(rec.Data) {
			rec.Data = rec.Data[:size]
			copy(rec.Data, room)
		} else {
			rec.Data = append(rec.Data[:0], room[:size]...)
		}

		c.step()
		c.me.intend(countRetrieved, pos, c.retrieved+1)
		c.step()
		c.held = 0
		if !s.word.CompareAndSwap(uint64(f+c.reading), uint64(f+lapBit)) {
			c.release(s, f+c.reading)
		}
		c.step()
		c.retrieved++
		c.me.retrieved.set(c.retrieved)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// caught deals with a panic within a call and lets go of a slot that a panic of Drain's fn
// left in hand; r is nil when the goroutine ends there.
func (c *Consumer) caught(r any) error {
	c.inside = false
	if c.held != 0 {
		c.letGo()
	}
	if r != nil {
		c.err = fmt.Errorf("queue %s: %w", c.q.name, c.m.fault(r))
	}
	return c.err
}

// letGo frees the slot in hand without counting the packet as retrieved.
func (c *Consumer) letGo() {
	var fault error
	defer c.m.rescue(guard(), &fault) // a truncated file is reported by whoever called
	w := c.held
	c.held = 0
	c.me.intend(countDiscarded, c.pos-1, c.me.discarded.get()+1)
	c.release(c.m.slot(c.pos-1), w)
	c.me.discarded.set(c.me.discarded.get() + 1)
}

// search claims the next packet's slot where that is not where it was thought to be, and
// says at which position it is; ok is false when none waits.
func (c *Consumer) search(exact bool) (at uint64, ok bool, err error) {
	m := c.m
	c.hint = c.h.tail.Load()
	pos := max(c.pos, c.hint)
	if c.known = c.h.head.Load(); pos >= c.known {
		// The head may lag, so the word has to be looked at. But who looks all the time
		// takes the line away from the writer, packet by packet.
		if c.misses++; c.misses > 1 {
			relax()
			if !exact && c.misses%16 != 0 {
				return 0, false, nil
			}
		}
	}
	spin := c.spins
	for range 2*m.slots + uint64(c.spins) {
		lap := pos >> m.shift
		s := m.slot(pos)
		c.step()
		w := word(s.word.Load())
		c.step()
		switch atTail(w, lap) {
		case stepTake:
			if s.word.CompareAndSwap(uint64(w), uint64(makeWord(lap, reading, c.id))) {
				return pos, true, nil
			}
		case stepPast:
			if w.lap() > lap+1 {
				if c.wild(w) {
					return 0, false, c.corrupt("word from the far future", pos, w)
				}
				if t := c.h.tail.Load(); t > pos {
					pos = t // we were away for long
					continue
				}
			}
			pos++
		case stepEmpty:
			c.pos = pos
			return 0, false, c.empty(s, pos, w)
		case stepWriter:
			if spin--; spin > 0 {
				relax()
				continue
			}
			if !c.impatient(s, pos, w) {
				c.pos = pos
				return 0, false, nil
			}
		default:
			return 0, false, c.corrupt("impossible word at the tail", pos, w)
		}
	}
	c.pos = pos
	advance(&c.h.tail, pos)
	return 0, false, nil
}

// empty checks that a queue that looks empty can be: the head does not pass a position
// before its word says so.
func (c *Consumer) empty(s *slot, pos uint64, w word) error {
	if c.h.head.Load() > pos && word(s.word.Load()) == w {
		return c.corrupt("head beyond a free slot", pos, w)
	}
	if c.h.state.Load() != stateReady {
		c.err = fmt.Errorf("queue %s: %w: another process has found out", c.q.name, ErrCorrupt)
		return c.err
	}
	return nil
}

// impatient deals with a writer that stands in the way; true when the word changed.
func (c *Consumer) impatient(s *slot, pos uint64, w word) bool {
	now := time.Now()
	if c.stall != w || c.stallPos != pos {
		c.stall, c.stallPos, c.stallSince, c.asked = w, pos, now, now
		return false
	}
	if now.Sub(c.asked) >= c.askAfter {
		c.asked = now
		if c.dead(w) {
			return c.reap(s, w)
		}
	}
	if now.Sub(c.stallSince) < c.orphanAfter {
		return false
	}
	next := word(c.m.slot(pos + 1).word.Load())
	switch atTail(next, (pos+1)>>c.m.shift) {
	case stepTake, stepPast:
		c.step()
		if s.word.CompareAndSwap(uint64(w), uint64(makeWord(w.lap(), orphan, w.owner()))) {
			c.me.orphans.set(c.me.orphans.get() + 1)
		}
		return true
	}
	return false
}

// Wait sleeps until a packet may be there, Wake is called, or the timeout passes; it
// says whether to look again. A timeout of 0 or less only looks.
func (c *Consumer) Wait(timeout time.Duration) (again bool, err error) {
	if c.err != nil {
		return false, c.err
	}
	old := guard()
	c.inside = true
	defer func() {
		if debug.SetPanicOnFault(old); c.inside {
			err = c.caught(recover())
		}
	}()
	again, err = c.sleep(timeout)
	c.inside = false
	return again, err
}

func (c *Consumer) sleep(timeout time.Duration) (again bool, err error) {
	for range spins {
		if c.roused.Load() && c.roused.Swap(false) || c.ready() {
			return true, nil
		}
		relax()
	}
	var deadline time.Time
	for {
		now := time.Now()
		if deadline.IsZero() {
			deadline = now.Add(timeout)
		}
		left := deadline.Sub(now)
		if left <= 0 {
			return false, nil
		}
		left = min(left, bellWait)
		c.asleep()
		if !c.roused.Load() && !c.ready() {
			if err := c.wait(c.nap(left)); err != nil {
				c.awake()
				c.err = fmt.Errorf("queue %s: %w", c.q.name, err)
				return false, c.err
			}
		}
		c.awake()
		if c.roused.Swap(false) || c.ready() || c.stalled() || c.h.state.Load() != stateReady {
			return true, nil
		}
	}
}

// Wake makes a Wait of this consumer return early, or the next one at once. It may be
// called from any goroutine while the consumer is open.
func (c *Consumer) Wake() {
	c.roused.Store(true)
	var fault error
	defer c.m.rescue(guard(), &fault) // a truncated file: Wait finds out by itself
	c.h.bell.data.Add(1)
	c.h.bell.wake(1 << 30) // who else sleeps looks once and sleeps on
}

// ready says whether take would get on.
func (c *Consumer) ready() bool {
	pos := max(c.pos, c.h.tail.Load())
	switch atTail(word(c.m.slot(pos).word.Load()), pos>>c.m.shift) {
	case stepEmpty, stepWriter:
		return false
	}
	c.misses = 0
	return true
}

// stalled says whether a writer stands in the way.
func (c *Consumer) stalled() bool {
	pos := max(c.pos, c.h.tail.Load())
	return atTail(word(c.m.slot(pos).word.Load()), pos>>c.m.shift) == stepWriter
}

// nap shortens a sleep while a writer stands in the way: it may be dead.
func (c *Consumer) nap(d time.Duration) time.Duration {
	if c.stalled() {
		return min(d, askAfter)
	}
	return d
}
