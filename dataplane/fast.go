// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
)

// fastPath is the part of the engine that runs in the kernel. It counts and forwards the frames
// that need not wait there, spoils some by faults, and copies them for the taps. Its counters and
// tables are added to those of the threads.
//
// Engine.mu guards it, and its methods need that lock. The fields that an Update reads (wanted,
// path, denied, limits, own, bypass.deadAfter) are written under Engine.update as well, so that either lock
// suffices to read them. Methods that need Engine.update as well end in Locked.
type fastPath struct {
	ports  []*enginePort
	plan   *atomic.Pointer[plan]
	update *sync.Mutex // Engine.update
	epoch  time.Time   // of the engine
	logf   func(string, ...any)

	wanted  bool
	bypass  bypass
	threads *startedThreads                  // what the last start made; nil while the engine does not run
	stats   *fastpath.Stats                  // made at the first use, and kept as long as the engine
	lives   []xsk.Life                       // by queue; made and kept likewise
	boot    int64                            // epoch on the programs' clock (CLOCK_MONOTONIC), ns; as of the last start
	begin   uint32                           // another number at each start: see diceEpoch
	path    *fastpath.Path                   // the programs on the interfaces; nil means that all frames go through the threads
	why     string                           // why there is no path though it is wanted
	denied  [2]string                        // by port of reception: why frames are diverted though there is a path
	limits  [2]redirectLimits                // by port of reception: what the other port takes of frames redirected to it
	own     [2]bool                          // by port of reception: the threads throw the dice, and the programs know it; see followTraces
	lacked  [2]bool                          // by port of reception: the other port took no redirected frames, as it lacked something
	silent  [2]silence                       // by port of reception: whether the kernel reports what becomes of redirected frames
	filters [2]atomic.Pointer[filterProgram] // by port of reception: where filters are evaluated; written under update, read by anybody
	last    [MaxQueues][2]tally              // the counters as last read
	missed  [fastpath.MaxTaps]uint64         // frames of which a tap got no copy, as last read
}

// startedThreads is what a start has made for the fast path to work with.
type startedThreads struct {
	workers []*worker
	long    bool // frames may need several chunks
}

// copyRing is the size in bytes of the ring of copies for each thread: room for some 30,000 frames
// of 64 bytes, or 2000 of 1500.
const copyRing = 4 << 20

// start installs the fast path on interfaces whose threads run, if it or a bypass is wanted. It
// replaces or removes what an earlier process has left there.
func (f *fastPath) start(r *startedThreads) {
	f.threads, f.begin = r, rand.Uint32()
	if f.wanted || f.bypass.deadAfter > 0 {
		f.engage()
	}
	f.settle()
}

// stop removes the fast path, except for a bypass that is to outlive the process.
func (f *fastPath) stop() error {
	err := f.disengage()
	f.threads = nil
	return err
}

// setWanted switches the fast path on or off, at once if the engine runs.
func (f *fastPath) setWanted(on bool) error {
	f.update.Lock()
	f.wanted = on
	f.update.Unlock()
	switch {
	case f.threads == nil:
		return nil
	case f.bypass.deadAfter > 0 && f.path != nil: // the programs stay for the bypass
		f.update.Lock()
		defer f.update.Unlock()
		for i := range f.ports {
			if err := f.path.Accept(i); err != nil {
				return err
			}
		}
		f.silent = [2]silence{}
		f.examineLocked()
		return f.applyLocked(false)
	}
	if err := f.disengage(); err != nil || !on {
		return err
	}
	f.engage()
	f.settle()
	return nil
}

// without says why an interface does not use the fast path; "" if it does.
func (f *fastPath) without(number int) string {
	switch {
	case !f.wanted:
		return "disabled"
	case f.threads == nil:
		return "not attached"
	case f.path == nil:
		return f.withoutPath()
	}
	if i := f.filters[number].Load(); i != nil && i.why != "" {
		return i.why
	}
	return f.denied[number]
}

// withoutPath says why there is no path though it is wanted, with the present names of the
// interfaces.
func (f *fastPath) withoutPath() string {
	if err := f.unsuited(); err != nil {
		return err.Error()
	}
	return f.why
}

// unsuited returns an error that names an interface on which the fast path cannot work, or nil.
func (f *fastPath) unsuited() error {
	for _, p := range f.ports {
		switch facts := p.Facts(); {
		case p.nic == nil:
			return fmt.Errorf("port %s: the kernel forwards between network interfaces only", facts.Name)
		case p.nic.Generic():
			return fmt.Errorf("port %s: generic XDP does not tell which frames it could not send", facts.Name)
		case f.threads != nil && f.threads.long && facts.Mode == port.ZeroCopy:
			return fmt.Errorf("port %s: with zero-copy a redirect in the kernel takes the first buffer of a frame only: MTU %d at most", facts.Name, port.MaxMTU)
		}
	}
	return nil
}

