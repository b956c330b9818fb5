// SPDX-License-Identifier: BSD-3-Clause

//go:build !amd64

package shm

import "unsafe"

// What these do for amd64 is said in cpu_amd64.go; they change speed alone.

func prefetchWrite(unsafe.Pointer, uintptr, int, int) {}

func relax() {
	for range 50 {
	}
}
