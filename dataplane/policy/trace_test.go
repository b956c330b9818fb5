// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"testing"
	"time"
)

func TestLossOfATrace(t *testing.T) {
	const ms = time.Millisecond
	steps := []Step{{10 * ms, 100}, {20 * ms, 5000}, {50 * ms, 0}}
	once, err := TraceOf("a", steps, 0)
	if err != nil {
		t.Fatal(err)
	}
	again, err := TraceOf("a", steps, 60*ms)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		of          Trace
		since, rest time.Duration
		loss        uint32
	}{
		{once, 0, 10 * ms, 0}, {once, 10*ms - 1, 1, 0}, {once, 10 * ms, 10 * ms, 100}, {once, 20*ms - 1, 1, 100}, {once, 20 * ms, 30 * ms, 5000},
		{once, 50 * ms, 0, 0}, {once, time.Hour, 0, 0},
		{again, 50 * ms, 10 * ms, 0}, {again, 60 * ms, 10 * ms, 0}, {again, 75 * ms, 5 * ms, 100}, {again, 6000*ms + 49*ms, ms, 5000},
		{Trace{}, time.Hour, 0, 0},
	} {
		if loss, rest := c.of.Loss(c.since); loss != c.loss || rest != c.rest {
			t.Errorf("after %v, repeated after %v: %d for %v, want %d for %v", c.since, c.of.Repeat, loss, rest, c.loss, c.rest)
		}
	}
	for _, wrong := range []struct {
		steps  []Step
		repeat time.Duration
	}{{[]Step{{1, 0}, {1, 0}}, 0}, {[]Step{{2, 0}, {1, 0}}, 0}, {[]Step{{-1, 0}}, 0}, {[]Step{{5, 0}}, 5}, {nil, -1}} {
		if _, err := TraceOf("a", wrong.steps, wrong.repeat); err != ErrOrder {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}
