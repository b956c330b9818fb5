// SPDX-License-Identifier: BSD-3-Clause

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

// journalName is the name of the system's journal, given instead of a log file.
const journalName = "journal"

// stampLayout is the form of the time in front of a line: RFC 3339, to the millisecond.
const stampLayout = "2006-01-02T15:04:05.000Z07:00"

const logMode = 0o640

// DefaultLog returns where a daemon logs by default: to the journal if there is one, otherwise to
// the file that path returns.
func DefaultLog(path func() (string, error)) (string, error) {
	f, err := systemd.Journal("")
	if err != nil {
		return path()
	}
	f.Close()
	return journalName, nil
}

// CheckLog returns an error if a daemon could not write its log.
func CheckLog(name string) error {
	if name == "" || name == journalName {
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

// LogOf returns where the log of a daemon is: a file, "journal", or "" if there is none or it is
// not known. Its standard error leads there.
func LogOf(pid int) string {
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", pid))
	switch {
	case err != nil || to == os.DevNull:
		return ""
	case strings.HasPrefix(to, "socket:"):
		return journalName
	case !strings.HasPrefix(to, "/"):
		return ""
	}
	return strings.TrimSuffix(to, " (deleted)")
}

// openLog opens a log for appending.
func openLog(name, program string) (*os.File, error) {
	if name == journalName {
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

// Log is the log of a daemon, for its standard output and error alike. In a file each line begins
// with the time and its zone (RFC 3339); the journal has times of its own. If the file was moved
// away or removed, as rotators of logs do, it is begun anew before the next line. It may be used
// concurrently.
type Log struct {
	mu    sync.Mutex
	out   *os.File // descriptor 2, wherever it leads
	path  string   // "": not a file
	midst bool     // the last byte written was not a newline
}

func newLog() *Log {
	l := &Log{out: os.Stderr}
	if path := LogOf(os.Getpid()); path != journalName {
		l.path = path
	}
	return l
}

// Write writes lines, or parts of lines.
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

// follow begins the file anew if another file, or none, has its name.
func (l *Log) follow() error {
	there, err := os.Stat(l.path)
	if ours, oerr := l.out.Stat(); err == nil && oerr == nil && os.SameFile(there, ours) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil // the open file goes on, since its name cannot be checked
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

// Output returns the streams for a program: those given, or in a daemon its log.
func (c *Child) Output(stdout, stderr io.Writer) (out, errs io.Writer) {
	if c == nil {
		return stdout, stderr
	}
	return c.log, c.log
}
