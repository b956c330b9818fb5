package policy

import (
	"fmt"
	"time"
)

// Certain is the probability of an event that always happens; probabilities are counted in units
// of 1/Certain.
const Certain = 100000

// MaxDelay bounds Fault.Delay, Fault.Jitter and Rate.Queue.
const MaxDelay = time.Minute

// Fault is what happens to frames received on an interface, in the order of its fields.
type Fault struct {
	Enabled bool `json:"enabled"`
	// Outage is the end of an outage that dataplane.Engine.Outage has begun: until then all
	// frames are dropped. It is a time of the engine's clock, in ns.
	Outage  int64  `json:"-"`
	Burst   Burst  `json:"burst"`   // frames are dropped in bursts
	Drop    Chance `json:"drop"`    // the frame is dropped
	Length  Chance `json:"length"`  // the frame is cut short or made longer
	Bitflip Chance `json:"bitflip"` // one bit is inverted at a random place from byte 15 on
	Dup     Chance `json:"dup"`     // the frame is sent twice

	// The rest determines when each frame, and each copy, is sent. Frames wait in the UMEM, at
	// most Config.Hold of each queue; frames that find no room are dropped.
	Rate      Rate          `json:"rate"`
	Delay     time.Duration `json:"delay_ns"`
	Jitter    time.Duration `json:"jitter_ns"`  // the delay is uniform in Delay ± Jitter, and never negative
	KeepOrder bool          `json:"keep_order"` // no frame is sent before an earlier one, whatever the jitter
	Reorder   Chance        `json:"reorder"`    // the frame is spared the delay, and so overtakes others
}

// Holds says whether frames may have to wait.
func (f *Fault) Holds() bool { return f.Delay > 0 || f.Jitter > 0 || f.Rate.Kbits > 0 }

// Chance says which of the frames that reach a fault suffer it: each with Probability, in units
// of 1/Certain, or every n-th one (of a queue) if Every is not 0.
type Chance struct {
	Probability uint32 `json:"probability"`
	Every       uint32 `json:"every"`
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
	}
	if b := f.Burst; max(b.Enter, b.Leave, b.LossBad, b.LossGood) > Certain {
		return fmt.Errorf("burst probabilities %+v of interface %d are not in 0…%d", b, port, Certain)
	}
	if min(f.Delay, f.Jitter, f.Rate.Queue) < 0 || max(f.Delay, f.Jitter, f.Rate.Queue) > MaxDelay {
		return fmt.Errorf("delay %v, jitter %v or queue %v of interface %d is not in 0…%v", f.Delay, f.Jitter, f.Rate.Queue, port, MaxDelay)
	}
	return nil
}
