package console

import (
	"bytes"
	"io"
)

// editorInput is the keyboard as readline reads it.
type editorInput struct {
	t *terminal
	// escape follows what readline makes of what it was given, since it swallows
	// whatever byte ends an escape sequence, the end of a line as well.
	escape escapeState
}

type escapeState uint8

const (
	noEscape escapeState = iota
	escaped              // after ESC
	sequence             // after ESC [ or ESC O, until a byte that is no parameter
)

// after is the state when c has been read.
func (s escapeState) after(c byte) escapeState {
	switch {
	case s == sequence && (c == ';' || c >= '0' && c <= '9'):
		return sequence
	case s == escaped && (c == '[' || c == 'O'):
		return sequence
	case s != sequence && c == 0x1b:
		return escaped
	}
	return noEscape
}

// passed are the control characters that readline has a use for. Others would
// stand in the line, and some do harm: Ctrl-Z stops our parent as well, Ctrl-T on
// a line of one character ends in a panic.
const passed = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 |
	1<<12 | 1<<13 | 1<<14 | 1<<16 | 1<<18 | 1<<19 | 1<<21 | 1<<23 | 1<<25 | 1<<27

// Read gives keys up to one that may end the line, and closes the way behind it;
// it opens again with the next prompt, or when the editor finds that the line goes
// on. Readline leaves the way open at times (it counts the Delete key as an end),
// and then its two goroutines would touch the line at once. And what was pasted
// after the line has to wait in the terminal, where a word that runs can read it
// and Ctrl-C can drop it.
func (i *editorInput) Read(p []byte) (int, error) {
	t := i.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		for !t.closed && !(t.editing && (len(t.keys) > 0 || t.eof)) {
			t.cond.Wait()
		}
		if t.closed || len(t.keys) == 0 {
			return 0, io.EOF
		}
		n, used := i.take(p)
		t.keys = t.keys[:copy(t.keys, t.keys[used:])]
		if n > 0 {
			return n, nil
		}
	}
}

// take moves keys to p, up to the end of a line: n bytes from used keys. t.mu is held.
func (i *editorInput) take(p []byte) (n, used int) {
	const room = 4 // a key becomes at most so many bytes
	t := i.t
	for used < len(t.keys) && n+room <= len(p) {
		c := t.keys[used]
		if bytes.HasPrefix(t.keys[used:], []byte("\x1b[3~")) {
			n += copy(p[n:], string(deleteKey))
			used += 4
			i.escape = noEscape
			continue
		}
		used++
		if c < ' ' && passed>>c&1 == 0 {
			continue
		}
		end := c == '\n' || c == '\r' || c == ctrlC || c == ctrlD
		if i.escape == sequence && (end || c >= 0x80) { // to readline ² is a parameter
			p[n] = '~' // completes the sequence, to no effect
			n++
			i.escape = noEscape
		}
		p[n] = c
		n++
		i.escape = i.escape.after(c)
		if end {
			t.editing = false
			break
		}
	}
	return n, used
}
