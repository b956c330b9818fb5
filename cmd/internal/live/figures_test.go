// SPDX-License-Identifier: BSD-3-Clause

package live

import (
	"slices"
	"testing"

	"ethertap/dataplane"
)

// The page of all counters shows all that the listing in JSON has, and knows which of them can fall.
func TestAllCounters(t *testing.T) {
	for i := range dataplane.Counters {
		c := &dataplane.Counters[i]
		if c.Key == "" {
			continue
		}
		if !slices.Contains(counters, c.Key) {
			t.Errorf("%s is not shown", c.Key)
		}
		if gauges[c.Key] != c.Gauge {
			t.Errorf("%s: gauge %v", c.Key, gauges[c.Key])
		}
	}
}
