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
	TapRX bool // frames received here go to the TAP queue
	TapTX bool // frames sent here go to the TAP queue
	Fault FaultPolicy
}

// FaultPolicy is what happens to frames received on an interface. Each is a
// probability in units of 1/Certain.
type FaultPolicy struct {
	Enabled bool
	Drop    uint32 // the frame is dropped
	Bitflip uint32 // one bit is inverted at a random place from byte 15 on
	Dup     uint32 // the frame is sent twice
	Length  uint32 // the frame is cut short or made longer
}

// FaultSeed determines the faults: the same seed gives the same faults for the
// same traffic. Threads start afresh whenever the value changes.
type FaultSeed struct {
	Seed  uint64
	Epoch uint64 // counted up to start afresh with the same seed
}

func (p *Policy) validate() error {
	for i, port := range p.Port {
		for _, f := range []struct {
			name string
			n    uint32
		}{{"drop", port.Fault.Drop}, {"bitflip", port.Fault.Bitflip}, {"dup", port.Fault.Dup}, {"length", port.Fault.Length}} {
			if f.n > Certain {
				return fmt.Errorf("%s probability %d of interface %d is not in 0…%d", f.name, f.n, i, Certain)
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
