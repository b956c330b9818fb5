// SPDX-License-Identifier: BSD-3-Clause

package core

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"ethertap/interp"
	"ethertap/lib/keys"
)

var watchWords = []interp.Word{
	{Name: "watch", Stack: "( line n - )", Help: "runs a line every n milliseconds until a key is pressed; on a screen it redraws what the line prints in place, and the arrow keys, PgUp, PgDn, Home and End scroll; elsewhere it prints it again and again, until Ctrl-C", Example: "0 n !\n: tick ( - ) 1 n +! n ? n @ 3 = throw ;\n\"\\\"tick\\\" 100 watch\" try drop", Func: watch},
}

func watch(s *interp.Session) error {
	pause, err := popMilliseconds(s)
	if err != nil {
		return err
	}
	line, err := s.Pop()
	if err != nil {
		return err
	}
	text, err := line.Str()
	if err != nil {
		return err
	}
	w := watched{line: line, text: text, pause: pause}
	for first := true; ; first = false {
		if columns, _ := s.Screen(); columns > 0 {
			if first {
				s.Print(clearScreen)
			}
			err = w.run(s)
		} else {
			if !first {
				s.Print("\n") // an empty line between two runs
			}
			err = s.Execute(line)
		}
		if err != nil {
			return err
		}
		if over, err := w.keysWithin(s); over || err != nil {
			return err
		}
	}
}

// watched is a line whose output is on the screen.
type watched struct {
	line    interp.Value
	text    string
	pause   time.Duration
	printed []string // by the last run
	at      time.Time
	top     int // the first of these lines on the screen; toEnd: the last ones are
}

// toEnd keeps the end of the output on the screen, also when it grows.
const toEnd = math.MaxInt

// run runs the line and shows what it prints.
func (w *watched) run(s *interp.Session) error {
	w.at = time.Now()
	text, err := s.Capture(func() error { return s.Execute(w.line) })
	if err != nil {
		s.Print(text)
		return err
	}
	w.printed = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	w.draw(s)
	return nil
}

// above is the number of lines above the output: the line that is watched, and an empty one.
const above = 2

// room returns how many lines of the output a screen shows. If that is not all, the line below says which.
// The last row of the screen is the cursor's.
func (w *watched) room(rows int) int {
	room := max(rows-1-above, 1)
	if len(w.printed) > room {
		room = max(room-1, 1)
	}
	return room
}

// first returns the number of the first line that is shown.
func (w *watched) first(room int) int { return max(min(w.top, len(w.printed)-room), 0) }

// draw replaces the screen with the output, as far as it fits.
func (w *watched) draw(s *interp.Session) {
	columns, rows := s.Screen()
	room := w.room(rows)
	first := w.first(room)
	shown := w.printed[first:min(first+room, len(w.printed))]
	lines := append([]string{fmt.Sprintf("%s  every %v: %s", w.at.Format("15:04:05"), w.pause, interp.Printable(w.text)), ""}, shown...)
	if len(shown) < len(w.printed) {
		lines = append(lines, fmt.Sprintf("%d–%d of %d  ↑↓ PgUp PgDn Home End scroll, q ends", first+1, first+len(shown), len(w.printed)))
	}
	lines = lines[:min(len(lines), max(rows-1, 1))]
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, l := range lines {
		if utf8.RuneCountInString(l) > columns {
			l = l[:byteIndex(l, columns)]
		}
		b.WriteString(l + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	s.Print(b.String())
}

// keysWithin obeys keys until the pause is over, and says whether one of them ends the watch.
func (w *watched) keysWithin(s *interp.Session) (over bool, err error) {
	if !s.Keyboard() {
		return false, s.Sleep(w.pause)
	}
	for end := time.Now().Add(w.pause); ; {
		key, ok, err := keys.Reader(s.Key).Next(max(time.Until(end), 0))
		if err != nil || !ok {
			return false, err
		}
		if !w.scroll(s, key) {
			return true, nil
		}
	}
}

// scroll obeys a key that scrolls. It returns false for others.
func (w *watched) scroll(s *interp.Session, key keys.Key) bool {
	columns, rows := s.Screen()
	room := w.room(rows)
	first := w.first(room)
	switch key {
	case "up":
		w.top = first - 1
	case "down":
		w.top = first + 1
	case "page-up":
		w.top = first - room
	case "page-down":
		w.top = first + room
	case "home":
		w.top = 0
	case "end":
		w.top = toEnd
	default:
		return false
	}
	w.top = max(w.top, 0)
	if columns > 0 {
		w.draw(s)
	}
	return true
}
