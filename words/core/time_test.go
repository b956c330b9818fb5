package core

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The numbers of time&date are those of the clock: seconds first, the year on top.
func TestTimeAndDate(t *testing.T) {
	s, out := newSession(t)
	const layout = "2006 1 2 15 4 5"
	for {
		before := time.Now().Format(layout)
		out.Reset()
		if err := s.Interpret("time&date . . . . . ."); err != nil {
			t.Fatal(err)
		}
		s.Flush()
		if time.Now().Format(layout) != before {
			continue // the second has changed meanwhile
		}
		var year, month, day, hour, minute, second int
		if _, err := fmt.Sscan(before, &year, &month, &day, &hour, &minute, &second); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Fields(out.String()), strings.Fields(fmt.Sprint(year, month, day, hour, minute, second)); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%v, not %v", got, want)
		}
		return
	}
}
