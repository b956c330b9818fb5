// SPDX-License-Identifier: BSD-3-Clause

// Package vt is a terminal for tests: an emulator of its screen, and the pair of devices between a
// program and a test.
package vt

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Screen is a minimal terminal: it wraps like xterm (the cursor waits in the last column), scrolls,
// wraps anew when its width changes, has an alternate screen, and obeys the sequences that the
// programs use.
type Screen struct {
	cols, rows int
	width      func(rune) int
	grid       []row // all rows, those that have scrolled out first
	top        int   // of the screen, in grid
	y, x       int   // of the cursor; y in grid
	wait       bool  // the cursor waits after the last column
	noWrap     bool  // text that does not fit into a row overwrites its end
	low, high  int   // the rows of the screen that scroll: from low to high-1
	rest       []byte
	last       rune    // put last
	main       *Screen // while the alternate screen is shown

	Unknown []string // sequences that it does not know, quoted
	Bytes   int      // written so far
	Bells   int
	Hidden  bool // the cursor is
	Styled  bool // something was written in colours or another style
}

type row struct {
	cells []string // "" is the second half of a wide character
	soft  bool     // the next row goes on with it
}

// New makes an empty screen. width says how many columns a character takes: 0, 1 or 2.
func New(cols, rows int, width func(rune) int) *Screen {
	v := &Screen{cols: cols, rows: rows, high: rows, width: width}
	v.fill()
	return v
}

// Write implements io.Writer.
func (v *Screen) Write(p []byte) (int, error) {
	v.Bytes += len(p)
	b := append(v.rest, p...)
	v.rest = nil
	for len(b) > 0 {
		n := v.next(b)
		if n == 0 {
			v.rest = b
			break
		}
		b = b[n:]
	}
	return len(p), nil
}

// next obeys the character or sequence at the beginning of b, and returns its length: 0 if it
// is not whole yet.
func (v *Screen) next(b []byte) int {
	switch c := b[0]; {
	case c == escape:
		n := sequenceLen(b)
		if n > 0 {
			v.sequence(string(b[:n]))
		}
		return n
	case c == '\n':
		v.grid[v.y].soft = false
		v.newLine()
		v.wait = false
	case c == '\r':
		v.x, v.wait = 0, false
	case c == '\b':
		v.x, v.wait = max(0, v.x-1), false
	case c == '\t':
		v.x, v.wait = min(v.cols-1, v.x/8*8+8), false
	case c == 7:
		v.Bells++
	case c < ' ':
		v.Unknown = append(v.Unknown, strconv.Quote(string(c)))
	case !utf8.FullRune(b):
		return 0
	default:
		r, n := utf8.DecodeRune(b)
		v.put(r)
		return n
	}
	return 1
}

func (v *Screen) blanks(n int) []string { return slices.Repeat([]string{" "}, n) }

// fill adds the rows that the screen lacks.
func (v *Screen) fill() {
	for len(v.grid) < v.top+v.rows {
		v.grid = append(v.grid, row{cells: v.blanks(v.cols)})
	}
}

func (v *Screen) newLine() {
	switch {
	case v.y+1 < v.top+v.high || v.y+1 > v.top+v.high && v.y+1 < v.top+v.rows:
		v.y++
	case v.y+1 > v.top+v.high: // below what scrolls
	case v.low == 0 && v.high == v.rows && v.main == nil:
		v.y++
		v.top++ // what scrolls out is kept
		v.fill()
	default:
		v.scroll(v.low, 1)
	}
}

// scroll moves the rows from one on, as far as they scroll, up by n, or down if n is negative.
func (v *Screen) scroll(from, n int) {
	rows := v.grid[v.top+from : v.top+v.high]
	fresh := func() row { return row{cells: v.blanks(v.cols)} }
	for range min(max(n, -n), len(rows)) {
		if n > 0 {
			copy(rows, rows[1:])
			rows[len(rows)-1] = fresh()
		} else {
			copy(rows[1:], rows)
			rows[0] = fresh()
		}
	}
}

