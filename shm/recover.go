// SPDX-License-Identifier: BSD-3-Clause

package shm

// What the dead leave: a slot, and a counter that may be one short.

// intended returns the counter that an intent of entry e names; nil for nonsense.
func (e *participant) intended() *counter {
	switch e.intentCounter.get() {
	case countStored:
		return &e.stored
	case countOverwritten:
		return &e.overwritten
	case countRetrieved:
		return &e.retrieved
	case countDiscarded:
		return &e.discarded
	}
	return nil
}

// intend notes what the next compare-and-swap on position pos will count. The order
// matters to settle: while the fields change, intentNext names what is counted already.
func (e *participant) intend(kind, pos, next uint64) {
	if e.intentCounter.get() != kind {
		e.intentNext.set(0)
		e.intentCounter.set(kind)
	}
	e.intentPos.set(pos)
	e.intentNext.set(next)
}

// bury sets right the counter of the dead participant id: it may have been killed
// after a step and before counting it. The word of its slot tells: still its own means
// the step did not happen. That finding is noted (intentNext = 0) before the slot is
// freed, and looked for again before counting, so that any number of undertakers come
// to the same result, whenever they die themselves.
func (b *member) bury(id uint16) {
	if id == 0 || id >= participantSlots {
		return
	}
	e := b.m.participant(id)
	next := e.intentNext.get()
	c := e.intended()
	if next == 0 || c == nil {
		return
	}
	counted := c.get()
	if counted+1 != next {
		return
	}
	pos := e.intentPos.get()
	b.step()
	w := word(b.m.slot(pos).word.Load())
	b.step()
	if w.owner() == id && w.owned() {
		e.intentNext.cas(next, 0)
		return
	}
	if e.intentNext.get() == next {
		c.cas(counted, next)
	}
}

// reap frees a slot whose owner, named by the word w read from it, is dead. It says
// whether the word has changed: by us, or by another undertaker.
func (b *member) reap(s *slot, w word) bool {
	if !w.owned() {
		return false
	}
	b.bury(w.owner())
	b.step()
	if !s.word.CompareAndSwap(uint64(w), uint64(w.freed())) {
		return true
	}
	if w.state() == reading {
		b.me.lost.set(b.me.lost.get() + 1)
	} else {
		b.me.abandoned.set(b.me.abandoned.get() + 1)
	}
	return true
}

// dead asks the kernel whether the owner of word w is gone. The word must have been
// read before: then a slot whose word is still w belongs to the dead one and not to
// somebody who has its id now.
func (b *member) dead(w word) bool { return !alive(b.fd, w.owner()) }

// sweep buries all the dead and frees their slots.
func (b *member) sweep() {
	for id := uint16(1); id < participantSlots; id++ {
		if id != b.id && b.m.participant(id).pid.Load() != 0 && !alive(b.fd, id) {
			b.bury(id)
		}
	}
	for i := range b.m.slots {
		s := b.m.slot(i)
		if w := word(s.word.Load()); w.owned() && w.owner() != b.id && b.dead(w) {
			b.reap(s, w)
		}
	}
}
