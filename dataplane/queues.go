// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"
	"slices"
	"strings"
)

// countedUnservedLocked returns the number of frames so far that came in on queues of an interface
// without a thread.
func (e *Engine) countedUnservedLocked(p *enginePort) (n uint64) {
	if p.nic != nil {
		n = p.nic.Unserved()
	}
	return n + e.fast.unserved(p.number)
}

func (e *Engine) unservedSinceLocked(p *enginePort) uint64 {
	return e.countedUnservedLocked(p) - p.unservedBase
}

// threadsLocked returns the number of threads for the queues that the interfaces have, or an error
// that says why they cannot be served.
func (e *Engine) threadsLocked() (int, error) {
	queues := MaxQueues
	for _, p := range e.ports {
		queues = min(queues, p.Facts().RXQueues)
	}
	if e.config.Queues > 0 {
		queues = e.config.Queues
	}
	if n := len(e.config.CPUs); n > 0 && n < queues {
		return 0, fmt.Errorf("%d threads but only %d CPUs named", queues, n)
	}
	for _, p := range e.ports {
		if err := p.checkQueues(queues); err != nil {
			return 0, err
		}
	}
	return queues, nil
}

// followQueuesLocked compares the numbers of queues with the number of threads. again says that the
// engine has to start anew with another number of threads. Where that is not possible, it logs once
// which frames are lost. more lists the ports that have got more queues since the last call.
func (e *Engine) followQueuesLocked(more []*enginePort) (again bool) {
	short := ""
	defer func() {
		if short != e.short && short != "" {
			e.config.Logf("%s", short)
		}
		e.short = short
	}()
	if e.workers == nil || slices.ContainsFunc(e.ports, func(p *enginePort) bool { return p.gone.Load() }) {
		return false
	}
	var lost []string
	for _, p := range e.ports {
		if what := p.unservable(e.queues); what != "" {
			lost = append(lost, what)
		}
	}
	if len(lost) == 0 {
		return false
	}
	threads, err := e.threadsLocked()
	if err == nil {
		err = enoughMemory(&e.config, max(0, threads-e.queues), e.frameSizeLocked(), availableMemory())
	}
	if err == nil {
		e.config.Logf("starting anew with %s instead of %d", counted(threads, "thread"), e.queues)
		return true
	}
	short = strings.Join(lost, "; ") + e.moreThreadsLocked()
	for _, p := range more {
		if p.nic == nil {
			continue
		}
		if err := p.nic.CoverNewQueues(e.fast.program(p.number)); err != nil {
			e.config.Logf("port %s: frames on the new queues are not counted: %v", p.Name(), err)
		}
	}
	return false
}

// moreThreadsLocked says by which commands all queues would get a thread; "" if that is not
// possible.
func (e *Engine) moreThreadsLocked() string {
	most := 0
	for _, p := range e.ports {
		most = max(most, p.Facts().RXQueues)
	}
	cpus := len(e.config.CPUs)
	if most > MaxQueues || e.config.Queues > 0 || cpus > 0 && cpus < most {
		return ""
	}
	var commands []string
	for _, p := range e.ports {
		if p.checkQueues(most) != nil {
			commands = append(commands, p.QueueCommand(most))
		}
	}
	return fmt.Sprintf("; or, for %d threads: %s", most, strings.Join(commands, ", "))
}
