// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"fmt"
	"math"
	"time"
)

// Certain is the probability of an event that always happens; probabilities are counted in units
// of 1/Certain.
const Certain = 100000

// MaxDelay bounds Fault.Delay, Fault.Jitter and Rate.Queue.
const MaxDelay = time.Minute

// Fault is what happens to frames received on an interface, in the order of its fields.
type Fault struct {
	Enabled    bool `json:"enabled"`
	CutCarrier bool `json:"cut_carrier"` // while the link is cut, the other side has no carrier either

	// Outage is the end of an outage that dataplane.Engine.Outage has begun: until then all
	// frames are dropped. It is a time of the engine's clock, in ns; Endless: the link is cut.
	Outage  int64  `json:"-"`
	Burst   Burst  `json:"burst"`   // frames are dropped in bursts
	Trace   Trace  `json:"trace"`   // frames are dropped by a loss that changes with time
	Drop    Chance `json:"drop"`    // the frame is dropped
	ECN     Chance `json:"ecn"`     // the frame is marked as having met congestion, if its sender knows ECN
	Corrupt Chance `json:"corrupt"` // one bit of the payload is inverted and the checksum corrected
	Length  Chance `json:"length"`  // the frame is cut short or made longer
	Bitflip Chance `json:"bitflip"` // one bit is inverted at a random place from byte 15 on
	Dup     Chance `json:"dup"`     // the frame is sent twice

	// The rest determines when each frame, and each copy, is sent. Frames wait in the UMEM, at
	// most Config.Hold of each queue; frames that find no room are dropped.
	Rate         Rate          `json:"rate"`
	Delay        time.Duration `json:"delay_ns"`
	Jitter       time.Duration `json:"jitter_ns"` // how far delays lie from Delay, by Distribution; none is negative
	Distribution Distribution  `json:"distribution"`
	KeepOrder    bool          `json:"keep_order"` // no frame is sent before an earlier one, whatever the jitter
	Reorder      Chance        `json:"reorder"`    // the frame is spared the delay, and so overtakes others
}

// Set says whether a fault is wished: the index is that of Faults. FaultHold is, if frames may have to wait.
func (f *Fault) Set(fault int) bool {
	switch fault {
	case FaultOutage:
		return f.Outage > 0
	case FaultBurst:
		return f.Burst != Burst{}
	case FaultDelay:
		return f.Delay > 0 || f.Jitter > 0
	case FaultRate:
		return f.Rate.Kbits > 0
	case FaultHold:
		return f.Holds()
	case FaultTrace:
		return f.Trace.Steps != ""
	}
	c := Faults[fault].Chance(f)
	return c.Probability > 0 || c.Every > 0
}

// Endless is an Outage without an end.
const Endless = math.MaxInt64

// IsCut says whether the link is cut.
func (f *Fault) IsCut() bool { return f.Outage == Endless }

// Holds says whether frames may have to wait.
func (f *Fault) Holds() bool { return f.Delay > 0 || f.Jitter > 0 || f.Rate.Kbits > 0 }

// Chance says which of the frames that reach a fault suffer it: each with Probability, in units
// of 1/Certain, or every n-th one (of a queue) if Every is not 0. With the probability Correlation the
// outcome for the frame before is repeated instead; that leaves the mean as it is. Correlation is less
// than Certain, and has no effect if Every is not 0.
type Chance struct {
	Probability uint32 `json:"probability"`
	Every       uint32 `json:"every"`
	Correlation uint32 `json:"correlation"`
}

// FaultKind describes one of the faults. Words and listings of faults are made from Faults;
// fault.go of dataplane carries faults out and counts them.
type FaultKind struct {
	Name   string               // in listings, and in the names of its words: fault.NAME.probability
	Help   string               // the event whose chance it is: "that a frame is dropped"
	Chance func(*Fault) *Chance // nil: it has no chance, but words of its own
}

// These are the faults, as indexes of Faults.
const (
	FaultOutage = iota
	FaultBurst
	FaultDrop
	FaultLength
	FaultBitflip
	FaultDup
	FaultReorder
	FaultDelay
	FaultRate
	FaultHold
	FaultECN
	FaultCorrupt
	FaultTrace
	FaultKinds // their number
)

