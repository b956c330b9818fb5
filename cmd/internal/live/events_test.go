// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"slices"
	"testing"
	"time"
)

// A state notes what has changed from one look to the next, each thing once.
func TestEvents(t *testing.T) {
	at := start
	look := func(change func(*figures)) figures {
		f := figures{list: list{State: "running"}}
		for _, name := range []string{"eth1", "eth2"} {
			f.Stats.Interfaces = append(f.Stats.Interfaces, portState{Name: name, Up: true, counts: map[string]uint64{"rx": 100}})
		}
		change(&f)
		return f
	}
	same := func(*figures) {}
	full := func(n uint64) func(*figures) { return func(f *figures) { f.Queue.Full = n } }
	for _, c := range []struct {
		looks []func(*figures)
		want  []string
	}{
		{[]func(*figures){same, same}, nil},
		{[]func(*figures){same, func(f *figures) { f.Stats.Interfaces[1].Up = false }, same}, []string{"eth2: link down", "eth2: link up"}},
		{[]func(*figures){same, func(f *figures) { f.Stats.Interfaces[0].Downs = 1 }}, []string{"eth1: link was down and is up again"}},
		{[]func(*figures){same, func(f *figures) { f.Stats.Interfaces[0].Gone = true }, same}, []string{"eth1 has disappeared", "eth1 is there again"}},
		{[]func(*figures){same, func(f *figures) { f.Stats.Interfaces[0].Name = "lan" }}, []string{"eth1 is called lan now"}},
		{[]func(*figures){same, func(f *figures) { f.Stats.Interfaces[0].counts["rx"] = 5 }}, []string{"eth1: counters were reset"}},
		{[]func(*figures){same, func(f *figures) { f.Stats.Interfaces[0].counts["bypassed"] = 5 }}, []string{"eth1: frames go past ethertap (bypass)"}},
		{[]func(*figures){same, func(f *figures) { f.Stats.Interfaces[0].Fault.Enabled = true }}, []string{"eth1: fault injection is on"}},
		{[]func(*figures){same, func(f *figures) { f.Bypass.Enabled = true }}, []string{"the bypass is on"}},
		{[]func(*figures){same, func(f *figures) { f.State, f.Waiting = "waiting", "port eth1: missing" }, same}, []string{"waiting: port eth1: missing", "running"}},
		{[]func(*figures){same, func(f *figures) { f.QueueErr = "deleted" }, same}, []string{"TAP queue: deleted", "the TAP queue is there again"}},
		{[]func(*figures){same, func(f *figures) { f.Users = []user{{PID: 7, Program: "collect", Role: "consumer", Alive: true}} }, same},
			[]string{"collect 7 takes from the TAP queue", "collect 7 takes no more from the TAP queue"}},
		{[]func(*figures){same, full(1), full(1), full(9), full(9), full(9)}, []string{"the TAP queue is full and refuses frames"}}, // bursts are one event
		{[]func(*figures){same, full(1), full(1), full(1), full(1), full(1)}, []string{"the TAP queue is full and refuses frames", "the TAP queue takes all frames again"}},
	} {
		s := newState()
		for _, change := range c.looks {
			at = at.Add(time.Second)
			f := look(change)
			f.Time, f.Stats.Time = at, at
			s.take(f)
		}
		var got []string
		for _, e := range s.events {
			got = append(got, e.text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

// Events are kept up to a number, the newest ones.
func TestEventsAreBounded(t *testing.T) {
	s := newState()
	for i := range 3 * keptEvents {
		s.happened(false, start, "%d", i)
	}
	if n := len(s.events); n != keptEvents || s.events[n-1].text != "1499" {
		t.Errorf("%d events, the last is %s", n, s.events[n-1].text)
	}
}

func TestSparkline(t *testing.T) {
	for _, c := range []struct {
		values []float64
		width  int
		want   string
	}{
		{nil, 3, "   "},
		{[]float64{0, 0}, 3, " ▁▁"},
		{[]float64{1, 2, 3, 4, 5, 6, 7}, 7, "▂▃▄▅▆▇█"},
		{[]float64{1000, 0, 0.1, 1}, 3, "▁▂█"}, // what is not shown has no say in the height
	} {
		if got := sparkline(c.values, c.width); got != c.want {
			t.Errorf("%v in %d columns: %q, not %q", c.values, c.width, got, c.want)
		}
	}
	if got := bar(1, 1000, 4) + bar(1000, 1000, 4) + bar(0, 0, 4); got != "█░░░████░░░░" {
		t.Errorf("%q", got)
	}
}
