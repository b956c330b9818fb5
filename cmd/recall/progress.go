// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"ethertap/collect/recall"
)

const (
	patience  = time.Second // work that is done by then shows no progress
	redraw    = 500 * time.Millisecond
	lineEvery = 10 * time.Second // where the line cannot be redrawn
)

// progress shows how far long work is: on a terminal a line that is redrawn, elsewhere a line every
// ten seconds.
type progress struct {
	recall.Progress
	w                io.Writer
	silent, terminal bool

	total int64
	since time.Time
	stop  func() // nil: does not run

	mu    sync.Mutex
	width int
}

// begin begins to show the progress of reading that many bytes; 0 means that it is not known.
func (p *progress) begin(total int64) {
	p.total, p.since = total, time.Now()
	if p.silent {
		return
	}
	done, ended := make(chan struct{}), make(chan struct{})
	p.stop = sync.OnceFunc(func() { close(done); <-ended })
	go func() {
		defer close(ended)
		wait := patience
		if !p.terminal {
			wait = lineEvery
		}
		for {
			select {
			case <-done:
				return
			case <-time.After(wait):
			}
			if wait = lineEvery; p.terminal {
				wait = redraw
			}
			p.draw(p.line(time.Since(p.since)))
		}
	}()
}

// end takes the line away.
func (p *progress) end() {
	if p.stop != nil {
		p.stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// say prints a line.
func (p *progress) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	blanks := strings.Repeat(" ", max(0, p.width-utf8.RuneCountInString(line)))
	if p.width > 0 {
		line = "\r" + line + blanks
	}
	p.width = 0
	fmt.Fprintln(p.w, line)
}

func (p *progress) draw(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	width := utf8.RuneCountInString(line)
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-width)))
	p.width = width
}

// line returns the line after a time.
func (p *progress) line(elapsed time.Duration) string {
	read, found := p.Read.Load(), p.Packets.Load()
	rate := float64(read) / elapsed.Seconds()
	if p.total == 0 {
		return fmt.Sprintf("  %s read  %s/s  %d packets", size(read), size(int64(rate)), found)
	}
	left := ""
	if rate > 0 {
		s := int64(float64(max(0, p.total-read))/rate + 0.5)
		left = fmt.Sprintf("  %d:%02d:%02d left", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("  %s  %s/s  %d packets%s", p.far(), size(int64(rate)), found, left)
}

// far says how much is read.
func (p *progress) far() string {
	read := p.Read.Load()
	if p.total == 0 {
		return size(read)
	}
	return fmt.Sprintf("%d %%, %s of %s", 100*min(read, p.total)/p.total, size(min(read, p.total)), size(p.total))
}

// size formats a number of bytes: 1.2 MB is 1,200,000 bytes.
func size(n int64) string {
	v, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if v < 999.95 {
			break
		}
		v, unit = v/1000, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}
