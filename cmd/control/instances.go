package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
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
			return "", fmt.Errorf("%s still running after %v", title(in), o.timeout)
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

// restarted stops a daemon and starts it again as it was started: same program,
// arguments, environment and directory. What it says then is passed on.
func (o options) restarted(in rundir.Info, stdout, stderr io.Writer) (string, error) {
	cmd, err := startedAs(in)
	if err != nil {
		return "", err
	}
	said, err := o.stopped(in)
	if err != nil {
		return "", err
	}
	fmt.Fprint(stdout, said)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s was stopped and does not start again: %w", title(in), err)
	}
	return "", nil
}

// startedAs is the command by which a daemon was started.
func startedAs(in rundir.Info) (*exec.Cmd, error) {
	proc := fmt.Sprintf("/proc/%d/", in.PID)
	line, err := os.ReadFile(proc + "cmdline")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", title(in), err)
	}
	environ, err := os.ReadFile(proc + "environ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", title(in), err)
	}
	exe, err := os.Readlink(proc + "exe")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", title(in), err)
	}
	fields := func(b []byte) []string { return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00") }
	args := fields(line)
	cmd := &exec.Cmd{Path: strings.TrimSuffix(exe, " (deleted)"), Args: args} // after an upgrade the new one
	if _, err := os.Stat(cmd.Path); err != nil {                              // moved, or seen from another mount namespace
		if cmd.Path, err = exec.LookPath(args[0]); err != nil {
			return nil, fmt.Errorf("%s: its program %s is gone: %w", title(in), exe, err)
		}
	}
	detached := false
	for _, e := range fields(environ) {
		if value, ok := strings.CutPrefix(e, detach.Env+"="); ok {
			_, cmd.Dir, detached = strings.Cut(value, ":")
			continue
		}
		cmd.Env = append(cmd.Env, e)
	}
	if !detached {
		return nil, fmt.Errorf("%s runs in the foreground; whoever started it has to restart it (systemctl restart, if systemd did)", title(in))
	}
	return cmd, nil
}
