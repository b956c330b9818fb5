package interp

import (
	"hash/maphash"
	"sync/atomic"
)

// table finds the entries of a dictionary by name. Readers take no lock, so that no
// session waits for another when it looks a name up: they probe slots that go from
// nil to an entry once and never change again. Writers hold Dict.mu; when a table is
// half full they make the next one, without the entries that were deleted and that
// no compiled code refers to. (A map under a read-write lock took 35 ns for each
// look-up, this takes 15.)
type table struct {
	slots []atomic.Pointer[Entry] // a power of two, at most half full
	seed  maphash.Seed
	taken int // slots that are not nil; for writers
}

const smallTable = 1024 // the words of a program and room for as many

func newTable(size int, seed maphash.Seed) *table {
	return &table{slots: make([]atomic.Pointer[Entry], size), seed: seed}
}

// find returns the entry of a name, or nil.
func (t *table) find(name string) *Entry {
	hash, mask := maphash.String(t.seed, name), uint64(len(t.slots)-1)
	for i := hash; ; i++ {
		e := t.slots[i&mask].Load()
		if e == nil || e.hash == hash && e.name == name {
			return e
		}
	}
}

// add puts in an entry that is not there, and returns the table that holds it now.
func (t *table) add(e *Entry) *table {
	e.hash = maphash.String(t.seed, e.name)
	if 2*(t.taken+1) > len(t.slots) {
		t = t.next()
	}
	t.put(e)
	return t
}

// next returns a copy with room for as many entries again.
func (t *table) next() *table {
	kept := 0
	for _, e := range t.all {
		if e.lives() {
			kept++
		}
	}
	size := smallTable
	for size < 4*(kept+1) {
		size *= 2
	}
	n := newTable(size, t.seed)
	for _, e := range t.all {
		if e.lives() {
			n.put(e)
		}
	}
	return n
}

func (t *table) put(e *Entry) {
	mask := uint64(len(t.slots) - 1)
	i := e.hash
	for t.slots[i&mask].Load() != nil {
		i++
	}
	t.slots[i&mask].Store(e)
	t.taken++
}

// all goes through the entries, defined or not.
func (t *table) all(yield func(int, *Entry) bool) {
	for i := range t.slots {
		if e := t.slots[i].Load(); e != nil && !yield(i, e) {
			return
		}
	}
}

// lives tells whether an entry has a meaning, or code that waits for one.
func (e *Entry) lives() bool { return e.def.Load() != nil || e.used }
