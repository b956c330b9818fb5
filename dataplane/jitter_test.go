// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"math"
	"testing"
	"time"

	"ethertap/dataplane/policy"
)

// irwinHall is the distribution function of the sum of twelve uniform numbers in 0…1.
func irwinHall(x float64) (p float64) {
	term := 1.0 // (-1)^k / (k! (12-k)!)
	for i := 1; i <= 12; i++ {
		term /= float64(i)
	}
	for k := range 13 {
		if float64(k) < x {
			p += term * math.Pow(x-float64(k), 12)
		}
		term *= -float64(12-k) / float64(k+1)
	}
	return p
}

// Each distribution has the mean 0, the documented deviation, and its shape: the share of numbers
// below some limits is within four standard deviations.
func TestDistributions(t *testing.T) {
	const n, jitter = 1000000, float64(10 * time.Millisecond)
	table := make([]int16, 1000)
	for i := range table { // one in ten is three jitters late, the others are one third early
		if table[i] = -policy.TableScale / 3; i%10 == 0 {
			table[i] = 3 * policy.TableScale
		}
	}
	for name, c := range map[string]struct {
		of        policy.Distribution
		deviation float64                 // in jitters
		below     func(z float64) float64 // the share of numbers below z jitters
		limits    []float64
	}{
		"uniform": {policy.Distribution{}, 1 / math.Sqrt(3), func(z float64) float64 { return (z + 1) / 2 }, []float64{-0.9, -0.5, 0, 0.3, 0.99}},
		"normal":  {policy.Distribution{Shape: policy.Normal}, 1, func(z float64) float64 { return irwinHall(z + 6) }, []float64{-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3}},
		"pareto": {policy.Distribution{Shape: policy.Pareto}, 1, func(z float64) float64 { return 1 - math.Pow(1.5+z*math.Sqrt(3)/2, -3) },
			[]float64{-0.5, -0.3, 0, 1, 3, 10}},
		"table": {policy.TableDistribution("t", table), math.Sqrt(0.1*9 + 0.9/9), func(z float64) float64 { return 0.9 }, []float64{0, 2.9}},
	} {
		d := newDice(11, 0, 0)
		f := policy.Fault{Jitter: time.Duration(jitter), Distribution: c.of}
		sum := 0.0
		counts := make([]int, len(c.limits))
		for range n {
			z := float64(d.jitter(&f)) / jitter
			sum += z
			for i, limit := range c.limits {
				if z < limit {
					counts[i]++
				}
			}
			d.frame++
		}
		if mean, most := sum/n, 4*c.deviation/math.Sqrt(n); math.Abs(mean) > most+1e-4 { // Pareto is rounded down by 1/14188
			t.Errorf("%s: mean %.5f, at most %.5f", name, mean, most)
		}
		for i, limit := range c.limits {
			p := c.below(limit)
			if dev := math.Sqrt(n * p * (1 - p)); math.Abs(float64(counts[i])-n*p) > 4*dev {
				t.Errorf("%s: %d below %v, want %.0f ± %.0f", name, counts[i], limit, n*p, 4*dev)
			}
		}
	}
}

// The largest jitters do not overflow, and the longest Pareto delay is that of the document.
func TestJitterDoesNotOverflow(t *testing.T) {
	longest := int64(policy.MaxDelay) * (1<<21 - paretoMean) / paretoDeviation
	if got := int64(cubeRoot(1<<63)) - paretoMean; int64(policy.MaxDelay)*got/paretoDeviation != longest || longest/int64(policy.MaxDelay) != 293 {
		t.Errorf("%d, %d", got, longest)
	}
	if math.MaxInt64/int64(policy.MaxDelay) < 1<<21 || math.MaxInt64/int64(policy.MaxDelay) < 6<<16 || math.MaxInt64/int64(policy.MaxDelay) < 1<<15 {
		t.Error("a product may overflow")
	}
}

func TestCubeRoot(t *testing.T) {
	for _, x := range []uint64{0, 1, 7, 8, 9, 26, 27, 1<<63 - 1, 1 << 63, math.MaxUint64} {
		r := cubeRoot(x)
		if r*r*r > x || r < 2642245 && (r+1)*(r+1)*(r+1) <= x { // 2642245³ is the largest cube of 64 bits
			t.Errorf("the cube root of %d is not %d", x, r)
		}
	}
}

// The examples in docs/dataplane.md.
func TestJitterIsThatOfTheDocument(t *testing.T) {
	d := newDice(42, 1, 3)
	d.frame, d.copy = 1000, 1
	for _, c := range []struct {
		of   policy.Distribution
		want int64
	}{
		{policy.Distribution{}, 624468},
		{policy.Distribution{Shape: policy.Normal}, -230057},
		{policy.Distribution{Shape: policy.Pareto}, -494502},
		{policy.TableDistribution("t", []int16{-8192, 0, 4096, 16384, -1}), -122},
	} {
		if got := d.jitter(&policy.Fault{Jitter: time.Millisecond, Distribution: c.of}); got != c.want {
			t.Errorf("%s: %d, want %d", c.of, got, c.want)
		}
	}
}
