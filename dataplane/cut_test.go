// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/tests/netlab"
)

// A fault that is set is carried out in the kernel where the fast path can, and by threads where it cannot;
// a cut takes the other side's carrier down with either.
func TestFaultsSayWhereTheyRun(t *testing.T) {
	netlab.Needs(t, netlab.FastPath)
	lab := fastLab(t)
	d := newDevice(t, lab, dataplane.Config{FastPath: true})
	d.mustStart()
	d.mustUseFastPath()
	lossy := policy.Fault{Enabled: true, Drop: policy.Chance{Probability: 1000}, Outage: policy.Endless, CutCarrier: true}
	delayed, disabled := lossy, lossy
	delayed.Delay = time.Millisecond
	disabled.Enabled = false
	for _, c := range []struct {
		fault               policy.Fault
		drop, outage, delay dataplane.Place
	}{
		{disabled, dataplane.Nowhere, dataplane.Nowhere, dataplane.Nowhere},
		{lossy, dataplane.InKernel, dataplane.InKernel, dataplane.Nowhere},
		{delayed, dataplane.InThreads, dataplane.InThreads, dataplane.InThreads},
		{policy.Fault{Enabled: true}, dataplane.Nowhere, dataplane.Nowhere, dataplane.Nowhere},
	} {
		if err := lab.Dut.Do(func() error {
			return d.Update(func(p *policy.Policy) error { p.Ports[0].Fault = c.fault; return nil })
		}); err != nil {
			t.Fatal(err)
		}
		cut := c.fault.Enabled && c.fault.CutCarrier
		d.await("the carrier follows", func() bool { return lab.Snk.Link(netlab.K1).Carrier != cut })
		// With an interface down the fast path may be out of use for a moment.
		d.await("the place is right", func() bool {
			where := d.Snapshot(false).Ports[0].Where
			return where[policy.FaultDrop] == c.drop && where[policy.FaultOutage] == c.outage && where[policy.FaultDelay] == c.delay
		})
		if got := d.Snapshot(false).Ports[1].Where[policy.FaultDrop]; got != dataplane.Nowhere {
			t.Errorf("drop of the other interface is in %s", got)
		}
	}
}
