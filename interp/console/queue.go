package console

import (
	"bytes"
	"math"
)

// keyQueue is what was typed and not yet consumed, and which of it was pasted.
type keyQueue struct {
	b      []byte
	taken  int    // bytes consumed so far
	pastes []span // of bytes, counted from the first that was ever typed; the last may be open
}

// span is a paste, from its first byte to behind its last.
type span struct{ from, to int }

const open = math.MaxInt // the end of a paste that goes on

func (q *keyQueue) add(c byte) { q.b = append(q.b, c) }

// pasteBegins and pasteEnds say what the next byte is.
func (q *keyQueue) pasteBegins() {
	if !q.pasting() {
		at := q.taken + len(q.b)
		q.pastes = append(q.pastes, span{at, open})
	}
}

func (q *keyQueue) pasteEnds() {
	if q.pasting() {
		q.pastes[len(q.pastes)-1].to = q.taken + len(q.b)
	}
}

// pasting tells whether a paste has begun that has not ended.
func (q *keyQueue) pasting() bool {
	return len(q.pastes) > 0 && q.pastes[len(q.pastes)-1].to == open
}

// pasted tells whether byte i was pasted; -1 is the one that was consumed last.
func (q *keyQueue) pasted(i int) bool {
	for _, p := range q.pastes {
		if p.from <= q.taken+i && q.taken+i < p.to {
			return true
		}
	}
	return false
}

// take consumes n bytes. The paste that the last of them is from is remembered.
func (q *keyQueue) take(n int) {
	q.taken += n
	q.b = q.b[n:]
	if len(q.b) == 0 {
		q.b = nil
	}
	for len(q.pastes) > 0 && q.pastes[0].to < q.taken {
		q.pastes = q.pastes[1:]
	}
}

// clear forgets what waits. A paste that goes on goes on.
func (q *keyQueue) clear() { q.take(len(q.b)) }

// dropPaste consumes the rest of the paste that the last byte consumed is from: how many
// bytes of it were waiting, and whether more are to come.
func (q *keyQueue) dropPaste() (n int, more bool) {
	if !q.pasted(-1) {
		return 0, false
	}
	end := q.pastes[0].to
	n = min(end-q.taken, len(q.b))
	more = end == open
	q.take(n)
	return n, more
}

// What a terminal sends before and after pasted text when it was asked to.
const (
	pasteStart   = "\x1b[200~"
	pasteEnd     = "\x1b[201~"
	bracketPaste = "\x1b[?2004h"
	plainPaste   = "\x1b[?2004l"
)

// marker tells whether b begins with the mark of a paste, or may do so when more comes.
func marker(b []byte) (mark string, maybe bool) {
	for _, m := range []string{pasteStart, pasteEnd} {
		if bytes.HasPrefix(b, []byte(m)) {
			return m, false
		}
		maybe = maybe || bytes.HasPrefix([]byte(m), b)
	}
	return "", maybe
}
