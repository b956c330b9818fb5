// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ethertap/dataplane/policy"
	"ethertap/tests/netlab"
	"ethertap/tests/vt"
)

var update = flag.Bool("update", false, "write what the screens show now into the transcripts")

// transcript is a file of screens, each below a line that says what it is.
type transcript struct {
	*sitting
	file string
	want []string // the screens to come
	text strings.Builder
}

// head begins the line above a screen.
const head = "=== "

func newTranscript(t *testing.T, file string, columns, rows int) *transcript {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	t.Setenv("TERM", "xterm-256color")
	s := &transcript{sitting: sit(t, columns, rows), file: file, want: strings.Split(string(text), head)[1:]}
	t.Cleanup(func() {
		if *update {
			if err := os.WriteFile(file, []byte(s.text.String()), 0o644); err != nil {
				t.Error(err)
			}
		} else if len(s.want) > 0 && !t.Failed() {
			t.Errorf("%s has %d screens more", file, len(s.want))
		}
	})
	s.begin()
	return s
}

// screen waits until the screen is the next one of the file.
func (s *transcript) screen(title string) {
	s.t.Helper()
	if *update {
		time.Sleep(500 * time.Millisecond) // all is drawn
		s.Look(func(v *vt.Screen) { fmt.Fprintf(&s.text, "%s%s\n%s\n", head, title, v) })
		return
	}
	if len(s.want) == 0 {
		s.t.Fatalf("%s has no screen %s", s.file, title)
	}
	want := s.want[0]
	s.want = s.want[1:]
	s.Until(want, func(v *vt.Screen) bool { return fmt.Sprintf("%s\n%s\n", title, v) == want })
}

// traffic lets seconds pass with more frames in each.
func (s *sitting) traffic(seconds int) {
	s.t.Helper()
	frames := netlab.Mix(1, 300)
	for i := range seconds {
		s.second(func() {
			s.receive(0, frames[:10*(i+1)]...)
			s.receive(1, frames[:5]...)
		})
	}
}

// The pages of a bridge under traffic on a screen of the smallest usual size.
func TestScreens(t *testing.T) {
	s := newTranscript(t, "testdata/pages.txt", 80, 24)
	if err := s.engine.Update(func(p *policy.Policy) error {
		p.Taps[0].RX[0], p.Ports[1].Fault.Enabled, p.Ports[1].Fault.Drop.Every = true, true, 5
		p.Drop = p.Drop.With(policy.MAC{2, 0x65, 0x74, 0, 0, 8})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.traffic(12)
	s.screen("overview")
	s.press("\t", "[Senders]")
	s.screen("senders")
	s.press("ss", "by frames  ")
	s.press("/00:06", "filter: 00:06")
	s.screen("senders while a filter is typed")
	s.press("\r", "Tab page")
	s.press("sss\x1b", "by frames/s  ") // the filter is dropped
	s.press("\t", "VLAN")
	s.traffic(5)
	s.screen("types")
	s.press("\x1b[6~", "19–38 of 41") // the rest of them
	s.screen("types, a page further down")
	s.press("\x1b[Z\x1b[Z\x1b[Z", "[Events]")
	s.screen("events")
	s.press("5", "[Counters]")
	s.screen("counters")
	s.press("4", "overwrite off")
	s.screen("tap")
	s.press("p", "paused")
	s.press("1", "[Overview]")
	before := s.answered("1 if.mac.json")
	s.tick()
	netlab.Await(t, "it has looked", func() bool { return s.answered("1 if.mac.json") > before })
	s.screen("paused")
	s.press("p", "12:00:18")
	s.second(func() { s.receive(0, netlab.Mix(1, 30)...) })
	s.screen("not paused any more")
	s.Type("q")
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
}

// The view has as much as a screen has room for, and follows its size.
func TestScreenSizes(t *testing.T) {
	s := newTranscript(t, "testdata/sizes.txt", 200, 50)
	s.traffic(30)
	s.second(func() {
		s.ports[1].SetUp(false)
		netlab.Await(t, "the link is seen down", func() bool { return !s.engine.Snapshot(false).Ports[1].Up })
	})
	s.screen("200 by 50")
	for _, size := range [][2]int{{80, 24}, {120, 30}, {40, 12}, {200, 50}} {
		s.Resize(size[0], size[1])
		s.con.Resized()
		s.second(func() {})
		s.screen(fmt.Sprintf("resized to %d by %d", size[0], size[1]))
	}
}

// What is in colours says the same without them.
func TestNoColor(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	text := ""
	for _, noColor := range []string{"", "yes"} {
		t.Setenv("NO_COLOR", noColor)
		s := sit(t, 80, 24)
		s.begin()
		s.traffic(2)
		s.Until("like that in colours", func(v *vt.Screen) bool {
			if noColor == "" {
				text = v.String()
			}
			return strings.Contains(v.String(), "nothing yet") && v.String() == text
		})
		s.Look(func(v *vt.Screen) {
			if v.Styled != (noColor == "") {
				t.Errorf("NO_COLOR=%q: in colours %v", noColor, v.Styled)
			}
		})
	}
}

// A second in which little changes costs few bytes: the view goes over slow lines.
func TestDrawsWhatChanged(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	s := sit(t, 200, 50)
	s.begin()
	s.traffic(3)
	s.press("\x1b[Z", "[Events]")
	for range 5 {
		var before int
		s.Look(func(v *vt.Screen) { before = v.Bytes })
		s.second(func() {})
		s.Look(func(v *vt.Screen) {
			if n := v.Bytes - before; n > 100 {
				t.Errorf("%d bytes for a second of the clock", n)
			}
		})
	}
}

// The view gives the terminal back whatever ends it, and when nobody reads it.
func TestLeaves(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	for name, leave := range map[string]func(*sitting){
		"q":      func(s *sitting) { s.Type("q") },
		"Ctrl-C": func(s *sitting) { s.Type("\x03") },
		"Ctrl-D": func(s *sitting) { s.Type("\x04") },
		"closed": func(s *sitting) { s.con.Close() },
		"filter": func(s *sitting) { s.press("/q", "filter: q"); s.con.Close() },
		"unread": func(s *sitting) {
			s.Pause(true)
			for n := range 200 { // drawn until the terminal is full
				s.Type([]string{"\t", "s"}[n%2])
			}
			s.con.Close()
			s.Pause(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := sit(t, 80, 24)
			s.begin()
			leave(s)
			if err := <-s.ended; err != nil {
				t.Error(err)
			}
			s.left()
		})
	}
}

// An ethertap that does not answer is said to do so, and seen again when it does.
func TestNoAnswer(t *testing.T) {
	t.Setenv("TERM", "xterm-256color")
	s := sit(t, 80, 24)
	s.begin()
	s.fails.Store(true)
	s.tick()
	s.shows("no answer: connection lost")
	s.fails.Store(false)
	s.second(func() {})
	s.press("6", "it answers again")
	s.shows("no answer: connection lost") // among the events
}
