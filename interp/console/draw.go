// SPDX-License-Identifier: BSD-3-Clause

package console

import (
	"io"
	"slices"
	"sync"
)

// view is the edited line on the screen. It draws only the difference to what is there already,
// once for all keys that came together, so drawing a line costs about as many bytes as it has,
// however long it is.
//
// Readline would draw the whole line anew for every key, and its tables of widths do not know
// emoji. So it is told that there is no screen, and its Listener says what the line is. A frame
// pasted as hexadecimal digits took, drawn by readline, 10.8 s and 5.2 MB for 1,514 bytes, and
// was not done after 120 s and 25 MB for 9,014; now it takes 0.01 s and 3.1 kB, and 0.01 s and 42
// kB.
type view struct {
	w      io.Writer
	size   func() (columns, rows int)
	styled bool // the screen can show dim text

	mu     sync.Mutex
	on     bool // a line is being edited
	prompt string
	side   string // shown at the right edge if there is room
	line   []rune // printable, see printable
	pos    int    // position of the cursor in line
	hint   string // shown dim after the line if there is room

	shown    []cell // the cells on the screen, wrapped at columns
	columns  int
	at       place // place of the cursor, from the first row shown
	sided    bool  // side is on the screen
	windowed bool  // the line has more rows than the screen, and shown is not used
	top      int   // first row in the window
}

// begin shows a prompt with an empty line. The cursor is at the beginning of a row.
func (v *view) begin(prompt, side string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.on, v.prompt, v.side = true, prompt, side
	v.line, v.pos, v.hint = nil, 0, ""
	v.forget()
	v.drawLocked()
}

// forget assumes that nothing of the line is on the screen and that the cursor is at the
// beginning of a row.
func (v *view) forget() {
	v.shown, v.at, v.sided, v.windowed, v.top, v.columns = nil, place{}, false, false, 0, 0
}

// set changes the line for the next show.
func (v *view) set(line []rune, pos int) {
	v.mu.Lock()
	v.line, v.pos = line, pos
	v.mu.Unlock()
}

// show updates the screen.
func (v *view) show(prompt, hint string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.prompt, v.hint = prompt, hint
	v.drawLocked()
}

// suggest shows a hint that took its time, if the line has not changed since.
func (v *view) suggest(line []rune, pos int, hint string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.on && v.pos == pos && slices.Equal(v.line, line) {
		v.hint = hint
		v.drawLocked()
	}
}

// accept shows the line as it was entered (nil: as it is), with a mark after it, and begins a new
// row.
func (v *view) accept(prompt string, line []rune, mark string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.on {
		return
	}
	v.prompt, v.side, v.hint = prompt, "", ""
	if line == nil {
		line = v.line
	}
	v.line = append(slices.Clip(line), []rune(mark)...)
	v.pos = len(v.line)
	columns, rows := v.screen()
	cells, _ := v.compose(columns)
	if v.windowed || through(cells, columns).row >= rows { // all of it, so that it can be scrolled back to
		b := v.home(nil)
		b, v.at = emit(b, cells, place{}, columns)
		v.w.Write(b)
	} else {
		v.drawLocked()
	}
	if v.at.col > 0 || v.at.row == 0 {
		v.w.Write([]byte("\n"))
	}
	v.on = false
}

// above writes text above the edited line; it returns false if there is none.
func (v *view) above(p []byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.on {
		return false
	}
	b := append(v.home(nil), p...)
	if len(p) > 0 && p[len(p)-1] != '\n' {
		b = append(b, '\n')
	}
	v.forget()
	v.w.Write(b)
	v.drawLocked()
	return true
}

// clear clears the screen and draws the line at its top.
func (v *view) clear() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.w.Write([]byte("\x1b[H\x1b[2J"))
	v.forget()
}

// again draws the line on a screen whose content is not known.
func (v *view) again() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.on {
		v.forget()
		v.w.Write([]byte("\r\x1b[J"))
		v.drawLocked()
	}
}

// resized draws the line on a screen that may have another width.
func (v *view) resized() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.on {
		v.drawLocked()
	}
}

func (v *view) screen() (columns, rows int) {
	columns, rows = v.size()
	return max(columns, 2), max(rows, 1)
}

// compose returns the cells to be shown, and the cell before which the cursor stands.
func (v *view) compose(columns int) (cells []cell, cursor int) {
	cells = make([]cell, 0, len(v.prompt)+len(v.line)+len(v.hint)+2)
	for _, r := range v.prompt {
		cells = append(cells, cell{r, false})
	}
	cursor = len(cells) + v.pos
	for _, r := range v.line {
		cells = append(cells, cell{r, false})
	}
	const gap = 2
	if v.hint != "" && v.styled && through(cells, columns).col+gap+textWidth(v.hint) < columns {
		for range gap {
			cells = append(cells, cell{' ', false})
		}
		for _, r := range v.hint {
			cells = append(cells, cell{r, true})
		}
	}
	return cells, cursor
}

