// SPDX-License-Identifier: BSD-3-Clause

package stamp

import "encoding/binary"

// A program that gives a frame to a socket puts 16 bytes in front of it: the stamp in ns on the
// device's clock, 0 if there is none, and the same number with all bits of its seal changed. By the
// seal a reader knows a stamp from what else may be there. Both have the byte order of the machine.
const (
	FrontSize   = 16
	SealOfFirst = 0x73746d70 // of the frames of port 0
)

// Seal returns the seal of the frames of a port. Ports have different ones, since a chunk of memory
// may have held a frame of another port before.
func Seal(port int) int32 { return SealOfFirst + int32(port) }

// Read returns the stamp in the bytes in front of a frame of a port; 0 if there is none.
func Read(front []byte, port int) uint64 {
	if len(front) < FrontSize {
		return 0
	}
	stamp := binary.NativeEndian.Uint64(front)
	if stamp^uint64(Seal(port)) != binary.NativeEndian.Uint64(front[8:]) {
		return 0
	}
	return stamp
}
