package console

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// vt is a minimal terminal: it wraps like xterm (the cursor waits in the last column), scrolls,
// wraps anew when its width changes, and obeys the sequences that editors use.
type vt struct {
	cols, rows int
	grid       []vtRow // all rows, first those that have scrolled out
	top        int     // first row of the screen, in grid
	y, x       int     // place of the cursor; y in grid
	wait       bool    // the cursor waits after the last column
	rest       []byte  // of an incomplete character or sequence
	unknown    []string
	bytes      int // written so far
	bells      int
}

type vtRow struct {
	cells []string // "" is the second half of a wide character
	soft  bool     // the line goes on in the next row
}

func newVT(cols, rows int) *vt {
	v := &vt{cols: cols, rows: rows}
	v.fill()
	return v
}

// fill adds the rows that the screen lacks.
func (v *vt) fill() {
	for len(v.grid) < v.top+v.rows {
		v.grid = append(v.grid, vtRow{cells: slices.Repeat([]string{" "}, v.cols)})
	}
}

func (v *vt) newLine() {
	if v.y++; v.y == v.top+v.rows {
		v.top++
	}
	v.fill()
}

func (v *vt) put(r rune) {
	w := runeWidth(r)
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
	if v.wait || v.x+w > v.cols {
		v.grid[v.y].soft = true
		v.newLine()
		v.x, v.wait = 0, false
	}
	row := v.grid[v.y].cells
	if row[v.x] == "" { // the left half of an overwritten wide character is removed as well
		row[v.x-1] = " "
	}
	if end := v.x + w; end < v.cols && row[end] == "" {
		row[end] = " "
	}
	row[v.x] = string(r)
	if w == 2 {
		row[v.x+1] = ""
	}
	if v.x += w; v.x >= v.cols {
		v.x, v.wait = v.cols-1, true
	}
}

func (v *vt) write(p []byte) {
	v.bytes += len(p)
	b := append(v.rest, p...)
	v.rest = nil
	for len(b) > 0 {
		n := 1
		switch c := b[0]; {
		case c == escape:
			n = sequenceLen(b)
			if n == 0 {
				v.rest = b
				return
			}
			v.sequence(string(b[:n]))
		case c == '\n':
			v.grid[v.y].soft = false
			v.newLine()
			v.wait = false
		case c == '\r':
			v.x, v.wait = 0, false
		case c == '\b':
			v.x, v.wait = max(0, v.x-1), false
		case c == 7:
			v.bells++
		case c < ' ':
			v.unknown = append(v.unknown, strconv.Quote(string(c)))
		case !utf8.FullRune(b):
			v.rest = b
			return
		default:
			var r rune
			r, n = utf8.DecodeRune(b)
			v.put(r)
		}
		b = b[n:]
	}
}

func (v *vt) sequence(s string) {
	body, ok := strings.CutPrefix(s[:len(s)-1], "\x1b[")
	args := strings.Split(body, ";")
	n := func(i, unless int) int {
		if i < len(args) {
			if n, err := strconv.Atoi(args[i]); err == nil && n > 0 {
				return n
			}
		}
		return unless
	}
	final := s[len(s)-1]
	if strings.ContainsRune("ABCDHJK", rune(final)) {
		v.wait = false
	}
	blank := func(row, from int) {
		for x := from; x < v.cols; x++ {
			v.grid[row].cells[x] = " "
		}
		v.grid[row].soft = false
	}
	switch {
	case !ok:
		v.unknown = append(v.unknown, strconv.Quote(s))
	case final == 'A':
		v.y = max(v.top, v.y-n(0, 1))
	case final == 'B':
		v.y = min(v.top+v.rows-1, v.y+n(0, 1))
	case final == 'C':
		v.x = min(v.cols-1, v.x+n(0, 1))
	case final == 'D':
		v.x = max(0, v.x-n(0, 1))
	case final == 'H':
		v.y, v.x = v.top+min(v.rows, n(0, 1))-1, min(v.cols, n(1, 1))-1
	case final == 'J' && n(0, 0) == 0:
		blank(v.y, v.x)
		for y := v.y + 1; y < v.top+v.rows; y++ {
			blank(y, 0)
		}
	case final == 'J' && n(0, 0) == 2:
		for y := v.top; y < v.top+v.rows; y++ {
			blank(y, 0)
		}
	case final == 'K' && n(0, 0) == 0:
		blank(v.y, v.x)
	case final == 'm', s == bracketPaste, s == plainPaste:
	default:
		v.unknown = append(v.unknown, strconv.Quote(s))
	}
}

// resize changes the size of the screen and wraps its text anew, as most terminals do.
func (v *vt) resize(cols, rows int) {
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
	*v = vt{cols: cols, rows: rows, unknown: v.unknown, bytes: v.bytes, bells: v.bells}
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

// text returns the rows from the first on, without the blanks at their ends.
func (v *vt) text(from int) string {
	var lines []string
	for _, row := range v.grid[from:] {
		lines = append(lines, strings.TrimRight(strings.Join(row.cells, ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// screen returns the text on the screen.
func (v *vt) screen() string { return v.text(v.top) }

// cursor returns the place of the cursor, from the top of the screen.
func (v *vt) cursor() place { return place{v.y - v.top, v.x} }

// resize gives the terminal another size.
func (p *pty) resize(cols, rows int) {
	p.t.Helper()
	p.mu.Lock()
	p.vt.resize(cols, rows)
	p.mu.Unlock()
	if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)}); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until the screen is as wanted.
func (p *pty) until(what string, is func(*vt) bool) {
	p.t.Helper()
	p.untilOr(nil, what, is)
}

// untilOr is until, or waits until a prompt has ended with a status.
func (p *pty) untilOr(ended chan int, what string, is func(*vt) bool) {
	p.t.Helper()
	timer := time.AfterFunc(cmp.Or(p.patience, patience), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.end = true
		p.cond.Broadcast()
	})
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !is(p.vt) && len(ended) == 0 {
		if p.end {
			p.t.Fatalf("the screen is not %s, but (cursor %v)\n%s", what, p.vt.cursor(), p.vt.screen())
		}
		p.cond.Wait()
	}
	if p.vt.unknown != nil {
		p.t.Errorf("sequences of another terminal: %v", p.vt.unknown)
	}
}

// shows waits until the screen shows this text, with the cursor at this place.
func (p *pty) shows(text string, row, col int) {
	p.t.Helper()
	p.until(fmt.Sprintf("%q with the cursor at %v", text, place{row, col}), func(v *vt) bool {
		return v.screen() == text && v.cursor() == place{row, col}
	})
}

// sides matches what prompts show of the stack at the right edge.
var sides = regexp.MustCompile(`(?m) +({ )?\d+ on the stack$`)

// ends waits until the text on the screen ends like this, and the cursor is after it; the text at
// the right edge does not count.
func (p *pty) ends(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("ending in %q", text), func(v *vt) bool {
		all := sides.ReplaceAllString(v.text(0), "")
		rows := strings.Split(all, "\n")
		before := rows[len(rows)-1]
		last := len(rows) - 1
		if strings.HasSuffix(text, " ") {
			all += " "
			before += " "
		}
		width := 0
		for _, r := range before {
			width += runeWidth(r)
		}
		return strings.HasSuffix(all, text) && v.y == last && v.x == width
	})
}
