// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// socketStep is how often a wait for the reader of a socket checks whether to end.
const socketStep = 100 * time.Millisecond

// isSocket says whether a stream goes to a socket that blocks, as standard output may.
func isSocket(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeSocket != 0 && f.SetWriteDeadline(time.Time{}) != nil
}

// write writes to the file. A socket cannot be opened anew as a pipe can, and O_NONBLOCK would
// affect all who share it. So each part is sent without waiting, and HurryUp can end the wait.
func (o *stream) write(p []byte) (n int, err error) {
	if !o.socket {
		return o.f.Write(p)
	}
	conn, err := o.f.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := conn.Control(func(fd uintptr) { n, err = o.send(int(fd), p) })
	if cerr != nil {
		return n, cerr
	}
	return n, err
}

func (o *stream) send(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := unix.SendmsgN(fd, p[n:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			n += m
		case unix.EINTR:
		case unix.EAGAIN:
			if end := o.hurry.Load(); end != 0 && time.Now().UnixNano() > end {
				return n, os.ErrDeadlineExceeded
			}
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(socketStep.Milliseconds()))
		default:
			return n, os.NewSyscallError("sendmsg", err)
		}
	}
	return n, nil
}
