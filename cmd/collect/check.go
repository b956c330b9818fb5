// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"ethertap/cmd/internal/detach"
	"ethertap/cmd/internal/rundir"
	"ethertap/collect"
	"ethertap/collect/stream"
	"ethertap/shm"
)

// replaced says whether a process is the one that the recording would replace.
func replaced(o options, pid int) bool {
	if os.Getenv(detach.Replaces) == strconv.Itoa(pid) {
		return true
	}
	all, err := rundir.List(context.Background(), "collect")
	return err == nil && slices.ContainsFunc(all, func(in rundir.Info) bool { return in.PID == pid && in.Name == o.name })
}

// checked prints what would keep a recording from beginning, besides the command line: a line for
// each mistake. It makes no file and takes no packet.
func checked(o options, stderr *os.File) (status int) {
	status = ok
	mistake := func(err error) {
		if err != nil {
			fmt.Fprintf(stderr, "collect: %v\n", err)
			status = failed
		}
	}
	if stream.Is(o.queue) {
		mistake(stream.Check(context.Background(), o.from, *o.access))
	} else if q, err := shm.Open(o.queue, shm.Options{Role: shm.RoleOther, Name: "check", NoCreate: true}); err == nil {
		q.Close()
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, shm.ErrStrange) { // ethertap will replace a stranger's file
		mistake(err)
	}
	if stream.Is(o.output) {
		mistake(stream.Check(context.Background(), o.to, *o.access))
	}
	if isPath(o.output) {
		err := collect.Check(o.output, o.streams)
		var busy *collect.BusyError
		if !errors.As(err, &busy) || !replaced(o, busy.PID) {
			mistake(err)
		}
		if st, err := os.Stat(o.output); o.exec != "" && err == nil && !st.Mode().IsRegular() && !st.IsDir() && !o.streams.Rotate.Any() {
			mistake(noFile(o.output))
		}
	}
	mistake(detach.CheckLog(o.log))
	return status
}
