// SPDX-License-Identifier: BSD-3-Clause

// Command ethertap is the tap: a bridge between two interfaces, or a listener on
// one, with a prompt to control it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/detach"
	"ethertap/cmd/internal/heap"
	"ethertap/cmd/internal/live"
	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/signals"
	"ethertap/cmd/internal/systemd"
	"ethertap/collect"
	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/interp/console"
	"ethertap/shm"
	"ethertap/words/core"
	"ethertap/words/ixdp"
	"ethertap/words/packet"
	"ethertap/words/predicate"
	"ethertap/words/replay"
	"ethertap/words/report"
	"ethertap/words/tap"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit statuses.
const (
	ok = iota
	failed
	wrongUsage
)

func run(args []string, stdin, stdout, stderr *os.File) int {
	if err := heap.Relax(); err != nil {
		fmt.Fprintf(stderr, "ethertap: %v\n", err)
		return failed
	}
	child := detach.Inherit()
	o, err := parse(args)
	var probe *dataplane.Engine
	machine := o.check && len(o.plane.Interfaces) == 0 // what it offers, and no more
	if err == nil && !o.info.Asked() && !o.clear && !o.demo && !machine {
		probe, err = dataplane.New(o.plane) // for errors of the command line alone
	}
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "ethertap: %v; ethertap -h shows usage\n", err)
		return wrongUsage
	case o.info.Show(stdout, "ethertap", usage):
		return ok
	case o.clear:
		if err := clearBypass(o, stdout); err != nil {
			fmt.Fprintf(stderr, "ethertap: %v\n", err)
			return failed
		}
		return ok
	case o.demo:
		return demo(stdin, stdout, stderr)
	case machine:
		p := &program{options: o, stdout: stdout, stderr: stderr}
		if err := p.printOffers(); err != nil {
			fmt.Fprintf(stderr, "ethertap: %v\n", err)
			return failed
		}
		return ok
	case o.check:
		p := &program{options: o, stdout: stdout, stderr: stderr, console: console.New(stdin, stdout, stderr)}
		return p.check(probe, signals.Catch(false))
	case o.daemon && child == nil:
		if o.log == "" {
			if o.log, err = detach.DefaultLog(func() (string, error) { return rundir.LogPath("ethertap", o.name) }); err != nil {
				fmt.Fprintf(stderr, "ethertap: %v\n", err)
				return failed
			}
		}
		caught := signals.Catch(false)
		pid, err := detach.Start(caught.Context(), detach.Options{Args: args, Log: o.log, Program: "ethertap"})
		if err != nil {
			fmt.Fprintf(stderr, "ethertap: %v\n", err)
			if s := signals.By(caught.Context()); s != nil {
				return signals.Status(s)
			}
			return failed
		}
		fmt.Fprintf(stdout, "ethertap going to background, PID %d\n", pid)
		return ok
	}
	p := &program{options: o, child: child, errorFile: stderr}
	p.stdout, p.stderr = child.Output(stdout, stderr)
	p.console = console.New(stdin, p.stdout, p.stderr)
	p.stay = p.stay || console.Unreadable(stdin) // an input that cannot be read has no end either
	defer p.console.Close()
	caught := signals.Catch(child != nil)
	if p.console.Terminal() {
		signals.KeepRunning() // the link must not depend on which job of a shell this is
		signals.Jobs(p.console.Suspend, p.console.Resume)
		signals.Resized(p.console.Resized)
	}
	status, err := p.run(probe, caught)
	if err != nil {
		child.Fail(err)
		if signals.By(caught.Context()) != nil && errors.Is(err, context.Cause(caught.Context())) {
			return ok // it was told to end while it waited
		}
		p.say(err)
		if s := signals.By(caught.Context()); s != nil && errors.Is(err, interp.ErrInterrupted) {
			return signals.Status(s) // it cut a line short
		}
		return failed
	}
	return status
}

// say writes an error; an error of the configuration or of a line looks the same as everywhere.
func (p *program) say(err error) {
	program := "ethertap"
	if errors.As(err, new(*interp.Error)) {
		program = "error"
	}
	fmt.Fprintf(p.stderr, "%s: %s\n", program, interp.OneLine(err.Error()))
}

