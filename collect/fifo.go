// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fifoNap is the pause before the next attempt to open a FIFO without a reader.
const fifoNap = 10 * time.Millisecond

// OpenFIFO opens a FIFO for writing as soon as somebody reads it. It calls waiting once if nobody
// does. If ctx is done first, it returns its cause.
//
// The kernel has no wait for a reader that can be ended, and an open that does not block fails as
// long as there is none, so it is tried again and again. An attempt that fails does not count as
// a writer, so a later reader does not see an end of file.
func OpenFIFO(ctx context.Context, path string, waiting func()) (*os.File, error) {
	for {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), path), nil // does not block, so writes can have a deadline
		case unix.EINTR:
			continue
		case unix.ENXIO:
		default:
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: nobody reads it: %w", path, context.Cause(ctx))
		case <-time.After(fifoNap):
		}
	}
}

// IsFIFO says whether a path leads to a pipe.
func IsFIFO(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode()&os.ModeNamedPipe != 0
}
