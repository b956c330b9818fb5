package dataplane

import "fmt"

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
	Enabled bool   `json:"enabled"`
	Drop    Chance `json:"drop"`    // the frame is dropped
	Length  Chance `json:"length"`  // the frame is cut short or made longer
	Bitflip Chance `json:"bitflip"` // one bit is inverted at a random place from byte 15 on
	Dup     Chance `json:"dup"`     // the frame is sent twice
}

// Chance says which of the frames that come to a fault suffer it: each with
// Probability, in units of 1/Certain, or every n-th one (of a queue) if Every is
// not 0.
type Chance struct {
	Probability uint32 `json:"probability"`
	Every       uint32 `json:"every"`
}

// Chances names the faults that have one, in the order in which they are drawn.
func (f *FaultPolicy) Chances() []NamedChance {
	return []NamedChance{{"drop", &f.Drop}, {"length", &f.Length}, {"bitflip", &f.Bitflip}, {"dup", &f.Dup}}
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

func (p *Policy) validate() error {
	for i := range p.Port {
		for _, c := range p.Port[i].Fault.Chances() {
			if c.Probability > Certain {
				return fmt.Errorf("%s probability %d of interface %d is not in 0…%d", c.Name, c.Probability, i, Certain)
			}
		}
	}
	return nil
}

// taps says whether a frame satisfies the TAP machash.
func (p *Policy) taps(frame []byte) bool {
	return p.TapHash == nil || p.TapHash.Has(source(frame)) || p.TapHash.Has(destination(frame))
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
