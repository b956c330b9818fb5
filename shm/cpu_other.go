//go:build !amd64

package shm

import "unsafe"

// See cpu_amd64.go. These functions only affect speed.

func prefetchWrite(unsafe.Pointer, uintptr, int, int) {}

func relax() {
	for range 50 {
	}
}
