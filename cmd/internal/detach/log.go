package detach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/systemd"
	"ethertap/lib/ownfile"
)

// Journal is the name of the system's journal in the place of a log file.
const Journal = "journal"

// stampLayout is the time in front of a line: RFC 3339, to the millisecond.
const stampLayout = "2006-01-02T15:04:05.000Z07:00"

const logMode = 0o640

// DefaultLog is where a daemon logs that was not told: the journal, if it is there, or
// else the file that path gives.
func DefaultLog(path func() (string, error)) (string, error) {
	f, err := systemd.Journal("")
	if err != nil {
		return path()
	}
	f.Close()
	return Journal, nil
}

// CheckLog says why a daemon could not write its log.
func CheckLog(name string) error {
	if name == "" || name == Journal {
		return nil
	}
	err := unix.Access(name, unix.W_OK)
	if err == unix.ENOENT {
		err = unix.Access(filepath.Dir(name), unix.W_OK)
	}
	if err != nil {
		return fmt.Errorf("log %s: %w", name, err)
	}
	return nil
}

// LogOf says where a daemon's log is: a file, Journal, or "" if it is nowhere or cannot be
// known. Its standard error leads there.
func LogOf(pid int) string {
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", pid))
	switch {
	case err != nil || to == os.DevNull:
		return ""
	case strings.HasPrefix(to, "socket:"):
		return Journal
	case !strings.HasPrefix(to, "/"):
		return ""
	}
	return strings.TrimSuffix(to, " (deleted)")
}

// openLog opens a log to be appended to.
func openLog(name, program string) (*os.File, error) {
	if name == Journal {
		return systemd.Journal(program)
	}
	instead := ""
	f, err := ownfile.Open(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOCTTY, logMode, func(what string) { instead = what })
	if err == nil && instead != "" {
		_, err = fmt.Fprintf(f, "%s this log is made anew, in the place of %s\n", time.Now().Format(stampLayout), instead)
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return f, nil
}

// Log is the log of a daemon as its program writes to it, standard output and error
// alike: in a file each line begins with the time, its zone included (RFC 3339); the
// journal has times of its own. A file that was moved away or removed, as rotators of
// logs do, is begun anew before the next line. For concurrent use.
type Log struct {
	mu    sync.Mutex
	out   *os.File // descriptor 2, whatever it leads to
	path  string   // "" is no file
	midst bool     // the last byte written was no newline
}

func newLog() *Log {
	l := &Log{out: os.Stderr}
	if path := LogOf(os.Getpid()); path != Journal {
		l.path = path
	}
	return l
}

// Write writes lines, or parts of them.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if l.path == "" {
		return l.out.Write(p)
	}
	var text []byte
	for line := range bytes.Lines(p) {
		if !l.midst {
			text = append(time.Now().AppendFormat(text, stampLayout), ' ')
		}
		text = append(text, line...)
		l.midst = line[len(line)-1] != '\n'
	}
	if err := l.follow(); err != nil {
		text = fmt.Appendf(text, "%s %v\n", time.Now().Format(stampLayout), err)
	}
	if _, err := l.out.Write(text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// follow begins the file anew if another one, or none, has its name.
func (l *Log) follow() error {
	there, err := os.Stat(l.path)
	if ours, oerr := l.out.Stat(); err == nil && oerr == nil && os.SameFile(there, ours) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil // it cannot be looked at, so the open file goes on
	}
	f, err := openLog(l.path, "")
	if err != nil {
		return err
	}
	defer f.Close()
	for _, fd := range []int{1, 2} {
		if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			return fmt.Errorf("log %s: %w", l.path, err)
		}
	}
	return nil
}

// Output is where a program writes: to the streams it was given, or in a daemon to its log.
func (c *Child) Output(stdout, stderr io.Writer) (out, errs io.Writer) {
	if c == nil {
		return stdout, stderr
	}
	return c.log, c.log
}
