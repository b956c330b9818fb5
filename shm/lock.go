// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// OFD locks on bytes of the file. Byte 0 is held shared by every user and exclusively
// by somebody who replaces the file; byte k exclusively by participant k; byte 128 see renew.go.

const useByte = 0

func setLock(fd int, kind int16, at int64) error {
	l := unix.Flock_t{Type: kind, Start: at, Len: 1}
	for {
		err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &l)
		if err != unix.EINTR {
			return err
		}
	}
}

// tryLock takes a lock without waiting; ok is false when another holds it.
func tryLock(fd int, kind int16, at int64) (ok bool, err error) {
	switch err := setLock(fd, kind, at); err {
	case nil:
		return true, nil
	case unix.EAGAIN, unix.EACCES:
		return false, nil
	default:
		return false, fmt.Errorf("lock byte %d: %w", at, err)
	}
}

// alive asks the kernel whether somebody else than the description fd holds byte id.
// Whoever cannot be asked about is alive: nothing is ever taken away from them.
func alive(fd int, id uint16) bool {
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(id), Len: 1}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &l); err != nil {
		return true
	}
	return l.Type != unix.F_UNLCK
}

// reopen gives a new open file description of the same file, also when the file has
// lost its name meanwhile.
func reopen(fd int) (int, error) {
	n, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open again through /proc: %w", err)
	}
	return n, nil
}
