package interp

import (
	"strings"
	"sync"
)

// growing is memory that a string or data value grows in. Values are immutable,
// but whoever appends to the one that was made last may use the room behind it
// without copying what is there: the bytes that others see never change. So a text
// that is built piece by piece costs what its pieces cost, not their square (400,000
// pieces, 9 KB each time: 1700 ms with a copy for each piece, 60 so).
type growing struct {
	size int // bytes of b, for good

	mu sync.Mutex // of sessions that append to one value, one uses the room and the others copy
	b  strings.Builder
}

// growFrom is the length in bytes from which appending keeps room; below, a copy
// is cheaper.
const growFrom = 128

// Append returns the string or generic data v with more behind it. v stays as it
// is. The caller answers for a string's being UTF-8. Room is never enlarged, since v and
// others hold it whole: it is what Dict.held counts for them.
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
