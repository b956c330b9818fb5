// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"math"
	"slices"
	"time"
)

// This file takes keys in as they come: Ctrl-C stops words, pasted text is marked, and the rest
// waits.

// typed takes in what was typed, and returns a function to be called for it. As with a terminal's
// own interrupt key, keys typed before Ctrl-C are forgotten.
func (t *terminal) typed(b []byte) (then func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b = append(t.held, b...)
	t.held = nil
	var forwarded []byte
	dropped := false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == escape && !t.plain {
			mark, maybe := marker(b[i:])
			// Words may wait for ESC alone; the editor has no use for it.
			if maybe && (len(b)-i > 1 || t.editing || t.keys.pasting()) {
				t.held = slices.Clone(b[i:])
				break
			}
			switch mark {
			case pasteStart:
				t.keys.pasteBegins()
			case pasteEnd:
				t.keys.pasteEnds()
				t.drop = false
			}
			if mark != "" {
				i += len(mark) - 1
				continue
			}
		}
		if c == ctrlC { // nobody pastes it, so the end of the paste may have been lost
			t.keys.pasteEnds()
			t.drop = false
		}
		switch {
		case c == ctrlC && t.onBreak != nil:
			t.keys.clear()
			forwarded = nil
			t.broke, t.stopping = true, true
			line := t.lines
			then = func() { t.insist(line, firstInsist) }
		case t.drop:
			dropped = true
		case t.onKeys != nil && then == nil:
			forwarded = append(forwarded, c)
		case len(t.keys.b) < maxKeys:
			t.keys.add(c)
		}
	}
	t.cond.Broadcast()
	if send := t.onKeys; forwarded != nil {
		then = func() { send(forwarded) }
	}
	if dropped && !t.told {
		t.told = true
		next := then
		then = func() {
			t.note(pasteDropped)
			if next != nil {
				next()
			}
		}
	}
	return then
}

// pasteDropped is the note about lines that did not run.
const pasteDropped = "the rest of the paste is not run"

// dropPaste gives up the rest of the paste that the last line was read from, and shows a note.
func (t *terminal) dropPaste() {
	t.mu.Lock()
	n, more := t.keys.dropPaste()
	t.drop, t.told = more, n > 0
	t.mu.Unlock()
	if n > 0 {
		t.note(pasteDropped)
	}
}

// firstInsist is the time before the first repetition of an interrupt.
const firstInsist = 5 * time.Millisecond

// insist stops the words of a line, and repeats that, less and less often, until they have ended,
// since an interrupt just before they begin is lost.
func (t *terminal) insist(line int, again time.Duration) {
	t.mu.Lock()
	stop := t.onBreak
	if line != t.lines {
		stop = nil
	}
	t.mu.Unlock()
	if stop != nil {
		stop()
		time.AfterFunc(again, func() { t.insist(line, min(2*again, time.Second)) })
	}
}

// keyQueue has the keys that were typed and not yet consumed, and knows which of them were
// pasted.
type keyQueue struct {
	b      []byte
	taken  int    // number of bytes consumed so far
	pastes []span // ranges of bytes, counted from the first that was ever typed; the last range may be open
}

// span is a paste, from its first byte up to the byte after its last.
type span struct{ from, to int }

const open = math.MaxInt // the end of a paste that is not complete

func (q *keyQueue) add(c byte) { q.b = append(q.b, c) }

// pasteBegins and pasteEnds mark the next byte.
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

// pasting says whether a paste has begun and not yet ended.
func (q *keyQueue) pasting() bool {
	return len(q.pastes) > 0 && q.pastes[len(q.pastes)-1].to == open
}

// pasted says whether byte i was pasted; -1 is the byte that was consumed last.
func (q *keyQueue) pasted(i int) bool {
	for _, p := range q.pastes {
		if p.from <= q.taken+i && q.taken+i < p.to {
			return true
		}
	}
	return false
}

// take consumes n bytes. It remembers the paste of the last of them.
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

// clear forgets the waiting keys. An incomplete paste stays incomplete.
func (q *keyQueue) clear() { q.take(len(q.b)) }

// dropPaste consumes the rest of the paste of the last consumed byte. It returns how many bytes
// of it were waiting, and whether more are to come.
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

// A terminal sends these before and after pasted text if it was asked to.
const (
	pasteStart   = "\x1b[200~"
	pasteEnd     = "\x1b[201~"
	bracketPaste = "\x1b[?2004h"
	plainPaste   = "\x1b[?2004l"
)

// marker says whether b begins with the mark of a paste, or may do so when more comes.
func marker(b []byte) (mark string, maybe bool) {
	for _, m := range []string{pasteStart, pasteEnd} {
		if bytes.HasPrefix(b, []byte(m)) {
			return m, false
		}
		maybe = maybe || bytes.HasPrefix([]byte(m), b)
	}
	return "", maybe
}
