// SPDX-License-Identifier: BSD-3-Clause

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
	FaultECN                        // it is marked as having met congestion
	FaultCorrupt                    // one bit of its payload is inverted, and the checksum corrected
)

// faultNames are the names of the bits, the lowest first.
var faultNames = []struct {
	bit  uint32
	name string
}{
	{FaultBitflip, "bit flip"},
	{FaultDup, "duplicate"},
	{FaultLength, "length changed"},
	{FaultECN, "congestion marked"},
	{FaultCorrupt, "payload corrupted"},
}

const faultPrefix = "injected fault: "

// FaultText says which faults a packet has suffered, "" for none: "injected fault: bit flip, duplicate".
func FaultText(fault uint32) string {
	if fault == 0 {
		return ""
	}
	return faultPrefix + FaultNames(fault)
}

// FaultNames names the faults of a packet, "" for none: "bit flip, duplicate". A bit without a name, of a newer writer, is
// shown as a number.
func FaultNames(fault uint32) string {
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
	return strings.Join(names, ", ")
}

// ParseFault is the reverse of FaultText. ok is false for another text.
func ParseFault(text string) (fault uint32, ok bool) {
	names, ok := strings.CutPrefix(text, faultPrefix)
	if !ok {
		return 0, false
	}
next:
	for name := range strings.SplitSeq(names, ", ") {
		for _, f := range faultNames {
			if name == f.name {
				fault |= f.bit
				continue next
			}
		}
		var bit uint32
		if n, err := fmt.Sscanf(name, "fault %v", &bit); n != 1 || err != nil {
			return 0, false
		}
		fault |= bit
	}
	return fault, true
}
