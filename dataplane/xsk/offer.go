// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Has says what the sockets of a kernel have.
type Has struct {
	Long     bool // frames of several buffers (XDP_USE_SG, Linux 6.6 and later)
	Budget   bool // more than 32 frames a call when they are copied (XDP_MAX_TX_SKB_BUDGET, 6.18 and later)
	BusyPoll bool // a socket can do the work of a driver (SO_PREFER_BUSY_POLL, 5.11 and later)
}

// Probe says what this kernel has. The error says why there are no sockets at all.
func Probe() (has Has, err error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return has, fmt.Errorf("socket: %w", err)
	}
	// A socket without rings may refuse the value of an option that it knows.
	known := func(level, option int) bool {
		return !errors.Is(unix.SetsockoptInt(fd, level, option, 1), unix.ENOPROTOOPT)
	}
	has.Budget = known(unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET)
	has.BusyPoll = known(unix.SOL_SOCKET, unix.SO_PREFER_BUSY_POLL)
	// An older kernel refuses the flag before it looks for the interface, which does not exist.
	has.Long = errors.Is(unix.Bind(fd, &unix.SockaddrXDP{Flags: unix.XDP_USE_SG, Ifindex: 1<<31 - 1}), unix.ENODEV)
	return has, unix.Close(fd)
}
