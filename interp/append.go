// SPDX-License-Identifier: BSD-3-Clause

package interp

import (
	"strings"
	"sync"
)

// growing is memory in which a string or data value grows. Values are immutable, but whoever
// appends to the value that was made last may use the room after it without copying the rest: the
// bytes that others see never change. So a text that is built piece by piece takes time
// proportional to its length, not to its square (400,000 pieces of 9 KB in all: 60 ms, and 1700
// with a copy each time).
type growing struct {
	size int // bytes of b; never changes

	mu sync.Mutex // several sessions may append to one value: one uses the room, the others copy
	b  strings.Builder
}

// growFrom is the length in bytes from which on appending keeps room; below it a copy is cheaper.
const growFrom = 128

// Append returns the string or generic data v followed by more. v stays as it is. The caller
// makes sure that a string is UTF-8. Room is never enlarged, since v and others refer to all of
// it: it is what Dict.held counts for them.
func (v Value) Append(more []byte) Value {
	o := v.ref
	if len(o.bytes)+len(more) < growFrom || len(more) == 0 {
		if len(more) == 0 {
			return Value{ref: &object{kind: o.kind, bytes: o.bytes}}
		}
		var b [growFrom]byte
		n := copy(b[:], o.bytes)
		n += copy(b[n:], more)
		return Value{ref: &object{kind: o.kind, bytes: string(b[:n])}}
	}
	if g := o.room; g != nil && g.mu.TryLock() {
		if g.b.Len() == len(o.bytes) && g.size-g.b.Len() >= len(more) { // nobody has appended to v yet
			g.b.Write(more)
			w := Value{ref: &object{kind: o.kind, bytes: g.b.String(), room: g}}
			g.mu.Unlock()
			return w
		}
		g.mu.Unlock()
	}
	g := &growing{size: 2 * (len(o.bytes) + len(more))}
	g.b.Grow(g.size)
	g.b.WriteString(o.bytes)
	g.b.Write(more)
	return Value{ref: &object{kind: o.kind, bytes: g.b.String(), room: g}}
}
