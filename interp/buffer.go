// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// buffer is a named block of bytes that changes in place, for tables that exceed the limit of a
// value. Sessions share it like a variable. If two sessions store to one place at the same time,
// one of them wins; no more can happen, since the memory holds no pointers.
type buffer struct{ bytes []byte }

// cellSize is the size of the numbers that cell@ and cell! move, in bytes.
const cellSize = 8

func (b *buffer) cell(i uint64) int64 {
	return int64(binary.LittleEndian.Uint64(b.bytes[i*cellSize:]))
}

func (b *buffer) setCell(i uint64, n int64) {
	binary.LittleEndian.PutUint64(b.bytes[i*cellSize:], uint64(n))
}

// DefineBuffer makes name a buffer of size bytes, all zero. It replaces what name was before,
// unless that is a built-in word.
func (s *Session) DefineBuffer(name string, size int64) error {
	if size < 1 || size > maxBuffer {
		return fmt.Errorf("buffer size %d is not in 1…%d", size, maxBuffer)
	}
	d := s.dict
	if err := d.check(name); err != nil {
		return err
	}
	if err := d.hold(size); err != nil {
		return err
	}
	before := s.meaning(name)
	err := d.memory.room(size)
	if err == nil {
		err = d.install(name, &definition{buffer: &buffer{make([]byte, size)}, size: size}, Value{})
	}
	if err != nil {
		d.held.Add(-size)
		return err
	}
	s.redefines(name, before)
	return nil
}

// Buffer returns the memory of a named buffer. All sessions share it, and it stays usable when
// the buffer is deleted.
func (s *Session) Buffer(name Value) ([]byte, error) {
	e, text, err := s.named(name)
	if err != nil {
		return nil, err
	}
	if e != nil {
		if def := e.def.Load(); def != nil && def.buffer != nil {
			return def.buffer.bytes, nil
		}
	}
	return nil, fmt.Errorf("no buffer %s", abbreviate(Quote(text)))
}

// PopBuffer takes the name of a buffer.
func (s *Session) PopBuffer() ([]byte, error) {
	name, err := s.Pop()
	if err != nil {
		return nil, err
	}
	return s.Buffer(name)
}

// Buffers returns the sorted names of the buffers.
func (d *Dict) Buffers() []string {
	return d.names(func(_ *Entry, def *definition) bool { return def.buffer != nil })
}

// Exists says whether there is a word, a variable or a buffer of a name.
func (d *Dict) Exists(name string) bool {
	e := d.find(name)
	return e != nil && e.def.Load() != nil
}

// Delete removes a compound word, variable or buffer from the dictionary. Code that refers to it
// pushes its name from then on, until it is defined again.
func (d *Dict) Delete(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.find(name)
	if e == nil || e.def.Load() == nil {
		return errors.New("there is no " + abbreviate(Quote(name)) + " to delete")
	}
	if e.word() != nil {
		return builtinError(name)
	}
	d.replaceLocked(e, nil)
	return nil
}
