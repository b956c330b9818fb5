// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"time"

	"github.com/vishvananda/netlink"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/port"
)

// watch observes the interfaces until quit is closed. It logs when links go down and come back,
// follows their MTU, and starts the engine anew when an interface that disappeared is there again.
// w reports changes; it is nil if no port is a network interface.
func (e *Engine) watch(quit chan struct{}, w *nic.Watch) {
	if w == nil {
		tick := time.NewTicker(nic.WatchTime)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				e.observe(quit)
			}
		}
	}
	w.Gone = func(a *netlink.LinkAttrs) { e.lastSeen(quit, a) }
	w.Changed = func() { e.observe(quit) }
	if err := w.Run(quit); err != nil {
		e.config.Logf("interfaces are not watched, so one that disappears will not be attached again: %v", err)
	}
}

// longestPause is the longest time between two tries to start anew that fail half way: each of them logs what it changes
// on the interfaces, and what it changes back.
const longestPause = 10 * time.Second

// observe compares the interfaces with what was known of them, and acts on the changes.
func (e *Engine) observe(quit chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit != quit {
		return // the engine was stopped meanwhile
	}
	e.sayGoneLocked()
	again := e.workers == nil
	var why error
	var more []*enginePort
	for _, p := range e.ports {
		if e.workers != nil && p.gone.Load() { // the interface may have been elsewhere and come back, or another one may have its name
			e.expectOursLocked(e.fast.bypass.state == ownPins)
			err := p.Check()
			again = again || err == nil
			if err != nil && !errors.Is(err, port.ErrMissing) {
				why = err
			}
			continue
		}
		change := p.Observe()
		if change.Named {
			e.sayNamesLocked()
		}
		if change.Queues {
			more = append(more, p)
		}
		if e.workers != nil && e.adaptLocked(p, change.MTU) {
			again = true
		}
	}
	if e.workers == nil && time.Now().Before(e.retryAt) {
		return // a try changes the interfaces, which is why we are here again
	}
	if !again {
		again = e.followQueuesLocked(more)
	}
	if again {
		why = e.restartLocked()
	} else {
		e.fast.adapt()
		e.compareClocksLocked()
		e.followJoinersLocked()
	}
	e.complainLocked(why)
}

// lastSeen notes the last name of an interface that has just gone.
func (e *Engine) lastSeen(quit chan struct{}, a *netlink.LinkAttrs) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit != quit {
		return
	}
	for _, p := range e.ports {
		if p.nic != nil && p.nic.Index() == a.Index {
			e.retryAt = time.Time{} // another one may be there next
		}
		if p.nic != nil && p.nic.LastSeen(a, p.gone.Load()) {
			e.sayNamesLocked()
		}
	}
}

// sayNamesLocked writes the names of the interfaces into the queues, for their readers.
func (e *Engine) sayNamesLocked() {
	if err := e.announceNamesLocked(); err != nil {
		e.config.Logf("readers of the queues do not see the new names of the interfaces: %v", err)
	}
}

// complainLocked logs why frames are not forwarded, once for each reason.
func (e *Engine) complainLocked(err error) {
	said := ""
	if err != nil {
		said = err.Error()
		if said != e.said {
			e.config.Logf("waiting: %v", err)
		}
	}
	e.said = said
}

// adaptLocked adapts the threads to the present state of a port. again says that the engine has to
// start anew for that. before is the former MTU of the port, 0 if it has not changed.
func (e *Engine) adaptLocked(p *enginePort, before int) (again bool) {
	f := p.Facts()
	for _, w := range e.workers {
		w.lanes[p.number].longest.Store(f.Longest)
	}
	if before == 0 {
		return false
	}
	for _, w := range e.workers {
		for i := range w.lanes {
			if o := w.lanes[i].output; o != mirror {
				w.lanes[i].limit.Store(stretchLimit(e.ports[i].Facts(), e.ports[o].Facts()))
			}
		}
	}
	if f.MTU > port.LongMTU {
		e.config.Logf("port %s: frames longer than MTU %d are lost; to fix this, run: ip link set %s mtu %d", f.Name, port.LongMTU, port.Word(f.Device), port.LongMTU)
		return false
	}
	again = f.Chunk > e.workers[0].umem.FrameSize() || f.MTU > port.MaxMTU && !e.long
	if f.MTU > before && !again { // otherwise the start warns
		e.warnAllSlotsLocked(p)
	}
	return again
}

// restartLocked stops and starts the engine, if the start can be expected to succeed. While one
// interface is missing, the other one goes on.
//
// Tried: replacing only the socket of the dead interface. But nobody knows which chunks of the
// memory the kernel had for it, unless each frame is noted whenever it changes hands. So the memory
// is made anew, and the interface that stayed pauses for some ten milliseconds.
func (e *Engine) restartLocked() error {
	e.expectOursLocked(e.fast.bypass.state == ownPins)
	for _, p := range e.ports {
		if e.workers == nil || p.gone.Load() {
			if err := p.Check(); err != nil {
				return err
			}
		}
	}
	if err := e.rollbackLocked(0); err != nil {
		e.config.Logf("while stopping: %v", err)
	}
	if err := e.startLocked(); err != nil {
		if failed := e.rollbackLocked(0); failed != nil {
			e.config.Logf("while stopping: %v", failed)
		}
		if e.pause = min(2*e.pause, longestPause); e.said != err.Error() {
			e.pause = nic.WatchTime
		}
		e.retryAt = time.Now().Add(e.pause)
		return err // only a new reason is logged
	}
	e.pause, e.retryAt = 0, time.Time{}
	for _, p := range e.ports {
		if p.goneSaid {
			p.goneSaid = false
			e.config.Logf("port %s: the interface is back", p.Name())
		}
	}
	return nil
}
