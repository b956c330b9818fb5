package core

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"ethertap/interp"
)

var watchWords = []interp.Word{
	{Name: "watch", Stack: "( line n - )", Help: "runs a line every n milliseconds until a key is pressed; on a screen it redraws what the line prints in place, elsewhere it prints it again and again, until Ctrl-C", Example: "0 n !\n: tick ( - ) 1 n +! n ? n @ 3 = throw ;\n\"\\\"tick\\\" 100 watch\" try drop", Func: watch},
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
	for first := true; ; first = false {
		columns, rows := s.Screen()
		if columns > 0 {
			if first {
				s.Print(clearScreen)
			}
			err = redraw(s, line, title(text, pause), columns, rows)
		} else {
			if !first {
				s.Print("\n") // an empty line between two runs
			}
			err = s.Execute(line)
		}
		if err != nil {
			return err
		}
		if over, err := keyWithin(s, pause); over || err != nil {
			return err
		}
	}
}

// title returns the heading: the line that is watched, and the time.
func title(text string, pause time.Duration) string {
	return fmt.Sprintf("%s  every %v: %s", time.Now().Format("15:04:05"), pause, interp.Printable(text))
}

// redraw runs a line and replaces the screen with its output, as far as it fits.
func redraw(s *interp.Session, line interp.Value, title string, columns, rows int) error {
	text, err := s.Capture(func() error { return s.Execute(line) })
	if err != nil {
		s.Print(text)
		return err
	}
	lines := append([]string{title, ""}, strings.Split(strings.TrimSuffix(text, "\n"), "\n")...)
	if len(lines) > rows-1 {
		lines = lines[:max(rows-1, 1)]
	}
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
	return nil
}

// keyWithin waits for a key or the end of the pause, and says whether there was a key.
func keyWithin(s *interp.Session, pause time.Duration) (bool, error) {
	if !s.Keyboard() {
		return false, s.Sleep(pause)
	}
	_, ok, err := s.Key(pause)
	return ok, err
}
