// SPDX-License-Identifier: BSD-3-Clause

package heap

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 4 << 20: 400, 8 << 20: 200, 11 << 20: 145, 16 << 20: 100, 1 << 40: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes: %d %%, want %d", live, got, want)
		}
	}
}

// The growth follows the live data, down and up again.
func TestFollows(t *testing.T) {
	before := debug.SetGCPercent(growth)
	defer debug.SetGCPercent(before)
	afterCollections(&follower{percent: growth})
	percent := func() int {
		set := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(set)
		return int(set[0].Value.Uint64())
	}
	await := func(what string, is func(int) bool) {
		t.Helper()
		for end := time.Now().Add(patience); !is(percent()); runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%s: %d %%", what, percent())
			}
		}
	}
	data := make([]byte, 64<<20)
	await("much live data", func(p int) bool { return p == leastGrowth })
	runtime.KeepAlive(data)
	data = nil
	await("little live data", func(p int) bool { return p > leastGrowth })
}
