// SPDX-License-Identifier: BSD-3-Clause

package shm

// word is the value of a slot's word: lap:45 | state:3 | owner:16.
type word uint64

const (
	free    = 0 // waiting for the producer of this lap
	writing = 1 // a producer copies a packet in
	full    = 2 // a packet waits
	reading = 3 // a consumer copies it out; or, after a jump, a hole
	orphan  = 4 // a consumer lost patience with the writer, who frees it itself
)

const (
	ownerBits = 16
	stateBits = 3
	lapShift  = ownerBits + stateBits
	maxLap    = 1<<(64-lapShift) - 1
)

func makeWord(lap uint64, state, owner uint16) word {
	return word(lap<<lapShift | uint64(state)<<ownerBits | uint64(owner))
}

// Bits to add to the word FREE of a position; with writing and reading goes the owner.
const (
	writingBits = writing << ownerBits
	fullBits    = full << ownerBits
	readingBits = reading << ownerBits
	lapBit      = 1 << lapShift // FREE of the next lap
)

func (w word) lap() uint64   { return uint64(w) >> lapShift }
func (w word) state() uint16 { return uint16(w>>ownerBits) & (1<<stateBits - 1) }
func (w word) owner() uint16 { return uint16(w) }

// freed is the word after its owner (or its undertaker) lets go.
func (w word) freed() word { return makeWord(w.lap()+1, free, 0) }

// jumped is the word of a slot that a producer at lap goes past.
func (w word) jumped(lap uint64) word { return makeWord(lap, w.state(), w.owner()) }

// owned says whether the word names somebody who may still touch the slot.
func (w word) owned() bool {
	s := w.state()
	return s == writing || s == reading || s == orphan
}

// step is what a word means to somebody who stands at a position.
type step uint8

const (
	stepTake    step = iota // head: free to claim; tail: a packet to take
	stepPast                // somebody has been here: go on to the next position
	stepEmpty               // tail: nothing here yet
	stepFull                // head: the packet of the last lap still waits
	stepWriter              // head: the writer of the last lap, tail: of this lap, is still at it
	stepJump                // head: a reader or an orphan of the last lap is in the way
	stepCorrupt             // no sequence of steps leads here
)

// atHead says what the word w means to a producer at a position of the given lap.
//
// The position must have been read before the word. Words only go forward, so a
// word that is behind what the position implies is a lie, not a race.
func atHead(w word, lap uint64) step {
	wl, s := w.lap(), w.state()
	switch {
	case s > orphan:
		return stepCorrupt
	case wl == lap && s == free:
		return stepTake
	case wl >= lap:
		return stepPast
	case wl+1 != lap || s == free:
		return stepCorrupt
	case s == full:
		return stepFull
	case s == writing:
		return stepWriter
	}
	return stepJump
}

// atTail says what the word w means to a consumer at a position of the given lap.
// The same order of reading as for atHead is needed.
func atTail(w word, lap uint64) step {
	wl, s := w.lap(), w.state()
	switch {
	case s > orphan:
		return stepCorrupt
	case wl == lap:
		switch s {
		case full:
			return stepTake
		case free:
			return stepEmpty
		case writing:
			return stepWriter
		}
		return stepPast
	case wl > lap:
		return stepPast
	case wl+1 == lap && (s == reading || s == orphan):
		return stepEmpty // the head has not come round yet
	}
	return stepCorrupt
}
