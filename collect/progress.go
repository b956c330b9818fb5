// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	redrawEvery = 500 * time.Millisecond
	lineEvery   = 10 * time.Second
)

// Counts are the figures of a run so far.
type Counts struct {
	Packets uint64
	Bytes   uint64 // of the stream
	Lost    uint64 // packets that found no room in the queue
	Elapsed time.Duration
	// Truncated counts the packets that a slot of the queue could not hold whole. It is shown if
	// it is not 0.
	Truncated uint64
	// Stream says what has become of the packets in a stream. It is shown if it is not empty.
	Stream string
}

// Progress shows the counts of a run on one line: redrawn in place twice a second on a terminal,
// and a new line every ten seconds elsewhere. Errors of its writer do not concern the run and are
// ignored. Its methods may be called from any goroutine.
type Progress struct {
	w   io.Writer
	tty bool

	mu    sync.Mutex
	last  Counts
	width int // width of the line on the terminal, in columns
}

// NewProgress returns a Progress that shows on w. terminal says whether w is one.
func NewProgress(w io.Writer, terminal bool) *Progress {
	return &Progress{w: w, tty: terminal}
}

// Run shows the counts until done is closed.
func (p *Progress) Run(done <-chan struct{}, counts func() Counts) {
	every := lineEvery
	if p.tty {
		every = redrawEvery
		p.Show(counts())
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			p.Show(counts())
		}
	}
}

// Show shows the counts. The rate is the rate since the last call.
func (p *Progress) Show(c Counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := line(c, rate(c.Packets-p.last.Packets, c.Elapsed-p.last.Elapsed))
	p.last = c
	if p.tty {
		p.draw(line)
	} else {
		fmt.Fprintln(p.w, line)
	}
}

// Totals returns the line of End, without the blanks at its beginning.
func Totals(c Counts, note string) string {
	return strings.TrimLeft(line(c, rate(c.Packets, c.Elapsed)), " ") + "  " + note
}

// End shows the last counts, with the rate of the whole run, and a note.
func (p *Progress) End(c Counts, note string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := "  " + Totals(c, note)
	if p.tty {
		p.draw(line)
		p.width, line = 0, ""
	}
	fmt.Fprintln(p.w, line)
}

// Say shows a line above the line of counts.
func (p *Progress) Say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 {
		p.draw(line)
		p.width, line = 0, ""
	}
	fmt.Fprintln(p.w, line)
}

// draw overwrites the line, with blanks where the old one was longer, as any terminal
// understands.
func (p *Progress) draw(line string) {
	width := utf8.RuneCountInString(line)
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-width)))
	p.width = width
}

func line(c Counts, rate uint64) string {
	s := uint64(max(0, c.Elapsed) / time.Second)
	truncated := ""
	if c.Truncated > 0 {
		truncated = "  truncated " + grouped(c.Truncated)
	}
	of := ""
	if c.Stream != "" {
		of = "  " + c.Stream
	}
	return fmt.Sprintf("  %s packets  %s  %s/s  lost %s%s%s  %02d:%02d:%02d",
		grouped(c.Packets), size(c.Bytes), grouped(rate), grouped(c.Lost), truncated, of, s/3600, s/60%60, s%60)
}

// rate returns packets a second. If packets disappear, because they could not be written in the
// end, it returns 0.
func rate(packets uint64, d time.Duration) uint64 {
	if d <= 0 || int64(packets) < 0 {
		return 0
	}
	return uint64(float64(packets)/d.Seconds() + 0.5)
}

// grouped formats a number with a comma before each group of three digits.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, digit := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// size formats a number of bytes with a decimal unit and one decimal: 1.2 MB is 1,200,000 bytes.
func size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		v /= 1000
		if v < 999.95 { // a larger value would be printed as 1000.0
			return fmt.Sprintf("%.1f %s", v, unit)
		}
	}
	return fmt.Sprintf("%.1f PB", v/1000)
}
