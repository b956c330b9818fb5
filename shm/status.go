// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"bytes"
	"fmt"
	"time"
)

// Status is a picture of the queue. Counters are totals since the file was made; while
// others work they are each right but not of the same instant.
type Status struct {
	Name            string
	Slots, SlotSize int
	Head, Tail      uint64 // slot indices, wrapped: the next written, the next read

	Inserted    uint64 // published
	Full        uint64 // refused because there was no room
	Retrieved   uint64 // taken by consumers
	Discarded   uint64 // thrown away by Reset, or unreadable
	Overwritten uint64 // thrown away by producers in overwrite mode
	Orphaned    uint64 // not published: the writer was too slow
	Holes       uint64 // slots of slow readers gone round
	Truncated   uint64 // published, but longer than a slot
	Lost        uint64 // in the hands of consumers that died
	Abandoned   uint64 // in the hands of producers that died

	Waiting   int    // packets in the queue
	HighWater uint64 // most positions between tail and head that a producer has seen
	Overwrite bool   // overwrite mode
	Created   time.Time
	Deleted   bool // the name leads elsewhere or nowhere
}

// with runs f as the queue's own participant, faults turned into errors.
func (q *Queue) with(f func(*member) error) (err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.self == nil {
		return fmt.Errorf("queue %s: %w", q.name, ErrClosed)
	}
	if err := q.guarded(f); err != nil {
		return fmt.Errorf("queue %s: %w", q.name, err)
	}
	return nil
}

func (q *Queue) guarded(f func(*member) error) (err error) {
	defer q.m.rescue(guard(), &err)
	return f(q.self)
}

// Status looks at every slot, so it is not for a hot path. It also clears up after the dead.
func (q *Queue) Status() (Status, error) {
	m := q.m
	st := Status{Name: q.name, Slots: int(m.slots), SlotSize: int(m.stride)}
	err := q.with(func(b *member) error {
		h := b.h
		if h.state.Load() != stateReady {
			return fmt.Errorf("%w: its header says so", ErrCorrupt)
		}
		b.sweep()
		for id := uint16(1); id < participantSlots; id++ {
			e := m.participant(id)
			st.Inserted += e.stored.get()
			st.Full += e.full.get()
			st.Retrieved += e.retrieved.get()
			st.Discarded += e.discarded.get()
			st.Overwritten += e.overwritten.get()
			st.Orphaned += e.orphaned.get()
			st.Holes += e.holes.get()
			st.Truncated += e.truncated.get()
			st.Lost += e.lost.get()
			st.Abandoned += e.abandoned.get()
			st.HighWater = max(st.HighWater, e.highWater.get())
		}
		for i := range m.slots {
			if word(m.slot(i).word.Load()).state() == full {
				st.Waiting++
			}
		}
		st.Head = b.front(h.head.Load(), atHead) & m.mask
		st.Tail = b.front(h.tail.Load(), atTail) & m.mask
		st.Overwrite = h.mode.Load()&modeOverwrite != 0
		st.Created = time.Unix(0, h.created)
		st.Deleted = !named(q.fd, q.path)
		return nil
	})
	if err != nil {
		return Status{}, err
	}
	return st, nil
}

// front is where a hint would be if it did not lag.
func (b *member) front(pos uint64, look func(word, uint64) step) uint64 {
	for range b.m.slots {
		if look(word(b.m.slot(pos).word.Load()), pos>>b.m.shift) != stepPast {
			break
		}
		pos++
	}
	return pos
}

// Reset throws the waiting packets away and says how many. Packets that come while it
// runs may stay. Counters go on counting.
func (q *Queue) Reset() (discarded int, err error) {
	err = q.with(func(b *member) error {
		if b.h.state.Load() != stateReady {
			return fmt.Errorf("%w: its header says so", ErrCorrupt)
		}
		m := b.m
		from := b.front(b.h.tail.Load(), atTail)
		to := b.front(b.h.head.Load(), atHead)
		if int64(to-from) > int64(m.slots) {
			from = to - m.slots
		}
		for pos := from; int64(to-pos) > 0; pos++ {
			// Out of order where a writer is in the way: each slot has its own word.
			s, lap := m.slot(pos), pos>>m.shift
			r := makeWord(lap, reading, b.id)
			b.step()
			if !s.word.CompareAndSwap(uint64(makeWord(lap, full, 0)), uint64(r)) {
				continue
			}
			n := b.me.discarded.get() + 1
			b.me.intend(countDiscarded, pos, n)
			b.release(s, r)
			b.step()
			b.me.discarded.set(n)
			discarded++
		}
		advance(&b.h.tail, b.front(from, atTail))
		return nil
	})
	return discarded, err
}

// SetOverwrite chooses what a full queue does: overwrite the oldest packet, or refuse
// the new one. It holds for all producers, from their next batch on.
func (q *Queue) SetOverwrite(on bool) error {
	return q.with(func(b *member) error {
		if on {
			b.h.mode.Or(modeOverwrite)
		} else {
			b.h.mode.And(^uint32(modeOverwrite))
		}
		return nil
	})
}

// Participant is somebody who has the queue open: a process as a whole (neither
// producer nor consumer), one of its producers, or one of its consumers.
type Participant struct {
	ID                 int
	PID                int // as its own PID namespace numbers it
	Role               Role
	Name               string
	Producer, Consumer bool
	Self               bool   // it is the Queue that was asked
	Packets            uint64 // stored, or retrieved
	Offered            uint64 // producer: handed to Put
	Refused            uint64 // producer: for want of room
	Overwrote          uint64 // producer: older packets thrown away in overwrite mode
	Orphaned           uint64 // producer: written too slowly
	Truncated          uint64 // producer: stored, but longer than a slot
	Joined             time.Time
	Alive              bool
}

// Participants lists who is there, by id; the dead too until their id is taken again.
func (q *Queue) Participants() ([]Participant, error) {
	var list []Participant
	err := q.with(func(b *member) error {
		for id := uint16(1); id < participantSlots; id++ {
			e := b.m.participant(id)
			pid := e.pid.Load()
			if pid == 0 {
				continue
			}
			p := Participant{
				ID: int(id), PID: int(pid), Role: Role(e.role), Name: printable(e.name[:]),
				Producer: e.kinds&kindProducer != 0, Consumer: e.kinds&kindConsumer != 0,
				Joined: time.Unix(0, e.joined), Self: id == b.id,
				Alive: id == b.id || alive(b.fd, id),
			}
			if !p.Alive {
				b.bury(id)
			}
			p.Packets = e.stored.get() - e.base[baseStored] + e.retrieved.get() - e.base[baseRetrieved]
			p.Offered = e.offered.get() - e.base[baseOffered]
			p.Refused = e.full.get() - e.base[baseFull]
			p.Overwrote = e.overwritten.get() - e.base[baseOverwritten]
			p.Orphaned = e.orphaned.get() - e.base[baseOrphaned]
			p.Truncated = e.truncated.get() - e.base[baseTruncated]
			list = append(list, p)
		}
		return nil
	})
	return list, err
}

// printable is a name from the file, up to its first zero, without control characters.
func printable(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, bytes.ToValidUTF8(b, []byte("?"))))
}
