// SPDX-License-Identifier: BSD-3-Clause

// Command rpclsh is the bare RPCL shell: the language and the words of the TAP
// queue, without a dataplane.
package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/heap"
	"ethertap/cmd/internal/signals"
	"ethertap/interp"
	"ethertap/interp/console"
	"ethertap/shm"
	"ethertap/words/core"
	"ethertap/words/packet"
	"ethertap/words/predicate"
	"ethertap/words/report"
	"ethertap/words/tap"
)

const usage = `usage: rpclsh [options] [file.rpcl [argument...]]
       options:
       -q|--queue <q>       specify packet queue (default ` + shm.DefaultName + `)
       -e|--eval <line>     run a line of RPCL (may be given several times)
       -i|--interactive     prompt even if standard input is no terminal
       -h|--help            show usage
       -v|--version         show version
       -c|--copyright       show copyright

Without file and line it gives a prompt, or runs the lines of standard input, as
it does for the file -. A script has its arguments with argc and argv, reads
standard input with read-line, and ends with the status that exit-status has set.
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit statuses; a script may have others.
const (
	ok = iota
	failed
	wrongUsage
)

type options struct {
	queue       string
	lines       []string
	interactive bool
	script      []string // the file and its arguments
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if err := heap.Relax(); err != nil {
		fmt.Fprintf(stderr, "rpclsh: %v\n", err)
		return failed
	}
	o, shown, err := parse(args, stdout)
	if err != nil {
		fmt.Fprintf(stderr, "rpclsh: %v; rpclsh -h shows usage\n", err)
		return wrongUsage
	}
	if shown {
		return ok
	}
	var q *shm.Queue
	dict, err := interp.NewDict(core.Set(), packet.Set(), predicate.Set(), tap.QueueWords(func() (*shm.Queue, error) {
		opened, err := shm.Open(o.queue, shm.Options{Role: shm.RoleShell, Name: "rpclsh"})
		if err != nil {
			return nil, err
		}
		if q != nil {
			q.Close() // a word or another process has deleted it
		}
		q = opened
		return q, nil
	}, nil, report.Source{Instance: "rpclsh"}))
	if err != nil {
		fmt.Fprintf(stderr, "rpclsh: %v\n", err)
		return failed
	}
	return session(o, dict, stdin, stdout, stderr)
}

func parse(args []string, stdout io.Writer) (o options, shown bool, err error) {
	f := pflag.NewFlagSet("rpclsh", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.SetInterspersed(false) // arguments after the file belong to the script
	f.StringVarP(&o.queue, "queue", "q", shm.DefaultName, "")
	f.StringArrayVarP(&o.lines, "eval", "e", nil, "")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "")
	info := about.Flags(f)
	f.Usage = func() {}
	if err := f.Parse(args); err != nil {
		return o, false, err
	}
	if info.Show(stdout, "rpclsh", usage) {
		return o, true, nil
	}
	o.script = f.Args()
	return o, false, nil
}

// session runs the lines and the script, and prompts if that is wanted or if there are none.
func session(o options, dict *interp.Dict, stdin io.Reader, stdout, stderr io.Writer) int {
	con := console.New(stdin, stdout, stderr)
	defer con.Close()
	s := interp.NewSession(dict, con.Input(), stdout, con.Errors())
	core.SetArguments(s, o.script)
	opening, prompting, ended := new(atomic.Bool), new(atomic.Bool), make(chan struct{})
	defer close(ended)
	caught := &signals.Shell{
		Interrupt: func() bool {
			if prompting.Load() {
				s.Interrupt()
			} else {
				go insist(s, ended)
			}
			return !opening.Load()
		},
		Leave:       con.Close,
		Interactive: prompting.Load,
	}
	defer signals.CatchShell(caught)()
	if con.Terminal() {
		signals.Jobs(con.Suspend, con.Resume)
		signals.Resized(con.Resized)
	}
	err := core.Prelude(s)
	for i, line := range o.lines {
		if err == nil && !s.Left() {
			err = s.RunLine(line, i+1)
		}
	}
	if err == nil && len(o.script) > 0 && !s.Left() {
		err = runScript(s, o.script[0], opening)
	}
	s.WarnUnknown(err)
	if err != nil {
		s.Report(err)
		return caught.Status(failed)
	}
	if s.Left() || (len(o.script) > 0 || len(o.lines) > 0) && !o.interactive {
		return s.Status()
	}
	prompting.Store(o.interactive || con.Terminal())
	return caught.Status(con.Run(s, console.Options{Interactive: o.interactive, History: console.HistoryFile()}))
}

// insist interrupts the session until it ends, since each line and source begins without an
// interrupt.
func insist(s *interp.Session, ended <-chan struct{}) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		s.Interrupt()
		select {
		case <-ended:
			return
		case <-ticker.C:
		}
	}
}

// runScript runs a file, or standard input if its name is -. opening is true while the file is
// opened, which takes time if it is a FIFO.
func runScript(s *interp.Session, name string, opening *atomic.Bool) error {
	if name == "-" {
		return s.RunInput("stdin")
	}
	opening.Store(true)
	f, err := os.Open(name)
	opening.Store(false)
	if err != nil {
		return interp.FileError(err)
	}
	defer f.Close()
	return s.Run(name, f)
}
