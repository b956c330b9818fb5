// SPDX-License-Identifier: BSD-3-Clause

// Command control is the frontend to the programs of EtherTAP that run in the
// background: it lists them, stops them, and gives the prompt of an ethertap.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/live"
	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/signals"
	"ethertap/interp"
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
	caught, end := catchSignals()
	defer end()
	found, err := find(o)
	if err != nil {
		fmt.Fprintf(stderr, "control: %v\n", err)
		return failed
	}
	if len(found) == 0 {
		to := stderr
		if o.action == status { // this is the answer
			to = stdout
		}
		fmt.Fprintln(to, nothing(o))
		return failed
	}
	switch {
	case o.action == status:
		for _, in := range found {
			fmt.Fprintf(stdout, "%s running%s\n%s%s", title(in), known(in), logged(in), stands(in))
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
		return caught.Status(each(found, stdout, stderr, func(in rundir.Info) (string, error) { return o.restarted(in, caught, stdout, stderr) }))
	case o.action == watch:
		return caught.Status(watched(found[0], caught, stdin, stdout, stderr))
	case o.action == reload:
		o.lines = []string{"ethertap.reload"}
	}
	code := ok
	for _, in := range found { // there are several only if all are to reload
		code = max(code, connect(o, in, caught, stdin, stdout, stderr))
	}
	return caught.Status(code)
}

// connect gives the prompt of an instance, or runs lines in it.
func connect(o options, in rundir.Info, caught *signalled, stdin io.Reader, stdout, stderr io.Writer) int {
	cl, err := dial(in)
	if err != nil {
		fmt.Fprintf(stderr, "control: %s: %v\n", title(in), reason(err))
		return failed
	}
	defer cl.Close()
	script := &watchedReader{Reader: stdin}
	con := console.New(stdin, stdout, stderr)
	if !con.Terminal() {
		con = console.New(script, stdout, stderr)
	}
	caught.connected(cl, con, script)
	if len(o.lines) > 0 {
		return evalLines(cl, o.lines, stdout, stderr)
	}
	if con.Terminal() {
		signals.Jobs(con.Suspend, con.Resume)
		signals.Resized(con.Resized)
		fmt.Fprintf(stdout, "connected to PID %d\n", cl.PID())
	}
	return con.Attach(cl, console.Options{History: console.HistoryFile(), Views: map[string]console.View{live.Name: liveView(in)}})
}

// evalLines runs the lines of -e until one fails.
func evalLines(cl *console.Client, lines []string, stdout, stderr io.Writer) int {
	r, err := cl.Run(interp.OptionLines, strings.NewReader(strings.Join(lines, "\n")), stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "control: %v\n", err)
		return failed
	}
	return r.ExitStatus()
}

// signalled handles the signals of control. SIGINT stops the words that run in the instance; if
// none run, or control waits for the script, it ends control. The other signals end control.
// Ctrl-C at a prompt is not a signal; package console handles it.
type signalled struct {
	signals.Shell
	mu     sync.Mutex
	client *console.Client // nil: not connected
	con    *console.Console
	stdin  *watchedReader
	child  *os.Process // nil: none runs
}

// run runs a command in the environment of a daemon; when control leaves, the command is told to
// end.
func (s *signalled) run(where *successor, cmd *exec.Cmd) error {
	if err := where.start(cmd); err != nil {
		return err
	}
	s.starts(cmd.Process)
	defer s.starts(nil)
	return cmd.Wait()
}

func (s *signalled) starts(child *os.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child = child
}

func catchSignals() (s *signalled, end func()) {
	s = new(signalled)
	s.Interrupt = func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.client != nil && !s.con.Terminal() && !s.stdin.waits.Load() && s.client.Interrupt()
	}
	s.Leave = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.con != nil {
			s.con.Close() // closes the connection, which would go with the process
		}
		if s.child != nil {
			s.child.Signal(unix.SIGTERM)
		}
	}
	return s, signals.CatchShell(&s.Shell)
}

// shows sets the terminal that signals give back.
func (s *signalled) shows(con *console.Console) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.con = con
}

// connected sets what signals act on from now on.
func (s *signalled) connected(cl *console.Client, con *console.Console, stdin *watchedReader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client, s.con, s.stdin = cl, con, stdin
}

// watchedReader is a script that knows whether somebody waits for it.
type watchedReader struct {
	io.Reader
	waits atomic.Bool
}

// dial connects to an instance. Who may not control it is connected to the socket for those who ask, if
// there is one for him.
func dial(in rundir.Info) (*console.Client, error) {
	cl, err := console.Dial(in.Socket)
	if errors.Is(err, fs.ErrPermission) {
		if asking, askErr := console.Dial(in.Ask); askErr == nil {
			return asking, nil
		}
	}
	return cl, err
}

func (r *watchedReader) Read(p []byte) (int, error) {
	r.waits.Store(true)
	defer r.waits.Store(false)
	return r.Reader.Read(p)
}

// reason turns an error of Dial into one that tells the user what to do.
func reason(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return errors.New("it takes no connections; it may be starting or stopping")
	}
	return err
}
