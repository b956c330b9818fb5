package interp

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// Dict is the dictionary: built-in words, compound words and variables by name.
// Sessions share it; all methods may be called from several goroutines.
//
// An Entry stays as long as compiled code refers to it, so that compiled code holds
// entries instead of names: redefinition reaches callers, and a name that is not
// yet defined binds when it appears. Code that sessions run while it is replaced or
// deleted counts too, so the garbage collector says which code there is: code holds a
// reference to each entry it refers to, the entry only knows whether that is still there.
type Dict struct {
	table    atomic.Pointer[table]             // of all entries
	prefixes atomic.Pointer[[]prefix]          // reserved, from the registered sets
	absent   atomic.Pointer[map[string]string] // words that are not there, and what is instead
	held     atomic.Int64                      // bytes of what the entries hold; limit at most
	limit    int64
	memory   memory

	mu        sync.Mutex // of writers
	sets      []Set
	live      int       // entries that are counted
	collected time.Time // when names were last looked for that nobody refers to
}

// prefix is one that a set reserves.
type prefix struct {
	text   string
	shared bool // names may be defined with it
}

// Entry is a name of the dictionary. It has the size of a line of the cache, as tables of
// strings have many of them: what is seldom needed is in rest.
type Entry struct {
	def     atomic.Pointer[definition] // written under Dict.mu; nil while undefined
	cell    cell                       // the value, while def is a variable
	name    string
	rest    atomic.Pointer[entryRest] // nil until it is needed
	hash    uint32
	hidden  bool // from the table: code and values alone have it, for good
	counted bool // under Dict.mu: in Dict.live, since it has a meaning or code waits for one
}

type entryRest struct {
	text object                  // the name, with its way back to the entry
	ref  weak.Pointer[reference] // under Dict.mu: what code holds that refers to the entry
}

// more returns the rest of an entry, made if need be.
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

// self is the name as a value.
func (e *Entry) self() Value { return Value{ref: &e.more().text} }

// reference is what compiled code holds of an entry, so that it stays.
type reference struct{ to *Entry }

// definition is what a name stands for; immutable once published.
type definition struct {
	word     *Word  // built-in
	code     *code  // compound
	source   string // compound: as it was defined
	comment  string // compound: stack comment and help, "" if none was given
	variable bool
	buffer   *buffer
	value    *cell // constant or value: what the name pushes
	constant bool
	action   *cell // deferred word: what its code executes
	size     int64 // bytes that Dict.held counts for it; the value of a variable comes on top
}

// isVariable is the one definition of all variables.
var isVariable = &definition{variable: true}

