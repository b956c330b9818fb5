// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// comparisons is how often two clocks are compared. The caller may lose its CPU within one, or within
// some of them.
const comparisons = 8

// Zero returns what another clock, in ns, showed when that of the programs (CLOCK_MONOTONIC) was 0. Of
// several comparisons it takes the one in which the least time passed, which bounds the error.
func Zero(clock func() int64) (ns int64, err error) {
	least := int64(math.MaxInt64)
	for range comparisons {
		before, err := programClock()
		if err != nil {
			return 0, err
		}
		other := clock()
		after, err := programClock()
		if err != nil {
			return 0, err
		}
		if width := after - before; width < least {
			least, ns = width, other-before-width/2
		}
	}
	return ns, nil
}

// programClock reads the clock of the programs.
func programClock() (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("clock: %w", err)
	}
	return t.Nano(), nil
}
