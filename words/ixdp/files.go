// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ethertap/dataplane/policy"
	"ethertap/interp"
)

// longestLine bounds a line of a file that a word reads, in bytes.
const longestLine = 1 << 20

// eachLine calls do with the fields of every line of a regular file that has some; # begins a
// comment. It returns the errors of do with file and line.
func eachLine(name string, do func(fields []string) error) error {
	// A pipe or device could make the session wait for ever, in open or later.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return interp.FileError(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", interp.Quote(name))
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, longestLine)
	number := 0
	for lines.Scan() {
		number++
		text, _, _ := strings.Cut(lines.Text(), "#")
		if fields := strings.Fields(text); len(fields) > 0 {
			if err := do(fields); err != nil {
				return fmt.Errorf("%s:%d: %w", interp.Printable(name), number, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", interp.Printable(name), number+1, err)
	}
	return nil
}

// traceFrom reads a trace of losses: in each line a time and the loss from then on, in the last one perhaps
// a time and `repeat`.
func traceFrom(name string) (policy.Trace, error) {
	var steps []policy.Step
	var last, repeat uint64
	err := eachLine(name, func(fields []string) error {
		switch {
		case repeat > 0:
			return errors.New("nothing may follow the line with repeat")
		case len(fields) != 2:
			return fmt.Errorf("%s are no time and loss; write 1.5s 5%%", interp.Quote(strings.Join(fields, " ")))
		}
		at, err := times.parse(fields[0])
		if fields[0] == "0" {
			at, err = 0, nil
		}
		if err := times.explain(err, "time", interp.Quote(fields[0]), at, 0, uint64(policy.MaxTrace), ""); err != nil {
			return err
		}
		if at <= last && (len(steps) > 0 || fields[1] == "repeat") {
			return fmt.Errorf("time %s is not later than that of the line before", interp.Quote(fields[0]))
		}
		if last = at; fields[1] == "repeat" {
			repeat = at
			return nil
		}
		if len(steps) == policy.TraceSize {
			return fmt.Errorf("there are more than %d lines", policy.TraceSize)
		}
		loss, err := probabilities.parse(fields[1])
		if n, bad := strconv.ParseUint(fields[1], 10, 32); bad == nil {
			loss, err = n, nil
		}
		if err := probabilities.explain(err, "loss", interp.Quote(fields[1]), loss, 0, policy.Certain, ""); err != nil {
			return err
		}
		steps = append(steps, policy.Step{At: time.Duration(at), Loss: uint32(loss)})
		return nil
	})
	if err == nil && len(steps) == 0 {
		err = fmt.Errorf("%s has no losses", interp.Quote(name))
	}
	if err != nil {
		return policy.Trace{}, err
	}
	return policy.TraceOf(name, steps, time.Duration(repeat))
}

// distributionFrom reads a table of delays in the format of iproute2, which has some in
// /usr/lib/tc/*.dist: numbers in units of 1/8192 of the jitter, in any number of columns.
func distributionFrom(name string) (policy.Distribution, error) {
	var numbers []int16
	err := eachLine(name, func(fields []string) error {
		for _, text := range fields {
			n, err := strconv.ParseInt(text, 10, 64)
			switch {
			case err != nil:
				return fmt.Errorf("%s is no number", interp.Quote(text))
			case n < math.MinInt16 || n > math.MaxInt16:
				return fmt.Errorf("%d is not in %d…%d; %d is one jitter", n, math.MinInt16, math.MaxInt16, policy.TableScale)
			case len(numbers) == policy.TableSize:
				return fmt.Errorf("there are more than %d numbers", policy.TableSize)
			}
			numbers = append(numbers, int16(n))
		}
		return nil
	})
	if err == nil && len(numbers) == 0 {
		err = fmt.Errorf("%s has no numbers", interp.Quote(name))
	}
	if err != nil {
		return policy.Distribution{}, err
	}
	return policy.TableDistribution(name, numbers), nil
}
