// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// TAP is a TAP device of a namespace, seen from the program behind it: what it writes
// the kernel receives on the link, what the kernel sends there it reads. Unlike a veth it
// takes frames of any length, whatever the MTU.
type TAP struct {
	name string
	file *os.File
	buf  []byte
}

// NewTAP makes a TAP device with one queue, brings it up, and removes it with the test.
// Its offloads are off, and mtu 0 is 1500.
func (n *Namespace) NewTAP(name string, mtu int) *TAP {
	n.t.Helper()
	fd := -1
	n.must(n.Do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}))
	t := &TAP{name: name, file: os.NewFile(uintptr(fd), name), buf: make([]byte, maxFrame)}
	n.t.Cleanup(func() { t.file.Close() })
	n.OffloadsOff(name)
	if mtu > 0 {
		n.SetMTU(name, mtu)
	}
	n.SetUp(name)
	return t
}

// LimitSending bounds the bytes of written frames that wait in the kernel, as some emulators do.
// The kernel then runs a native XDP program on them in generic mode.
func (t *TAP) LimitSending(bytes int) error {
	raw, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.IoctlSetPointerInt(int(fd), unix.TUNSETSNDBUF, bytes) })
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("%s: send buffer: %w", t.name, err)
	}
	return nil
}

// Write makes the kernel receive a frame.
func (t *TAP) Write(frame []byte) error {
	if _, err := t.file.Write(frame); err != nil {
		return fmt.Errorf("send on %s: frame of %d bytes: %w", t.name, len(frame), err)
	}
	return nil
}

// Read returns the next frame that the kernel sends, or an error that is
// os.ErrDeadlineExceeded when none has come.
func (t *TAP) Read(deadline time.Time) ([]byte, error) {
	if err := t.file.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("receive on %s: %w", t.name, err)
	}
	size, err := t.file.Read(t.buf)
	if err != nil {
		return nil, fmt.Errorf("receive on %s: %w", t.name, err)
	}
	return append([]byte(nil), t.buf[:size]...), nil
}
