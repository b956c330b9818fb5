package shm

import (
	"fmt"
	"strings"
)

// Faults that were done to a packet on purpose, as bits of Record.Fault. Who puts a packet in
// sets them; readers show what they know.
const (
	FaultBitflip uint32 = 1 << iota // one bit is inverted
	FaultDup                        // it is sent twice
	FaultLength                     // it was cut short or made longer
)

// faultNames are the names of the bits, the lowest first.
var faultNames = [...]string{"bit flip", "duplicate", "length changed"}

// FaultText names the faults of a packet, "" for none: "injected fault: bit flip, duplicate".
func FaultText(fault uint32) string {
	var names []string
	for i := 0; fault>>i != 0; i++ {
		switch {
		case fault>>i&1 == 0:
		case i < len(faultNames):
			names = append(names, faultNames[i])
		default:
			names = append(names, fmt.Sprintf("fault %#x", 1<<i))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "injected fault: " + strings.Join(names, ", ")
}
