// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/tty"
	"ethertap/collect"
	"ethertap/collect/stream"
)

// isPath says whether an output is named by its path in the file system. Standard output and a stream are not.
func isPath(output string) bool { return output != "-" && !stream.Is(output) }

// outputName is what an output is called in messages.
func outputName(output string) string {
	if output == "-" {
		return "standard output"
	}
	return output
}

// openOutput opens the file, or takes standard output for "-". A new file is only for its owner
// (mode 0600), since it contains the communication of others; an existing file is overwritten and
// keeps its mode. A FIFO waits for its reader, until ctx is done. queue is where packets come from, nil
// if that is a stream.
func openOutput(ctx context.Context, o options, queue *collect.Source, stdout, stderr *os.File, logf func(string, ...any)) (out collect.Output, err error) {
	if stream.Is(o.output) {
		return openStream(ctx, o, queue, logf)
	}
	o.streams.Accept = func(f *os.File, name string) error {
		if st, err := f.Stat(); o.exec != "" && err == nil && !st.Mode().IsRegular() {
			return noFile(name)
		}
		return acceptable(f, name, stderr)
	}
	switch {
	case o.output == "-":
		out, err = collect.Stream(stdout, outputName(o.output), o.streams)
	case collect.IsFIFO(o.output) && !o.streams.Rotate.Any():
		if o.exec != "" { // before it is opened, which its reader would take for a stream
			return nil, noFile(o.output)
		}
		f, ferr := collect.OpenFIFO(ctx, o.output, func() {
			if !o.silent {
				logf("%s: waiting for somebody to read it", o.output)
			}
		})
		if ferr != nil {
			return nil, ferr
		}
		out, err = collect.Stream(f, o.output, o.streams)
	default:
		out, err = collect.Create(o.output, o.streams)
	}
	var busy *collect.BusyError
	if errors.As(err, &busy) {
		err = fmt.Errorf("%w%s; choose another name", err, since(ctx, busy.PID))
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// noFile returns the error that a stream is no file, so that --exec has nothing to run on.
func noFile(name string) error {
	return fmt.Errorf("--exec: %s is no file that is closed; name one; %w", name, errUsage)
}

// acceptable refuses streams of packets that would end up where text goes.
func acceptable(f *os.File, name string, stderr *os.File) error {
	if tty.Is(f) {
		return fmt.Errorf("%s is a terminal; redirect it, or pipe it as in collect - | tshark -r -; %w", name, errUsage)
	}
	ours, err := f.Stat()
	if err != nil || !ours.Mode().IsRegular() {
		return err
	}
	if text, err := stderr.Stat(); err == nil && os.SameFile(ours, text) {
		return fmt.Errorf("%s is where messages go (standard error, or the log of a daemon); choose another name", name)
	}
	return nil
}

// since says when a listed collector has begun.
func since(ctx context.Context, pid int) string {
	infos, err := rundir.List(ctx, "collect")
	if err != nil {
		return ""
	}
	for _, in := range infos {
		if in.PID == pid {
			return " since " + in.Started.Format("2006-01-02 15:04:05")
		}
	}
	return ""
}
