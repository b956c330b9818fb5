// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"fmt"
	"runtime/debug"
	"unsafe"
)

// Direction says which way a packet went through its interface.
type Direction uint8

const (
	RX Direction = 1
	TX Direction = 2
)

// Record is what a producer hands in and a consumer gets.
type Record struct {
	Seq       uint64 // producer's sequence number, refused packets included; set by Put
	Timestamp int64  // of reception, ns since the epoch
	PacketID  uint64 // the same for the RX and the TX copy of one frame
	_         uint32
	OrigLen   uint32    // length on the wire; len(Data) is smaller when truncated to the slot. 0 in Put: len(Data)
	Interface uint16    // index of the interface
	Queue     uint16    // queue of the interface
	Producer  uint16    // participant id of the producer; set by Put
	Direction Direction // RX or TX
	Fault     uint32    // what fault injection did to it; 0: nothing
	Data      []byte
}

// Producer puts packets into a queue. Not for concurrent use.
type Producer struct {
	member
	pos  uint64 // where the next packet goes, as far as this producer knows
	hint uint64 // the head as last read or written
	tail uint64 // as last read, for the high-water mark
	// tight says that the queue was full the last time. Then a slot is looked at before
	// it is claimed: a compare-and-swap that fails takes the line away from its reader.
	tight bool

	writing word // added to FREE of a position: our claim
	inside  bool // within Put: a panic is on its way if this is set when it ends

	// Copies of the counters in the entry, so that they are written and never read.
	offered, stored, full, highWater uint64
	first                            uint64 // offered, when it joined
}

// NewProducer adds a participant that puts packets in; one for each thread.
func (q *Queue) NewProducer(name string) (*Producer, error) {
	b, err := q.join(name, kindProducer)
	if err != nil {
		return nil, fmt.Errorf("queue %s: producer %s: %w", q.name, name, err)
	}
	p := &Producer{member: *b, writing: writingBits | word(b.id)}
	if err := p.init(); err != nil {
		b.leave()
		return nil, err
	}
	return p, nil
}

func (p *Producer) init() (err error) {
	defer p.m.rescue(guard(), &err)
	p.offered, p.stored = p.me.offered.get(), p.me.stored.get()
	p.full, p.highWater = p.me.full.get(), p.me.highWater.get()
	p.first = p.offered
	return nil
}

// Put copies packets into the queue in order and says how many it stored; it never
// blocks, and makes no system call unless somebody sleeps (or holds up the ring for a
// whole lap, whom it then asks the kernel about). When a packet finds no room, it and
// the rest of the batch are refused and counted as full. Packets longer than a slot are truncated; those and what is
// shorter than its OrigLen already are counted as such. Seq and Producer of the
// stored records are set. A corrupt queue stores nothing: see Err.
func (p *Producer) Put(recs []Record) (stored int) {
	stored, _ = p.put(recs, false)
	return stored
}

// Offer is Put for a producer that can wait. rest are the packets that found no room. They count neither as refused nor in
// the sequence numbers, and may be offered again.
func (p *Producer) Offer(recs []Record) (stored int, rest []Record) { return p.put(recs, true) }

