// SPDX-License-Identifier: BSD-3-Clause

//go:build !s390x

package shm

// Neighbouring fields of a slot are stored as one word. These are their places in it, in bits, and
// the place of the low half of a word in memory, in bytes. order_big.go has those of big-endian machines.
const (
	lengthAt, origLengthAt                        = 0, 32         // in head.lengths
	interfaceAt, queueAt, producerAt, directionAt = 0, 16, 32, 48 // in head.tags
	lowHalfAt                                     = 0
)
