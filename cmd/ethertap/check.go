// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"ethertap/cmd/internal/detach"
	"ethertap/cmd/internal/rundir"
	"ethertap/cmd/internal/signals"
	"ethertap/dataplane"
	"ethertap/interp"
	"ethertap/shm"
)

// check looks for everything that would keep ethertap from starting: interfaces, queue, log and
// run directory, configuration and -e lines. It attaches to nothing and changes nothing: the
// configuration runs on an engine that only rehearses, and on queues of its own. Each mistake is
// printed as a line with its place. What this machine offers is printed before.
func (p *program) check(probe *dataplane.Engine, caught *signals.Caught) (status int) {
	status = ok
	mistake := func(err error) {
		status = failed
		p.say(err)
	}
	if os.Getenv(detach.Replaces) == "" { // control, which restarts an instance, wants to know the mistakes alone
		_ = p.printOffers() // the mistakes of the engine say which privileges are missing
	}
	running, err := p.alreadyRuns(caught)
	if err != nil {
		mistake(err)
	}
	for _, err := range append(probe.Mistakes(running), p.surroundings(running)...) {
		mistake(err)
	}
	if err := p.rehearse(caught, mistake); err != nil {
		mistake(err)
	}
	if s := signals.By(caught.Context()); s != nil {
		return signals.Status(s)
	}
	return status
}

// alreadyRuns says whether an instance of the name runs. That is no mistake, if it is the one to
// be replaced.
func (p *program) alreadyRuns(caught *signals.Caught) (running bool, err error) {
	all, err := rundir.List(caught.Context(), "ethertap")
	for _, in := range all {
		running = running || in.Name == p.name
	}
	return running, err
}

// surroundings returns what is wrong with the queue, the log and the address of --http. replacing says that an instance of
// this name runs, which is the one to be replaced.
func (p *program) surroundings(replacing bool) (all []error) {
	q, err := shm.Open(p.tapQueue, shm.Options{Role: shm.RoleOther, Name: "check", NoCreate: true, Slots: p.slots, SlotSize: p.slotSize, Exact: true})
	switch {
	case err == nil:
		q.Close()
	case errors.Is(err, shm.ErrVersion), errors.Is(err, shm.ErrCorrupt), errors.Is(err, fs.ErrNotExist),
		errors.Is(err, shm.ErrStrange) && os.Geteuid() == 0: // it will be replaced
	default:
		all = append(all, p.queueError(err))
	}
	if err := detach.CheckLog(p.log); err != nil {
		all = append(all, err)
	}
	if p.http != nil {
		if err := p.http.Check(replacing); err != nil {
			all = append(all, fmt.Errorf("--http: %w", err))
		}
	}
	return all
}

// rehearse runs the configuration and the -e lines to their end, whatever mistakes they have.
func (p *program) rehearse(caught *signals.Caught, mistake func(error)) error {
	dir, err := os.MkdirTemp("/dev/shm", "ethertap-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	shm.Rehearse(dir)
	q, err := shm.Open(p.tapQueue, shm.Options{Role: shm.RoleOther, Name: "check", Slots: p.slots, SlotSize: p.slotSize})
	if err != nil {
		return err
	}
	defer q.Close()
	p.plane.Queue, p.plane.Rehearsal = q, true
	if err := p.prepare(strings.NewReader(""), io.Discard); err != nil {
		return err
	}
	defer p.engine.Close()
	p.mistake = mistake
	p.session.Survey(mistake)
	_, err = p.configureUnder(caught.Stop)
	if errors.Is(err, interp.ErrInterrupted) {
		return nil // by a signal
	}
	return err
}
