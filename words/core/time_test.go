// SPDX-License-Identifier: BSD-3-Clause

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
	for {
		before := time.Now().Truncate(time.Second)
		out.Reset()
		if err := s.Interpret("time&date . . . . . ."); err != nil {
			t.Fatal(err)
		}
		s.Flush()
		if time.Since(before) >= time.Second {
			continue // the second has changed meanwhile
		}
		want := fmt.Sprint(before.Year(), int(before.Month()), before.Day(), before.Hour(), before.Minute(), before.Second())
		if got := strings.Join(strings.Fields(out.String()), " "); got != want {
			t.Errorf("%s, not %s", got, want)
		}
		return
	}
}
