// SPDX-License-Identifier: BSD-3-Clause

// Package keys tells the keys of a terminal apart by the bytes that it sends for them.
package keys

import (
	"time"
	"unicode/utf8"
)

// Key is a key that was pressed: its name if it has one, and the character otherwise.
type Key string

// named are the keys that have names, by the bytes that terminals send for them.
var named = map[string]Key{
	"\t": "tab", "\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\x03": "ctrl-c", "\x04": "ctrl-d",
	"\x1b": "escape", "\x1b[Z": "shift-tab",
	"\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down",
	"\x1b[5~": "page-up", "\x1b[6~": "page-down",
	"\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home", "\x1b[F": "end", "\x1bOF": "end", "\x1b[4~": "end",
	"\x1b[C": "right", "\x1bOC": "right", "\x1b[D": "left", "\x1bOD": "left",
}

// within is the longest time between two bytes of one key. Escape is a key, and also the first byte
// of other keys.
const within = 50 * time.Millisecond

// Reader gives keys byte by byte. It waits for a byte at most so long, or for ever if wait is
// negative; ok is false when none came.
type Reader func(wait time.Duration) (b byte, ok bool, err error)

// Next waits for a key at most so long, or for ever if wait is negative; ok is false when none
// came. The key is "" if it has no name and is no character.
func (r Reader) Next(wait time.Duration) (key Key, ok bool, err error) {
	first, ok, err := r(wait)
	if err != nil || !ok {
		return "", false, err
	}
	b := []byte{first}
	for !complete(b) {
		c, ok, err := r(within)
		if err != nil {
			return "", false, err
		}
		if !ok {
			break
		}
		b = append(b, c)
	}
	if key, ok := named[string(b)]; ok {
		return key, true, nil
	}
	if r, n := utf8.DecodeRune(b); n == len(b) && r >= ' ' && r != utf8.RuneError {
		return Key(b), true, nil
	}
	return "", true, nil
}

// complete tells whether the bytes are a whole key.
func complete(b []byte) bool {
	const escape, longest = 0x1b, 16
	switch {
	case len(b) >= longest:
		return true
	case b[0] != escape:
		return utf8.FullRune(b)
	case len(b) == 1:
		return false
	case b[1] == 'O':
		return len(b) == 3
	case b[1] != '[':
		return true
	}
	last := b[len(b)-1]
	return len(b) > 2 && last >= '@' && last <= '~'
}
