// SPDX-License-Identifier: BSD-3-Clause

// Package detach puts a program into the background.
//
// A Go process cannot fork, so the program starts itself again: the same
// executable, arguments and environment, in a session of its own, in the root
// directory, with its standard streams on /dev/null or on a log. The parent
// waits on a pipe until the child says that it is ready, or why it is not. That
// decides the exit status of the parent:
//
//	child := detach.Inherit()           // nil in the foreground
//	if daemon && child == nil {
//		_, err := detach.Start(ctx, detach.Options{})
//		// print err and exit 1, or exit 0
//	}
//	…                                   // on an error: child.Fail(err), exit 1
//	err := child.Ready()
//
// The child leads its session, since it does not fork again. So a terminal that it
// opens without O_NOCTTY becomes its controlling terminal. Programs pass that flag
// when they open files named by the user.
//
// The package knows nothing of pid files; see rundir.
package detach

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// Env tells the child that it is one, with the descriptor of its pipe and the directory of
	// its parent (3:/home/user). It stays readable in /proc/PID/environ.
	Env = "ETHERTAP_DETACHED"
	// Replaces tells a program that checks itself (--check) the PID of the daemon that it will
	// replace: what that one holds is not a mistake.
	Replaces = "ETHERTAP_REPLACES"
	// childFD is the descriptor of the first extra file of os/exec.
	childFD = 3

	// These are the lines that the child writes to the pipe: one of them.
	sayReady = "ready"
	sayError = "error "
)

// Options say how the child runs. The zero value is valid.
type Options struct {
	// Args are the child's arguments without the name of the program; nil means those of this
	// process.
	Args []string
	// Log takes the child's standard output and error (see Log); it is created with mode 0640 and
	// appended to. A relative name is relative to the directory of the parent. "journal" is the
	// system's journal; empty means /dev/null.
	Log string
	// Program names the child's lines in the journal.
	Program string
}

// Start starts this program again in the background and waits until it is ready. It returns the
// child's pid, or an error of one line: the child's own, as given to Fail, or how it ended
// without a message. After an error the child has ended, or is about to. If ctx is done before
// the child is ready, Start sends it SIGTERM and waits for it.
func Start(ctx context.Context, o Options) (pid int, err error) {
	exe, err := executable()
	if err != nil {
		return 0, fmt.Errorf("background: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("background: %w", err)
	}
	defer null.Close()
	log := null
	if o.Log != "" {
		if log, err = openLog(o.Log, o.Program); err != nil {
			return 0, err
		}
		defer log.Close()
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("background: %w", err)
	}
	defer r.Close()

	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	args := o.Args
	if args == nil {
		args = os.Args[1:]
	}
	cmd := &exec.Cmd{
		Path:        exe,
		Args:        append([]string{os.Args[0]}, args...),
		Dir:         "/",
		Env:         append(os.Environ(), Env+"="+strconv.Itoa(childFD)+":"+dir),
		Stdin:       null,
		Stdout:      log,
		Stderr:      log,
		ExtraFiles:  []*os.File{w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	// Descriptors that we inherited ourselves, such as the lock of a script, must not stay open
	// in the daemon.
	if err := unix.CloseRange(childFD, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil && err != unix.ENOSYS {
		return 0, fmt.Errorf("background: %w", err)
	}
	err = cmd.Start()
	w.Close() // the child has the only copy now, so its death ends the pipe
	if err != nil {
		return 0, fmt.Errorf("background: %w", err)
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Signal(unix.SIGTERM) })()
	said, err := bufio.NewReader(r).ReadString('\n')
	if ctx.Err() != nil {
		cmd.Process.Signal(unix.SIGTERM) // also if it was ready just then
		cmd.Wait()
		return 0, fmt.Errorf("background: the start was given up: %w", context.Cause(ctx))
	}
	switch {
	case said == sayReady+"\n":
		pid = cmd.Process.Pid
		return pid, cmd.Process.Release()
	case strings.HasPrefix(said, sayError):
		cmd.Process.Release()
		return 0, errors.New(strings.TrimSuffix(said[len(sayError):], "\n"))
	case err != io.EOF:
		return 0, fmt.Errorf("background: %w", err)
	}
	where := ""
	if o.Log != "" {
		where = "; see " + o.Log
	}
	// The pipe has ended, but the process may still run: Wait returns how it ends.
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("background process ended before it was ready: %w%s", err, where)
	}
	return 0, fmt.Errorf("background process ended before it was ready%s", where)
}

// executable returns the file of this program. After an upgrade the name may be gone, but /proc
// still leads to the file.
func executable() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(exe); err != nil {
		return "/proc/self/exe", nil
	}
	return exe, nil
}

// Child is the background process's end of the pipe. All methods do nothing on nil, so that a
// program can call them whether it is in the background or not.
type Child struct {
	pipe *os.File // nil after a message
	log  *Log
}

// Inherit returns the Child if this process was started by Start, and nil if it runs in the
// foreground. It is called once, before anything is started: neither the environment variable nor
// the pipe is passed on to children.
func Inherit() *Child {
	first, _, _ := strings.Cut(os.Getenv(Env), ":")
	fd, err := strconv.Atoi(first)
	os.Unsetenv(Env)
	if err != nil || fd != childFD {
		return nil
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return nil
	}
	unix.CloseOnExec(fd)
	return &Child{pipe: os.NewFile(uintptr(fd), "readiness pipe"), log: newLog()}
}

// Ready tells the parent that the program runs; the parent exits with 0. An error means that the
// user has interrupted the parent: then nobody was told that the program runs, and it should end.
func (c *Child) Ready() error {
	return c.say(sayReady)
}

// Fail tells the parent why the program cannot run. After Ready, which cannot be undone, it does
// nothing.
func (c *Child) Fail(failed error) {
	c.say(sayError + strings.ReplaceAll(failed.Error(), "\n", "; ")) // if the parent is gone, the error does not matter
}

func (c *Child) say(line string) error {
	if c == nil || c.pipe == nil {
		return nil
	}
	_, err := io.WriteString(c.pipe, line+"\n")
	c.pipe.Close()
	c.pipe = nil
	if err != nil {
		return fmt.Errorf("background: the start was given up: %w", err)
	}
	return nil
}
