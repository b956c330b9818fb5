// SPDX-License-Identifier: BSD-3-Clause

// Command recall finds packets in capture files.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/signals"
	"ethertap/cmd/internal/tty"
	"ethertap/collect/recall"
	"ethertap/lib/ownfile"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit statuses. A signal ends the program with 128 and its number.
const (
	ok = iota
	failed
	wrongUsage
)

// errUsage marks wrong usage that shows only when files are opened.
var errUsage = errors.New("recall -h shows usage")

func run(args []string, stdin, stdout, stderr *os.File) int {
	o, err := parse(args, time.Now())
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "recall: %v; %v\n", err, errUsage)
		return wrongUsage
	case o.info.Show(stdout, "recall", usage):
		return ok
	}
	caught := signals.Catch(false)
	if err := work(caught.Context(), o, stdin, stdout, stderr); err != nil {
		if s := signals.By(caught.Context()); s != nil && errors.Is(err, context.Canceled) {
			return signals.Status(s)
		}
		if !errors.Is(err, errSaid) {
			fmt.Fprintf(stderr, "recall: %v\n", err)
		}
		if errors.Is(err, errUsage) {
			return wrongUsage
		}
		return failed
	}
	return ok
}

// errSaid is an error that was told already.
var errSaid = errors.New("said already")

// work does what the options say.
func work(ctx context.Context, o options, stdin, stdout, stderr *os.File) error {
	show := &progress{w: stderr, silent: o.silent, terminal: tty.Is(stderr)}
	logf := func(format string, args ...any) { show.say("recall: " + fmt.Sprintf(format, args...)) }
	if len(o.names) == 0 {
		if tty.Is(stdin) {
			return fmt.Errorf("no file is named, and standard input is a terminal; %w", errUsage)
		}
		o.names = []string{"-"}
	}
	if !o.count && !o.list && !o.index && o.output == "-" && tty.Is(stdout) {
		return fmt.Errorf("standard output is a terminal; name a file by --write, or pipe it as in recall ... | tcpdump -r -; %w", errUsage)
	}
	streams, names, err := openStreams(ctx, o, logf)
	if err != nil {
		return err
	}
	defer streams.close()
	var files []recall.File
	var broken int
	if len(names) > 0 {
		if files, broken, err = recall.Find(ctx, names, stdin, logf); err != nil {
			return err
		}
	}
	if !o.list {
		files = recall.Merge(files, streams.files())
	}
	if len(files) == 0 && len(streams) > 0 && broken == 0 && !o.list {
		return find(ctx, o, files, broken, show, logf, stdout) // it has nothing of these times
	}
	if len(files) == 0 && len(streams) == 0 {
		if broken == 0 {
			logf("there is no capture in what was named")
		}
		return errSaid
	}
	show.begin(recall.Size(files))
	defer show.end()
	if o.index {
		err := recall.Index(ctx, files, &show.Progress, func(path string, bytes int64, err error) {
			if err != nil {
				logf("%v", err)
				broken++
				return
			}
			fmt.Fprintf(stdout, "%s %s\n", path, size(bytes))
		})
		if err == nil && broken > 0 {
			err = errSaid
		}
		return err
	}
	if o.list {
		if err = list(ctx, files, streams, &show.Progress, o.json, stdout); err == nil && broken > 0 {
			err = errSaid
		}
		return err
	}
	return find(ctx, o, files, broken, show, logf, stdout)
}

// find looks for packets.
func find(ctx context.Context, o options, files []recall.File, broken int, show *progress, logf func(string, ...any), stdout *os.File) error {
	o.query.Logf = logf
	var w *recall.Writer
	var out *os.File
	if !o.count {
		var err error
		name := "standard output"
		if out = stdout; o.output != "-" {
			name = o.output
			if out, err = create(o.output, files); err != nil {
				return err
			}
			defer out.Close()
		} else if err := unlike(stdout, name, files); err != nil {
			return err
		}
		if w, err = recall.NewWriter(out, name, o.format, o.zstd, "EtherTAP recall "+about.Version); err != nil {
			return err
		}
	}
	result, err := o.query.Run(ctx, files, w, &show.Progress)
	show.end()
	if errors.Is(err, recall.ErrReaderGone) {
		err = nil // it wants no more
	}
	if out != nil && out != stdout {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}
	if result.Elsewhere > 0 {
		logf("%d packets are not of Ethernet, for which the filter is; they were left out", result.Elsewhere)
	}
	if errors.Is(err, context.Canceled) {
		logf("%v; %d packets were found in the part that was read, %s", context.Cause(ctx), result.Packets, show.far())
		return err
	}
	if o.count {
		if _, perr := fmt.Fprintln(stdout, result.Packets); err == nil {
			err = perr
		}
	}
	if err == nil && result.Broken+broken > 0 {
		err = errSaid
	}
	return err
}

// create makes the output file. A new one is only for its owner, since it contains the
// communication of others.
func create(path string, files []recall.File) (*os.File, error) {
	f, err := ownfile.Open(path, os.O_WRONLY|os.O_CREATE|unix.O_NOCTTY, 0o600, func(string) {})
	if err != nil {
		return nil, err
	}
	err = unlike(f, path, files)
	if st, serr := f.Stat(); err == nil && serr == nil && st.Mode().IsRegular() {
		err = f.Truncate(0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// unlike refuses an output that is one of the files that are read.
func unlike(out *os.File, name string, files []recall.File) error {
	ours, err := out.Stat()
	if err != nil || !ours.Mode().IsRegular() {
		return err
	}
	for _, f := range files {
		if theirs, err := os.Stat(f.Path); err == nil && os.SameFile(ours, theirs) {
			return fmt.Errorf("%s is both read and written; choose another name for the output", name)
		}
	}
	return nil
}
