package dataplane

import "fmt"

// pinState says what is pinned for a bypass, and whose it is.
type pinState uint8

const (
	noPins      pinState = iota // nothing is pinned, as far as is known
	foundPins                   // a start has found what an earlier process left, and has not settled what becomes of it
	ownPins                     // ours: in force when this process ends
	leavingPins                 // a stop is under way, which leaves them
	leftPins                    // the engine does not run; they are in force
	pinStates
)

var pinStateNames = [pinStates]string{"none", "found", "own", "leaving", "left"}

func (s pinState) String() string { return pinStateNames[s] }

// pinEvent changes the state.
type pinEvent uint8

const (
	startFinds     pinEvent = iota // a start finds what an earlier process left
	startFindsNone                 // a start finds nothing
	startTakes                     // a start uses the programs that it found
	pinsMade                       // our programs are pinned, in the place of others if there were some
	pinsRemoved                    // nothing is pinned any more
	startFails                     // all is as before the start
	stopBegins                     // Engine.Stop
	stopEnds
	pinEvents
)

var pinEventNames = [pinEvents]string{"start finds some", "start finds none", "start takes them", "pinned", "removed", "start fails", "stop begins", "stop ends"}

func (e pinEvent) String() string { return pinEventNames[e] }

// never marks what does not happen in a state.
const never = pinStates

// pinTable is the state after an event, by state and event. It is drawn in docs/fastpath.md.
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

// after returns the state after an event; what never happens leaves it as it is, and is an error.
func (s pinState) after(e pinEvent) (pinState, error) {
	next := pinTable[s][e]
	if next == never {
		return s, fmt.Errorf("bypass: %v while its pins are in state %v", e, s)
	}
	return next, nil
}

// moveBypass takes the state on.
func (f *fastPath) moveBypass(e pinEvent) {
	next, err := f.bypass.state.after(e)
	if err != nil {
		f.logf("%v: please report this", err)
	}
	f.bypass.state = next
}
