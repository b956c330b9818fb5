package shm

import "unsafe"

// prefetchWrite prefetches the first lines cache lines of n blocks that lie stride bytes apart,
// for writing. n and lines are at least 1. It accesses nothing and cannot fault.
//
//go:noescape
func prefetchWrite(first unsafe.Pointer, stride uintptr, n, lines int)

// relax makes a spinning thread pause for some 30 ns, so that it does not take the line it reads
// away from its writer.
func relax()