// Faults describes the faults, in the order in which they are shown.
var Faults = [FaultKinds]FaultKind{
	FaultOutage:  {Name: "outage"},
	FaultBurst:   {Name: "burst"},
	FaultDrop:    {"drop", "that a frame is dropped", func(f *Fault) *Chance { return &f.Drop }},
	FaultLength:  {"length", "that a frame is cut short or made longer", func(f *Fault) *Chance { return &f.Length }},
	FaultBitflip: {"bitflip", "that one bit of a frame is inverted, from byte 15 on", func(f *Fault) *Chance { return &f.Bitflip }},
	FaultDup:     {"dup", "that a frame is sent twice", func(f *Fault) *Chance { return &f.Dup }},
	FaultReorder: {"reorder", "that a frame is spared the delay and overtakes others", func(f *Fault) *Chance { return &f.Reorder }},
	FaultDelay:   {Name: "delay"},
	FaultRate:    {Name: "rate limit"},
	FaultHold:    {Name: "hold limit"}, // a frame that would wait finds no room
	FaultECN:     {"ecn", "that a frame whose sender knows ECN is marked as having met congestion (CE)", func(f *Fault) *Chance { return &f.ECN }},
	FaultTrace:   {Name: "trace"},
	FaultCorrupt: {"corrupt", "that in a frame with TCP, UDP or an ICMP echo one bit of the payload is inverted and the checksum corrected", func(f *Fault) *Chance { return &f.Corrupt }},
}

// Burst is the loss model of Gilbert and Elliott: a link is in a good or in a bad state, and may
// change it with each frame. Probabilities are in units of 1/Certain.
type Burst struct {
	Enter    uint32 `json:"enter"`     // to go from good to bad
	Leave    uint32 `json:"leave"`     // to go back
	LossBad  uint32 `json:"loss_bad"`  // to lose a frame in the bad state
	LossGood uint32 `json:"loss_good"` // to lose a frame in the good state
}

// Rate is a link of limited speed, with room for waiting frames.
type Rate struct {
	Kbits uint64        `json:"kbit_per_s"` // 0 = no limit; bytes count from the first address to the last before the checksum
	Queue time.Duration `json:"queue_ns"`   // a frame that would have to wait longer is dropped
}

// Seed determines the faults: the same seed gives the same faults for the same traffic. Threads
// begin again whenever the value changes.
type Seed struct {
	Seed  uint64 `json:"seed"`
	Epoch uint64 `json:"-"` // counted up to begin again with the same seed
}

// check returns an error if a setting of the faults of an interface is out of range.
func (f *Fault) check(port int) error {
	for _, k := range Faults {
		if k.Chance == nil {
			continue
		}
		if p := k.Chance(f).Probability; p > Certain {
			return fmt.Errorf("%s probability %d of interface %d is not in 0…%d", k.Name, p, port, Certain)
		}
		if c := k.Chance(f).Correlation; c >= Certain {
			return fmt.Errorf("%s correlation %d of interface %d is not in 0…%d", k.Name, c, port, Certain-1)
		}
	}
	if b := f.Burst; max(b.Enter, b.Leave, b.LossBad, b.LossGood) > Certain {
		return fmt.Errorf("burst probabilities %+v of interface %d are not in 0…%d", b, port, Certain)
	}
	if err := f.Trace.check(); err != nil {
		return fmt.Errorf("interface %d: %w", port, err)
	}
	if !f.Distribution.valid() {
		return fmt.Errorf("the distribution of delays of interface %d has no table, or one of the wrong size", port)
	}
	if min(f.Delay, f.Jitter, f.Rate.Queue) < 0 || max(f.Delay, f.Jitter, f.Rate.Queue) > MaxDelay {
		return fmt.Errorf("delay %v, jitter %v or queue %v of interface %d is not in 0…%v", f.Delay, f.Jitter, f.Rate.Queue, port, MaxDelay)
	}
	return nil
}