// engage replaces the plain programs by the fast path; every frame meets one or the other. If that
// fails, it logs why.
func (f *fastPath) engage() {
	err := f.tryEngage()
	f.why = ""
	if err != nil {
		f.why = err.Error()
		f.logf("fast path: not used: %v", err)
	}
}

func (f *fastPath) tryEngage() error {
	if err := f.unsuited(); err != nil {
		return err
	}
	path, err := f.load() // without the lock, as it takes too long for an Update to wait
	if err != nil {
		return err
	}
	f.update.Lock()
	defer f.update.Unlock()
	old := f.bypass.inherited
	if err := f.installLocked(path); err != nil {
		if old == nil || old.Path != path { // otherwise settle does this
			err = errors.Join(err, f.plain(), path.Close())
		}
		return err
	}
	f.path = path
	return nil
}

// installLocked puts the programs of a path on the interfaces, unless they are there already.
func (f *fastPath) installLocked(path *fastpath.Path) error {
	if err := f.connectThreadsLocked(); err != nil {
		return err
	}
	f.denied, f.lacked, f.silent, f.own = [2]string{}, [2]bool{}, [2]silence{}, f.tracedLocked()
	f.examineLocked()
	f.sayUnknown()
	rules := f.rulesLocked()
	old := f.bypass.inherited
	if old != nil && old.Path == path {
		// While there was no thread, frames were redirected even to a port that refuses them.
		for i := range f.ports {
			if err := path.Accept(i); err != nil {
				return err
			}
		}
	}
	defer f.noteFilters(path)
	if old == nil || old.Path == path {
		if err := path.Apply(&rules); err != nil || old != nil {
			return err
		}
		return errors.Join(f.giveDice(path), f.attach(path))
	}
	// Programs of another version are there, and they forward. The traces of the new ones would
	// count frames that the old ones forwarded. So the new ones divert all frames until the last of
	// these has left.
	if err := f.attach(path); err != nil {
		return err
	}
	all := fastpath.Rules{Port: [2]fastpath.PortRules{{Divert: true}, {Divert: true}}}
	if err := path.Apply(&all); err != nil {
		return err
	}
	if err := f.stats.ResetSent(); err != nil {
		return err
	}
	return path.Apply(&rules)
}

func (f *fastPath) attach(path *fastpath.Path) error {
	for i, p := range f.ports {
		if err := p.nic.SetProgram(path.Program(i)); err != nil {
			return err
		}
	}
	return nil
}

// load returns the programs for the interfaces: those that an earlier process left there if they
// are of this version, else new ones.
func (f *fastPath) load() (*fastpath.Path, error) {
	if old := f.bypass.inherited; old != nil && old.Path != nil {
		return old.Path, nil
	}
	if f.stats == nil {
		stats, err := fastpath.NewStats()
		if err != nil {
			return nil, err
		}
		f.stats = stats
	}
	c := fastpath.Config{Stats: f.stats, Frags: f.threads.long, Stamps: f.stampSources()}
	for _, p := range f.ports {
		c.Sockets, c.Links = append(c.Sockets, p.nic.Sockets()), append(c.Links, p.nic.Index())
	}
	return fastpath.Load(c)
}

// connectThreadsLocked gives the threads what they share with the programs: life and ring.
func (f *fastPath) connectThreadsLocked() error {
	if f.lives == nil {
		var err error
		if f.lives, err = xsk.MapLives(f.stats.Lives(), MaxQueues); err != nil {
			return err
		}
	}
	zero, err := fastpath.Zero(func() int64 { return int64(time.Since(f.epoch)) })
	if err != nil {
		return err
	}
	f.boot = -zero
	for _, w := range f.threads.workers {
		k := &kernelSide{life: &f.lives[w.queue], epoch: f.boot, nap: napTime, begin: f.begin}
		if after := f.bypass.deadAfter; after > 0 {
			k.nap = min(napTime, after/4)
		}
		if old := w.kernel.Load(); old != nil {
			k.ring = old.ring
		} else {
			size := copyRing
			if len(f.ports) == 1 {
				size = os.Getpagesize() // the smallest possible ring: nothing is copied
			}
			fd, size, err := f.stats.Ring(w.queue, size)
			if err != nil {
				return err
			}
			if k.ring, err = xsk.MapRingbuf(fd, size); err != nil {
				return err
			}
		}
		k.life.Thread.Store(w.threadID)
		k.markAlive(int64(time.Since(f.epoch)))
		w.kernel.Store(k)
		w.wake() // the sleep may be too long now
	}
	return nil
}

