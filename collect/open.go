// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/lib/ownfile"
)

// open begins the next file.
func (s *Files) open(now time.Time) error {
	if s.set == nil {
		f, err := s.openPlain()
		if err != nil {
			return err
		}
		return s.begin(f, now)
	}
	s.number++
	for again := 0; ; again++ {
		s.done = s.set.name(now, s.number, again)
		s.path = s.done + part
		if _, err := os.Lstat(s.done); err == nil {
			continue
		}
		f, err := s.create()
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		return s.begin(f, now)
	}
}

// noDirectory adds advice to the error that a directory does not exist. The directory is not
// made, since its name may be misspelt.
func noDirectory(dir string, err error) error {
	if _, serr := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && errors.Is(serr, fs.ErrNotExist) {
		return fmt.Errorf("%w; make the directory %s first", err, dir)
	}
	return err
}

// create makes the file of a set, and its directories.
func (s *Files) create() (f *os.File, err error) {
	for range 3 { // the ring of another run may remove a directory before there is a file in it
		if err = s.set.makeDirs(s.path); err != nil {
			return nil, err
		}
		if f, err = createLocked(s.path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return f, err
}

func (s *Files) begin(f *os.File, now time.Time) error {
	s.file, s.closed = f, false
	s.made++
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		s.file = nil // a device or a pipe: it cannot be moved or removed
	}
	limit := s.o.Rotate.Bytes
	if left := s.o.Limit - s.bytes; s.o.Limit > 0 && (limit == 0 || left < limit) {
		limit = left
	}
	s.out = newStream(f, s.done, s.enc, s.z, limit, now.UnixNano())
	s.out.before = s.packets
	if s.file != nil {
		s.out.early = &early{w: &s.back}
	}
	if s.file != nil && s.set != nil {
		s.out.noted = s.noted
	}
	s.due, s.checked = s.o.Rotate.next(now), time.Time{} // looked at soon
	return nil
}

// BusyError says that another process writes the file.
type BusyError struct {
	Name string // name of the file, as the user gave it
	PID  int    // of the other process; 0 if it is not known
	Comm string // name of that process; "" if it is not known
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("%s PID %d", e.Comm, e.PID)
	}
	return fmt.Sprintf("%s is being written by %s", e.Name, who)
}

// openPlain opens a stream that is not a file of a set. It opens it only once: to somebody who
// reads a FIFO, a writer that opens and closes it is the end of the stream. A file is emptied
// only when the lock shows that it is ours.
func (s *Files) openPlain() (*os.File, error) {
	// With O_NOCTTY a daemon does not acquire a terminal.
	f, err := ownfile.Open(s.path, os.O_WRONLY|os.O_CREATE|unix.O_NOCTTY, 0o600, func(what string) {
		s.o.Logf("%s is made anew, in the place of %s", s.path, what)
	})
	if err != nil {
		return nil, noDirectory(filepath.Dir(s.path), err)
	}
	st, err := f.Stat()
	if err == nil {
		err = s.claim(f, s.path)
	}
	if err == nil && st.Mode().IsRegular() {
		err = f.Truncate(0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// createLocked makes a file of a set and takes its lock, which tells others that it is being
// written. It returns fs.ErrExist if the name is taken.
func createLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOCTTY, 0o600)
	if err != nil {
		return nil, err
	}
	// Between the two calls the survey of another run may think that a killed run has left the
	// file. It holds the lock for a moment only. On a file system without locks the new name is
	// enough.
	_ = flock(f, unix.LOCK_EX)
	ours, oerr := f.Stat()
	if there, err := os.Lstat(path); err != nil || oerr != nil || !os.SameFile(ours, there) {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	return f, nil
}

// claim takes the lock of a stream, or returns a BusyError. The lock is that of the file,
// whatever name, symbolic link or hard link it was opened by. Devices are not locked: output to
// /dev/null does not mix.
func (s *Files) claim(f *os.File, name string) error {
	if s.o.Accept != nil {
		if err := s.o.Accept(f, name); err != nil {
			return err
		}
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice != 0 {
		return err
	}
	switch err := flock(f, unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
	case errors.Is(err, unix.EWOULDBLOCK):
		return busy(f, name)
	default:
		s.o.Logf("%s is not locked against other collectors: %v", name, err) // a file system without locks
	}
	return nil
}

// flock is flock(2) of an open file.
func flock(f *os.File, how int) error {
	conn, err := f.SyscallConn() // f.Fd would make a pipe block
	if err != nil {
		return err
	}
	cerr := conn.Control(func(fd uintptr) {
		for {
			if err = unix.Flock(int(fd), how); err != unix.EINTR {
				return
			}
		}
	})
	return errors.Join(cerr, err)
}

// busy returns the error for a file that another process has locked.
func busy(f *os.File, name string) error {
	pid := holder(f)
	return &BusyError{Name: name, PID: pid, Comm: comm(pid)}
}

// holder returns the process that holds the lock of a file, or 0 if it cannot be found.
// /proc/locks is of no use: on some file systems its device numbers differ from those of stat.
func holder(f *os.File) int {
	want, err := f.Stat()
	if err != nil {
		return 0
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if st, err := os.Stat(fd); err != nil || !os.SameFile(st, want) {
			continue
		}
		process, number := filepath.Dir(filepath.Dir(fd)), filepath.Base(fd)
		if pid := lockedBy(filepath.Join(process, "fdinfo", number)); pid != 0 {
			return pid
		}
	}
	return 0
}

// lockedBy finds who has locked an open file in what the kernel tells about it:
//
//	lock:	1: FLOCK  ADVISORY  WRITE 4711 00:2c:42 0 EOF
func lockedBy(fdinfo string) int {
	f, err := os.Open(fdinfo)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) > 5 && field[0] == "lock:" && field[2] == "FLOCK" {
			pid, _ := strconv.Atoi(field[5])
			return max(pid, 0)
		}
	}
	return 0
}

// comm returns the name of a process.
func comm(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "process"
	}
	return strings.TrimSpace(string(b))
}