// put does what Put does, and with wait what Offer does.
func (p *Producer) put(recs []Record, wait bool) (stored int, rest []Record) {
	if p.err != nil || len(recs) == 0 {
		return 0, recs
	}
	old := guard()
	p.inside = true
	defer func() {
		if debug.SetPanicOnFault(old); p.inside { // recover costs some nanoseconds
			p.caught(recover())
		}
	}()
	n := uint64(len(recs))
	p.offered += n
	p.me.offered.set(p.offered) // before the first: a successor must not use these numbers again
	if p.h.state.Load() != stateReady {
		p.refuse(recs)
		p.err = fmt.Errorf("queue %s: %w: another process has found out", p.q.name, ErrCorrupt)
		p.inside = false
		return 0, recs
	}
	overwrite := p.h.mode.Load()&modeOverwrite != 0
	p.hint = p.h.head.Load()
	p.pos = max(p.pos, p.hint)
	if n > 1 {
		p.prefetch(p.pos, recs)
	}
	// The state of the loop is in p. In locals it would be written to the stack and read
	// again around every call, and a store costs more here than a load does.
	for i := range recs {
		r := &recs[i]
		// Free, most likely: claimed without looking, which would fetch the line twice.
		f, s := p.freeAt(p.pos), p.slot(p.pos)
		if p.tight || !s.word.CompareAndSwap(uint64(f), uint64(f+p.writing)) {
			if p.tight = !p.claim(overwrite); p.tight {
				if rest = recs[i:]; wait && p.err == nil {
					p.takeBack(len(rest))
				} else {
					p.refuse(rest)
				}
				break
			}
			f, s = p.freeAt(p.pos), p.slot(p.pos)
		}
		seq := p.offered - n + uint64(i) + 1
		r.Seq = seq
		r.Producer = p.id
		size := copy(p.room(s), r.Data)
		s.seq = seq
		s.timestamp = r.Timestamp
		s.packetID = r.PacketID
		s.lengths = uint64(size)<<lengthAt | uint64(max(r.OrigLen, uint32(len(r.Data))))<<origLengthAt
		s.tags = uint64(r.Interface)<<interfaceAt | uint64(r.Queue)<<queueAt | uint64(p.id)<<producerAt | uint64(r.Direction)<<directionAt
		s.fault = r.Fault
		p.step()
		p.me.intend(countStored, p.pos, p.stored+1)
		p.step()
		if s.word.CompareAndSwap(uint64(f+p.writing), uint64(f+fullBits)) {
			p.step()
			p.stored++
			p.me.stored.set(p.stored)
			stored++
			if size < len(r.Data) || uint32(size) < r.OrigLen {
				p.me.truncated.set(p.me.truncated.get() + 1)
			}
		} else {
			p.late(s, f+p.writing, r)
		}
		if p.pos++; p.pos-p.hint >= lag {
			advance(&p.h.head, p.pos)
			p.hint = p.pos
		}
	}
	// Also after a refusal: claim may have gone round readers, far beyond the head.
	if n > 1 && p.pos != p.hint || p.pos-p.hint >= lag {
		advance(&p.h.head, p.pos)
	}
	p.measure(p.pos)
	if stored > 0 && p.h.wanted() {
		p.post()
	}
	p.inside = false
	return stored, rest
}

// caught deals with a panic within Put; r is nil when the goroutine ends there.
func (p *Producer) caught(r any) {
	p.inside = false
	if r != nil {
		p.err = p.m.fault(r)
	}
}

// Err is nil, or why this producer stores nothing any more: ErrCorrupt, ErrClosed.
func (p *Producer) Err() error { return p.err }

// Close gives the participant's place back. Closing twice is harmless.
func (p *Producer) Close() error {
	if p.err == ErrClosed {
		return nil
	}
	p.err = ErrClosed
	return p.leave()
}

// late lets go of a slot that could not be published, because a consumer lost patience.
func (p *Producer) late(s *slot, w word, r *Record) {
	p.step()
	p.me.intentNext.set(0) // before the slot is free: then it would look published
	p.release(s, w)
	p.step()
	p.me.orphaned.set(p.me.orphaned.get() + 1)
	p.missed(r)
}

// prefetch asks for the slots of a batch, of which most were last used by another core.
// On two cores that halves the time of a batch of small packets.
func (p *Producer) prefetch(pos uint64, recs []Record) {
	m := p.m
	n := min(uint64(len(recs)), m.slots-pos&m.mask, 32)
	if pos+n-p.h.tail.Load() > m.slots-m.margin() {
		return // not away from under the consumers
	}
	prefetchWrite(unsafe.Pointer(m.slot(pos)), uintptr(m.stride), int(n), 2)
}

// refuse counts packets that found no room.
func (p *Producer) refuse(recs []Record) {
	p.full += uint64(len(recs))
	p.me.full.set(p.full)
	for i := range recs {
		p.missed(&recs[i])
	}
}

