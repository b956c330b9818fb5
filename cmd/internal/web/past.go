// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"math"

	"ethertap/cmd/internal/reading"
	"ethertap/dataplane"
	"ethertap/lib/rate"
)

// memory is how many seconds the plots show.
const memory = 300

// past keeps the rates of the last minutes.
type past struct {
	*rate.History[counter]
}

// counter is one of an interface, or of a queue.
type counter struct {
	port  int
	queue string // "" for one of an interface
	key   string
}

func newPast() *past { return &past{rate.NewHistory[counter](memory)} }

// add takes a reading.
func (p *past) add(r *reading.Reading) {
	now := map[counter]uint64{}
	for i := range r.Ports {
		for c := range dataplane.Counters {
			if c := &dataplane.Counters[c]; !c.Gauge {
				now[counter{port: i, key: c.Key}] = c.Of(&r.Ports[i].Stats)
			}
		}
	}
	for i := range r.Queues {
		if q := &r.Queues[i]; q.Err == nil {
			now[counter{queue: q.Name, key: "inserted"}] = q.Inserted
			now[counter{queue: q.Name, key: "full"}] = q.Full
		}
	}
	p.Add(r.Time, now)
}

func (p *past) rate(port int, key string) float64 { return p.Rate(counter{port: port, key: key}) }

func (p *past) queueRate(queue, key string) float64 { return p.Rate(counter{queue: queue, key: key}) }

// plots draws frames and bits in both directions, and what goes into the TAP queue.
func (p *past) plots(r *reading.Reading) []plot {
	frames := plot{Title: "Frames per second", label: rate.Short, most: memory}
	bits := plot{Title: "Bits per second", label: func(v float64) string { return rate.Short(v) }, most: memory}
	for i := range r.Ports {
		name := "from " + r.Ports[i].Name
		rx, bytes := p.Rates(counter{port: i, key: "rx"}), p.Rates(counter{port: i, key: "rx_bytes"})
		for b := range bytes {
			bytes[b] *= 8
		}
		frames.Lines = append(frames.Lines, line{name, rate.Frames(last(rx)), rx})
		bits.Lines = append(bits.Lines, line{name, rate.Bits(last(bytes) / 8), bytes})
	}
	all := []plot{frames, bits}
	if len(r.Queues) > 0 {
		q := r.Queues[0].Name
		in, full := p.Rates(counter{queue: q, key: "inserted"}), p.Rates(counter{queue: q, key: "full"})
		all = append(all, plot{Title: "TAP queue, packets per second", label: rate.Short, most: memory, Lines: []line{
			{"put in", rate.Short(last(in)), in}, {"refused, full", rate.Short(last(full)), full},
		}})
	}
	return all
}

// last returns the last of some values, NaN if there is none.
func last(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return values[len(values)-1]
}