// program is one running ethertap.
type program struct {
	options
	child          *detach.Child
	console        *console.Console
	stdout, stderr io.Writer
	errorFile      *os.File                         // standard error
	above          atomic.Pointer[collect.Progress] // lines are written above it; nil: nothing is drawn

	engine  *dataplane.Engine
	dict    *interp.Dict
	session *interp.Session // of the configuration, the -e lines and the prompt
	errors  errorOutput     // of the session
	mistake func(error)     // called for every error of configuration and lines; nil: the first error ends them

	journal journal
	quiet   atomic.Bool // a terminal is not shown what the start logs, but three lines at its end

	reloading atomic.Pointer[interp.Session] // runs the configuration on SIGHUP; nil: none does
}

// run starts everything in order, waits for the end, and stops it in reverse. Before
// configuration and -e lines have succeeded, no interface is touched. probe is an engine without
// a queue, for checks that come before the queue.
func (p *program) run(probe *dataplane.Engine, caught *signals.Caught) (status int, err error) {
	if err := probe.Privileged(); err != nil {
		return failed, err
	}
	instance, err := rundir.Register(caught.Context(), "ethertap", p.name)
	if err != nil {
		return failed, err
	}
	defer instance.Close()
	if p.group != 0 {
		shm.Share(p.group)
		if err := instance.Share(p.group); err != nil {
			return failed, err
		}
	}
	if err := probe.Check(); err != nil { // before queue and configuration
		return failed, err
	}
	q, err := shm.Open(p.tapQueue, shm.Options{Role: shm.RoleEthertap, Name: p.name, Repair: true, Slots: p.slots, SlotSize: p.slotSize, Exact: true, Logf: p.logf})
	if err != nil {
		return failed, p.queueError(err)
	}
	defer p.deleteQueue()
	defer q.Close()
	p.plane.Queue, p.plane.Logf, p.plane.RunDir = q, p.logf, instance.Dir()
	if err := p.prepare(p.console.Input(), p.stdout); err != nil {
		return failed, err
	}
	defer p.engine.Close()
	stop, err := p.serveHTTP()
	if err != nil {
		return failed, err
	}
	defer stop()
	p.quiet.Store(p.console.Terminal() && p.child == nil)
	defer p.tell() // what the start said, if it fails
	if left, err := p.configureUnder(caught.Stop); err != nil || left {
		return ok, err
	}
	if !p.engine.Running() { // a line of the configuration may have started it
		if err := p.engine.Start(); err != nil {
			return failed, err
		}
	}

	closeSockets, err := p.serveSockets(instance)
	if err != nil {
		return failed, err
	}
	defer closeSockets()
	if err := p.child.Ready(); err != nil {
		return failed, err
	}
	p.notify(systemd.Ready)
	if p.quiet.CompareAndSwap(true, false) {
		p.greet()
	}
	shown := p.showProgress()
	status = p.serve(caught)
	p.notify(systemd.Stopping)
	err = p.engine.Stop()
	shown()
	p.sayLost()
	return status, errors.Join(err, p.files.close(p.logf))
}

// prepare makes the engine and the session that configures it.
func (p *program) prepare(stdin io.Reader, stdout io.Writer) (err error) {
	if p.engine, err = dataplane.New(p.plane); err != nil {
		return err
	}
	if p.dict, err = interp.NewDict(p.sets()...); err != nil {
		return err
	}
	p.errors.w = p.console.Errors()
	p.session = interp.NewSession(p.dict, stdin, stdout, &p.errors)
	return nil
}

// sets returns all words of the program.
func (p *program) sets() []interp.Set {
	from := report.Source{Instance: p.name}
	return []interp.Set{
		core.Set(), packet.Set(), predicate.Set(), tap.QueueWords(func() (*shm.Queue, error) { return p.engine.Queue(), nil }, p.engine, from),
		tap.Words(p.engine, from), ixdp.Words(p.engine, from), replay.Words(p.files.in, p.forwarded, from), p.words(),
	}
}

