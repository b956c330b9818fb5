// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// With busy polling, the kernel leaves the interrupts of a device off, and a thread does the work
// of its driver by system calls. One core does both in this way; otherwise an interrupt takes the
// core from the thread again and again. Published figures with one core for both (Töpel, "Introduce
// preferred busy-polling", 2020) are 64 thousand frames a second without it, and 10 to 22 million
// with it.

// SetPoll changes what threads do when no frame comes. A thread that sleeps does so at most once
// more, for up to a quarter of a second. With PollBusy it must be called in the network namespace
// of the interfaces.
func (e *Engine) SetPoll(m PollMode) {
	e.poll.Store(uint32(m))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.workers != nil {
		e.followPollLocked()
	}
}

// followPollLocked sets devices, sockets and threads to the mode of polling. If that fails, it logs
// why, and the thread spins.
func (e *Engine) followPollLocked() {
	wanted := PollMode(e.poll.Load()) == PollBusy
	for i, p := range e.ports {
		why := fmt.Sprintf("the driver (%s) has no interrupts to leave off", p.Facts().Driver)
		if p.nic != nil {
			why = p.nic.Unpollable()
		}
		busy := wanted && why == ""
		if wanted && !busy {
			e.config.Logf("port %s: %s, so busy polling only spins", p.Name(), why)
		}
		if p.nic != nil {
			if err := p.nic.DeferInterrupts(busy); err != nil {
				e.config.Logf("port %s: %v", p.Name(), err)
			}
		}
		for _, w := range e.workers {
			l := &w.lanes[i]
			if err := l.sock.BusyPoll(busy, busyBudget); err != nil && busy {
				e.config.Logf("port %s: queue %d: %v", p.Name(), w.queue, err)
				busy = false
			}
			l.busy.Store(busy)
		}
	}
}

// restoreInterruptsLocked restores the settings of the interrupts at the end of a run.
func (e *Engine) restoreInterruptsLocked() error {
	for _, p := range e.nics() {
		if err := p.DeferInterrupts(false); err != nil {
			e.config.Logf("port %s: %v", p.Name(), err)
		}
	}
	return nil
}

// busyBudget is the number of frames that one call takes from a device, as in NAPI.
const busyBudget = 64

// pollDevices does the work of the drivers. After an error it tries again after retryTime.
func (w *worker) pollDevices() {
	for i := range w.lanes {
		l := &w.lanes[i]
		if !l.busy.Load() || l.gone || w.clock < l.retryAt {
			continue
		}
		if errno := l.sock.Wake(); errno != 0 && errno != unix.EAGAIN {
			w.tally[i][countCall+int(reasonOf(errno))]++
			l.retryAt = w.clock + int64(retryTime)
		}
	}
}
