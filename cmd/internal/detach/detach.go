// Package detach puts a program into the background.
//
// A Go process cannot fork, so the program starts itself again: the same
// executable, arguments and environment, in a session of its own, in the root
// directory, with its standard streams on /dev/null or on a log. The parent
// waits on a pipe until the child says that it is ready, or why it is not, and
// takes its exit status from that:
//
//	child := detach.Inherit()           // nil in the foreground
//	if daemon && child == nil {
//		_, err := detach.Start(ctx, detach.Options{})
//		// print err and exit 1, or exit 0
//	}
//	…                                   // on an error: child.Fail(err), exit 1
//	err := child.Ready()
//
// The child leads its session, since it does not fork again: a terminal it
// opened would become its controlling terminal, unless opened with O_NOCTTY.
// Programs that open files named by the user pass that flag.
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
	// Env tells the child that it is one: which descriptor its pipe is, and where its
	// parent was (3:/home/user). It stays to be read in /proc/PID/environ.
	Env = "ETHERTAP_DETACHED"
	// Replaces tells a program that checks itself (--check) the PID of the daemon whose
	// place it is to take: what that one holds is no mistake.
	Replaces = "ETHERTAP_REPLACES"
	// childFD is where os/exec puts the first extra file.
	childFD = 3

	// What the child says on the pipe: one line, one of these.
	sayReady = "ready"
	sayError = "error "
)

// Options say how the child runs. The zero value suits.
type Options struct {
	// Args are the child's arguments without the name of the program;
	// nil means those of this process.
	Args []string
	// Log takes the child's standard output and error (see Log); it is created with
	// mode 0640 and appended to. A relative name counts from the directory
	// of the parent. Journal is the system's; empty means /dev/null.
	Log string
	// Program names the child's lines in the journal.
	Program string
}

// Start starts this program again in the background and waits until it is
// ready. It returns the child's pid, or an error of one line: the child's own,
// as given to Fail, or how it ended without a word. After an error the child
// has ended, or is about to. When ctx is done before the child is ready, it is told to
// end (SIGTERM) and waited for.
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
	// What we inherited ourselves, such as the lock of a script, is not the daemon's to keep.
	if err := unix.CloseRange(childFD, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC); err != nil && err != unix.ENOSYS {
		return 0, fmt.Errorf("background: %w", err)
	}
	err = cmd.Start()
	w.Close() // the child's copy is the only one now: its death ends the pipe
	if err != nil {
		return 0, fmt.Errorf("background: %w", err)
	}
	defer context.AfterFunc(ctx, func() { cmd.Process.Signal(unix.SIGTERM) })()
	said, err := bufio.NewReader(r).ReadString('\n')
	if ctx.Err() != nil {
		cmd.Process.Signal(unix.SIGTERM) // also one that was ready just then
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
	// The pipe has ended but the process need not have: Wait says how it ends.
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("background process ended before it was ready: %w%s", err, where)
	}
	return 0, fmt.Errorf("background process ended before it was ready%s", where)
}

// executable names this program's file. After an upgrade under our feet the
// name is gone, but /proc still leads to the file.
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

// Child is the background process's end of the pipe. All methods do nothing
// on nil, so that a program calls them whether it is in the background or not.
type Child struct {
	pipe *os.File // nil once something was said
	log  *Log
}

// Inherit returns the Child if this process was started by Start, and nil if
// it runs in the foreground. It is called once, before anything is started:
// neither environment nor pipe go on to children.
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

// Ready tells the parent that all is well; it exits with 0. An error means
// that the parent is gone, interrupted by its user: then nobody was told that
// the program runs, and it should end.
func (c *Child) Ready() error {
	return c.say(sayReady)
}

// Fail tells the parent why the program cannot run. After Ready, which cannot
// be taken back, it does nothing.
func (c *Child) Fail(failed error) {
	c.say(sayError + strings.ReplaceAll(failed.Error(), "\n", "; ")) // a parent that is gone needs no telling
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