// queueError adds advice to an error of opening the TAP queue.
func (p *program) queueError(err error) error {
	if errors.Is(err, shm.ErrSizes) {
		return fmt.Errorf("%w; to fix this, delete it (rpclsh -q %s -e tap.queue.delete), or leave out --queue-slots and --queue-slot-size", err, p.tapQueue)
	}
	return err
}

// configureUnder runs configure and stops it when a signal comes. left says that the program has
// to end, because of a signal or because a line said so.
func (p *program) configureUnder(signals <-chan os.Signal) (left bool, err error) {
	done := make(chan error, 1)
	go func() { done <- p.configure() }()
	again := make(<-chan time.Time)
	for {
		select {
		case err := <-done:
			return left || p.session.Left(), err
		case <-signals:
			left = true
			ticker := time.NewTicker(10 * time.Millisecond) // interrupts again and again, since each line begins without an interrupt
			defer ticker.Stop()
			again = ticker.C
			p.session.Interrupt()
		case <-again:
			p.session.Interrupt()
		}
	}
}

// configure runs everything that comes before the first frame: prelude, configuration, -e lines.
// The first error ends it, unless mistake is set.
func (p *program) configure() (err error) {
	s := p.session
	if err := core.Prelude(s); err != nil {
		return err
	}
	if err := p.dict.SetVariable("version.ethertap", interp.NewString(about.Version)); err != nil {
		return err
	}
	load, err := p.loading()
	if err != nil && p.mistake == nil {
		return err
	} else if err != nil {
		p.mistake(err)
		load = ""
	}
	defer func() { s.WarnUnknown(err) }()
	for i, line := range append([]string{load}, p.lines...) {
		err = s.RunLine(line, i)
		if err != nil && (p.mistake == nil || errors.Is(err, interp.ErrInterrupted)) {
			return err
		}
		if err != nil {
			p.mistake(err)
		}
		if s.Left() {
			break
		}
	}
	return nil
}

// serve gives the prompt, or runs the lines of standard input, until their end or a signal. A
// daemon waits for the signal, and so does --stay after the lines.
func (p *program) serve(caught *signals.Caught) (status int) {
	done := make(chan int, 1)
	if p.child == nil {
		o := console.Options{History: console.HistoryFile(), Views: map[string]console.View{live.Name: p.liveView}}
		go func() { done <- p.console.Run(p.session, o) }()
	}
	finished, unwritable := p.finished(), p.files.failed()
	for {
		select {
		case <-unwritable:
			return failed
		case <-finished:
			if !p.stay {
				p.errors.ended.Store(true)
				p.session.Interrupt()
				p.console.Close()
				return ok
			}
			finished = nil
		case status = <-done:
			stays := (p.stay || finished != nil) && !p.console.Terminal() || p.console.Orphaned()
			if !stays || status != ok || p.session.Left() {
				return status
			}
		case <-caught.Hangup:
			p.hangup()
		case s := <-caught.Stop:
			p.errors.ended.Store(true)
			p.session.Interrupt()
			if again := p.reloading.Load(); again != nil {
				again.Interrupt()
			}
			p.console.Close()
			if p.child != nil {
				p.logf("stopping on %v", s)
			}
			return ok
		}
	}
}

// errorOutput writes the errors of a session until a signal ends it: that the running words are
// interrupted then is not an error.
type errorOutput struct {
	w     io.Writer
	ended atomic.Bool
}

func (e *errorOutput) Write(b []byte) (int, error) {
	if e.ended.Load() {
		return len(b), nil
	}
	return e.w.Write(b)
}

// logf writes a line for the dataplane: above the prompt in the foreground, or into a daemon's
// log.
func (p *program) logf(format string, args ...any) {
	line := interp.OneLine(fmt.Sprintf(format, args...))
	p.journal.add(line)
	progress := p.above.Load()
	switch {
	case p.quiet.Load():
	case progress != nil:
		progress.Say(line)
	default:
		fmt.Fprintln(p.console.Log(), line)
	}
}

// tell shows what was kept from a terminal during a start.
func (p *program) tell() {
	if p.quiet.CompareAndSwap(true, false) {
		for _, l := range p.journal.view().Lines {
			fmt.Fprintln(p.console.Log(), l.Text)
		}
	}
}
