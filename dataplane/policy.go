package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Certain is the probability of what always happens; probabilities are counted
// in units of 1/Certain.
const Certain = 100000

// Policy is all that can be wished about frames. A published one never changes:
// Engine.Update makes the next.
type Policy struct {
	Port      [2]PortPolicy
	TapHash   *MACHash // empty = all; else a frame qualifies by its source or its destination
	DropHash  *MACHash // empty = none; else frames from these sources are dropped
	FaultHash *MACHash // empty = all; else only frames from these sources suffer
	FaultSeed FaultSeed
	Feeds     []Feed // further queues
}

// PortPolicy is the policy of one interface.
type PortPolicy struct {
	TapRX bool        `json:"rx_tap"` // frames received here go to the TAP queue
	TapTX bool        `json:"tx_tap"` // frames sent here go to the TAP queue
	Fault FaultPolicy `json:"fault"`
}

// FaultPolicy is what happens to frames received on an interface, in the order
// of its fields.
type FaultPolicy struct {
	Enabled bool `json:"enabled"`
	// Outage is when an outage ends that Engine.Outage began: until then all frames
	// are dropped. On the engine's clock, ns.
	Outage  int64  `json:"-"`
	Burst   Burst  `json:"burst"`   // frames are dropped in bursts
	Drop    Chance `json:"drop"`    // the frame is dropped
	Length  Chance `json:"length"`  // the frame is cut short or made longer
	Bitflip Chance `json:"bitflip"` // one bit is inverted at a random place from byte 15 on
	Dup     Chance `json:"dup"`     // the frame is sent twice

	// What follows gives each frame, and each copy, its time. Frames wait in the
	// UMEM, at most Config.Hold of each queue; what finds no room is dropped.
	Rate      Rate          `json:"rate"`
	Delay     time.Duration `json:"delay_ns"`
	Jitter    time.Duration `json:"jitter_ns"`  // the delay is uniform in Delay ± Jitter, and never negative
	KeepOrder bool          `json:"keep_order"` // no frame is sent before one that came earlier, however the jitter falls
	Reorder   Chance        `json:"reorder"`    // the frame is spared the delay, and so overtakes others
}

// Burst is the loss model of Gilbert and Elliott. A link is in a good or in a bad
// state, and may change it with each frame; probabilities in units of 1/Certain.
type Burst struct {
	Enter    uint32 `json:"enter"`     // to go from good to bad
	Leave    uint32 `json:"leave"`     // to go back
	LossBad  uint32 `json:"loss_bad"`  // to lose a frame in the bad state
	LossGood uint32 `json:"loss_good"` // and in the good one
}

// Rate is a link of limited speed, with room for frames that wait for it.
type Rate struct {
	Kbits uint64        `json:"kbit_per_s"` // 0 = no limit; bytes count from the first address to the last before the checksum
	Queue time.Duration `json:"queue_ns"`   // a frame that would have to wait longer is dropped
}

// MaxDelay bounds Delay, Jitter and Rate.Queue.
const MaxDelay = time.Minute

// holds says whether frames may have to wait.
func (f *FaultPolicy) holds() bool { return f.Delay > 0 || f.Jitter > 0 || f.Rate.Kbits > 0 }

// Chance says which of the frames that come to a fault suffer it: each with
// Probability, in units of 1/Certain, or every n-th one (of a queue) if Every is
// not 0.
type Chance struct {
	Probability uint32 `json:"probability"`
	Every       uint32 `json:"every"`
}

// Chances names the faults that have one, in the order in which they are drawn.
func (f *FaultPolicy) Chances() []NamedChance {
	return []NamedChance{{"drop", &f.Drop}, {"length", &f.Length}, {"bitflip", &f.Bitflip}, {"dup", &f.Dup}, {"reorder", &f.Reorder}}
}

// NamedChance is a fault's chance in a policy.
type NamedChance struct {
	Name string
	*Chance
}

// FaultSeed determines the faults: the same seed gives the same faults for the
// same traffic. Threads start afresh whenever the value changes.
type FaultSeed struct {
	Seed  uint64
	Epoch uint64 // counted up to start afresh with the same seed
}

// These are the errors of what a mirrored interface cannot do.
var (
	errNoTXTap = errors.New("interface 0 is mirrored: nothing is sent that a TX tap could take; that takes two interfaces")
	errNoFault = errors.New("interface 0 is mirrored: nothing is forwarded that a fault could be done to; that takes two interfaces")
)

// mirrorable refuses what can have no effect on an interface that is mirrored.
func (p *Policy) mirrorable() error {
	port := &p.Port[0]
	switch {
	case port.TapTX || slices.ContainsFunc(p.Feeds, func(f Feed) bool { return f.TapTX[0] }):
		return errNoTXTap
	case port.Fault != FaultPolicy{} || p.FaultHash.Len() > 0 || p.FaultSeed != FaultSeed{}:
		return errNoFault
	}
	return nil
}

func (p *Policy) validate() error {
	for i := range p.Port {
		for _, c := range p.Port[i].Fault.Chances() {
			if c.Probability > Certain {
				return fmt.Errorf("%s probability %d of interface %d is not in 0…%d", c.Name, c.Probability, i, Certain)
			}
		}
		f := &p.Port[i].Fault
		if b := f.Burst; max(b.Enter, b.Leave, b.LossBad, b.LossGood) > Certain {
			return fmt.Errorf("burst probabilities %+v of interface %d are not in 0…%d", b, i, Certain)
		}
		if min(f.Delay, f.Jitter, f.Rate.Queue) < 0 || max(f.Delay, f.Jitter, f.Rate.Queue) > MaxDelay {
			return fmt.Errorf("delay %v, jitter %v or queue %v of interface %d is not in 0…%v", f.Delay, f.Jitter, f.Rate.Queue, i, MaxDelay)
		}
	}
	return nil
}

// taps says whether a frame satisfies the TAP machash.
func (p *Policy) taps(frame []byte) bool { return qualifies(p.TapHash, frame) }

// qualifies says whether a frame satisfies the machash of a queue.
func qualifies(h *MACHash, frame []byte) bool {
	return h == nil || h.Has(source(frame)) || h.Has(destination(frame))
}

// destination returns the address that a frame is for. What is too short to
// have one has the address zero.
func destination(frame []byte) (m MAC) {
	if len(frame) >= 6 {
		m = MAC(frame)
	}
	return m
}

// source returns the address that a frame comes from, zero likewise.
func source(frame []byte) (m MAC) {
	if len(frame) >= 12 {
		m = MAC(frame[6:])
	}
	return m
}
