// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"fmt"
	"strings"
)

// Besides variables, constants, values and deferred words hold a value: the name of a constant or
// value pushes it, and a deferred word executes it. The cell belongs to the definition, not to
// the entry, so that a new definition of the name does not affect code that still has the old
// one.

// DefineHeld makes name a word that pushes v. `to` changes it unless it is constant. It replaces
// what name was before, unless that is a built-in word.
func (s *Session) DefineHeld(name string, v Value, constant bool) error {
	return s.define(name, &definition{value: new(cell), constant: constant}, v)
}

// pushMeant pushes the value of a constant or value, or the name itself if it is neither and no
// word. There is room on the stack.
func (s *Session) pushMeant(e *Entry, def *definition) {
	if def != nil && def.value != nil {
		put(&s.stack[s.sp], def.value.load())
	} else {
		put(&s.stack[s.sp], e.self())
	}
	s.sp++
}

// Held returns the value that a name pushes, and whether it is constant. ok is false if the name
// is neither a constant nor a value.
func (d *Dict) Held(name string) (v Value, constant, ok bool) {
	if e := d.find(name); e != nil {
		if def := e.def.Load(); def != nil && def.value != nil {
			return def.value.load(), def.constant, true
		}
	}
	return Value{}, false, false
}

// assignable returns the reason why `to` cannot change what an entry pushes.
func (e *Entry) assignable() error {
	switch def := e.def.Load(); {
	case def == nil:
	case def.value != nil && !def.constant:
		return nil
	case def.constant:
		return fmt.Errorf("%s is a constant", e.name)
	case def.variable:
		return fmt.Errorf("%s is a variable; item %[1]s ! stores to it", e.name)
	}
	return noValue(e.name)
}

func noValue(name string) error {
	return fmt.Errorf("%s is no value; 0 value %[1]s makes it one", abbreviate(Printable(name)))
}

// assign changes the value that an entry pushes.
func (d *Dict) assign(e *Entry, v Value) error {
	if err := e.assignable(); err != nil {
		return err
	}
	if def := e.def.Load(); def != nil && def.value != nil { // otherwise it was redefined just now
		_, err := d.store(e, def, v)
		return err
	}
	return nil
}

// DefineDeferred makes name a word that executes the action that SetAction sets.
func (s *Session) DefineDeferred(name string) error {
	name = strings.Clone(name)
	action := new(cell)
	run := &Word{Name: name, Stack: "( - )", Func: func(s *Session) error {
		v := action.load()
		if v.ref == nil {
			return fmt.Errorf("the deferred word has no action yet; ' NAME is %s gives it one", name)
		}
		return s.Execute(v)
	}}
	c := s.newCompiler(name)
	if err := c.emit(instr{op: opWord, word: run}); err != nil {
		return err
	}
	code, err := s.finish(c)
	if err != nil {
		return err
	}
	return s.define(name, &definition{code: code, action: action}, Value{})
}

// content returns the cell for the value of an entry with this definition, or nil.
func (def *definition) content(e *Entry) *cell {
	switch {
	case def.variable:
		return &e.cell
	case def.value != nil:
		return def.value
	}
	return def.action
}

// Action returns what a deferred word executes; it is the integer 0 at first. ok is false if the
// name is not a deferred word.
func (d *Dict) Action(name string) (v Value, ok bool) {
	if _, def := d.deferred(name); def != nil {
		return def.action.load(), true
	}
	return Value{}, false
}

// SetAction sets what a deferred word executes: the name of a word, or source.
func (d *Dict) SetAction(name string, v Value) error {
	e, def := d.deferred(name)
	if def == nil {
		return fmt.Errorf("%s is no deferred word; defer %[1]s makes it one", abbreviate(Printable(name)))
	}
	if v.Kind() != KindString {
		return fmt.Errorf("%s is no word", v.Source())
	}
	_, err := d.store(e, def, v)
	return err
}

func (d *Dict) deferred(name string) (*Entry, *definition) {
	if e := d.find(name); e != nil {
		if def := e.def.Load(); def != nil && def.action != nil {
			return e, def
		}
	}
	return nil, nil
}

// Tick returns the name of a word, variable or buffer as a value. It fails if there is none of
// the name.
func (d *Dict) Tick(name string) (Value, error) {
	if e := d.find(name); e != nil && e.def.Load() != nil {
		return e.self(), nil
	}
	if err := d.unknown(name); err != nil {
		return Value{}, fmt.Errorf("%s: %w", name, err)
	}
	return Value{}, Coded(-13, "no word "+abbreviate(Quote(name)))
}
