// SPDX-License-Identifier: BSD-3-Clause

package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ethertap/collect"
	"ethertap/shm"
)

// sent is a message for a merge: of a run, with a number, stored at a second, whose packets have times in seconds.
type sent struct {
	run          string
	number, safe uint64
	stored       float64
	times        []float64
	lossy        bool
}

// fake is a message that no server has sent.
type fake struct {
	data []byte
	jetstream.Msg
}

func (f fake) Data() []byte         { return f.data }
func (f fake) Subject() string      { return "ethertap.a.b.c" }
func (f fake) Headers() nats.Header { return nil }

func (s sent) arrival(t *testing.T, base time.Time) *arrival {
	t.Helper()
	sections, err := collect.NewSections(collect.Options{Interfaces: []shm.Interface{{Name: s.run}}}, sectionSize)
	if err != nil {
		t.Fatal(err)
	}
	sections.Begin(0)
	for _, at := range s.times {
		sections.Append(base.UnixNano()+int64(at*1e9), &shm.Record{Data: fmt.Appendf(nil, "%s %g", s.run, at)})
	}
	data, about := sections.End(0)
	stored := base.Add(time.Duration(s.stored * float64(time.Second)))
	return &arrival{
		heading: heading{Tap: Tap{s.run, "x", "y"}, run: s.run, number: s.number, safe: s.safe, first: about.First, last: about.Last, packets: about.Packets},
		msg:     fake{data: data}, stored: stored, came: stored, latest: true, lossy: s.lossy,
	}
}

// given drains a merge as a Reader does, at a second.
func given(t *testing.T, m *merge, base time.Time, second float64) (all []string) {
	t.Helper()
	now := base.Add(time.Duration(second * float64(time.Second)))
	m.look(now)
	for {
		r := m.next(now)
		if r == nil {
			return all
		}
		var err error
		if !r.opened() {
			err = r.open(nil, m)
		} else {
			all = append(all, string(r.record.Data))
			err = r.advance(m)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.emptied()
		m.moved(r, now)
	}
}

// What a merge gives, and when: the order of time within the window, that of the numbers within a run, and
// nothing twice.
func TestMerge(t *testing.T) {
	t.Parallel()
	base := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		what string
		sent []sent
		at   float64 // when it is asked
		want []string
		late uint64
	}{
		{"one tap waits for nobody", []sent{{run: "a", number: 1, stored: 1, times: []float64{0.5}}}, 1, []string{"a 0.5"}, 0},
		{"by time", []sent{{run: "a", number: 1, stored: 1, times: []float64{0.1, 0.5}}, {run: "b", number: 1, stored: 1, times: []float64{0.2, 0.3}}}, 3, []string{"a 0.1", "b 0.2", "b 0.3", "a 0.5"}, 0},
		{"the other may still send", []sent{{run: "b", number: 1, stored: 1}, {run: "a", number: 1, stored: 1, times: []float64{0.5}}}, 1.5, nil, 0},
		{"but not longer than the window", []sent{{run: "b", number: 1, stored: 1}, {run: "a", number: 1, stored: 1, times: []float64{0.5}}}, 2, []string{"a 0.5"}, 0},
		{"twice is once", []sent{{run: "a", number: 1, stored: 1, times: []float64{0.5}}, {run: "a", number: 1, stored: 2, times: []float64{0.5}}}, 5, []string{"a 0.5"}, 0},
		{"by number", []sent{{run: "a", number: 1, stored: 1, times: []float64{0.1}}, {run: "a", number: 3, safe: 1, stored: 1, times: []float64{0.3}}, {run: "a", number: 2, safe: 1, stored: 1.1, times: []float64{0.2}}}, 5, []string{"a 0.1", "a 0.2", "a 0.3"}, 0},
		{"one is missing", []sent{{run: "a", number: 1, stored: 1, times: []float64{0.1}}, {run: "a", number: 3, safe: 1, stored: 1, times: []float64{0.3}}}, 5, []string{"a 0.1"}, 0},
		{"for good", []sent{{run: "a", number: 1, stored: 1, times: []float64{0.1}}, {run: "a", number: 3, safe: 1, stored: 1, times: []float64{0.3}}}, 62, []string{"a 0.1", "a 0.3"}, 0},
		{"it was removed from the stream", []sent{{run: "a", number: 1, stored: 1, times: []float64{0.1}}, {run: "a", number: 3, safe: 2, stored: 1, times: []float64{0.3}}}, 5, []string{"a 0.1", "a 0.3"}, 0},
		{"or lost on the way to us, and comes again", []sent{{run: "a", number: 1, stored: 1, times: []float64{0.1}}, {run: "a", number: 3, safe: 2, stored: 1, times: []float64{0.3}, lossy: true}}, 5, []string{"a 0.1"}, 0},
		{"the beginning comes in another order", []sent{{run: "a", number: 8, safe: 6, stored: 1, times: []float64{0.8}}, {run: "a", number: 7, safe: 6, stored: 1, times: []float64{0.7}}}, 5, []string{"a 0.7", "a 0.8"}, 0},
		{"a quiet tap is not waited for", []sent{{run: "b", number: 1, stored: 1}, {run: "a", number: 1, stored: 20, times: []float64{19.5}}}, 20, []string{"a 19.5"}, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			m := newMerge(time.Second, t.Logf)
			for _, s := range c.sent {
				m.add(s.arrival(t, base))
			}
			if got := given(t, m, base, c.at); !slices.Equal(got, c.want) || m.late != c.late {
				t.Errorf("%q, %d late", got, m.late)
			}
		})
	}
	t.Run("late", func(t *testing.T) {
		m := newMerge(time.Second, t.Logf)
		m.add(sent{run: "b", number: 1, stored: 1}.arrival(t, base))
		m.add(sent{run: "a", number: 1, stored: 1, times: []float64{0.5, 0.9}}.arrival(t, base))
		given(t, m, base, 3)
		m.add(sent{run: "b", number: 2, stored: 3, times: []float64{0.6, 0.7, 2.5}}.arrival(t, base))
		if got := given(t, m, base, 5); !slices.Equal(got, []string{"b 0.6", "b 0.7", "b 2.5"}) || m.late != 2 {
			t.Errorf("%q, %d late", got, m.late)
		}
	})
}

