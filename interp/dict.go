package interp

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// Dict is the dictionary: built-in words, compound words and variables by name.
// Sessions share it; all methods may be called from several goroutines.
//
// An Entry is never removed once compiled code refers to it, so that compiled code holds
// entries instead of names: redefinition reaches callers, and a name that is not
// yet defined binds when it appears.
type Dict struct {
	table    atomic.Pointer[table]             // of all entries
	prefixes atomic.Pointer[[]prefix]          // reserved, from the registered sets
	absent   atomic.Pointer[map[string]string] // words that are not there, and what is instead
	buffers  atomic.Int64                      // bytes of all buffers

	mu   sync.Mutex // of writers
	sets []Set
	live int // entries with a meaning, or with code that waits for one
}

// prefix is one that a set reserves.
type prefix struct {
	text   string
	shared bool // names may be defined with it
}

// Entry is a name of the dictionary.
type Entry struct {
	name string
	hash uint64
	self Value                      // the name as a value, with its way back to the entry
	def  atomic.Pointer[definition] // written under Dict.mu; nil while undefined
	cell cell                       // the value, while def is a variable
	used bool                       // under Dict.mu: compiled code refers to the entry, which then stays
}

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
}

// isVariable is the one definition of all variables.
var isVariable = &definition{variable: true}

// NewDict returns a dictionary that holds the control words and the given sets.
func NewDict(sets ...Set) (*Dict, error) {
	d := new(Dict)
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
	if e := d.find(name); e != nil {
		return e, nil
	}
	if d.live >= MaxWords {
		return nil, errWords
	}
	e := &Entry{name: strings.Clone(name)}
	o := &object{kind: KindString, bytes: e.name}
	o.entry.Store(e)
	e.self = Value{ref: o}
	d.table.Store(d.table.Load().add(e))
	return e, nil
}

// find returns the entry of a name, or nil. It may be undefined.
func (d *Dict) find(name string) *Entry { return d.table.Load().find(name) }

// refer returns the entry of a name that compiled code is to refer to; it is made
// if need be and stays.
func (d *Dict) refer(name string) (*Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.enter(name)
	if err != nil {
		return nil, err
	}
	if !e.used {
		if e.def.Load() == nil {
			d.live++
		}
		e.used = true
	}
	return e, nil
}

// define gives a name a meaning. Built-in words cannot be redefined, and reserved
// prefixes belong to their word sets.
func (d *Dict) define(name string, def *definition, value Value) error {
	if err := d.check(name); err != nil {
		return err
	}
	e := d.find(name)
	if e != nil && def == isVariable && e.def.Load() == isVariable {
		e.cell.store(value)
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e, err := d.enter(name)
	if err != nil {
		return err
	}
	if e.word() != nil {
		return builtinError(name)
	}
	if def == isVariable {
		e.cell.store(value)
	}
	d.replace(e, def)
	return nil
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
	if !e.used && (old == nil) != (def == nil) {
		if d.live++; def == nil {
			d.live -= 2
		}
	}
	if old == nil {
		return
	}
	if old.buffer != nil {
		d.buffers.Add(-int64(len(old.buffer.bytes)))
	}
	if old.variable && def != isVariable {
		e.cell.store(Value{}) // lets go of what it held
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
