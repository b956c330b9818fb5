// SPDX-License-Identifier: BSD-3-Clause

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
	"time"
)

// Dict is the dictionary: built-in words, compound words, variables and buffers by name. Sessions
// share it; all methods may be called from several goroutines.
//
// An Entry lives as long as compiled code refers to it, so compiled code holds entries and not
// names: a redefinition reaches the callers, and a name that is not yet defined is bound when it
// is defined. Code that sessions still run after it was replaced or deleted counts too. Only the
// garbage collector knows which code there is: code holds a reference to each entry that it
// refers to, and the entry has a weak pointer to that reference.
type Dict struct {
	table    atomic.Pointer[table]             // all entries
	prefixes atomic.Pointer[[]prefix]          // reserved by the registered sets
	absent   atomic.Pointer[map[string]string] // words that do not exist here, and what to use instead
	held     atomic.Int64                      // bytes of all that the entries hold; at most limit
	limit    int64
	memory   memory

	mu        sync.Mutex // held by writers
	sets      []Set
	live      int       // entries that count for the limit of names
	collected time.Time // when it was last checked which names nobody refers to
}

// prefix is a prefix that a set reserves.
type prefix struct {
	text   string
	shared bool // users may define names that begin with it
}

// NewDict returns a dictionary that contains the control words and the given sets.
func NewDict(sets ...Set) (*Dict, error) {
	d := &Dict{memory: memory{limit: memoryLimit()}}
	d.limit = min(maxDictionary, d.memory.limit/2)
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

// Register adds a word set. If it fails, it adds nothing. Words may be registered while sessions
// run; a compound word or variable of the same name is replaced.
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
		e, err := d.entryForLocked(words[i].Name)
		if err != nil {
			return err
		}
		d.replaceLocked(e, &definition{word: &words[i]})
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
			absent[name] = a.error()
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

// reserved returns the longest reserved prefix that a name begins with; its text is "" if there is none.
func (d *Dict) reserved(name string) (longest prefix) {
	for _, p := range *d.prefixes.Load() {
		if strings.HasPrefix(name, p.text) && len(p.text) > len(longest.text) {
			longest = p
		}
	}
	return longest
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

// Names returns the sorted names that a string beginning with prefix may stand for besides words,
// such as files. The sets that have the words for them provide the names.
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

// lead returns the meaning of a line at a prompt that begins with a token of a set's Leads.
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

// beginsWord says whether some built-in word begins with s.
func (d *Dict) beginsWord(s string) bool {
	for _, e := range d.table.Load().all {
		if strings.HasPrefix(e.name, s) && e.word() != nil {
			return true
		}
	}
	return false
}

// Absent returns the error for the name of a word that exists elsewhere and has no meaning here,
// or nil.
func (d *Dict) Absent(name string) error {
	if here, ok := (*d.absent.Load())[name]; ok {
		return errors.New(here)
	}
	return nil
}

// unknown decides what becomes of a bare token that is neither word nor literal. It returns nil
// if the token is a string, and an error if it is a word elsewhere or begins with a reserved
// prefix. A part of a name that ends with a dot (`tap.hash.`) is a string, since `.i` takes such
// parts.
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

// Compound returns the source of a compound word as it was typed, and its stack comment, "" if it
// has none. The source begins with a newline if it begins below the name.
func (d *Dict) Compound(name string) (source, comment string, ok bool) {
	if e := d.find(name); e != nil {
		if def := e.def.Load(); def != nil && def.code != nil && def.action == nil {
			return def.source, def.comment, true
		}
	}
	return "", "", false
}