// NewDict returns a dictionary that holds the control words and the given sets.
func NewDict(sets ...Set) (*Dict, error) {
	d := &Dict{memory: memory{limit: memoryLimit()}}
	d.limit = min(MaxDictionary, d.memory.limit/2)
	d.table.Store(newTable(smallTable, maphash.MakeSeed()))
	d.prefixes.Store(new([]prefix))
	d.absent.Store(new(map[string]string))
	for _, s := range append([]Set{controlWords()}, sets...) {
		if err := d.Register(s); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Register adds a word set, all of it or, with an error, nothing. Words may be
// registered while sessions run; a compound word or variable of the same name
// gives way.
func (d *Dict) Register(set Set) error {
	words := slices.Clone(set.Words)
	for i := range words {
		w := &words[i]
		if err := checkName(w.Name, ""); err != nil {
			return fmt.Errorf("word set %s: %w", set.Name, err)
		}
		if err := w.parseStack(); err != nil {
			return fmt.Errorf("word set %s: %w", set.Name, err)
		}
		if w.Help == "" || w.Func == nil && w.compile == nil {
			return fmt.Errorf("word set %s: %s has no help or no function", set.Name, w.Name)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := make(map[string]bool)
	for _, w := range words {
		if e := d.find(w.Name); seen[w.Name] || e != nil && e.word() != nil {
			return fmt.Errorf("word set %s: %s is a built-in word already", set.Name, w.Name)
		}
		seen[w.Name] = true
	}
	for i := range words {
		e, err := d.enter(words[i].Name)
		if err != nil {
			return err
		}
		d.replace(e, &definition{word: &words[i]})
	}
	set.Words = words
	d.sets = append(d.sets, set)
	prefixes := slices.Clone(*d.prefixes.Load())
	for _, p := range set.Prefixes {
		prefixes = append(prefixes, prefix{p, false})
	}
	for _, p := range set.Shared {
		prefixes = append(prefixes, prefix{p, true})
	}
	d.prefixes.Store(&prefixes)
	absent := maps.Clone(*d.absent.Load())
	for _, a := range set.Absent {
		for name := range strings.FieldsSeq(a.Names) {
			if absent == nil {
				absent = make(map[string]string)
			}
			absent[name] = a.Here
		}
	}
	d.absent.Store(&absent)
	return nil
}

// Sets returns the registered word sets, the control words first.
func (d *Dict) Sets() []Set {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.sets)
}

// enter returns the entry of a name, made if need be. Dict.mu is held.
func (d *Dict) enter(name string) (*Entry, error) {
	t := d.table.Load()
	hash := t.hash(name)
	if e := t.findHash(name, hash); e != nil {
		return e, nil
	}
	if d.live >= MaxWords && !d.collect() {
		return nil, errWords
	}
	e := &Entry{name: strings.Clone(name), hash: hash}
	if d.table.Load().full() {
		d.rebuild()
	}
	d.table.Load().add(e)
	return e, nil
}

// rebuild makes a table of the entries that live, with room for as many again. Dict.mu is
// held.
func (d *Dict) rebuild() {
	old := d.table.Load()
	var kept []*Entry
	for _, e := range old.all {
		if e.lives() {
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

// collectPause is how long a dictionary that is full stays so before it looks again.
const collectPause = 100 * time.Millisecond

// collect lets go of the names that only code referred to that is gone, and tells whether
// there is room now. Dict.mu is held.
func (d *Dict) collect() bool {
	if time.Since(d.collected) < collectPause {
		return false
	}
	runtime.GC()
	d.rebuild()
	d.collected = time.Now()
	return d.live < MaxWords
}

// count says that an entry has a meaning now, or code that waits for one. Dict.mu is held.
func (d *Dict) count(e *Entry) {
	if !e.counted {
		e.counted = true
		d.live++
	}
}

// lives tells whether an entry has a meaning, or code that waits for one. Dict.mu is held.
func (e *Entry) lives() bool {
	if e.def.Load() != nil {
		return true
	}
	r := e.rest.Load()
	return r != nil && r.ref.Value() != nil
}

// find returns the entry of a name, or nil. It may be undefined.
func (d *Dict) find(name string) *Entry { return d.table.Load().find(name) }

// refer returns a reference to the entry of a name; it is made if need be, and stays as
// long as the reference does.
func (d *Dict) refer(name string) (*reference, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.enter(name)
	if err != nil {
		return nil, err
	}
	more := e.more()
	r := more.ref.Value()
	if r == nil {
		r = &reference{e}
		more.ref = weak.Make(r)
	}
	d.count(e)
	return r, nil
}

// define gives a name a meaning, of a variable with its value. Built-in words cannot be
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

// install is define when it is checked, and the room for what is new is taken.
func (d *Dict) install(name string, def *definition, value Value) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.enter(name)
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
	d.replace(e, def)
	return nil
}

// store gives what an entry holds by its definition def another value: a variable, a
// value, the action of a deferred word. false says that it has another definition now.
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
	// Deleted meanwhile by another session, which may have emptied the cell before or
	// after: each value that is swapped out is let go of once.
	d.held.Add(-c.swap(Value{}).held())
	return false, nil
}

// storeKept is store for a cell that belongs to the definition, and so is not emptied when
// that is replaced. What it holds is let go of then, so it changes under Dict.mu, unless it
// weighs nothing before and after.
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

// check says why a name cannot be given a meaning.
func (d *Dict) check(name string) error {
	if d.Exists(name) {
		return nil // it was checked then; built-in words are found out by define
	}
	if err := CheckName(name); err != nil {
		return err
	}
	if p := d.reserved(name); p.text != "" && !p.shared {
		return fmt.Errorf("%s cannot be a name of yours: the prefix %s belongs to built-in words", name, p.text)
	}
	return nil
}

// replace gives an entry a definition, nil to take it away. Dict.mu is held.
func (d *Dict) replace(e *Entry, def *definition) {
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
		d.count(e)
	case e.counted && !e.lives():
		e.counted = false
		d.live--
		if t := d.table.Load(); len(t.slots) > smallTable && d.live < len(t.slots)/16 {
			d.rebuild()
		}
	}
}

// builtinError says that a name is that of a built-in word.
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

// Word returns the record of a built-in word.
func (d *Dict) Word(name string) (*Word, bool) {
	if e := d.find(name); e != nil {
		if w := e.word(); w != nil {
			return w, true
		}
	}
	return nil, false
}

// SetVariable stores a variable, as `!` does.
func (d *Dict) SetVariable(name string, v Value) error { return d.define(name, isVariable, v) }

// reserved returns the reserved prefix that a name begins with; its text is "" if it
// begins with none.
func (d *Dict) reserved(name string) prefix {
	for _, p := range *d.prefixes.Load() {
		if strings.HasPrefix(name, p.text) {
			return p
		}
	}
	return prefix{}
}

// names returns the sorted names of the entries that keep accepts.
func (d *Dict) names(keep func(*Entry, *definition) bool) []string {
	var names []string
	for _, e := range d.table.Load().all {
		if def := e.def.Load(); def != nil && keep(e, def) {
			names = append(names, e.name)
		}
	}
	sort.Strings(names)
	return names
}

// Complete returns the sorted names of words and variables that begin with prefix.
func (d *Dict) Complete(prefix string) []string {
	return d.names(func(e *Entry, _ *definition) bool { return strings.HasPrefix(e.name, prefix) })
}

// Names returns what a string that begins with prefix may name, sorted: files, by the
// sets whose words load them.
func (d *Dict) Names(prefix string) []string {
	var names []string
	for _, s := range d.Sets() {
		if s.Names != nil {
			names = append(names, s.Names(d, prefix)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lead returns what a line at a prompt means that begins with a token of a set's Leads.
func (d *Dict) lead(line string) string {
	text := strings.TrimLeft(line, " \t")
	first, rest := text, ""
	if i := strings.IndexAny(text, " \t\r"); i >= 0 {
		first, rest = text[:i], text[i:]
	}
	for _, s := range d.Sets() {
		if word, ok := s.Leads[first]; ok {
			return word + rest
		}
	}
	return line
}

// Value returns the value of a variable.
func (d *Dict) Value(name string) (Value, bool) {
	if e := d.find(name); e != nil && e.def.Load() == isVariable {
		return e.cell.load(), true
	}
	return Value{}, false
}

// Builtins returns the sorted names of built-in words that contain substring.
func (d *Dict) Builtins(substring string) []string {
	return d.names(func(e *Entry, def *definition) bool {
		return def.word != nil && strings.Contains(e.name, substring)
	})
}

// Variables returns the sorted names of the variables.
func (d *Dict) Variables() []string {
	return d.names(func(_ *Entry, def *definition) bool { return def.variable })
}

// Values returns the sorted names of the values and constants.
func (d *Dict) Values() []string {
	return d.names(func(_ *Entry, def *definition) bool { return def.value != nil })
}

// Compounds returns the sorted names of the compound words.
func (d *Dict) Compounds() []string {
	return d.names(func(_ *Entry, def *definition) bool { return def.code != nil })
}

// beginsWord reports whether some built-in word begins with s.
func (d *Dict) beginsWord(s string) bool {
	for _, e := range d.table.Load().all {
		if strings.HasPrefix(e.name, s) && e.word() != nil {
			return true
		}
	}
	return false
}

// Absent returns the error of a name that is a word elsewhere and has no meaning here,
// or nil.
func (d *Dict) Absent(name string) error {
	if here, ok := (*d.absent.Load())[name]; ok {
		return fmt.Errorf("not in RPCL; here: %s", here)
	}
	return nil
}

// unknown decides what a bare token that is neither word nor literal becomes:
// itself as a string, or an error when it is a word elsewhere or begins with a reserved prefix. A part
// of a name that ends at a dot (`tap.hash.`) is a string, as `.i` wants it.
func (d *Dict) unknown(tok string) error {
	if err := d.Absent(tok); err != nil {
		return err
	}
	p := d.reserved(tok)
	if p.text == "" || tok == p.text || strings.HasSuffix(tok, ".") && d.beginsWord(tok) {
		return nil
	}
	if near := d.Nearest(tok); near != "" {
		return fmt.Errorf("no such word; did you mean %s?", near)
	}
	switch {
	case p.shared:
		return fmt.Errorf("no such word; load.list lists the files that define words of %s", p.text)
	case !d.beginsWord(p.text):
		return errors.New("no such word")
	}
	return fmt.Errorf("no such word; %s .i lists those there are", p.text)
}

// Compound returns the source of a compound word as it was typed, which begins with a
// line end if it does so below its name, and its stack comment, "" when none was given.
func (d *Dict) Compound(name string) (source, comment string, ok bool) {
	if e := d.find(name); e != nil {
		if def := e.def.Load(); def != nil && def.code != nil && def.action == nil {
			return def.source, def.comment, true
		}
	}
	return "", "", false
}
