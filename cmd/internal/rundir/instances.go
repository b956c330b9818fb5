// SPDX-License-Identifier: BSD-3-Clause

package rundir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Info describes a running instance, as List found it.
type Info struct {
	Program string
	Name    string
	PID     int
	Socket  string    // where it listens, if it does; the file may be missing
	Ask     string    // where it answers those who only ask, if it does
	Started time.Time // when it registered

	path string // its pid file
}

// List returns the running instances of program, the oldest first. It removes the files of dead
// ones if it may. A run directory that does not exist counts as empty.
func List(ctx context.Context, program string) ([]Info, error) {
	dir, err := filepath.Abs(Path())
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	if err = checkDir(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var unlock func()
	if err == nil { // in a directory of his own a stranger could hold the lock for ever
		unlock, err = lockDir(ctx, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	defer unlock()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	var infos []Info
	for _, e := range entries {
		base, isPid := strings.CutSuffix(e.Name(), pidSuffix)
		name, ours := splitBase(program, base)
		if !isPid || !ours {
			continue
		}
		path := filepath.Join(dir, e.Name())
		socket, ask := filepath.Join(dir, base+socketSuffix), filepath.Join(dir, base+askSuffix)
		p, err := readPidFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it ended a moment ago
		case err != nil:
			return nil, fmt.Errorf("run directory: %w", err)
		case !p.held:
			// Without the right to remove them they stay, which does no harm.
			os.Remove(socket)
			os.Remove(ask)
			os.Remove(path)
		default:
			infos = append(infos, Info{Program: program, Name: name, PID: p.pid, Socket: socket, Ask: ask, Started: p.started, path: path})
		}
	}
	slices.SortFunc(infos, func(a, b Info) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return infos, nil
}

// ErrTimeout is in the error of Stop if the instance still runs at the end of the time.
var ErrTimeout = errors.New("still running")

// Stop sends SIGTERM to the instance and waits until it has ended, that is, its lock is free. It
// succeeds if the instance has ended before.
func Stop(info Info, timeout time.Duration) error { return end(info, unix.SIGTERM, timeout) }

// Kill is Stop with SIGKILL.
func Kill(info Info, timeout time.Duration) error { return end(info, unix.SIGKILL, timeout) }

func end(info Info, sig unix.Signal, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	err := send(info, sig, func(f *os.File, pidfd int) error { return waitFree(f, pidfd, deadline) })
	if err != nil {
		return fmt.Errorf("stop %s PID %d: %w", info.Program, info.PID, err)
	}
	return nil
}

// Signal sends a signal to the instance. It fails if the instance has ended.
func Signal(info Info, sig unix.Signal) error {
	sent := false
	err := send(info, sig, func(*os.File, int) error { sent = true; return nil })
	if err == nil && !sent {
		err = errors.New("it has ended")
	}
	if err != nil {
		return fmt.Errorf("signal to %s PID %d: %w", info.Program, info.PID, err)
	}
	return nil
}

// send sends a signal and then calls then, unless the instance has ended.
//
// The signal goes to the process that holds the pid file and to no other. The file is created
// anew for each instance, so the lock on it belongs to the process that wrote its number there.
// The process is pinned with pidfd_open, found to have the file open, and signalled through the
// pidfd.
func send(info Info, sig unix.Signal, then func(f *os.File, pidfd int) error) error {
	f, err := openPidFile(info.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := inspect(f)
	if err != nil {
		return err
	}
	if !p.held || p.pid != info.PID {
		return nil // the instance is gone
	}
	pidfd, err := unix.PidfdOpen(p.pid, 0)
	if err == unix.ESRCH {
		return stillHeld(f)
	}
	if err != nil {
		return fmt.Errorf("pidfd: %w", err)
	}
	defer unix.Close(pidfd)
	if has, err := hasOpen(p.pid, f); err != nil {
		return err
	} else if !has {
		return stillHeld(f)
	}
	if err := unix.PidfdSendSignal(pidfd, sig, nil, 0); err != nil && err != unix.ESRCH {
		return err
	}
	return then(f, pidfd)
}

// stillHeld decides what it means that no process with the number in the file has the file open:
// either the instance has ended since, or the number is not that of the holder.
func stillHeld(f *os.File) error {
	held, err := isHeld(f)
	if err == nil && held {
		err = fmt.Errorf("%s is held by another process; nothing was signalled", f.Name())
	}
	return err
}

// hasOpen says whether the process has the file open, by its descriptors in /proc.
func hasOpen(pid int, f *os.File) (bool, error) {
	want, err := f.Stat()
	if err != nil {
		return false, err
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, fd := range fds {
		got, err := os.Stat(filepath.Join(dir, fd.Name()))
		if err == nil && os.SameFile(got, want) {
			return true, nil
		}
	}
	return false, nil
}

// waitFree waits for the lock. The pidfd wakes it at once when the process ends; since a process
// may release the lock earlier, it also checks in short steps.
func waitFree(f *os.File, pidfd int, deadline time.Time) error {
	const step = 20 * time.Millisecond
	for ended := false; ; {
		held, err := isHeld(f)
		if err != nil {
			return err
		}
		if !held {
			return nil
		}
		if ended { // the lock is still held: a child of it has the file
			return stillHeld(f)
		}
		left := time.Until(deadline)
		if left <= 0 {
			return ErrTimeout
		}
		ms := max(1, int(min(left, step)/time.Millisecond))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, ms)
		ended = n > 0
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("poll: %w", err)
		}
	}
}