// takeBack forgets that the last n packets were offered.
func (p *Producer) takeBack(n int) {
	p.offered -= uint64(n)
	p.me.offered.set(p.offered)
}

// missed counts a packet that is not stored for its interface.
func (p *Producer) missed(r *Record) {
	if n := int(r.Interface); n < maxInterfaces {
		p.m.iface(n).refused.Add(1)
	}
}

// measure keeps the high-water mark, and looks at the tail only when it may have risen.
func (p *Producer) measure(pos uint64) {
	if pos-p.tail <= p.highWater {
		return
	}
	p.tail = p.h.tail.Load()
	if depth := pos - p.tail; depth > p.highWater && depth <= p.m.slots {
		p.highWater = depth
		p.me.highWater.set(depth)
	}
}

// claim makes the first position from p.pos on ours that can be written, and moves p.pos
// there. It fails when the queue is full there, or p.err is set.
func (p *Producer) claim(overwrite bool) bool {
	p.step()
	if w := p.freeAt(p.pos) - lapBit + fullBits; !overwrite && p.slot(p.pos).word.Load() == uint64(w) {
		return false
	}
	m := p.m
	for range 2*m.slots + 64 {
		lap := p.pos >> m.shift
		s := m.slot(p.pos)
		p.step()
		w := word(s.word.Load())
		p.step()
		switch atHead(w, lap) {
		case stepTake:
			if s.word.CompareAndSwap(uint64(w), uint64(makeWord(lap, writing, p.id))) {
				return true
			}
		case stepPast:
			if w.lap() > lap+1 {
				if p.wild(w) {
					p.corrupt("word from the far future", p.pos, w)
					return false
				}
				if h := p.h.head.Load(); h > p.pos {
					p.pos = h // we were away for long
					continue
				}
			}
			p.pos++
		case stepFull:
			if !overwrite {
				return false
			}
			p.drop(s, p.pos-m.slots, w)
		case stepWriter:
			if !overwrite {
				return false // some consumer will deal with it
			}
			if !(p.dead(w) && p.reap(s, w)) {
				s.word.CompareAndSwap(uint64(w), uint64(makeWord(w.lap(), orphan, w.owner())))
			}
		case stepJump:
			if !overwrite && p.pos-p.h.tail.Load() > m.slots-m.margin() {
				return false
			}
			p.jump(s, w, lap)
		default:
			p.corrupt("impossible word at the head", p.pos, w)
			return false
		}
	}
	return false
}

// margin is how many slots behind a slow reader's must be free before a producer goes
// round it; with less the reader is probably just busy.
func (m *memory) margin() uint64 { return min(16, m.slots/4) }

// jump frees a dead reader's slot, or goes round a live one's: word first, head later.
func (p *Producer) jump(s *slot, w word, lap uint64) {
	if p.dead(w) {
		p.reap(s, w)
		return
	}
	if s.word.CompareAndSwap(uint64(w), uint64(w.jumped(lap))) {
		p.me.holes.set(p.me.holes.get() + 1)
	}
}

// drop throws the oldest packet away, as a consumer would take it.
func (p *Producer) drop(s *slot, pos uint64, w word) {
	r := makeWord(w.lap(), reading, p.id)
	if s.word.CompareAndSwap(uint64(w), uint64(r)) {
		n := p.me.overwritten.get() + 1
		p.me.intend(countOverwritten, pos, n)
		if i := int(uint16(s.tags >> interfaceAt)); i < maxInterfaces { // a loss of its interface too
			p.m.iface(i).refused.Add(1)
		}
		p.release(s, r)
		p.step()
		p.me.overwritten.set(n)
	}
}

// release lets go of a slot in READING. The lap may have been raised by producers that
// went round it.
func (b *member) release(s *slot, w word) {
	for range 1024 {
		b.step()
		if s.word.CompareAndSwap(uint64(w), uint64(w.freed())) {
			return
		}
		w = word(s.word.Load())
		if w.owner() != b.id || !w.owned() {
			return // somebody lied about us; the slot is not ours any more
		}
	}
}
