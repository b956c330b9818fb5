// Command control is the frontend to the programs of EtherTAP that run in the
// background: it lists them, stops them, and gives the prompt of an ethertap.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/rundir"
	"ethertap/interp/console"
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

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "control: %v; control -h shows usage\n", err)
		return wrongUsage
	case o.info.Show(stdout, "control", usage):
		return ok
	}
	found, err := find(o)
	if err != nil {
		fmt.Fprintf(stderr, "control: %v\n", err)
		return failed
	}
	if len(found) == 0 {
		to := stderr
		if o.action == status { // it is the answer to what was asked
			to = stdout
		}
		fmt.Fprintln(to, nothing(o))
		return failed
	}
	switch {
	case o.action == status:
		for _, in := range found {
			fmt.Fprintf(stdout, "%s running%s\n", title(in), known(in))
		}
		return ok
	case len(found) > 1 && !o.all:
		fmt.Fprintf(stderr, "control: %s\n", several(o, found))
		return failed
	case o.action == stop:
		return each(found, stdout, stderr, o.stopped)
	case o.action == rotate:
		return each(found, stdout, stderr, rotated)
	case o.action == restart:
		return each(found, stdout, stderr, func(in rundir.Info) (string, error) { return o.restarted(in, stdout, stderr) })
	case o.action == reload:
		o.lines = []string{"ethertap.reload"}
	}
	code := ok
	for _, in := range found { // several only if all are to reload
		code = max(code, connect(o, in, stdin, stdout, stderr))
	}
	return code
}

// connect gives the prompt of an instance, or runs lines in it.
func connect(o options, in rundir.Info, stdin io.Reader, stdout, stderr io.Writer) int {
	cl, err := console.Dial(in.Socket)
	if err != nil {
		fmt.Fprintf(stderr, "control: %s: %v\n", title(in), reason(err))
		return failed
	}
	defer cl.Close()
	con := console.New(stdin, stdout, stderr)
	defer passSignals(cl, con)()
	if len(o.lines) > 0 {
		return evalLines(cl, o.lines, stdout, stderr)
	}
	if con.Terminal() {
		fmt.Fprintf(stdout, "connected to PID %d\n", cl.PID())
	}
	return con.Attach(cl, console.Options{History: console.HistoryFile()})
}

// evalLines runs the lines of -e until one fails.
func evalLines(cl *console.Client, lines []string, stdout, stderr io.Writer) int {
	open := ""
	for _, line := range lines {
		r, err := cl.Eval(line, stdout, stderr)
		switch {
		case err != nil:
			fmt.Fprintf(stderr, "control: %v\n", err)
			return failed
		case r.Failed || r.Left:
			return r.ExitStatus()
		}
		open = r.Open
	}
	if open != "" {
		fmt.Fprintf(stderr, "control: the last line ends while %s is open\n", open)
		return failed
	}
	return ok
}

// passSignals has an interrupt stop what runs over there, and any further or
// other signal end the connection, the terminal restored. Ctrl-C at a prompt is
// not a signal; package console sees to it.
func passSignals(cl *console.Client, con *console.Console) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	done := make(chan struct{})
	go func() {
		interrupts := 0
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == unix.SIGINT {
					interrupts++
				}
				if s == unix.SIGINT && interrupts == 1 && !con.Terminal() {
					cl.Interrupt()
					continue
				}
				con.Close()
				cl.Close()
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

// reason makes an error of Dial one that a user can do something about.
func reason(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return errors.New("it takes no connections; it may be starting or stopping")
	}
	return err
}
