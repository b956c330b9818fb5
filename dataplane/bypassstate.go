// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import "fmt"

// pinState says what is pinned for a bypass, and to whom it belongs.
type pinState uint8

const (
	noPins      pinState = iota // nothing is pinned, as far as is known
	foundPins                   // a start has found what an earlier process left, and has not decided about it
	ownPins                     // the pins belong to this process, and keep the link going when it ends
	leavingPins                 // a stop is under way, which leaves the pins
	leftPins                    // the engine does not run, and the pins keep the link going
	pinStates
)

var pinStateNames = [pinStates]string{"none", "found", "own", "leaving", "left"}

func (s pinState) String() string { return pinStateNames[s] }

// pinEvent is an event that may change the state.
type pinEvent uint8

const (
	startFinds     pinEvent = iota // a start finds what an earlier process left
	startFindsNone                 // a start finds nothing
	startTakes                     // a start uses the programs that it found
	pinsMade                       // our programs are pinned, in the place of any others
	pinsRemoved                    // the pins were removed
	startFails                     // everything is as before the start
	stopBegins                     // Engine.Stop begins
	stopEnds
	pinEvents
)

var pinEventNames = [pinEvents]string{"start finds some", "start finds none", "start takes them", "pinned", "removed", "start fails", "stop begins", "stop ends"}

func (e pinEvent) String() string { return pinEventNames[e] }

// never marks an event that does not happen in a state.
const never = pinStates

// pinTable holds the state after an event, by state and event. docs/fastpath.md shows it as a
// drawing.
var pinTable = [pinStates][pinEvents]pinState{
	noPins: {
		startFinds: foundPins, startFindsNone: noPins, startTakes: never, pinsMade: ownPins,
		pinsRemoved: noPins, startFails: noPins, stopBegins: noPins, stopEnds: noPins,
	},
	foundPins: {
		startFinds: never, startFindsNone: never, startTakes: ownPins, pinsMade: ownPins,
		pinsRemoved: noPins, startFails: leftPins, stopBegins: never, stopEnds: never,
	},
	ownPins: {
		startFinds: never, startFindsNone: never, startTakes: never, pinsMade: ownPins,
		pinsRemoved: noPins, startFails: never, stopBegins: leavingPins, stopEnds: never,
	},
	leavingPins: {
		startFinds: never, startFindsNone: never, startTakes: never, pinsMade: never,
		pinsRemoved: never, startFails: never, stopBegins: never, stopEnds: leftPins,
	},
	leftPins: {
		startFinds: foundPins, startFindsNone: noPins, startTakes: never, pinsMade: never,
		pinsRemoved: noPins, startFails: leftPins, stopBegins: leftPins, stopEnds: leftPins,
	},
}

// next returns the state after an event. An event that never happens in a state is an error and
// leaves the state as it is.
func (s pinState) next(e pinEvent) (pinState, error) {
	next := pinTable[s][e]
	if next == never {
		return s, fmt.Errorf("bypass: %v while its pins are in state %v", e, s)
	}
	return next, nil
}

// moveBypass changes the state by an event.
func (f *fastPath) moveBypass(e pinEvent) {
	next, err := f.bypass.state.next(e)
	if err != nil {
		f.logf("%v: please report this", err)
	}
	f.bypass.state = next
}
