// SPDX-License-Identifier: BSD-3-Clause

// Package tty tells terminals from other files.
package tty

import (
	"os"

	"golang.org/x/sys/unix"
)

// Is says whether an open file is a terminal. It changes nothing about the file.
func Is(f *os.File) bool {
	conn, err := f.SyscallConn() // f.Fd would make a pipe block
	if err != nil {
		return false
	}
	terminal := false
	conn.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		terminal = err == nil
	})
	return terminal
}
