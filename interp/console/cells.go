// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"strconv"
	"unicode"

	"golang.org/x/text/width"
)

// This file has the layout of characters on a screen, and the bytes that draw them.

// cell is a character on the screen.
type cell struct {
	r   rune
	dim bool
}

// place is a place on the screen. If the column equals the width of the screen, the cursor waits
// at the end of a full row, as terminals do.
type place struct{ row, col int }

func (p place) after(q place) bool { return p.row > q.row || p.row == q.row && p.col > q.col }

// runeWidth returns how many columns a character takes.
func runeWidth(r rune) int {
	switch {
	case r < 0x300: // includes the soft hyphen
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf), r >= 0x1160 && r <= 0x11ff: // Hangul vowels and finals join the character before them
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// textWidth returns how many columns a text takes.
func textWidth(text string) int {
	n := 0
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

// next returns the place of a character that is printed with the cursor at p, and the place of
// the cursor after it.
func (p place) next(r rune, columns int) (at, then place) {
	w := min(runeWidth(r), columns)
	if p.col+w > columns {
		p = place{p.row + 1, 0}
	}
	return p, place{p.row, p.col + w}
}

// wrapped returns p, or the beginning of the row below if the row of p is full.
func (p place) wrapped(columns int) place {
	if p.col >= columns {
		return place{p.row + 1, 0}
	}
	return p
}

// through returns the place of the cursor after cells.
func through(cells []cell, columns int) (p place) {
	for _, c := range cells {
		_, p = p.next(c.r, columns)
	}
	return p
}

// cursorAt returns the place at which the cursor is shown before cells[i].
func cursorAt(cells []cell, i, columns int) place {
	p := through(cells[:i], columns)
	if i < len(cells) {
		at, _ := p.next(cells[i].r, columns)
		p = at
	}
	return p.wrapped(columns)
}

// emit writes cells from p on, as the terminal wraps them.
func emit(b []byte, cells []cell, p place, columns int) ([]byte, place) {
	dim := false
	for _, c := range cells {
		if at, _ := p.next(c.r, columns); at.row > p.row && p.col < columns {
			b = append(b, ' ') // a wide character does not fit into the last column
		}
		if c.dim != dim {
			dim = c.dim
			if dim {
				b = style(b, true)
			} else {
				b = unstyle(b, true)
			}
		}
		b = append(b, string(c.r)...)
		_, p = p.next(c.r, columns)
	}
	if dim {
		b = unstyle(b, true)
	}
	return b, p
}

func style(b []byte, on bool) []byte {
	if on {
		b = append(b, dimStyle...)
	}
	return b
}

func unstyle(b []byte, on bool) []byte {
	if on {
		b = append(b, noStyle...)
	}
	return b
}

// move moves the cursor from p to q, both on the screen.
func move(b []byte, p, q place) []byte {
	csi := func(n int, c byte) {
		b = strconv.AppendInt(append(b, "\x1b["...), int64(n), 10)
		b = append(b, c)
	}
	switch {
	case p.row > q.row:
		csi(p.row-q.row, 'A')
	case p.row < q.row:
		csi(q.row-p.row, 'B')
	}
	switch {
	case p.col == q.col:
	case q.col == 0:
		b = append(b, '\r')
	case p.row == q.row && q.col < p.col && p.col-q.col <= 4:
		for range p.col - q.col {
			b = append(b, '\b')
		}
	default:
		b = append(b, '\r')
		csi(q.col, 'C')
	}
	return b
}
