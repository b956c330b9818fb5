// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"ethertap/dataplane/policy"
	"ethertap/interp"
)

// scale is a kind of quantity that may be given with a unit: as text such as `1.5s`, `0.01%` or
// `10Mbit`. A bare token that is no word is a string, so quotes are not needed. A number without a
// unit counts in what the word says.
type scale struct {
	kind  string // in errors: "a time"
	least string // the smallest step, in errors
	write string // examples, in errors
	units []unit // the first one that fits without a fraction is shown
	fold  bool   // capitals do not matter
}

// unit is one of a scale: how many of the smallest steps it has.
type unit struct {
	name  string
	steps uint64
}

// The smallest step of each scale is that in which the policy counts.
var (
	probabilities = scale{kind: "a probability", least: "0.001%", write: "1% or 0.05%, or a number of 1/100000", units: []unit{{"%", policy.Certain / 100}}}
	times         = scale{kind: "a time", least: "1ns", write: "10ms, 50us or 1.5s", units: []unit{
		{"s", uint64(time.Second)}, {"ms", uint64(time.Millisecond)}, {"us", uint64(time.Microsecond)}, {"µs", uint64(time.Microsecond)}, {"ns", 1}}}
	rateScale = scale{kind: "a rate", least: "1kbit", write: "10Mbit or 500kbit, or a number of kbit/s", fold: true, units: []unit{{"Gbit", 1e6}, {"Mbit", 1000}, {"kbit", 1}}}
)

var (
	errNotOfScale = errors.New("not a quantity of the scale")
	errTooFine    = errors.New("finer than the smallest step")
)

// parse reads a number with a unit, exactly. It returns errNotOfScale, errTooFine, or
// strconv.ErrRange if the value is too large.
func (c *scale) parse(text string) (steps uint64, err error) {
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end <= 0 {
		return 0, errNotOfScale
	}
	whole, fraction, point := strings.Cut(text[:end], ".")
	if whole == "" || point && fraction == "" || strings.Contains(fraction, ".") {
		return 0, errNotOfScale
	}
	for _, u := range c.units {
		if text[end:] == u.name || c.fold && strings.EqualFold(text[end:], u.name) {
			return u.times(whole, strings.TrimRight(fraction, "0"))
		}
	}
	return 0, errNotOfScale
}

// times returns so many of a unit; both parts of the number are digits.
func (u unit) times(whole, fraction string) (uint64, error) {
	n, err := strconv.ParseUint(whole, 10, 64)
	if err != nil {
		return 0, strconv.ErrRange
	}
	high, steps := bits.Mul64(n, u.steps)
	if high != 0 || steps >= 1<<63 {
		return 0, strconv.ErrRange
	}
	part := u.steps // the fraction is less than that, so the sum does not wrap
	for _, digit := range fraction {
		if part%10 != 0 {
			return 0, errTooFine
		}
		part /= 10
		steps += part * uint64(digit-'0')
	}
	if steps >= 1<<63 {
		return 0, strconv.ErrRange
	}
	return steps, nil
}

// text writes a quantity in the largest unit that needs no fraction.
func (c *scale) text(steps uint64) string {
	if steps == 0 {
		return "0"
	}
	for _, u := range c.units {
		if steps%u.steps == 0 {
			return strconv.FormatUint(steps/u.steps, 10) + u.name
		}
	}
	last := c.units[len(c.units)-1]
	return trimmed(steps, last.steps) + last.name
}

// trimmed writes n/unit in decimal, without zeros at the end; unit is a power of ten.
func trimmed(n, unit uint64) string {
	text := strconv.FormatUint(n/unit, 10)
	if rest := n % unit; rest > 0 {
		text += "." + strings.TrimRight(strconv.FormatUint(unit+rest, 10)[1:], "0")
	}
	return text
}

// pop takes a quantity between lo and hi, both included, from the stack: a number of one, or text
// with a unit. what names it in errors; plain adds to what the errors say to write.
func (c *scale) pop(s *interp.Session, what string, one, lo, hi uint64, plain string) (uint64, error) {
	v, err := s.Pop()
	if err != nil {
		return 0, err
	}
	if n, err := v.Int(); err == nil {
		if n < int64((lo+one-1)/one) || n > int64(hi/one) {
			return 0, fmt.Errorf("%s %d is not in %d…%d", what, n, (lo+one-1)/one, hi/one)
		}
		return uint64(n) * one, nil
	}
	steps, err := uint64(0), errNotOfScale
	if v.Kind() == interp.KindString {
		steps, err = c.parse(v.Text())
	}
	return steps, c.explain(err, what, interp.Shown(v), steps, lo, hi, plain)
}

// explain returns the error for what parse found in a text, nil if it is fine and in lo…hi.
func (c *scale) explain(err error, what, text string, steps, lo, hi uint64, plain string) error {
	switch {
	case err == errNotOfScale:
		return fmt.Errorf("%s %s is not %s; write %s%s", what, text, c.kind, c.write, plain)
	case err == errTooFine:
		return fmt.Errorf("%s %s is finer than %s, the smallest step", what, text, c.least)
	case err != nil || steps < lo || steps > hi:
		return fmt.Errorf("%s %s is not in %s…%s", what, text, c.text(lo), c.text(hi))
	}
	return nil
}

// popProbability takes a probability of at most most, in units of 1/policy.Certain.
func popProbability(s *interp.Session, what string, most uint32) (uint32, error) {
	n, err := probabilities.pop(s, what, 1, 0, uint64(most), "")
	return uint32(n), err
}

// popTime takes a time between lo and hi; a number counts in units of one.
func popTime(s *interp.Session, what string, one, lo, hi time.Duration) (time.Duration, error) {
	plain := map[time.Duration]string{time.Millisecond: ", or a number of milliseconds", time.Microsecond: ", or a number of microseconds"}[one]
	n, err := times.pop(s, what, uint64(one), uint64(lo), uint64(hi), plain)
	return time.Duration(n), err
}

// popRate takes a rate in kbit/s, at most most.
func popRate(s *interp.Session, what string, most uint64) (uint64, error) {
	return rateScale.pop(s, what, 1, 0, most, "")
}
