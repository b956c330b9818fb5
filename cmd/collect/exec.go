// SPDX-License-Identifier: BSD-3-Clause

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
	// mostCommands is how many commands of --exec run at the same time; further files wait.
	mostCommands = 4
	// commandNice is added to their niceness: the recording has precedence.
	commandNice = 10
	// manyWaiting is how many waiting files are worth a message; then twice as many are, and so
	// on.
	manyWaiting = 100
)

// commands runs the command of --exec on closed files: once for each file, in the order in which
// they were closed, without delaying the caller of closed.
//
// Each command runs in a session of its own, so that keys typed at the terminal go to collect,
// and with an empty input. Its output goes to where messages go.
type commands struct {
	line   string // for the shell
	queue  string
	stderr *os.File
	logf   func(format string, args ...any)

	// begun says that packets are being collected. A file that is closed before belongs to a
	// recording that did not begin.
	begun bool

	mu      sync.Mutex
	waiting []collect.ClosedFile
	told    int           // the number of waiting files in the last message
	running int           // goroutines that run commands
	given   int           // files for which a command was requested
	ran     int           // commands that have ended
	failed  int           // commands that have failed
	idle    chan struct{} // closed when no command runs or waits; nil while nobody asks
}

// checkCommand returns an error if a command cannot be run at all, so that this does not first
// show when a file is closed.
func checkCommand(line string, daemon bool) error {
	if strings.TrimSpace(line) == "" {
		return errors.New("--exec: the command is empty")
	}
	if out, err := exec.Command("/bin/sh", "-n", "-c", withFile(line)).CombinedOutput(); err != nil {
		text, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("--exec: the shell does not understand %q: %s", line, text)
	}
	// The first word is checked if it is plain.
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

// withFile returns the line for the shell, which has the name of the file as $1. If a line does
// not contain $1, it is appended as the last argument.
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

// closed makes the command run on a file. The collecting goroutine calls it, and begin too.
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

// work runs commands as long as files wait. It gives up its thread at the end, which cannot get
// its niceness back.
func (c *commands) work() {
	runtime.LockOSThread()
	// This is for this thread and the processes it starts. The kernel returns 20 minus the
	// niceness.
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

// end waits for the commands that run and wait, and adds their failures to the error of the
// recording. A signal that comes while it waits ends the wait. If a signal has ended the
// recording, the wait goes on, and the next one kills.
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
	c.waiting = nil // no further command begins
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

// left returns how many commands have not ended.
func (c *commands) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.given - c.ran
}