// drawLocked makes the screen show the line. The caller holds v.mu.
func (v *view) drawLocked() {
	if !v.on {
		return
	}
	columns, rows := v.screen()
	cells, cursor := v.compose(columns)
	target := cursorAt(cells, cursor, columns)
	end := through(cells, columns).wrapped(columns)
	var b []byte
	if v.columns != columns {
		if v.columns != 0 { // terminals wrap the old rows anew
			if !v.windowed {
				v.at = v.rewrapped(columns)
			}
			b = v.home(b)
			v.forget()
		}
		v.columns = columns
	}
	if max(end.row, target.row) >= rows {
		v.w.Write(v.window(b, cells, target, max(end.row, target.row), columns, rows))
		return
	}
	if v.windowed {
		b = v.home(b)
		v.forget()
		v.columns = columns
	}
	side := v.side != "" && end.row == 0 && end.col+len(v.side)+2 < columns
	if side && len(v.shown) == 0 { // first, so that the prompt is drawn last
		b = v.drawSide(b, columns)
		b = append(b, '\r')
		v.at = place{}
	}
	k := 0
	for k < len(cells) && k < len(v.shown) && cells[k] == v.shown[k] {
		k++
	}
	joins := func(c []cell) bool { return k < len(c) && runeWidth(c[k].r) == 0 }
	for k > 0 && (joins(cells) || joins(v.shown)) {
		k--
	}
	old := through(v.shown, columns).wrapped(columns)
	clear := old.after(end) || v.sided && !side
	if k < len(cells) || clear {
		from := through(cells[:k], columns)
		b = move(b, v.at, from.wrapped(columns))
		b, v.at = emit(b, cells[k:], from.wrapped(columns), columns)
		if v.at.col >= columns {
			b = append(b, " \r"...) // the row below exists from now on
			v.at = v.at.wrapped(columns)
		}
		if clear {
			b = append(b, "\x1b[J"...)
			v.sided = false
		}
	}
	if side && !v.sided {
		b = v.drawSide(b, columns)
	}
	b = move(b, v.at, target)
	v.shown, v.at = cells, target
	if len(b) > 0 {
		v.w.Write(b)
	}
}

// drawSide draws the text at the right edge of the cursor's row.
func (v *view) drawSide(b []byte, columns int) []byte {
	col := columns - 1 - len(v.side)
	b = move(b, v.at, place{v.at.row, col})
	b = style(b, v.styled)
	b = append(b, v.side...)
	b = unstyle(b, v.styled)
	v.at = place{v.at.row, columns - 1}
	v.sided = true
	return b
}

// home moves the cursor to the beginning of the shown cells and clears the screen from there.
func (v *view) home(b []byte) []byte {
	return append(move(b, v.at, place{}), "\r\x1b[J"...)
}

// rewrapped returns the place of the cursor after the terminal has wrapped the shown cells at
// another width.
func (v *view) rewrapped(columns int) place {
	before := make([]cell, 0, len(v.shown))
	var p place
	for _, c := range v.shown {
		_, p = p.next(c.r, v.columns)
		if p.after(v.at) {
			break
		}
		before = append(before, c)
	}
	return through(before, columns).wrapped(columns)
}

// window draws as many rows as the screen has, among them the cursor's.
func (v *view) window(b []byte, cells []cell, target place, last, columns, rows int) []byte {
	b = v.home(b)
	top := v.top
	if !v.windowed {
		top = last - rows + 1
	}
	top = min(max(top, target.row-rows+1, 0), target.row, last-rows+1)
	var p place
	first, behind := len(cells), len(cells)
	for i, c := range cells {
		var at place
		at, p = p.next(c.r, columns)
		if at.row >= top {
			first = min(first, i)
		}
		if at.row >= top+rows {
			behind = i
			break
		}
	}
	var at place
	b, at = emit(b, cells[first:behind], place{}, columns)
	switch {
	case at.col >= columns && at.row < rows-1:
		b = append(b, " \r"...)
		at = at.wrapped(columns)
	case at.col >= columns: // the cursor waits at the end of the last row
		b = append(b, '\r')
		at.col = 0
	}
	v.at = place{target.row - top, target.col}
	b = move(b, at, v.at)
	v.shown, v.sided, v.windowed, v.top = nil, false, true, top
	return b
}
