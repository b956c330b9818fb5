// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
	"time"
)

// TraceSize is the most steps that a trace has, MaxTrace the longest time in it.
const (
	TraceSize = 100000
	MaxTrace  = 100 * 365 * 24 * time.Hour
)

// Trace is a loss that changes with time. The zero value is none. Traces can be compared.
type Trace struct {
	File   string        `json:"file"`
	Steps  string        `json:"-"`         // see TraceOf
	Repeat time.Duration `json:"repeat_ns"` // the trace begins again after that time; 0: the last loss stays
	// Began is when the times of the trace begin: a time of the engine's clock, in ns, which
	// dataplane.Engine.Trace sets.
	Began int64 `json:"-"`
}

// Step is a moment of a trace: from At on, until the next step, frames are lost with a probability in
// units of 1/Certain.
type Step struct {
	At   time.Duration
	Loss uint32
}

// stepSize is the size of a step in Trace.Steps, in bytes.
const stepSize = 12

// ErrOrder says that a step of a trace is not later than the one before.
var ErrOrder = errors.New("times have to grow")

// TraceOf returns the trace with some steps, each later than the one before, and ErrOrder if they are
// not in order, or if repeat is neither 0 nor later than the last one.
func TraceOf(file string, steps []Step, repeat time.Duration) (t Trace, err error) {
	var b []byte
	last := time.Duration(-1)
	for _, s := range steps {
		if s.At <= last {
			return t, ErrOrder
		}
		last = s.At
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, uint64(s.At)), s.Loss)
	}
	if repeat != 0 && repeat <= last {
		return t, ErrOrder
	}
	return Trace{File: file, Steps: string(b), Repeat: repeat}, nil
}

// Len returns the number of steps, and At one of them.
func (t *Trace) Len() int { return len(t.Steps) / stepSize }

func (t *Trace) At(i int) Step {
	var b [stepSize]byte
	copy(b[:], t.Steps[i*stepSize:])
	return Step{time.Duration(binary.BigEndian.Uint64(b[:])), binary.BigEndian.Uint32(b[8:])}
}

// Loss returns the loss at a time since the trace began, and how long it stays; 0 is for ever. Before the
// first step nothing is lost.
func (t *Trace) Loss(since time.Duration) (loss uint32, rest time.Duration) {
	if t.Repeat > 0 {
		since %= t.Repeat
	}
	next := sort.Search(t.Len(), func(i int) bool { return t.At(i).At > since })
	if next > 0 {
		loss = t.At(next - 1).Loss
	}
	switch {
	case next < t.Len():
		rest = t.At(next).At - since
	case t.Repeat > 0:
		rest = t.Repeat - since
	}
	return loss, rest
}

// check returns an error if a value of the trace is out of range.
func (t *Trace) check() error {
	if len(t.Steps)%stepSize != 0 || t.Len() > TraceSize || t.Repeat < 0 || t.Repeat > MaxTrace {
		return fmt.Errorf("trace %s has the wrong size", t.File)
	}
	for i := range t.Len() {
		if s := t.At(i); s.At < 0 || s.At > MaxTrace || s.Loss > Certain {
			return fmt.Errorf("trace %s: step %d is out of range", t.File, i+1)
		}
	}
	return nil
}