// What is missing is said, whether it was waited for or a later message told that it was removed, and once.
func TestMissingIsSaid(t *testing.T) {
	t.Parallel()
	base := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		what   string
		safe   uint64
		chosen bool
		at     float64
		want   string
	}{
		{"waited for", 1, false, 62, "a/x/y: messages 2 to 29 of a collector there are missing; going on without them"},
		{"removed", 29, false, 5, "a/x/y: messages 2 to 29 of a collector there are missing; going on without them"},
		{"partly removed", 20, false, 62, "a/x/y: messages 2 to 20 of a collector there are missing; going on without them\na/x/y: messages 21 to 29 of a collector there are missing; going on without them"},
		{"of an instance", 29, true, 5, "a/x/y: messages 2 to 29 of a collector there are missing or of an instance that was not asked for; going on without them"},
	} {
		t.Run(c.what, func(t *testing.T) {
			log := &notes{t: t}
			m := newMerge(time.Second, log.logf)
			m.chosen = c.chosen
			m.add(sent{run: "a", number: 1, stored: 1, times: []float64{0.1}}.arrival(t, base))
			m.add(sent{run: "a", number: 30, safe: c.safe, stored: 1, times: []float64{0.3}}.arrival(t, base))
			m.add(sent{run: "a", number: 31, safe: c.safe, stored: 1, times: []float64{0.4}}.arrival(t, base))
			if got := given(t, m, base, c.at); !slices.Equal(got, []string{"a 0.1", "a 0.3", "a 0.4"}) {
				t.Errorf("%q", got)
			}
			if got := strings.Join(log.lines, "\n"); got != c.want {
				t.Errorf("%s", got)
			}
		})
	}
}
