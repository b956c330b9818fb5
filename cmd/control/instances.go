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
)

// find returns the running instances that the options mean. A name counts before
// a PID that reads the same.
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

// known is the name of an instance where it has one of its own.
func known(in rundir.Info) string {
	if in.Name == in.Program || in.Name == strconv.Itoa(in.PID) {
		return ""
	}
	return " (" + in.Name + ")"
}

// logged is a line about the log of a daemon, if that can be known.
func logged(in rundir.Info) string {
	if log := detach.LogOf(in.PID); log != "" && detached(in.PID) {
		return "  log " + log + "\n"
	}
	return ""
}

// detached tells whether a process is a daemon that was put into the background.
func detached(pid int) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains("\x00"+string(environ), "\x00"+detach.Env+"=")
}

// several asks for one of many.
func several(o options, found []rundir.Info) string {
	names := make([]string, len(found))
	for i, in := range found {
		names[i] = in.Name
	}
	hint := "choose with --name"
	if o.action != attach {
		hint += fmt.Sprintf(", or %s --all", o.action)
	}
	return fmt.Sprintf("several %s running (%s): %s", o.program, strings.Join(names, ", "), hint)
}

// each does something with the instances and says what became of it.
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

// stopped stops an instance, with a kill if that was asked for and is needed.
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

// rotated has a collect begin its next file.
func rotated(in rundir.Info) (string, error) {
	return fmt.Sprintf("%s begins the next file\n", title(in)), rundir.Signal(in, unix.SIGHUP)
}

// restarted checks whether a daemon would start again as it was started, stops it and
// starts it. What the new one says is passed on. A mistake leaves the old one alone.
func (o options) restarted(in rundir.Info, caught *signalled, stdout, stderr io.Writer) (string, error) {
	s, err := successorOf(in)
	if err != nil {
		return "", err
	}
	defer s.close()
	if err := caught.run(s, s.check(stderr)); err != nil {
		return "", fmt.Errorf("%s would not start again and was left running: %w", title(in), err)
	}
	// From here on the daemon is not there until the new one is, whatever signal comes.
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
