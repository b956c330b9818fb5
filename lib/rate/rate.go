// SPDX-License-Identifier: BSD-3-Clause

// Package rate turns counters that were read at several times into rates, keeps the last ones for
// plots, and formats them for people. It does not know what is counted.
package rate

import (
	"fmt"
	"math"
	"time"
)

// Growth returns by how much a counter has grown from one reading to the next. A counter that is
// less than before was reset to 0 in between; its growth is then what it has counted since. The
// functions rate and increase of Prometheus take it so, too.
func Growth(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// PerSecond returns the growth of a counter per second, given the time between the two readings.
// It is NaN if no time has passed.
func PerSecond(before, now uint64, between time.Duration) float64 {
	if between <= 0 {
		return math.NaN()
	}
	return float64(Growth(before, now)) / between.Seconds()
}

// prefixes are those of the SI, by powers of 1000.
var prefixes = [...]string{"", "k", "M", "G", "T", "P", "E"}

// Short formats a number that is not negative with three digits and a prefix of the SI behind a
// space: "0", "0.25", "999", "1.23 k", "14.9 M". NaN is "-". A unit may follow directly after a
// prefix.
func Short(x float64) string {
	number, prefix := short(x)
	if prefix == "" {
		return number
	}
	return number + " " + prefix
}

// short returns the digits and the prefix of a number.
func short(x float64) (number, prefix string) {
	if math.IsNaN(x) {
		return "-", ""
	}
	power := 0
	for x >= 999.5 && power < len(prefixes)-1 {
		x /= 1000
		power++
	}
	switch {
	case power == 0 && x == math.Trunc(x), x >= 99.95:
		return fmt.Sprintf("%.0f", x), prefixes[power]
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x), prefixes[power]
	}
	return fmt.Sprintf("%.2f", x), prefixes[power]
}

// Frames formats a number of frames per second: "1.49 M frames/s".
func Frames(perSecond float64) string { return Short(perSecond) + " frames/s" }

// Bits formats a number of bytes per second in bits: "9.87 Gbit/s".
func Bits(bytesPerSecond float64) string {
	number, prefix := short(8 * bytesPerSecond)
	return number + " " + prefix + "bit/s"
}
