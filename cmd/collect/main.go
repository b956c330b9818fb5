// Command collect writes the packets of a queue to a PCAP file or stream.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/detach"
	"ethertap/cmd/internal/rundir"
	"ethertap/collect"
	"ethertap/shm"
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

// errUsage marks wrong usage that shows only when the output is looked at.
var errUsage = errors.New("collect -h shows usage")

func run(args []string, _, stdout, stderr *os.File) int {
	o, err := parse(args)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "collect: %v; %v\n", err, errUsage)
		return wrongUsage
	case o.info.Show(stdout, "collect", usage):
		return ok
	}

	var child *detach.Child
	if o.daemon {
		if child = detach.Inherit(); child == nil {
			fmt.Fprintln(stdout, "collect going to background ...")
			if _, err := detach.Start(detach.Options{Args: args}); err != nil {
				fmt.Fprintf(stderr, "collect: %v\n", err)
				return failed
			}
			return ok
		}
	}
	if err := record(o, child, stdout, stderr); err != nil {
		child.Fail(err)
		fmt.Fprintf(stderr, "collect: %v\n", err)
		if errors.Is(err, errUsage) {
			return wrongUsage
		}
		return failed
	}
	return ok
}

// record collects as the options say, from start to end. No file is made or
// truncated before all else is known to work.
func record(o options, child *detach.Child, stdout, stderr *os.File) error {
	// A write to a closed pipe or past a size limit is to return an error.
	signal.Ignore(unix.SIGPIPE, unix.SIGXFSZ)

	queue, err := shm.Open(o.queue, shm.Options{Role: shm.RoleCollect, Name: "collect"})
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; a queue is for its owner alone, usually root", err)
	}
	if err != nil {
		return err
	}
	defer queue.Close()
	consumer, err := queue.NewConsumer("collect")
	if err != nil {
		return err
	}
	defer consumer.Close()

	ctx, stop := ending()
	defer stop()
	if !o.noReset {
		if _, err := queue.Reset(); err != nil {
			return err
		}
	}
	// Who is listed collects: what comes into the queue from here on is recorded.
	instance, err := rundir.Register("collect", strconv.Itoa(os.Getpid()))
	if err != nil {
		if child != nil {
			return err // nothing else could find the daemon to stop it
		}
		if !errors.Is(err, fs.ErrPermission) && !o.silent {
			fmt.Fprintf(stderr, "collect: not listed by control: %v\n", err)
		}
	}
	defer instance.Close()
	file, name, err := openOutput(o.output, stdout)
	if err != nil {
		return err
	}
	out := collect.NewOutput(file, name, collect.Encoder{})
	if err := child.Ready(); err != nil {
		out.Close()
		return err
	}
	if o.silent {
		return collect.New(consumer, out, o.limits).Run(ctx)
	}
	noticeIdle(queue, stderr)
	return runShown(ctx, queue, collect.New(consumer, out, o.limits), name, stderr)
}

// ending returns a context that is done when the program is asked to end. A
// second signal ends it the hard way.
func ending() (ctx context.Context, stop func()) {
	signals := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) { // nohup
		signals = append(signals, unix.SIGHUP)
	}
	ctx, stop = signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// openOutput opens the file, or takes standard output for "-", and names it
// for messages. A new file is for its owner alone (mode 0600), since it holds
// what others said; one that exists is overwritten and keeps its mode.
func openOutput(path string, stdout *os.File) (file *os.File, name string, err error) {
	file, name = stdout, "standard output"
	if path != "-" {
		name = path
		// O_NOCTTY: a daemon is not to acquire a terminal.
		file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOCTTY, 0o600)
		if err != nil {
			return nil, "", err
		}
	}
	if isTerminal(file) {
		return nil, "", fmt.Errorf("%s is a terminal; redirect it, or pipe it as in collect - | tshark -r -; %w", name, errUsage)
	}
	return file, name, nil
}

func isTerminal(f *os.File) bool {
	conn, err := f.SyscallConn() // f.Fd would make a pipe block
	if err != nil {
		return false
	}
	terminal := false
	conn.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		terminal = err == nil
	})
	return terminal
}

// noticeIdle says so if there is nobody to wait for.
func noticeIdle(queue *shm.Queue, stderr *os.File) {
	participants, err := queue.Participants()
	if err != nil {
		return // what is wrong with the queue shows when it is read
	}
	for _, p := range participants {
		if p.Producer && p.Alive {
			return
		}
	}
	fmt.Fprintf(stderr, "collect: nothing fills %s yet; waiting for ethertap\n", queue.Name())
}

// runShown runs the collector and shows on stderr how it comes along.
func runShown(ctx context.Context, queue *shm.Queue, c *collect.Collector, name string, stderr *os.File) error {
	start, before := time.Now(), refused(queue)
	counts := func() collect.Counts {
		packets, bytes, _ := c.Counts()
		return collect.Counts{
			Packets: packets,
			Bytes:   bytes,
			Lost:    max(refused(queue), before) - before,
			Elapsed: time.Since(start),
		}
	}
	progress := collect.NewProgress(stderr, isTerminal(stderr))
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		progress.Run(done, counts)
		close(ended)
	}()
	err := c.Run(ctx)
	close(done)
	<-ended
	if _, _, unwritten := c.Counts(); unwritten > 0 {
		name += fmt.Sprintf(" (%d taken and not written: byte limit)", unwritten)
	}
	progress.End(counts(), name)
	return err
}

// refused counts the packets for which the queue had no room: refused, or
// overwritten by newer ones.
func refused(queue *shm.Queue) uint64 {
	st, err := queue.Status()
	if err != nil {
		return 0 // the loop reads the same memory and says what is wrong
	}
	return st.Full + st.Overwritten
}
