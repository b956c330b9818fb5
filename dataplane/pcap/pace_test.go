// SPDX-License-Identifier: BSD-3-Clause

package pcap

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParsePace(t *testing.T) {
	for text, want := range map[string]Pace{"original": Original, "max": Max, "1": Original, "2": {Speed: 2}, "0.25": {Speed: 0.25}, "10000/s": {Rate: 10000}, "1e6/s": {Rate: 1e6}} {
		if got, err := ParsePace(text); err != nil || got != want {
			t.Errorf("%s is %+v, %v, not %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "fast", "0", "-1", "0/s", "/s", "inf", "NaN", "1e400", "10/m"} {
		if got, err := ParsePace(text); err == nil || !strings.Contains(err.Error(), "is neither original, max, a factor such as 2, nor frames a second") {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
}

// Packets are due as long after the first one as they were recorded, divided by the speed, or evenly. One that stands behind a
// later one is due at once.
func TestDue(t *testing.T) {
	const first = int64(1_700_000_000_000_000_000)
	at := []int64{0, 1000, 500, 4000}
	for _, c := range []struct {
		pace Pace
		want []time.Duration
	}{
		{Original, []time.Duration{0, 1000, 1000, 4000}},
		{Pace{Speed: 2}, []time.Duration{0, 500, 500, 2000}},
		{Pace{Rate: 1000}, []time.Duration{0, time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond}},
	} {
		k := timer{pace: c.pace}
		for i, ns := range at {
			when, ok := k.due(first + ns)
			if got := when.Sub(k.start); !ok || got != c.want[i] {
				t.Errorf("%v: packet %d is due after %v, not %v", c.pace, i, got, c.want[i])
			}
		}
	}
	// A pace that is slower than a time can say is the slowest.
	for _, c := range []struct {
		pace Pace
		last int64
	}{{Pace{Speed: 1e-10}, first + 10e9}, {Pace{Rate: 1e-10}, first}, {Pace{Speed: 5e-324}, first + 1}, {Original, math.MaxInt64}} {
		k := timer{pace: c.pace}
		k.due(min(first, -c.last))
		if when, ok := k.due(c.last); !ok || when.Sub(k.start) != math.MaxInt64 {
			t.Errorf("%v: the second packet is due after %v", c.pace, when.Sub(k.start))
		}
	}
	if _, ok := (&timer{}).due(first); ok {
		t.Error("with max a packet has to wait")
	}
}

// What is behind a # is an interface, unless there is such a file.
func TestSplit(t *testing.T) {
	for name, want := range map[string]choice{
		"pcap:a.pcap": {any: true}, "pcap:a.pcap#1": {number: 1}, "pcap:a.pcap#eth2": {name: "eth2"}, "pcap:a#b.pcap#0": {number: 0}, "pcap:dir#1/a.pcap#eth0.5": {name: "eth0.5"},
	} {
		if _, got, err := split(name); err != nil || got != want {
			t.Errorf("%s: %+v, %v, not %+v", name, got, err, want)
		}
	}
	for _, name := range []string{"pcap:", "pcap:#1", "pcap:a#", "pcap:a#-1"} {
		if path, c, err := split(name); err == nil {
			t.Errorf("%s: %q, %+v", name, path, c)
		}
	}
}
