// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"math"
	"strconv"
	"testing"
	"time"
)

// Quantities are exact, whatever their unit.
func TestQuantitiesWithUnits(t *testing.T) {
	for _, c := range []struct {
		of   *scale
		text string
		want uint64
		err  error
	}{
		{&probabilities, "1%", 1000, nil},
		{&probabilities, "0.01%", 10, nil},
		{&probabilities, "0.001%", 1, nil},
		{&probabilities, "99.999%", 99999, nil},
		{&probabilities, "12.5000000%", 12500, nil},
		{&probabilities, "0.0001%", 0, errTooFine},
		{&probabilities, "0.0015%", 0, errTooFine},
		{&probabilities, "1", 0, errNotOfScale},
		{&probabilities, "%", 0, errNotOfScale},
		{&probabilities, ".5%", 0, errNotOfScale},
		{&probabilities, "1.%", 0, errNotOfScale},
		{&probabilities, "1.2.3%", 0, errNotOfScale},
		{&probabilities, "-1%", 0, errNotOfScale},
		{&probabilities, "1ms", 0, errNotOfScale},
		{&probabilities, "1%%", 0, errNotOfScale},
		{&probabilities, "", 0, errNotOfScale},
		{&times, "10ms", uint64(10 * time.Millisecond), nil},
		{&times, "50us", 50000, nil},
		{&times, "50µs", 50000, nil},
		{&times, "1.5s", 1500000000, nil},
		{&times, "200ns", 200, nil},
		{&times, "0.000000001s", 1, nil},
		{&times, "0.5ns", 0, errTooFine},
		{&times, "0.0000000001s", 0, errTooFine},
		{&times, "1S", 0, errNotOfScale},
		{&times, "18446744073709551616ns", 0, strconv.ErrRange},
		{&times, "18446744074s", 0, strconv.ErrRange},
		{&times, "9223372037s", 0, strconv.ErrRange},
		{&times, "18446744073.8s", 0, strconv.ErrRange},
		{&times, "9223372036.854775807s", math.MaxInt64, nil},
		{&times, "9223372036.854775808s", 0, strconv.ErrRange},
		{&rateScale, "18446744073709.5516Gbit", 0, strconv.ErrRange},
		{&rateScale, "10Mbit", 10000, nil},
		{&rateScale, "10mbit", 10000, nil},
		{&rateScale, "2.5Gbit", 2500000, nil},
		{&rateScale, "500kbit", 500, nil},
		{&rateScale, "0.0005Mbit", 0, errTooFine},
		{&rateScale, "10bit", 0, errNotOfScale},
	} {
		if got, err := c.of.parse(c.text); got != c.want || err != c.err {
			t.Errorf("%s: %d, %v, want %d, %v", c.text, got, err, c.want, c.err)
		}
	}
}

// What is written is read back as the same.
func TestQuantitiesAreReadAsWritten(t *testing.T) {
	for _, s := range []*scale{&probabilities, &times, &rateScale} {
		for _, n := range []uint64{1, 10, 999, 1000, 1001, 12345, 99999, 100000, 1e6, 1e9, 1500000000, 60e9, math.MaxInt64} {
			text := s.text(n)
			if got, err := s.parse(text); got != n || err != nil {
				t.Errorf("%d is written %s, and read as %d, %v", n, text, got, err)
			}
		}
	}
	for n, want := range map[uint64]string{0: "0", 1: "0.001%", 12500: "12.5%", 100000: "100%"} {
		if got := probabilities.text(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 60e9: "60s", 1500e6: "1500ms", 1200: "1200ns"} {
		if got := times.text(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}
