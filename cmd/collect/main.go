// SPDX-License-Identifier: BSD-3-Clause

// Command collect writes the packets of a queue to a PCAP file or stream.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"ethertap/cmd/internal/detach"
	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/signals"
	"ethertap/cmd/internal/standing"
	"ethertap/cmd/internal/systemd"
	"ethertap/cmd/internal/tty"
	"ethertap/collect"
	"ethertap/collect/stream"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	ok = iota
	failed
	wrongUsage
)

// errUsage marks wrong usage that shows only when the output is opened.
var errUsage = errors.New("collect -h shows usage")

func run(args []string, stdin, stdout, stderr *os.File) int {
	if os.Getenv(indexerEnv) != "" {
		return indexFiles(stdin, stdout)
	}
	o, err := parse(args)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "collect: %v; %v\n", err, errUsage)
		return wrongUsage
	case o.info.Show(stdout, "collect", usage):
		return ok
	}

	if o.extcap != (extcap{}) && o.extcap.answers() {
		if err := o.extcap.show(stdout); err != nil {
			fmt.Fprintf(stderr, "collect: %v\n", err)
			return wrongUsage
		}
		return ok
	}
	if o.check {
		return checked(o, stderr)
	}
	if o.list {
		if err := list(o, stdout); err != nil {
			fmt.Fprintf(stderr, "collect: %v\n", err)
			return failed
		}
		return ok
	}
	child := detach.Inherit()
	if o.daemon && child == nil {
		return background(o, args, stdout, stderr)
	}
	caught := signals.Catch(child != nil)
	_, says := child.Output(stdout, stderr)
	if err := record(o, caught, child, stdout, stderr, says); err != nil {
		if signals.By(caught.Context()) != nil && errors.Is(err, context.Cause(caught.Context())) {
			// It was told to end while it waited. That is no failure, but a daemon's parent has
			// to know.
			child.Fail(err)
			if !o.silent || child != nil {
				fmt.Fprintf(says, "collect: %v\n", err)
			}
			return ok
		}
		child.Fail(err)
		fmt.Fprintf(says, "collect: %v\n", err)
		if errors.Is(err, errUsage) {
			return wrongUsage
		}
		return failed
	}
	return ok
}

// background starts the daemon.
func background(o options, args []string, stdout, stderr *os.File) int {
	if o.log == "" {
		name := o.name
		if name == "" {
			name = "collect" // all without a name share one log
		}
		var err error
		if o.log, err = detach.DefaultLog(func() (string, error) { return rundir.LogPath("collect", name) }); err != nil {
			fmt.Fprintf(stderr, "collect: %v\n", err)
			return failed
		}
	}
	caught := signals.Catch(false)
	fmt.Fprintln(stdout, "collect going to background ...")
	if _, err := detach.Start(caught.Context(), detach.Options{Args: args, Log: o.log, Program: "collect"}); err != nil {
		fmt.Fprintf(stderr, "collect: %v\n", err)
		if s := signals.By(caught.Context()); s != nil {
			return signals.Status(s)
		}
		return failed
	}
	return ok
}

// record collects as the options say, from start to end. It makes or truncates no file before
// everything else is known to work, and does not empty the queue before there is a file.
func record(o options, caught *signals.Caught, child *detach.Child, stdout, stderr *os.File, says io.Writer) error {
	progress := collect.NewProgress(says, !o.silent && tty.Is(stderr))
	logf := func(format string, args ...any) { progress.Say("collect: " + fmt.Sprintf(format, args...)) }

	source, queue, err := openInput(caught.Context(), o, logf)
	if err != nil {
		return err
	}
	defer source.Close()
	name := o.name
	if name == "" {
		name = strconv.Itoa(os.Getpid())
	}
	mustList := child != nil || o.name != "" // it could not be found in another way
	if err := rundir.Free(caught.Context(), "collect", name); err != nil && mustList {
		return err
	}
	o.streams.Logf = logf
	o.streams.Interfaces = source.Interfaces()
	var after *commands
	if o.exec != "" {
		after = &commands{line: o.exec, queue: o.queue, stderr: stderr, logf: logf}
		o.streams.Closed = after.closed
	}
	var indexes *indexer
	if o.index {
		indexes = newIndexer(logf)
		o.streams.Digest = indexes.digest
		o.streams.Closed = func(f collect.ClosedFile) {
			indexes.closed(f)
			if after != nil {
				after.closed(f)
			}
		}
	}
	out, err := openOutput(caught.Context(), o, queue, stdout, stderr, logf)
	if err != nil {
		return err
	}
	if !o.noReset && queue != nil {
		if err := queue.Reset(); err != nil {
			return errors.Join(err, out.Close(time.Now()))
		}
	}
	// As soon as it is listed, it collects: all packets that come into the queue from here on are
	// recorded.
	instance, err := rundir.Register(caught.Context(), "collect", name)
	switch {
	case err == nil:
	case mustList:
		return errors.Join(err, out.Close(time.Now()))
	case !errors.Is(err, fs.ErrPermission) && !o.silent:
		logf("not listed by control: %v", err)
	}
	defer instance.Close()
	if err := child.Ready(); err != nil {
		return errors.Join(err, out.Close(time.Now()))
	}
	notify(systemd.Ready, logf)
	c := collect.New(collect.Run{
		Source: source, Output: out,
		Filter: o.filter, Packets: o.plimit, Received: o.received,
	})
	ctx, stop := context.WithCancel(context.Background())
	if o.duration > 0 {
		ctx, stop = context.WithTimeout(ctx, o.duration)
	}
	defer stop()
	go obey(ctx, stop, caught, c, o.output == "-", logf)
	run := recording{source: source, out: out, c: c, start: time.Now(), progress: progress}
	if stop, err := run.tellStanding(instance, o); err != nil {
		logf("control does not show how the stream stands: %v", err)
	} else {
		defer stop()
	}
	logged := child != nil || systemd.Managed() // nobody looks on, so the totals go to the log
	if queue != nil && (!o.silent || logged) {
		said := unfilled(queue)
		if said != "" {
			logf("%s", said)
		}
		go sayWhyIdle(ctx, queue, c, said, logf)
	}
	after.begin()
	switch {
	case !o.silent:
		err = run.shown(ctx)
	case logged:
		err = run.logged(ctx, logf)
	default:
		err = c.Collect(ctx)
	}
	indexes.end()
	return after.end(caught.Context(), err)
}

