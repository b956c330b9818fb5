// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import "ethertap/dataplane/policy"

// Offsets from the delay are calculated with integers, so that every machine has the same. A jitter
// is less than 2³⁶ ns (policy.MaxDelay), so its product with 27 bits fits.

// jitter returns how much later than the delay the frame under way is sent, in ns, for a jitter
// that is not 0. It may be negative.
func (d *dice) jitter(f *policy.Fault) int64 {
	jitter := int64(f.Jitter)
	switch f.Distribution.Shape {
	case policy.Normal:
		return jitter * d.normal() >> 16
	case policy.Pareto:
		return jitter * d.pareto() / paretoDeviation
	case policy.Table:
		i := d.below(policy.FaultDelay, 1, f.Distribution.Len())
		return jitter * int64(f.Distribution.At(i)) / policy.TableScale
	}
	return int64(d.belowLong(policy.FaultDelay, 1, 2*uint64(jitter)+1)) - jitter
}

// normal draws a number with the mean 0 and the standard deviation 2¹⁶: the sum of twelve uniform
// ones of 16 bits, less its mean. It lies within six deviations.
func (d *dice) normal() int64 {
	sum := uint64(0)
	for n := 1; n <= 3; n++ {
		r := d.draw(policy.FaultDelay, n)
		sum += r&0xffff + r>>16&0xffff + r>>32&0xffff + r>>48
	}
	return int64(sum) - 12*0xffff/2
}

// These are the mean and the standard deviation of the Pareto distribution with exponent 3 from
// 8192 on: 3/2 and √3/2 of that.
const (
	paretoMean      = 12288
	paretoDeviation = 7094
)

// pareto draws such a number, less its mean: 8192 over the cube root of a uniform number in 0…1, which
// has 24 bits.
func (d *dice) pareto() int64 {
	u := d.draw(policy.FaultDelay, 1)>>40 + 1
	return int64(cubeRoot(1<<63/u)) - paretoMean
}

// cubeRoot returns the largest integer whose cube is not greater than x, bit by bit.
func cubeRoot(x uint64) (root uint64) {
	for shift := 63; shift >= 0; shift -= 3 {
		root *= 2
		if step := 3*root*(root+1) + 1; x>>shift >= step {
			x -= step << shift
			root++
		}
	}
	return root
}
