// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"weak"
)

// Entry is a name of the dictionary. It has the size of a cache line, since tables of strings
// have many entries: what is seldom needed is in rest.
type Entry struct {
	def     atomic.Pointer[definition] // written under Dict.mu; nil while undefined
	cell    cell                       // the value, while def is a variable
	name    string
	rest    atomic.Pointer[entryRest] // nil until it is needed
	hash    uint32
	hidden  bool // no name leads to it; only code and values refer to it; never changes
	counted bool // under Dict.mu: it counts in Dict.live, since it has a meaning or code waits for one
}

type entryRest struct {
	text object                  // the name as a value, with a pointer back to the entry
	ref  weak.Pointer[reference] // under Dict.mu: held by the code that refers to the entry
}

// more returns the rest of an entry, and makes it if needed.
func (e *Entry) more() *entryRest {
	if r := e.rest.Load(); r != nil {
		return r
	}
	r := &entryRest{text: object{kind: KindString, bytes: e.name}}
	r.text.entry.Store(e)
	if !e.rest.CompareAndSwap(nil, r) { // another session was faster
		return e.rest.Load()
	}
	return r
}

// self returns the name as a value.
func (e *Entry) self() Value { return Value{ref: &e.more().text} }

// reference is held by compiled code, to keep the entry alive.
type reference struct{ to *Entry }

// definition is the meaning of a name; it is immutable once it is published.
type definition struct {
	word     *Word  // built-in
	code     *code  // compound
	source   string // of a compound word: as it was defined
	comment  string // of a compound word: stack comment and help, "" if it has none
	variable bool
	buffer   *buffer
	value    *cell // of a constant or value: what the name pushes
	constant bool
	action   *cell // of a deferred word: what its code executes
	size     int64 // bytes that Dict.held counts for it, without the value of a variable
}

// isVariable is the definition of all variables.
var isVariable = &definition{variable: true}

// entryFor returns the entry of a name, and makes it if needed. The caller holds Dict.mu.
func (d *Dict) entryForLocked(name string) (*Entry, error) {
	t := d.table.Load()
	hash := t.hash(name)
	if e := t.findHash(name, hash); e != nil {
		return e, nil
	}
	if d.live >= maxWords && !d.collectLocked() {
		return nil, errWords
	}
	e := &Entry{name: strings.Clone(name), hash: hash}
	if d.table.Load().full() {
		d.rebuildLocked()
	}
	d.table.Load().add(e)
	return e, nil
}

// rebuild makes a table of the living entries, with room for as many again. The caller holds
// Dict.mu.
func (d *Dict) rebuildLocked() {
	old := d.table.Load()
	var kept []*Entry
	for _, e := range old.all {
		if e.livesLocked() {
			kept = append(kept, e)
		} else if e.counted {
			e.counted = false
			d.live--
		}
	}
	size := smallTable
	for size < 4*(len(kept)+1) {
		size *= 2
	}
	t := newTable(size, old.seed)
	for _, e := range kept {
		t.add(e)
	}
	d.table.Store(t)
}

// collectPause is the time before a full dictionary is checked again for names that nobody needs.
const collectPause = 100 * time.Millisecond

// collect removes the names that only code referred to that no longer exists. It returns whether
// there is room now. The caller holds Dict.mu.
func (d *Dict) collectLocked() bool {
	if time.Since(d.collected) < collectPause {
		return false
	}
	runtime.GC()
	d.rebuildLocked()
	d.collected = time.Now()
	return d.live < maxWords
}

// count notes that an entry has a meaning, or that code waits for one. The caller holds Dict.mu.
func (d *Dict) countLocked(e *Entry) {
	if !e.counted {
		e.counted = true
		d.live++
	}
}

// lives says whether an entry has a meaning, or code waits for one. The caller holds Dict.mu.
func (e *Entry) livesLocked() bool {
	if e.def.Load() != nil {
		return true
	}
	r := e.rest.Load()
	return r != nil && r.ref.Value() != nil
}

// find returns the entry of a name, or nil. The entry may have no meaning.
func (d *Dict) find(name string) *Entry { return d.table.Load().find(name) }