// obey ends the run on a signal, or makes it begin the next file. Standard output has no next
// file, so SIGHUP ends the run.
func obey(ctx context.Context, stop func(), caught *signals.Caught, c *collect.Collector, stream bool, logf func(string, ...any)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-caught.Hangup:
			if !stream {
				c.Reopen()
				continue
			}
		case <-caught.Stop:
		}
		notify(systemd.Stopping, logf)
		stop()
		return
	}
}

// notify tells a service manager the state. An error is logged and does not end the program.
func notify(state string, logf func(string, ...any)) {
	if err := systemd.Notify(state); err != nil {
		logf("%v", err)
	}
}

// recording is a running collector.
type recording struct {
	source   collect.Input
	out      collect.Output
	c        *collect.Collector
	start    time.Time
	progress *collect.Progress
}

func (r *recording) counts() collect.Counts {
	tally := r.c.Tally()
	_, line, _ := streamed(r.source, r.out)
	return collect.Counts{
		Packets: tally.Packets,
		Bytes:   tally.Bytes,
		Lost:    r.source.Refused(),
		Elapsed: time.Since(r.start),

		Truncated: tally.Truncated, Stream: line,
	}
}

// tellStanding tells those who ask how the stream stands, if there is one, until stop is called.
func (r *recording) tellStanding(instance *rundir.Instance, o options) (stop func(), err error) {
	_, _, ok := streamed(r.source, r.out)
	if !ok || instance == nil {
		return func() {}, nil
	}
	address, reads := o.to.String(), stream.Is(o.queue)
	if reads {
		address = o.from.String()
	}
	return standing.Serve(instance.SocketPath(), func() standing.Standing {
		s, _, _ := streamed(r.source, r.out)
		return standing.Standing{
			Address: address, Reads: reads, Lost: r.source.Refused(), Acknowledged: s.Acknowledged, InFlight: s.InFlight, Held: s.Held,
			Retried: s.Retried, Behind: s.Behind, Late: s.Late, Connected: s.Connected,
		}
	})
}

// note returns the text after the totals, and remark a line of its own, "" if there is none.
func (r *recording) note(err error) (note, remark string) {
	tally, note := r.c.Tally(), r.out.Title()
	if tally.Unwritten > 0 && err == nil {
		note += fmt.Sprintf(" (%d taken and not written: byte limit)", tally.Unwritten)
	}
	if tally.Filtered > 0 {
		note += fmt.Sprintf(" (%d did not match the filter)", tally.Filtered)
	}
	return note, tally.Remark()
}

// shown runs the collector and shows its progress.
func (r *recording) shown(ctx context.Context) error {
	done, ended := make(chan struct{}), make(chan struct{})
	var err error // the error of Collect; done orders the access
	go func() {
		defer close(ended)
		r.progress.Run(done, r.counts)
		note, remark := r.note(err)
		r.progress.End(r.counts(), note)
		if remark != "" {
			r.progress.Say("collect: " + remark)
		}
	}()
	err = r.c.Collect(ctx)
	close(done)
	select {
	case <-ended:
	case <-time.After(patience): // a terminal stopped with Ctrl-S accepts nothing
	}
	return err
}

// patience is how long a screen that accepts nothing may delay the end.
const patience = 2 * time.Second

// logged runs the collector and logs the totals at the end.
func (r *recording) logged(ctx context.Context, logf func(string, ...any)) error {
	err := r.c.Collect(ctx)
	note, remark := r.note(err)
	logf("%s", collect.Totals(r.counts(), note))
	if remark != "" {
		logf("%s", remark)
	}
	return err
}
