// SPDX-License-Identifier: BSD-3-Clause

package shm

import "unsafe"

// prefetchWrite asks for the first lines cache lines of n blocks that lie stride bytes
// apart, to be written soon. n and lines are at least 1. It touches nothing and cannot
// fault.
//
//go:noescape
func prefetchWrite(first unsafe.Pointer, stride uintptr, n, lines int)

// relax lets a spinning thread wait a little (some 30 ns), so that it leaves the line it
// looks at to whoever writes it.
func relax()
