// SPDX-License-Identifier: BSD-3-Clause

package pcap

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Pace says how fast packets are given.
type Pace struct {
	Speed float64 // times as fast as they were recorded; 0: see Rate
	Rate  float64 // frames a second, evenly; 0 with Speed 0 means as fast as they are taken
}

// The paces that have names.
var (
	Original = Pace{Speed: 1}
	Max      = Pace{}
)

// ParsePace returns the pace of a text: original, max, a number (times as fast), or N/s.
func ParsePace(text string) (Pace, error) {
	switch text {
	case "original":
		return Original, nil
	case "max":
		return Max, nil
	}
	number, rate := strings.CutSuffix(text, "/s")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return Pace{}, fmt.Errorf("%q is neither original, max, a factor such as 2, nor frames a second such as 10000/s", text)
	}
	if rate {
		return Pace{Rate: n}, nil
	}
	return Pace{Speed: n}, nil
}

func (p Pace) String() string {
	switch {
	case p == Original:
		return "original"
	case p.Speed > 0:
		return fmt.Sprintf("%g times", p.Speed)
	case p.Rate > 0:
		return fmt.Sprintf("%g frames/s", p.Rate)
	}
	return "max"
}

// timer says when packets are due. It begins anew where the times of packets do.
type timer struct {
	pace  Pace
	begun bool
	start time.Time
	first int64   // the time of the packet given at start
	given float64 // packets since then
	last  int64   // the latest time so far
}

// due returns when a packet with a time has to be given. ok is false if that is at once.
func (t *timer) due(at int64) (when time.Time, ok bool) {
	if t.pace == Max {
		return when, false
	}
	if !t.begun {
		*t = timer{pace: t.pace, begun: true, start: time.Now(), first: at, last: at}
	}
	t.last = max(t.last, at) // packets that stand behind later ones in the file do not wait
	ns := float64(uint64(t.last-t.first)) / t.pace.Speed
	if t.pace.Rate > 0 {
		ns = t.given / t.pace.Rate * 1e9
	}
	t.given++
	wait := time.Duration(math.MaxInt64) // what is slower still has to wait for 292 years
	if ns < math.MaxInt64 {
		wait = time.Duration(ns)
	}
	return t.start.Add(wait), true
}
