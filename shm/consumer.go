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
	*member
	pos       uint64 // where the next packet comes from, as far as this consumer knows
	retrieved uint64 // copy of the counter in the entry
	known     uint64 // the head as last read: before it packets wait, most likely
	hint      uint64 // the tail as last read or written
	inside    bool   // within a call: a panic is on its way if this is set when it ends
	misses    uint   // looks in a row that found nothing
	rec       Record // handed to Drain's fn
	held      *slot  // in READING, ours
	heldWord  word
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
	c := &Consumer{member: b, spins: spins, askAfter: askAfter, orphanAfter: orphanAfter}
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
	defer c.end(guard(), &err)
	c.inside = true
	ok, err = c.get(buf, &rec)
	c.inside = false
	return rec, ok, err
}

func (c *Consumer) get(buf []byte, rec *Record) (ok bool, err error) {
	s, err := c.take(true)
	if s == nil || err != nil {
		return false, err
	}
	if err := c.read(s, rec); err != nil {
		return false, err
	}
	rec.Data = append(buf[:0], rec.Data...)
	c.done()
	return true, nil
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
	defer c.end(guard(), &err)
	c.inside = true
	err = c.drain(max, fn, &n)
	c.inside = false
	return n, err
}

func (c *Consumer) drain(max int, fn func(*Record) error, n *int) error {
	if c.pos >= c.known {
		c.known = c.h.head.Load()
	}
	if k := min(int64(c.known-c.pos), int64(max), int64(c.m.slots-c.pos&c.m.mask), 32); k > 1 {
		prefetchWrite(unsafe.Pointer(c.m.slot(c.pos)), uintptr(c.m.stride), int(k), 2)
	}
	for *n < max {
		s, err := c.take(*n == 0)
		if s == nil || err != nil {
			return err
		}
		if err := c.read(s, &c.rec); err != nil {
			return err
		}
		*n++
		err = fn(&c.rec)
		c.done()
		if err != nil {
			return err
		}
	}
	return nil
}

// end ends a guard like rescue, and lets go of a slot that a panic of fn left in hand. It
// asks for a panic only when there was one, as the producer's does.
func (c *Consumer) end(old bool, err *error) {
	if !c.inside {
		debug.SetPanicOnFault(old)
		return
	}
	r := recover()
	c.inside = false
	debug.SetPanicOnFault(old)
	if c.held != nil {
		c.letGo()
	}
	if r != nil {
		c.err = fmt.Errorf("queue %s: %w", c.q.name, c.m.fault(r))
		*err = c.err
	}
}

// letGo frees the slot in hand without counting the packet as retrieved.
func (c *Consumer) letGo() {
	var fault error
	defer c.m.rescue(guard(), &fault) // a truncated file is reported by whoever called
	s := c.held
	c.held = nil
	c.intend(countDiscarded, c.pos-1, c.me.discarded.get()+1)
	c.release(s, c.heldWord)
	c.me.discarded.set(c.me.discarded.get() + 1)
}

// take claims the next packet's slot, which is ours until done; nil when none waits.
func (c *Consumer) take(exact bool) (*slot, error) {
	pos := c.pos
	lap, s := pos>>c.m.shift, c.m.slot(pos)
	want := uint64(makeWord(lap, full, 0))
	// Before c.known it is there, most likely, and claimed without looking, which would
	// fetch the line twice.
	if (pos < c.known || s.word.Load() == want) && s.word.CompareAndSwap(want, uint64(makeWord(lap, reading, c.id))) {
		c.hold(s, pos)
		return s, nil
	}
	return c.search(exact)
}

// hold notes the slot of position pos as ours.
func (c *Consumer) hold(s *slot, pos uint64) {
	c.held, c.heldWord = s, makeWord(pos>>c.m.shift, reading, c.id)
	c.pos = pos + 1
	c.misses = 0
	if int64(c.pos-c.hint) >= lag {
		advance(&c.h.tail, c.pos)
		c.hint = c.pos
	}
}

// search is take where the next packet is not where it was thought to be.
func (c *Consumer) search(exact bool) (*slot, error) {
	m := c.m
	c.hint = c.h.tail.Load()
	pos := max(c.pos, c.hint)
	if c.known = c.h.head.Load(); pos >= c.known {
		// The head may lag, so the word has to be looked at. But who looks all the time
		// takes the line away from the writer, packet by packet.
		if c.misses++; c.misses > 1 {
			relax()
			if !exact && c.misses%16 != 0 {
				return nil, nil
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
				c.hold(s, pos)
				return s, nil
			}
		case stepPast:
			if w.lap() > lap+1 {
				if c.wild(w) {
					return nil, c.corrupt("word from the far future", pos, w)
				}
				if t := c.h.tail.Load(); t > pos {
					pos = t // we were away for long
					continue
				}
			}
			pos++
		case stepEmpty:
			c.pos = pos
			return nil, c.empty(s, pos, w)
		case stepWriter:
			if spin--; spin > 0 {
				relax()
				continue
			}
			if !c.impatient(s, pos, w) {
				c.pos = pos
				return nil, nil
			}
		default:
			return nil, c.corrupt("impossible word at the tail", pos, w)
		}
	}
	c.pos = pos
	advance(&c.h.tail, pos)
	return nil, nil
}

// empty checks that a queue that looks empty can be: the head does not pass a position
// before its word says so.
func (c *Consumer) empty(s *slot, pos uint64, w word) error {
	if c.h.head.Load() > pos && word(s.word.Load()) == w {
		return c.corrupt("head beyond a free slot", pos, w)
	}
	if c.h.state.Load() != stateReady {
		c.err = fmt.Errorf("queue %s: %w: marked so by another", c.q.name, ErrCorrupt)
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

// read fills r from the slot in hand, or lets go of it. Every field may be a lie; the
// length is the only one that could hurt.
func (c *Consumer) read(s *slot, r *Record) error {
	room := c.m.room(s)
	n := s.captured()
	if n > len(room) {
		c.letGo()
		return fmt.Errorf("queue %s: %w: record of %d bytes at position %d", c.q.name, ErrCorrupt, n, c.pos-1)
	}
	// Field by field: a composite literal is made on the stack and copied, which was slower.
	r.Timestamp = s.timestamp
	r.OrigLen = max(s.origLen, uint32(n))
	r.Interface = s.iface
	r.Queue = s.queue
	r.Direction = Direction(s.direction)
	r.Fault = s.fault
	r.PacketID = s.packetID
	r.Seq = s.seq
	r.Producer = s.producer
	r.Data = room[:n:n]
	return nil
}

// done counts the packet in hand and lets go of its slot.
func (c *Consumer) done() {
	s := c.held
	c.step()
	c.intend(countRetrieved, c.pos-1, c.retrieved+1)
	c.step()
	c.held = nil
	if w := c.heldWord; !s.word.CompareAndSwap(uint64(w), uint64(w.freed())) {
		c.release(s, w)
	}
	c.step()
	c.retrieved++
	c.me.retrieved.set(c.retrieved)
}

// Wait sleeps until a packet may be there, Wake is called, or the timeout passes; it
// says whether to look again. A timeout of 0 or less only looks.
func (c *Consumer) Wait(timeout time.Duration) (again bool, err error) {
	if c.err != nil {
		return false, c.err
	}
	defer c.end(guard(), &err)
	c.inside = true
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
