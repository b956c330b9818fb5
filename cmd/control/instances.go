// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/detach"
	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/standing"
)

// find returns the running instances that the options select. A name takes precedence over an
// equal PID.
func find(o options) ([]rundir.Info, error) {
	all, err := rundir.List(context.Background(), o.program)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w; run as root", err)
	}
	if err != nil || o.name == "" {
		return all, err
	}
	for _, in := range all {
		if in.Name == o.name {
			return []rundir.Info{in}, nil
		}
	}
	for _, in := range all {
		if strconv.Itoa(in.PID) == o.name {
			return []rundir.Info{in}, nil
		}
	}
	return nil, nil
}

func nothing(o options) string {
	if o.name != "" {
		return fmt.Sprintf("no %s %s running", o.program, o.name)
	}
	return fmt.Sprintf("no %s running", o.program)
}

func title(in rundir.Info) string { return fmt.Sprintf("%s PID %d", in.Program, in.PID) }

// known returns the name of an instance if it has one of its own.
func known(in rundir.Info) string {
	if in.Name == in.Program || in.Name == strconv.Itoa(in.PID) {
		return ""
	}
	return " (" + in.Name + ")"
}

// logged returns a line about the log of a daemon, if it is known.
func logged(in rundir.Info) string {
	if log := detach.LogOf(in.PID); log != "" && detached(in.PID) {
		return "  log " + log + "\n"
	}
	return ""
}

// stands returns a line about the stream of a collect, if it has one.
func stands(in rundir.Info) string {
	if in.Program != "collect" {
		return ""
	}
	s, ok, err := standing.Ask(in)
	switch {
	case err != nil:
		return fmt.Sprintf("  %v\n", err)
	case ok:
		return fmt.Sprintf("  %v\n", s)
	}
	return ""
}

// detached says whether a process is a daemon that was put into the background.
func detached(pid int) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains("\x00"+string(environ), "\x00"+detach.Env+"=")
}

// several returns the message that one of many instances has to be chosen.
func several(o options, found []rundir.Info) string {
	names := make([]string, len(found))
	for i, in := range found {
		names[i] = in.Name
	}
	hint := "choose with --name"
	if o.action != attach && o.action != watch {
		hint += fmt.Sprintf(", or %s --all", o.action)
	}
	return fmt.Sprintf("several %s running (%s): %s", o.program, strings.Join(names, ", "), hint)
}

// each applies a function to the instances and prints the results.
func each(found []rundir.Info, stdout, stderr io.Writer, do func(rundir.Info) (said string, err error)) int {
	code := ok
	for _, in := range found {
		said, err := do(in)
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; run as root", err)
		}
		if err != nil {
			fmt.Fprintf(stderr, "control: %v\n", err)
			code = failed
			continue
		}
		fmt.Fprint(stdout, said)
	}
	return code
}

// stopped stops an instance, and kills it if that was requested and is necessary.
func (o options) stopped(in rundir.Info) (string, error) {
	err := rundir.Stop(in, o.timeout)
	if errors.Is(err, rundir.ErrTimeout) {
		if !o.kill {
			hint := ""
			if o.action == restart {
				hint = "; it goes on ending and is not started again: start it then, or use --kill"
			}
			return "", fmt.Errorf("%s still running after %v%s", title(in), o.timeout, hint)
		}
		if err = rundir.Kill(in, o.timeout); err == nil {
			return fmt.Sprintf("%s did not end within %v and was killed\n", title(in), o.timeout), nil
		}
	}
	return fmt.Sprintf("shutdown of %s complete\n", title(in)), err
}

// rotated makes a collect begin its next file.
func rotated(in rundir.Info) (string, error) {
	return fmt.Sprintf("%s begins the next file\n", title(in)), rundir.Signal(in, unix.SIGHUP)
}

// restarted checks whether a daemon would start again as it was started, stops it and starts it.
// The output of the new one is passed on. If there is a mistake, the old one is left alone.
func (o options) restarted(in rundir.Info, caught *signalled, stdout, stderr io.Writer) (string, error) {
	s, err := successorOf(in)
	if err != nil {
		return "", err
	}
	defer s.close()
	if err := caught.run(s, s.check(stderr)); err != nil {
		return "", fmt.Errorf("%s would not start again and was left running: %w", title(in), err)
	}
	// From here on the daemon is missing until the new one runs, so signals wait.
	caught.Hold(func() {
		var said string
		if said, err = o.stopped(in); err != nil {
			return
		}
		fmt.Fprint(stdout, said)
		if err = caught.run(s, s.command(stdout, stderr)); err != nil {
			err = fmt.Errorf("%s was stopped and does not start again: %w", title(in), err)
		}
	})
	return "", err
}
