package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/collect"
)

const (
	// mostCommands is how many commands of --exec run at a time; further files wait.
	mostCommands = 4
	// commandNice is added to their niceness: the recording has precedence.
	commandNice = 10
	// manyWaiting is how many waiting files are told of, and then twice as many.
	manyWaiting = 100
)

// commands runs the command of --exec on files that are closed: one run a file, in the
// order in which they were closed, without ever holding up who closes them.
//
// Each runs in a session of its own, so that what the user types at the terminal is for
// collect alone, and with nothing to read. What it prints goes where messages go.
type commands struct {
	line   string // for the shell
	queue  string
	stderr *os.File
	logf   func(format string, args ...any)

	// begun says that packets are being collected: a file that is closed before is closed
	// since there will be no recording.
	begun bool

	mu      sync.Mutex
	waiting []collect.ClosedFile
	told    int           // the number of waiting files that was told of last
	running int           // goroutines that run commands
	given   int           // files
	ran     int           // commands that have ended
	failed  int           // of these
	idle    chan struct{} // closed when none runs and none waits; nil while nobody asks
}

// checkCommand says why a command cannot be run at all, so that it does not first show when
// a file is closed.
func checkCommand(line string, daemon bool) error {
	if strings.TrimSpace(line) == "" {
		return errors.New("--exec: the command is empty")
	}
	if out, err := exec.Command("/bin/sh", "-n", "-c", withFile(line)).CombinedOutput(); err != nil {
		text, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("--exec: the shell does not understand %q: %s", line, text)
	}
	// The first word, where it is a plain one.
	word := strings.Fields(line)[0]
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-") != "" {
		return nil
	}
	if daemon && strings.Contains(word, "/") && !filepath.IsAbs(word) {
		return fmt.Errorf("--exec: --daemon changes to /, so %s would not be found here; give the whole path", word)
	}
	if exec.Command("/bin/sh", "-c", `command -v -- "$1"`, "sh", word).Run() != nil {
		return fmt.Errorf("--exec: there is no command %s", word)
	}
	return nil
}

// withFile is the line for the shell, which has the name of the file as $1. A line that does
// not name it gets it as its last argument.
func withFile(line string) string {
	for _, name := range []string{"$1", "${1", "$@", "$*", "ETHERTAP_FILE"} {
		if strings.Contains(line, name) {
			return line
		}
	}
	return line + ` "$1"`
}

// begin says that packets are collected from now on.
func (c *commands) begin() {
	if c != nil {
		c.begun = true
	}
}

// closed has the command run on a file. Called by who collects, as begin is.
func (c *commands) closed(f collect.ClosedFile) {
	if !c.begun {
		return
	}
	if path, err := filepath.Abs(f.Path); err == nil {
		f.Path = path
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given++
	c.waiting = append(c.waiting, f)
	if n := len(c.waiting); n >= max(manyWaiting, 2*c.told) {
		c.told = n
		c.logf("--exec: %d files wait for their command", n)
	}
	if c.running < mostCommands {
		c.running++
		go c.work()
	}
}

// work runs commands as long as files wait. The thread is given up at the end, as it cannot
// get its niceness back.
func (c *commands) work() {
	runtime.LockOSThread()
	// Of this thread, and what it starts. The kernel tells niceness as 20 minus it.
	if own, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 20-own+commandNice)
	}
	for {
		c.mu.Lock()
		if len(c.waiting) == 0 {
			if c.running--; c.running == 0 && c.idle != nil {
				close(c.idle)
				c.idle = nil
			}
			c.mu.Unlock()
			return
		}
		f := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.mu.Unlock()
		err := c.run(f)
		if err != nil {
			c.logf("--exec: %s: %v", f.Path, err)
		}
		c.mu.Lock()
		c.ran++
		if err != nil {
			c.failed++
		}
		c.mu.Unlock()
	}
}

// run runs the command on one file, to its end.
func (c *commands) run(f collect.ClosedFile) error {
	if _, err := os.Lstat(f.Path); errors.Is(err, fs.ErrNotExist) {
		return errors.New("it is not there any more, so its command was not run")
	}
	cmd := exec.Command("/bin/sh", "-c", withFile(c.line), "collect", f.Path)
	cmd.Stdout, cmd.Stderr = c.stderr, c.stderr
	cmd.Env = append(os.Environ(),
		"ETHERTAP_FILE="+f.Path,
		"ETHERTAP_QUEUE="+c.queue,
		fmt.Sprint("ETHERTAP_NUMBER=", f.Number),
		fmt.Sprint("ETHERTAP_PACKETS=", f.Packets),
		fmt.Sprint("ETHERTAP_BYTES=", f.Bytes),
	)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%q failed: %w", c.line, err)
	}
	return nil
}

// end waits for the commands that run and wait, and adds to the error of the recording what
// became of them. A signal that comes while it waits ends that; one that has ended the
// recording has not, the next one then kills.
func (c *commands) end(ctx context.Context, err error) error {
	if c == nil {
		return err
	}
	var idle chan struct{}
	c.mu.Lock()
	if c.running > 0 {
		idle = make(chan struct{})
		c.idle = idle
	}
	c.mu.Unlock()
	if idle != nil {
		gone := ctx.Done()
		if ctx.Err() != nil {
			gone = nil
		}
		tell := time.After(time.Second)
		for waits := true; waits; {
			select {
			case <-idle:
				waits = false
			case <-gone:
				waits = false
			case <-tell:
				c.logf("--exec: commands that still run or wait: %d; another signal leaves them to themselves", c.left())
			}
		}
	}
	left := c.left()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = nil // no further one begins
	var what error
	switch {
	case left > 0:
		what = fmt.Errorf("--exec: %d of %d commands are left to themselves or were not run, %d failed", left, c.given, c.failed)
	case c.failed > 0:
		what = fmt.Errorf("--exec: %d of %d commands failed", c.failed, c.ran)
	default:
		return err
	}
	if err == nil {
		return fmt.Errorf("%w; the recording is complete", what)
	}
	return fmt.Errorf("%w; %w", err, what)
}

// left is how many commands have not ended.
func (c *commands) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.given - c.ran
}
