package collect

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// socketStep is how often a wait for the reader of a socket looks whether it is to end.
const socketStep = 100 * time.Millisecond

// isSocket tells whether a stream goes to a socket that blocks: standard output where
// somebody made one of it.
func isSocket(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeSocket != 0 && f.SetWriteDeadline(time.Time{}) != nil
}

// write writes to the file. A socket cannot be opened anew as a pipe can, and O_NONBLOCK
// would hit all who share it, so each part is sent without waiting, and the wait is one
// that HurryUp can end.
func (o *Output) write(p []byte) (n int, err error) {
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

func (o *Output) send(fd int, p []byte) (n int, err error) {
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
