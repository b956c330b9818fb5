// SPDX-License-Identifier: BSD-3-Clause

package vt

import (
	"strconv"
	"strings"
)

const escape = 0x1b

// sequenceLen returns the length of the escape sequence at the beginning of b, 0 if it is not whole.
func sequenceLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != '[' {
		return 2
	}
	for i := 2; i < len(b); i++ {
		if b[i] >= '@' && b[i] <= '~' {
			return i + 1
		}
	}
	return 0
}

// sequence obeys a whole sequence.
func (v *Screen) sequence(s string) {
	body, ok := strings.CutPrefix(s[:len(s)-1], "\x1b[")
	if mode, private := strings.CutPrefix(body, "?"); private && v.mode(mode, s[len(s)-1]) {
		return
	}
	args := strings.Split(body, ";")
	n := func(i, unless int) int {
		if i < len(args) {
			if n, err := strconv.Atoi(args[i]); err == nil && n > 0 {
				return n
			}
		}
		return unless
	}
	switch final := s[len(s)-1]; {
	case s == "\x1bM":
		if v.y == v.top+v.low {
			v.scroll(v.low, -1)
		} else {
			v.y = max(v.top, v.y-1)
		}
	case !ok:
		v.Unknown = append(v.Unknown, strconv.Quote(s))
	case final == 'q' && strings.HasSuffix(body, " "): // the shape of the cursor
	case final == 'm':
		v.Styled = v.Styled || strings.Trim(body, "0;") != ""
	case v.moves(final, n) || v.erases(final, n):
	default:
		v.Unknown = append(v.Unknown, strconv.Quote(s))
	}
}

// moves obeys a sequence that moves the cursor. It returns false for others.
func (v *Screen) moves(final byte, n func(i, unless int) int) bool {
	y, x, bottom := v.y, v.x, v.top+v.rows-1
	switch final {
	case 'A':
		y = max(v.top, v.y-n(0, 1))
	case 'B':
		y = min(bottom, v.y+n(0, 1))
	case 'C':
		x = min(v.cols-1, v.x+n(0, 1))
	case 'D':
		x = max(0, v.x-n(0, 1))
	case 'G', '`':
		x = min(v.cols, n(0, 1)) - 1
	case 'H':
		y, x = v.top+min(v.rows, n(0, 1))-1, min(v.cols, n(1, 1))-1
	case 'Z':
		x = max(0, (v.x+7)/8*8-8*n(0, 1))
	case 'd':
		y = v.top + min(v.rows, n(0, 1)) - 1
	case 'r':
		v.low, v.high = n(0, 1)-1, min(n(1, v.rows), v.rows)
		y, x = v.top, 0
	default:
		return false
	}
	v.y, v.x, v.wait = y, x, false
	return true
}

// erases obeys a sequence that changes text on the screen. It returns false for others.
func (v *Screen) erases(final byte, n func(i, unless int) int) bool {
	cells := v.grid[v.y].cells
	count := min(n(0, 1), v.cols-v.x)
	switch which := n(0, 0); {
	case final == 'J' && which == 0:
		v.blank(v.y, v.x, v.cols)
		for y := v.y + 1; y < v.top+v.rows; y++ {
			v.blank(y, 0, v.cols)
		}
	case final == 'J' && which == 2:
		for y := v.top; y < v.top+v.rows; y++ {
			v.blank(y, 0, v.cols)
		}
	case final == 'K' && which == 0:
		v.blank(v.y, v.x, v.cols)
	case final == 'K' && which == 1:
		v.blank(v.y, 0, v.x+1)
	case final == 'X':
		v.blank(v.y, v.x, v.x+count)
	case final == 'P':
		copy(cells[v.x:], cells[v.x+count:])
		v.blank(v.y, v.cols-count, v.cols)
	case final == '@':
		copy(cells[v.x+count:], cells[v.x:])
		v.blank(v.y, v.x, v.x+count)
	case final == 'L':
		v.scroll(v.y-v.top, -n(0, 1))
	case final == 'M':
		v.scroll(v.y-v.top, n(0, 1))
	case final == 'S':
		v.scroll(v.low, n(0, 1))
	case final == 'T':
		v.scroll(v.low, -n(0, 1))
	case final == 'b':
		for range n(0, 1) {
			v.put(v.last)
		}
		return true
	default:
		return false
	}
	v.wait = false
	return true
}

func (v *Screen) blank(y, from, to int) {
	for x := from; x < to; x++ {
		v.grid[y].cells[x] = " "
	}
	v.grid[y].soft = false
}

// mode sets a private mode. It returns false for one that it does not know.
func (v *Screen) mode(mode string, final byte) bool {
	on := final == 'h'
	if !on && final != 'l' {
		return false
	}
	switch mode {
	case "7":
		v.noWrap = !on
	case "25":
		v.Hidden = !on
	case "2004": // the marks of pasted text
	case "1049":
		v.alternate(on)
	default:
		return false
	}
	return true
}

// alternate switches to an empty alternate screen, or back.
func (v *Screen) alternate(on bool) {
	if on == (v.main != nil) {
		return
	}
	if on {
		saved := *v
		v.main, v.grid, v.top, v.y, v.x, v.wait = &saved, nil, 0, 0, 0, false
		v.fill()
	} else {
		m := v.main
		v.main, v.grid, v.top, v.y, v.x, v.wait = nil, m.grid, m.top, m.y, m.x, m.wait
	}
	v.low, v.high = 0, v.rows
}
