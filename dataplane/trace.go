// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"
	"math"
	"time"

	"ethertap/dataplane/policy"
)

// Trace lets the loss of frames that interface number receives follow a trace, whose times count from
// now on; the zero value ends it. It fails if the interface does not exist,
// or no fault can be done there.
func (e *Engine) Trace(number int, t policy.Trace) error {
	return e.Update(func(p *policy.Policy) error {
		if number < 0 || number >= len(e.config.Interfaces) {
			return fmt.Errorf("no interface %d", number)
		}
		if err := policy.CheckFault(e.ends, number); err != nil {
			return err
		}
		if t.Steps != "" {
			t.Began = int64(e.now())
		}
		p.Ports[number].Fault.Trace = t
		return nil
	})
}

// tracing is what a lane knows of the trace of its faults.
type tracing struct {
	of    policy.Trace
	loss  uint32 // in units of 1/policy.Certain
	until int64  // when that changes, on the engine's clock
}

// lost says whether the frame under way is lost by a trace.
func (k *tracing) lost(t *policy.Trace, d *dice, now int64) bool {
	if t.Steps == "" {
		return false
	}
	if k.of != *t || now >= k.until {
		loss, rest := t.Loss(time.Duration(now - t.Began))
		*k = tracing{*t, loss, math.MaxInt64}
		if rest > 0 {
			k.until = now + int64(rest)
		}
	}
	return k.loss > 0 && d.below(policy.FaultTrace, 0, policy.Certain) < k.loss
}
