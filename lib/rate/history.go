// SPDX-License-Identifier: BSD-3-Clause

package rate

import (
	"math"
	"time"
)

// Series keeps the last values of something, up to a number that is given when it is made.
type Series struct {
	values []float64 // a ring once it is full
	next   int       // where the next value goes; the oldest is there when the ring is full
}

// NewSeries makes a series of at most so many values.
func NewSeries(most int) *Series { return &Series{values: make([]float64, 0, most)} }

// Add appends a value and drops the oldest if there is no room.
func (s *Series) Add(v float64) {
	if len(s.values) < cap(s.values) {
		s.values = append(s.values, v)
	} else {
		s.values[s.next] = v
	}
	s.next = (s.next + 1) % cap(s.values)
}

// Values returns a copy of the values, the oldest first.
func (s *Series) Values() []float64 {
	if len(s.values) < cap(s.values) {
		return append([]float64(nil), s.values...)
	}
	return append(append([]float64(nil), s.values[s.next:]...), s.values[:s.next]...)
}

// Last returns the newest value, NaN if there is none.
func (s *Series) Last() float64 {
	if len(s.values) == 0 {
		return math.NaN()
	}
	return s.values[(s.next+cap(s.values)-1)%cap(s.values)]
}

// History keeps the rates of counters, each of which goes by a key. Its methods are not to be
// called by several goroutines at a time.
type History[K comparable] struct {
	most  int
	at    time.Time // of the last reading
	last  map[K]uint64
	rates map[K]*Series
}

// NewHistory makes a history that keeps the last rates of each counter, at most so many.
func NewHistory[K comparable](most int) *History[K] {
	return &History[K]{most: most, rates: map[K]*Series{}}
}

// Add takes a reading of all counters. The rates from the last reading to this one become the newest of
// each counter. A counter without an earlier reading gets no rate. One that is missing is forgotten.
// A reading that is not later than the last one is passed over. The map is kept.
func (h *History[K]) Add(at time.Time, counters map[K]uint64) {
	first := h.last == nil
	between := at.Sub(h.at)
	if !first && between <= 0 {
		return
	}
	for k, now := range counters {
		before, known := h.last[k]
		if !known {
			continue
		}
		if h.rates[k] == nil {
			h.rates[k] = NewSeries(h.most)
		}
		h.rates[k].Add(PerSecond(before, now, between))
	}
	for k := range h.rates {
		if _, there := counters[k]; !there {
			delete(h.rates, k)
		}
	}
	h.at, h.last = at, counters
}

// At returns the time of the last reading, the zero time if there was none.
func (h *History[K]) At() time.Time { return h.at }

// Rate returns the newest rate of a counter per second, NaN if there is none.
func (h *History[K]) Rate(k K) float64 {
	if s := h.rates[k]; s != nil {
		return s.Last()
	}
	return math.NaN()
}

// Rates returns the rates of a counter per second, the oldest first: one for each reading, except the first.
func (h *History[K]) Rates(k K) []float64 {
	if s := h.rates[k]; s != nil {
		return s.Values()
	}
	return nil
}
