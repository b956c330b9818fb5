// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Life is a thread's sign of life for a program in the kernel: struct life of fastpath.c. The
// thread writes it, the program reads it.
type Life struct {
	Beat   atomic.Uint64 // when the thread last gave a sign of life, ns on the monotonic clock
	Asleep atomic.Uint32 // 1: the thread sleeps or is about to
	Thread atomic.Uint32 // id of the thread in the first PID namespace, by which the kernel knows that it has ended; 0: unknown
	_      [12]uint32
}

// LifeSize is the length of a Life in bytes; the other constants are the offsets of its fields.
// The dataplane compares them with those of the program.
const (
	LifeSize   = unsafe.Sizeof(Life{})
	LifeBeat   = unsafe.Offsetof(Life{}.Beat)
	LifeAsleep = unsafe.Offsetof(Life{}.Asleep)
	LifeThread = unsafe.Offsetof(Life{}.Thread)
)

// MapLives maps the first n elements of a mappable array of Life. The mapping lasts as long as
// the process.
func MapLives(fd, n int) ([]Life, error) {
	b, err := unix.Mmap(fd, 0, n*int(LifeSize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map signs of life: %w", err)
	}
	return unsafe.Slice((*Life)(unsafe.Pointer(&b[0])), n), nil
}
