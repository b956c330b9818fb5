// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"math"
	"testing"

	"ethertap/dataplane/policy"
)

// These are the first numbers of the reference implementation of SplitMix64 with the seed 1234567.
func TestMixIsSplitMix64(t *testing.T) {
	x := uint64(1234567)
	for _, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		x += gamma
		if got := mix(x); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	}
}

// The example in docs/dataplane.md: who implements the dice again can compare.
func TestDiceAreThoseOfTheDocument(t *testing.T) {
	d := newDice(42, 1, 3)
	d.frame, d.copy = 1000, 1
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"key", d.key, 0x7f768f7e27a33ab3},
		{"draw", d.draw(policy.FaultDelay, 1), 0xcfee8aeb2fbf4e1c},
		{"number", uint64(d.below(policy.FaultDelay, 1, 100000)), 81223},
	} {
		if c.got != c.want {
			t.Errorf("%s %d, want %d", c.what, c.got, c.want)
		}
	}
}

// A correlation leaves the mean as it is and makes the outcomes come in runs of a known length.
func TestCorrelationKeepsTheMean(t *testing.T) {
	const n = 1000000
	for _, c := range []policy.Chance{
		{Probability: 1000, Correlation: 90000}, {Probability: 50000, Correlation: 25000}, {Probability: 100, Correlation: 50000},
		{Probability: 99000, Correlation: 80000}, {Probability: 3000},
	} {
		d := newDice(9, 0, 0)
		hits, runs, before := 0, 0, false
		for range n {
			now := d.hit(policy.FaultDrop, c)
			if now {
				hits++
			}
			if now && !before {
				runs++
			}
			before = now
			d.frame++
		}
		p, r := float64(c.Probability)/policy.Certain, float64(c.Correlation)/policy.Certain
		mean, deviation := n*p, math.Sqrt(n*p*(1-p)*(1+r)/(1-r))
		if math.Abs(float64(hits)-mean) > 4*deviation {
			t.Errorf("%+v: %d hits, want %.0f ± %.0f", c, hits, mean, 4*deviation)
		}
		begin := n * p * (1 - p) * (1 - r)
		if math.Abs(float64(runs)-begin) > 4*math.Sqrt(begin) {
			t.Errorf("%+v: %d runs, want %.0f ± %.0f", c, runs, begin, 4*math.Sqrt(begin))
		}
	}
}

// What was decided last is forgotten by another seed alone, and each fault has its own.
func TestCorrelationRepeatsTheLastOutcome(t *testing.T) {
	d := newDice(1, 0, 0)
	certain, rare := policy.Chance{Probability: policy.Certain, Correlation: 1}, policy.Chance{Probability: 1, Correlation: policy.Certain - 1}
	if d.hit(policy.FaultDrop, rare) {
		t.Error("before the first frame the fault happened")
	}
	for !d.hit(policy.FaultDrop, certain) {
		d.frame++
	}
	for range 100 {
		d.frame++
		if !d.hit(policy.FaultDrop, rare) || d.hit(policy.FaultDup, rare) {
			t.Fatal("the outcome is not that of the frame before")
		}
		if d.hit(policy.FaultDrop, policy.Chance{}) || !d.hit(policy.FaultDrop, policy.Chance{Probability: policy.Certain}) {
			t.Fatal("a fault without a correlation remembers")
		}
	}
}
