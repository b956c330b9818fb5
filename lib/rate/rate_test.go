// SPDX-License-Identifier: BSD-3-Clause

package rate

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	for _, c := range []struct{ before, now, want uint64 }{
		{0, 0, 0}, {5, 5, 0}, {5, 12, 7},
		{1000, 3, 3},           // reset, then 3 more
		{math.MaxUint64, 0, 0}, // reset
	} {
		if got := Growth(c.before, c.now); got != c.want {
			t.Errorf("from %d to %d: %d, want %d", c.before, c.now, got, c.want)
		}
	}
}

func TestPerSecond(t *testing.T) {
	if got := PerSecond(100, 600, 250*time.Millisecond); got != 2000 {
		t.Errorf("500 in 250 ms: %v a second", got)
	}
	if got := PerSecond(1, 2, 0); !math.IsNaN(got) {
		t.Errorf("in no time: %v", got)
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		x    float64
		want string
	}{
		{0, "0"}, {1, "1"}, {0.25, "0.25"}, {12.34, "12.3"}, {999, "999"}, {999.5, "1.00 k"}, {1000, "1.00 k"},
		{1234, "1.23 k"}, {9994, "9.99 k"}, {9996, "10.0 k"}, {99940, "99.9 k"}, {99960, "100 k"}, {999499, "999 k"}, {999500, "1.00 M"},
		{14880952, "14.9 M"}, {1e10, "10.0 G"}, {math.MaxUint64, "18.4 E"}, {1e24, "1000000 E"}, {math.NaN(), "-"},
	} {
		if got := Short(c.x); got != c.want {
			t.Errorf("Short(%v) is %q, want %q", c.x, got, c.want)
		}
	}
	for got, want := range map[string]string{
		Frames(1488095): "1.49 M frames/s", Frames(3): "3 frames/s",
		Bits(1250000000): "10.0 Gbit/s", Bits(4): "32 bit/s", Bits(math.NaN()): "- bit/s",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSeriesKeepsTheLast(t *testing.T) {
	s := NewSeries(3)
	if !math.IsNaN(s.Last()) || len(s.Values()) != 0 {
		t.Errorf("empty: %v %v", s.Last(), s.Values())
	}
	for i := 1; i <= 7; i++ {
		s.Add(float64(i))
		want := []float64{float64(i - 2), float64(i - 1), float64(i)}[max(0, 3-i):]
		if got := s.Values(); !slices.Equal(got, want) || s.Last() != float64(i) {
			t.Errorf("after %d: %v, last %v; want %v", i, got, s.Last(), want)
		}
	}
}

func TestHistory(t *testing.T) {
	h := NewHistory[string](2)
	at := time.Unix(1000, 0)
	read := func(seconds float64, counters map[string]uint64) {
		at = at.Add(time.Duration(seconds * float64(time.Second)))
		h.Add(at, counters)
	}
	want := func(k string, rates ...float64) {
		t.Helper()
		if got := h.Rates(k); !slices.Equal(got, rates) {
			t.Errorf("%s: %v, want %v", k, got, rates)
		}
		if last := h.Rate(k); len(rates) == 0 && !math.IsNaN(last) || len(rates) > 0 && last != rates[len(rates)-1] {
			t.Errorf("%s: the last is %v, want that of %v", k, last, rates)
		}
	}
	read(0, map[string]uint64{"rx": 100})
	want("rx") // one reading is no rate
	read(1, map[string]uint64{"rx": 150, "tx": 7})
	want("rx", 50)
	want("tx")
	read(2, map[string]uint64{"rx": 170, "tx": 9})
	want("rx", 50, 10)
	want("tx", 1)
	read(0, map[string]uint64{"rx": 99999, "tx": 9}) // at the same time: no rate can be told
	want("rx", 50, 10)
	read(1, map[string]uint64{"rx": 30}) // a reset
	want("rx", 10, 30)
	want("tx")
	read(1, map[string]uint64{"rx": 30, "tx": 1}) // comes back: as if it were new
	want("tx")
	if !h.At().Equal(at) {
		t.Errorf("at %v, want %v", h.At(), at)
	}
}