func (v *Screen) put(r rune) {
	w := v.width(r)
	if w == 0 {
		at := v.x
		if !v.wait {
			at--
		}
		for at > 0 && v.grid[v.y].cells[at] == "" {
			at--
		}
		v.grid[v.y].cells[max(at, 0)] += string(r)
		return
	}
	if v.noWrap {
		v.x, v.wait = min(v.x, v.cols-w), false
	}
	if v.wait || v.x+w > v.cols {
		v.grid[v.y].soft = true
		v.newLine()
		v.x, v.wait = 0, false
	}
	cells := v.grid[v.y].cells
	if cells[v.x] == "" { // the left half of an overwritten wide character is removed as well
		cells[v.x-1] = " "
	}
	if end := v.x + w; end < v.cols && cells[end] == "" {
		cells[end] = " "
	}
	cells[v.x], v.last = string(r), r
	if w == 2 {
		cells[v.x+1] = ""
	}
	if v.x += w; v.x >= v.cols {
		v.x, v.wait = v.cols-1, true
	}
}

// Resize changes the size of the screen and wraps its text anew, as most terminals do. The alternate
// screen is cut.
func (v *Screen) Resize(cols, rows int) {
	if v.main != nil {
		v.main.Resize(cols, rows)
		v.crop(cols, rows)
		return
	}
	old, y, x := v.grid, v.y, v.x
	if v.wait {
		x++
	}
	last := y
	for i := range old {
		if strings.TrimRight(strings.Join(old[i].cells, ""), " ") != "" {
			last = max(last, i)
		}
	}
	v.cols, v.rows, v.low, v.high = cols, rows, 0, rows
	v.grid, v.top, v.y, v.x, v.wait = nil, 0, 0, 0, false
	v.fill()
	cy, cx := 0, 0
	for i, row := range old[:last+1] {
		n := len(row.cells)
		if !row.soft {
			for n > 0 && row.cells[n-1] == " " {
				n--
			}
		}
		if i == y {
			n = max(n, x)
		}
		for j := 0; j <= n; j++ {
			if i == y && j == x {
				cy, cx = v.y, v.x
				if v.wait {
					cy, cx = v.y+1, 0
				}
			}
			if j < n && j < len(row.cells) && row.cells[j] != "" {
				for _, r := range row.cells[j] {
					v.put(r)
				}
			}
		}
		if !row.soft && i < last {
			v.newLine()
			v.x, v.wait = 0, false
		}
	}
	v.y, v.x, v.wait = cy, cx, false
	v.top = max(0, v.y-rows+1, v.top)
	v.fill()
}

// crop changes the size of the alternate screen.
func (v *Screen) crop(cols, rows int) {
	for i := range v.grid {
		cells := append(v.grid[i].cells, v.blanks(max(cols-v.cols, 0))...)
		v.grid[i].cells = cells[:cols]
	}
	v.grid = v.grid[:min(len(v.grid), rows)]
	v.cols, v.rows, v.low, v.high = cols, rows, 0, rows
	v.y, v.x, v.wait = min(v.y, rows-1), min(v.x, cols-1), false
	v.fill()
}

// Text returns the rows from one on, without the blanks at their ends. Row 0 is the first that was
// ever written.
func (v *Screen) Text(from int) string {
	var lines []string
	for _, row := range v.grid[from:] {
		lines = append(lines, strings.TrimRight(strings.Join(row.cells, ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// String returns the text on the screen.
func (v *Screen) String() string { return v.Text(v.top) }

// Cursor returns the place of the cursor, from the top left of the screen.
func (v *Screen) Cursor() (row, col int) { return v.y - v.top, v.x }

// Row returns the row of the cursor, as Text counts rows.
func (v *Screen) Row() int { return v.y }

// Alternate tells whether the alternate screen is shown.
func (v *Screen) Alternate() bool { return v.main != nil }