// applyLocked puts the rules of the policy into the kernel, if there is a path. alone says that no
// thread of this process will run any more.
func (f *fastPath) applyLocked(alone bool) error {
	if f.path == nil {
		return nil
	}
	rules := f.rulesLocked()
	rules.Alone = alone
	defer f.noteFilters(f.path)
	return f.path.Apply(&rules)
}

// filterProgram is the one of the filters of frames received on a port.
type filterProgram struct {
	instructions int    // 0: there is none
	why          string // why there is none though there are filters
}

// noteFilters notes where a path has the filters.
func (f *fastPath) noteFilters(path *fastpath.Path) {
	for i := range f.ports {
		n, err := path.Filters(i)
		info := &filterProgram{instructions: n}
		if err != nil {
			info.why = err.Error()
		}
		if old := f.filters[i].Swap(info); info.why != "" && (old == nil || old.why != info.why) {
			f.logf("port %s: filters are evaluated in threads: %v", f.ports[i].Name(), err)
		}
	}
}

// Filtered returns how many instructions the program of the filters of frames received on an
// interface has in the kernel, 0 if there is none; and why these frames are handled by threads, "" if
// they are not.
func (e *Engine) Filtered(number int) (instructions int, why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := e.fast.filters[number].Load(); i != nil {
		instructions = i.instructions
	}
	return instructions, e.fast.without(number)
}

// plain gives the ports their plain programs back.
func (f *fastPath) plain() error {
	var errs []error
	for _, p := range f.ports {
		errs = append(errs, p.nic.SetPlainProgram())
	}
	return errors.Join(errs...)
}

// disengage removes the fast path. No frame is lost by that.
func (f *fastPath) disengage() error {
	path := f.path
	if path == nil {
		return nil
	}
	f.update.Lock()
	defer f.update.Unlock()
	defer func() {
		f.path, f.denied = nil, [2]string{}
		for i := range f.filters {
			f.filters[i].Store(nil)
		}
	}()
	if f.bypass.state == leavingPins {
		return errors.Join(f.applyLocked(true), path.Release())
	}
	var err error
	if f.bypass.state == ownPins {
		err = f.unpinLocked()
	}
	return errors.Join(err, f.plain(), f.takeDice(path), path.Close())
}

// rulesLocked returns the rules that the policy in force demands.
func (f *fastPath) rulesLocked() (r fastpath.Rules) {
	p, bridge := f.plan.Load(), len(f.ports) == 2
	addresses := func(macs policy.MACs) (list []fastpath.MAC) {
		for _, m := range macs.All() {
			list = append(list, m)
		}
		return list
	}
	for i := range f.ports {
		r.Port[i] = fastpath.PortRules{
			Forward: bridge,
			Divert:  !f.wanted || f.denied[i] != "",
			Fault:   bridge && p.Ports[i].Fault.Enabled,
			Away:    f.own[i] || !inKernel(&p.Ports[i].Fault),
			Faults:  f.faultsLocked(i),
			Longest: int(f.limits[i].longest),
			Whole:   f.limits[i].whole,
		}
	}
	r.Drop, r.Fault = addresses(p.Drop), addresses(p.Policy.Fault)
	r.DropFilter, r.FaultFilter = p.drops, p.spoils
	for _, t := range p.Taps {
		out := outletOf(p.outlets[:], t.Name)
		r.Taps[out.number] = fastpath.Tap{RX: t.RX, TX: t.TX, Choosy: t.MACs != "", MACs: addresses(t.MACs)}
		for i := range p.ports {
			r.Taps[out.number].RXFilter[i], r.Taps[out.number].TXFilter[i] = p.ports[i].rx.filters[out.number], p.ports[i].tx.filters[out.number]
		}
		if q := out.queue.Load(); q != nil {
			r.Kept = max(r.Kept, q.Room())
		}
	}
	// A mirrored frame has no need to be forwarded at once, so it is diverted and the thread taps
	// the frame itself.
	r.Copy = bridge
	r.Bypass = f.bypass.deadAfter
	return r
}

// program returns the XDP program of the fast path on a port, or nil if the plain one runs.
func (f *fastPath) program(number int) *ebpf.Program {
	if f.path == nil {
		return nil
	}
	return f.path.Program(number)
}

// SetFastPath switches the fast path on or off, at once if the engine runs. It must then be called
// in the network namespace of the interfaces. It is no error if an interface cannot use the fast
// path; the method FastPath says why. Switching it on again tries again the interfaces that
// refused.
func (e *Engine) SetFastPath(on bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fast.setWanted(on)
}
