// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// These runes stand for something else on their way through readline. They are not characters,
// and no key gives them.
const (
	// deleteKey is the Delete key. Readline knows it only as Ctrl-D, which would leave on an
	// empty line.
	deleteKey = '\U0010FFFD'
	// insertKey is text that is inserted at once; see editorInput.texts.
	insertKey = '\U0010FFFC'
	// showKey makes the line be drawn: there is nothing more to read.
	showKey = '\U0010FFFB'
)

// editorInput is the keyboard that readline reads. Each key is one that readline knows, and text
// comes in pieces as large as are waiting. Otherwise readline would copy the whole line for each
// character, which takes seconds for a pasted frame in hexadecimal digits.
type editorInput struct {
	t         *terminal
	texts     []string // for the insertKeys that readline has not seen yet; under t.mu
	searching bool     // readline searches the history for the text that is typed
	unshown   bool     // readline got keys since the line was drawn; under t.mu
}

// passed are the control characters that readline uses. Others would appear in the line, and some
// do harm: Ctrl-Z stops our parent as well, and Ctrl-T on a line of one character panics.
const passed = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11 |
	1<<12 | 1<<13 | 1<<14 | 1<<16 | 1<<18 | 1<<19 | 1<<21 | 1<<23 | 1<<25

// These keys have the names in readline's documentation.
const (
	ctrlA, ctrlB, ctrlE, ctrlF, ctrlH, ctrlN, ctrlP = "\x01", "\x02", "\x05", "\x06", "\x08", "\x0e", "\x10"
	ctrlR, ctrlS, tab, escape, backspace            = 0x12, 0x13, '\t', 0x1b, 0x7f
	wordBack, wordForward, killWord, killWordBack   = "\x1bb", "\x1bf", "\x1bd", "\x1b\x7f"
)

// sequences are the keys that terminals send as escape sequences, and the keys of readline for
// them. Sequences that readline knows map to themselves.
var sequences = map[string]string{
	"\x1b[A": ctrlP, "\x1bOA": ctrlP, "\x1b[B": ctrlN, "\x1bOB": ctrlN,
	"\x1b[C": ctrlF, "\x1bOC": ctrlF, "\x1b[D": ctrlB, "\x1bOD": ctrlB,
	"\x1b[H": ctrlA, "\x1bOH": ctrlA, "\x1b[1~": ctrlA, "\x1b[7~": ctrlA,
	"\x1b[F": ctrlE, "\x1bOF": ctrlE, "\x1b[4~": ctrlE, "\x1b[8~": ctrlE,
	"\x1b[3~":   string(deleteKey),
	"\x1b[1;5C": wordForward, "\x1b[1;3C": wordForward, "\x1b[1;5D": wordBack, "\x1b[1;3D": wordBack,
	"\x1b[3;5~": killWord, "\x1b\b": killWordBack,
	wordBack: wordBack, wordForward: wordForward, killWord: killWord, killWordBack: killWordBack,
}

// Read gives keys up to one that may end the line, and then closes. It opens again with the next
// prompt, or when the editor finds that the line goes on. Readline would read on at times (it
// takes the Delete key for an end), and then its two goroutines would use the line at the same
// time. And what was pasted after the line has to wait in the terminal, where a running word can
// read it and Ctrl-C can drop it.
func (i *editorInput) Read(p []byte) (int, error) {
	t := i.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		if t.closed {
			return 0, io.EOF
		}
		if t.editing {
			if n := i.takeLocked(p); n > 0 {
				return n, nil
			}
			if t.eof {
				return 0, io.EOF
			}
		}
		t.cond.Wait()
	}
}

// takeLocked moves keys to p, up to one that may end the line, in the form that readline knows.
// If no more wait, it adds showKey. The caller holds t.mu.
func (i *editorInput) takeLocked(p []byte) (n int) {
	const room = 2 * utf8.UTFMax // for a key and showKey
	t := i.t
	for n+room <= len(p) {
		key, text, used := i.nextLocked()
		if used == 0 {
			if i.unshown {
				n += utf8.EncodeRune(p[n:], showKey)
				i.unshown = false
			}
			return n
		}
		t.keys.take(used)
		i.unshown = true
		switch {
		case text != "" && i.searching:
			n += copy(p[n:], text)
		case text != "":
			i.texts = append(i.texts, text)
			n += utf8.EncodeRune(p[n:], insertKey)
		case key != "":
			n += copy(p[n:], key)
			i.follow(key[0])
			switch key[0] {
			case '\n', '\r', ctrlC, ctrlD: // the last two do not always end it
				t.editing = false
				return n
			}
		}
	}
	return n
}