// refer returns a reference to the entry of a name. It makes the entry if needed, which lives as
// long as the reference.
func (d *Dict) refer(name string) (*reference, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.entryForLocked(name)
	if err != nil {
		return nil, err
	}
	more := e.more()
	r := more.ref.Value()
	if r == nil {
		r = &reference{e}
		more.ref = weak.Make(r)
	}
	d.countLocked(e)
	return r, nil
}

// define gives a name a meaning; a variable also gets a value. Built-in words cannot be
// redefined, and reserved prefixes belong to their word sets.
func (d *Dict) define(name string, def *definition, value Value) error {
	if err := d.check(name); err != nil {
		return err
	}
	if def != isVariable {
		def.size += def.weigh()
	}
	size := def.size + value.held()
	if err := d.hold(size); err != nil {
		return err
	}
	err := d.install(name, def, value)
	if err != nil {
		d.held.Add(-size)
	}
	return err
}

// install is the part of define after the checks. The room for the definition has been taken.
func (d *Dict) install(name string, def *definition, value Value) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.entryForLocked(name)
	if err != nil {
		return err
	}
	if e.word() != nil {
		return builtinError(name)
	}
	if def == isVariable && e.def.Load() == isVariable {
		d.held.Add(-e.cell.swap(value).held())
		return nil
	}
	if c := def.content(e); c != nil {
		c.swap(value)
	}
	d.replaceLocked(e, def)
	return nil
}

// store changes the value that an entry holds by its definition def: that of a variable, a value
// or a deferred word. It returns false if the entry has another definition now.
func (d *Dict) store(e *Entry, def *definition, value Value) (bool, error) {
	if err := d.hold(value.held()); err != nil {
		return false, err
	}
	c := def.content(e)
	if !def.variable {
		return d.storeKept(e, def, value), nil
	}
	d.held.Add(-c.swap(value).held())
	if e.def.Load() == def {
		return true, nil
	}
	// Another session has deleted it meanwhile, and may have emptied the cell before or after.
	// Each value that is swapped out is released once.
	d.held.Add(-c.swap(Value{}).held())
	return false, nil
}

// storeKept is store for a cell that belongs to the definition. Such a cell is not emptied when
// the definition is replaced; its memory is released then. So its value changes under Dict.mu,
// unless neither the old nor the new value has memory of its own.
func (d *Dict) storeKept(e *Entry, def *definition, value Value) bool {
	c := def.content(e)
	if value.held() == 0 && c.swapPlain(value) {
		return e.def.Load() == def
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.def.Load() != def {
		d.held.Add(-value.held())
		return false
	}
	d.held.Add(-c.swap(value).held())
	return true
}

// check returns the reason why a name cannot be given a meaning.
func (d *Dict) check(name string) error {
	if d.Exists(name) {
		return nil // it was checked before; define finds out about built-in words
	}
	if err := checkUserName(name); err != nil {
		return err
	}
	if p := d.reserved(name); p.text != "" && !p.shared {
		return fmt.Errorf("%s cannot be a name of yours: the prefix %s belongs to built-in words", name, p.text)
	}
	return nil
}

// replace gives an entry a definition, or removes it if def is nil. The caller holds Dict.mu.
func (d *Dict) replaceLocked(e *Entry, def *definition) {
	old := e.def.Swap(def)
	if old != nil {
		d.held.Add(-old.size)
		switch c := old.content(e); {
		case c == nil || old == def:
		case old.variable:
			d.held.Add(-c.swap(Value{}).held())
		default:
			d.held.Add(-c.load().held())
		}
	}
	switch {
	case def != nil:
		d.countLocked(e)
	case e.counted && !e.livesLocked():
		e.counted = false
		d.live--
		if t := d.table.Load(); len(t.slots) > smallTable && d.live < len(t.slots)/16 {
			d.rebuildLocked()
		}
	}
}

// builtinError returns the error that a name is that of a built-in word.
func builtinError(name string) error {
	return fmt.Errorf("%s is a built-in word and cannot be changed", name)
}

// word returns the record of a built-in word, or nil.
func (e *Entry) word() *Word {
	if def := e.def.Load(); def != nil {
		return def.word
	}
	return nil
}
