// SPDX-License-Identifier: BSD-3-Clause

package dataplane

// PathStats counts the frames that took one path through the bridge, and their bytes.
type PathStats struct {
	RX, TX, RXBytes, TXBytes uint64
}

// kernelPathLocked returns the part of the counters of an interface that the fast path has counted.
// fast is the result of fastPath.readCounters.
func (e *Engine) kernelPathLocked(number int, fast *[MaxQueues][2]tally) (s PathStats) {
	for q := range fast {
		t := fast[q][number].since(&e.fastBase[q][number])
		s.RX += t[countRX]
		s.TX += t[countTX]
		s.RXBytes += t[countRXBytes]
		s.TXBytes += t[countTXBytes]
	}
	return s
}