// begin begins a line, which has to be drawn.
func (i *editorInput) begin() {
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	i.texts, i.searching, i.unshown = nil, false, false
}

// inserted returns the text of the next insertKey.
func (i *editorInput) inserted() string {
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	if len(i.texts) == 0 {
		return ""
	}
	text := i.texts[0]
	i.texts = i.texts[1:]
	return text
}

// follow notes whether readline searches, after a key that is not text.
func (i *editorInput) follow(key byte) {
	switch key {
	case ctrlR, ctrlS:
		i.searching = true
	case backspace, ctrlH[0]:
	default:
		i.searching = false
	}
}

// nextLocked returns the next key as readline knows it, or text; both are empty if the key is to
// be dropped. used is how many bytes of t.keys it took, or 0 if the key is not complete yet. The
// caller holds t.mu.
func (i *editorInput) nextLocked() (key, text string, used int) {
	t := i.t
	b := t.keys.b
	if len(b) == 0 {
		return "", "", 0
	}
	switch c := b[0]; {
	case (c == escape || c == backspace) && t.keys.pasted(0):
		return "", "", 1
	case c == escape:
		n := sequenceLen(b)
		if n == 0 && t.eof {
			n = len(b)
		}
		return sequences[string(b[:n])], "", n
	case c == tab && !i.blank(0):
		return string(c), "", 1
	case c == backspace:
		return string(c), "", 1
	case c < ' ' && c != tab:
		if passed>>c&1 == 0 || t.keys.pasted(0) && c != '\n' && c != '\r' && c != ctrlC {
			return "", "", 1
		}
		return string(c), "", 1
	}
	return i.text()
}

// blank says whether the tab at byte at stands for a blank: in a paste, or if more input follows
// so closely that nobody has typed it.
func (i *editorInput) blank(at int) bool {
	t := i.t
	return t.keys.pasted(at) || at+1 < len(t.keys.b) || t.waits()
}

// text returns the next complete characters; only one in a search.
func (i *editorInput) text() (key, text string, used int) {
	t := i.t
	b := t.keys.b
	var s strings.Builder
	for used < len(b) && !(i.searching && used > 0) {
		c := b[used]
		if c < utf8.RuneSelf {
			switch {
			case c == tab && i.blank(used):
				c = ' '
			case c < ' ' || c == backspace:
				return "", s.String(), used
			}
			s.WriteByte(c)
			used++
			continue
		}
		if !utf8.FullRune(b[used:]) && !t.eof {
			break
		}
		r, size := utf8.DecodeRune(b[used:])
		s.WriteRune(printable(r))
		used += size
	}
	return "", s.String(), used
}

// printable returns r, or a replacement if a terminal would obey it.
func printable(r rune) rune {
	switch {
	case unicode.IsControl(r):
		return ' '
	case r >= showKey && r <= deleteKey, r&0xfffe == 0xfffe:
		return utf8.RuneError
	}
	return r
}

// sequenceLen returns the length of the escape sequence at the beginning of b, or 0 if it is not
// complete. It stops before a byte that cannot belong to one, so it never swallows the end of a
// line.
func sequenceLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '[':
		if bytes.HasPrefix(b, []byte("\x1b[[")) { // function keys of the Linux console
			if len(b) < 4 {
				return 0
			}
			return 4
		}
		for i := 2; i < len(b); i++ {
			switch c := b[i]; {
			case c >= 0x40 && c <= 0x7e:
				return i + 1
			case c < ' ' || c > 0x3f:
				return i
			}
		}
		return 0
	case 'O':
		if len(b) < 3 {
			return 0
		}
		if b[2] < ' ' || b[2] >= backspace {
			return 2
		}
		return 3
	case escape, '\n', '\r', ctrlC, ctrlD:
		return 1
	}
	if b[1] >= utf8.RuneSelf {
		return 1
	}
	return 2
}
