// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"testing"
	"time"
)

// A comparison within which the thread waits, as one does that loses its CPU, does not count.
func TestClocksAreCompared(t *testing.T) {
	const ahead = int64(time.Hour)
	for _, late := range []int{0, comparisons - 1} {
		reads := 0
		zero, err := Zero(func() int64 {
			at, err := programClock()
			if err != nil {
				t.Fatal(err)
			}
			if reads++; reads != late+1 {
				time.Sleep(50 * time.Millisecond)
			}
			return at + ahead
		})
		if err != nil {
			t.Fatal(err)
		}
		if off := zero - ahead; off < -int64(20*time.Millisecond) || off > int64(20*time.Millisecond) {
			t.Errorf("only comparison %d is good: the result is %v off", late, time.Duration(off))
		}
	}
}
