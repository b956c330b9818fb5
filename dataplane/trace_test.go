// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"testing"
	"time"

	"ethertap/dataplane/policy"
)

// The loss is that of the moment, for each queue and with the odds of the trace.
func TestTraceOfLosses(t *testing.T) {
	const n = 20000
	trace, err := policy.TraceOf("t", []policy.Step{{At: 0, Loss: 30000}, {At: time.Hour, Loss: 0}, {At: 2 * time.Hour, Loss: policy.Certain}}, 3*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, 2, faulty(policy.Fault{Trace: trace}, 7))
	before, sent := uint64(0), 0
	for round := range 2 { // it repeats
		for _, want := range []uint32{30000, 0, policy.Certain} {
			frames := make([][]byte, n)
			for i := range frames {
				frames[i] = testFrame(60, 1, uint32(i))
			}
			b.run(0, frames...)
			c := b.count(0)
			lost := c[countFault+policy.FaultTrace] - before
			before += lost
			sent += n - int(lost)
			near(t, "trace", lost, n, want)
			if c[countFIDropped] != before || len(b.out[1]) != sent {
				t.Errorf("round %d: %d dropped by faults, %d sent, want %d, %d", round, c[countFIDropped], len(b.out[1]), before, sent)
			}
			b.w.epoch = b.w.epoch.Add(-time.Hour)
		}
	}
	// Another trace counts at once, and none ends it.
	b.w.round()
	total, _ := policy.TraceOf("t", []policy.Step{{At: 0, Loss: policy.Certain}}, 0)
	total.Began = int64(5 * time.Hour)
	b.wish(faulty(policy.Fault{Trace: total}, 7))
	b.run(0, testFrame(60, 1, 0))
	b.wish(faulty(policy.Fault{}, 7))
	b.run(0, testFrame(60, 1, 0))
	if c := b.count(0); c[countFault+policy.FaultTrace] != before+1 || len(b.out[1]) != sent+1 {
		t.Errorf("%d lost, %d sent", c[countFault+policy.FaultTrace]-before, len(b.out[1])-sent)
	}
}
