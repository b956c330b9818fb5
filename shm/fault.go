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
var faultNames = []struct {
	bit  uint32
	name string
}{
	{FaultBitflip, "bit flip"},
	{FaultDup, "duplicate"},
	{FaultLength, "length changed"},
}

// FaultText names the faults of a packet, "" for none: "injected fault: bit flip, duplicate". A bit
// without a name, of a newer writer, is shown as a number.
func FaultText(fault uint32) string {
	if fault == 0 {
		return ""
	}
	var names []string
	for _, f := range faultNames {
		if fault&f.bit != 0 {
			names = append(names, f.name)
			fault &^= f.bit
		}
	}
	for ; fault != 0; fault &= fault - 1 {
		names = append(names, fmt.Sprintf("fault %#x", fault&-fault))
	}
	return "injected fault: " + strings.Join(names, ", ")
}
