// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// drawnPins reads the table of docs/fastpath.md: the state after an event, by state and event. ""
// means never.
func drawnPins(t *testing.T) map[string]map[string]string {
	t.Helper()
	b, err := os.ReadFile("../docs/fastpath.md")
	if err != nil {
		t.Fatal(err)
	}
	cells := func(line string) (list []string) {
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			list = append(list, strings.TrimSpace(cell))
		}
		return list
	}
	var head []string
	drawn := map[string]map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "| state | start finds"):
			head = cells(line)
		case head != nil && line == "":
			return drawn
		case head != nil && !strings.HasPrefix(line, "|--"):
			row := cells(line)
			drawn[row[0]] = map[string]string{}
			for i, next := range row[1:] {
				if next != "–" {
					drawn[row[0]][head[i+1]] = next
				}
			}
		}
	}
	t.Fatal("no table")
	return nil
}

// The table in the code is the drawn one, entry by entry. An event that never happens changes
// nothing.
func TestStatesOfABypass(t *testing.T) {
	drawn := drawnPins(t)
	if len(drawn) != int(pinStates) {
		t.Errorf("%d states are drawn, there are %d", len(drawn), pinStates)
	}
	for s := range pinStates {
		for e := range pinEvents {
			want, happens := drawn[s.String()][e.String()]
			next, err := s.next(e)
			if happens && (err != nil || next.String() != want) || !happens && (err == nil || next != s) {
				t.Errorf("%v, %v: %v, %v; drawn is %q", s, e, next, err, want)
			}
		}
	}
}

// An event that cannot happen is logged each time, and leaves the state as it is.
func TestBypassSaysWhatCannotHappen(t *testing.T) {
	var said []string
	f := fastPath{logf: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}
	f.moveBypass(pinsMade)
	f.moveBypass(startTakes)
	if f.bypass.state != ownPins || len(said) != 1 || said[0] != "bypass: start takes them while its pins are in state own: please report this" {
		t.Errorf("%v, said %q", f.bypass.state, said)
	}
}
