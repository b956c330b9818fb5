package live

import (
	"time"
	"unicode/utf8"
)

// keyMsg is a key that was pressed: its name if it has one, and the character otherwise.
type keyMsg string

// named are the keys of the view, by the bytes that terminals send for them.
var named = map[string]keyMsg{
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

// keyboard gives keys byte by byte, as console.Screen does.
type keyboard interface {
	Key(wait time.Duration) (key byte, ok bool, err error)
}

// nextKey waits for a key. It returns "" for one that the view does not know.
func nextKey(k keyboard) (keyMsg, error) {
	first, _, err := k.Key(-1)
	if err != nil {
		return "", err
	}
	b := []byte{first}
	for !complete(b) {
		c, ok, err := k.Key(within)
		if err != nil {
			return "", err
		}
		if !ok {
			break
		}
		b = append(b, c)
	}
	if key, ok := named[string(b)]; ok {
		return key, nil
	}
	if r, n := utf8.DecodeRune(b); n == len(b) && r >= ' ' && r != utf8.RuneError {
		return keyMsg(b), nil
	}
	return "", nil
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
