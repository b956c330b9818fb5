package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"ethertap/cmd/internal/rundir"
)

// find returns the running instances that the options mean. A name counts before
// a PID that reads the same.
func find(o options) ([]rundir.Info, error) {
	all, err := rundir.List(o.program)
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
	if o.action == stop {
		hint += ", or stop --all"
	}
	return fmt.Sprintf("several %s running (%s): %s", o.program, strings.Join(names, ", "), hint)
}

// stopAll stops the instances and says what became of each.
func stopAll(o options, found []rundir.Info, stdout, stderr io.Writer) int {
	code := ok
	for _, in := range found {
		err := rundir.Stop(in, o.timeout)
		switch {
		case errors.Is(err, rundir.ErrTimeout):
			err = fmt.Errorf("%s still running after %v", title(in), o.timeout)
		case errors.Is(err, fs.ErrPermission):
			err = fmt.Errorf("%w; run as root", err)
		}
		if err != nil {
			fmt.Fprintf(stderr, "control: %v\n", err)
			code = failed
			continue
		}
		fmt.Fprintf(stdout, "shutdown of %s complete\n", title(in))
	}
	return code
}
