// SPDX-License-Identifier: BSD-3-Clause

//go:build s390x

package shm

// See order_little.go.
const (
	lengthAt, origLengthAt                        = 32, 0
	interfaceAt, queueAt, producerAt, directionAt = 48, 32, 16, 8
	lowHalfAt                                     = 4
)
