package dataplane

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
)

// fast is the part of the engine that is in the kernel: frames that suffer no faults
// are counted and forwarded there, and copied for the taps. It has its own counters and
// tables, which are added to those of the threads. Engine.mu guards it; wanted, path,
// denied and bypass change under Engine.update as well, so that either lock is enough to
// read.
type fast struct {
	wanted bool
	bypass bypass
	stats  *fastpath.Stats          // since the first use; kept as long as the engine
	lives  []xsk.Life               // likewise, by queue
	path   *fastpath.Path           // on the interfaces; nil = all frames go through the threads
	why    string                   // why there is no path though it is wanted
	denied [2]string                // by port of reception: why frames are diverted though there is a path
	takes  [2]taken                 // likewise: what the other port takes of frames that are redirected to it
	lacked [2]bool                  // likewise: it was that the other port lacked what it takes
	silent [2]silence               // likewise: whether it is told what becomes of frames
	last   [MaxQueues][2]tally      // what was read last
	missed [fastpath.MaxTaps]uint64 // likewise: frames of which a tap got no copy
}

// copyRing is how many bytes of copies wait for each thread: some 30,000 frames of 64
// bytes, 2000 of 1500.
const copyRing = 4 << 20

// SetFastPath switches the fast path on or off, at once if the engine runs; it must
// be called in the network namespace of the interfaces then. Where it cannot work
// FastPath says why, and that is no error. Switching it on again tries interfaces
// again that refused.
func (e *Engine) SetFastPath(on bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.update.Lock()
	e.fast.wanted = on
	e.update.Unlock()
	switch {
	case e.workers == nil:
		return nil
	case e.fast.bypass.after > 0 && e.fast.path != nil: // its programs stay
		e.update.Lock()
		defer e.update.Unlock()
		for i := range e.ports {
			if err := e.fast.path.Accept(i); err != nil {
				return err
			}
		}
		e.fast.silent = [2]silence{}
		e.examine()
		return e.apply(false)
	}
	if err := e.disengage(); err != nil || !on {
		return err
	}
	e.engage()
	e.settle()
	return nil
}

// FastPath says whether the fast path is wanted, and for each interface why the
// frames received there do not use it; "" if they do.
func (e *Engine) FastPath() (wanted bool, why []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.ports {
		why = append(why, e.withoutFast(i))
	}
	return e.fast.wanted, why
}

// withoutFast says why an interface does not use the fast path.
func (e *Engine) withoutFast(port int) string {
	switch {
	case !e.fast.wanted:
		return "disabled"
	case e.workers == nil:
		return "not attached"
	case e.fast.path == nil:
		return e.withoutPath()
	}
	return e.fast.denied[port]
}

// withoutPath says why there is no path though it is wanted, by the names that interfaces
// have now.
func (e *Engine) withoutPath() string {
	if err := e.unsuited(); err != nil {
		return err.Error()
	}
	return e.fast.why
}

// engage puts the fast path in the place of the plain programs, frame by frame, or
// says why not. The caller holds mu.
func (e *Engine) engage() {
	err := e.tryEngage()
	e.fast.why = ""
	if err != nil {
		e.fast.why = err.Error()
		e.config.Logf("fast path: not used: %v", err)
	}
}

// unsuited says which interface is served in a way that leaves no room for the fast path.
func (e *Engine) unsuited() error {
	for _, p := range e.ports {
		if p.generic {
			return fmt.Errorf("port %s: generic XDP does not tell which frames it could not send", p.name)
		}
		if e.long && p.mode == zeroCopy {
			return fmt.Errorf("port %s: with zero-copy a redirect in the kernel takes the first buffer of a frame only: MTU %d at most", p.name, maxMTU)
		}
	}
	return nil
}

func (e *Engine) tryEngage() error {
	if err := e.unsuited(); err != nil {
		return err
	}
	path, err := e.load()
	if err != nil {
		return err
	}
	e.update.Lock()
	defer e.update.Unlock()
	old := e.fast.bypass.inherited
	if err := e.install(path); err != nil {
		if old == nil || old.Path != path { // else settle does it
			err = errors.Join(err, e.plain(), path.Close())
		}
		return err
	}
	e.fast.path = path
	return nil
}

// install puts a path's programs on the interfaces, unless they are there already. The
// caller holds mu and update.
func (e *Engine) install(path *fastpath.Path) error {
	if err := e.share(); err != nil {
		return err
	}
	e.fast.denied, e.fast.lacked, e.fast.silent = [2]string{}, [2]bool{}, [2]silence{}
	e.examine()
	rules := e.rules(e.plan.Load())
	old := e.fast.bypass.inherited
	if old != nil && old.Path == path {
		// Without a thread, what a port does not take was redirected to it all the same.
		for i := range e.ports {
			if err := path.Accept(i); err != nil {
				return err
			}
		}
	}
	if old == nil || old.Path == path {
		if err := path.Apply(&rules); err != nil || old != nil {
			return err
		}
		return e.attachPath(path)
	}
	// Programs of another version are there, which forward. What of that the new ones' traces
	// see is not theirs: so they divert everything until the old ones' last frame has left.
	if err := e.attachPath(path); err != nil {
		return err
	}
	all := fastpath.Rules{Port: [2]fastpath.PortRules{{Divert: true}, {Divert: true}}}
	if err := path.Apply(&all); err != nil {
		return err
	}
	if err := e.fast.stats.ResetSent(); err != nil {
		return err
	}
	return path.Apply(&rules)
}

func (e *Engine) attachPath(path *fastpath.Path) error {
	for i, p := range e.ports {
		if err := p.link.Update(path.Program(i)); err != nil {
			return fmt.Errorf("port %s: %w", p.name, err)
		}
	}
	return nil
}

// load returns programs for the interfaces: those that an earlier process left there, if
// they are of this version.
func (e *Engine) load() (*fastpath.Path, error) {
	if old := e.fast.bypass.inherited; old != nil && old.Path != nil {
		return old.Path, nil
	}
	if e.fast.stats == nil {
		stats, err := fastpath.NewStats()
		if err != nil {
			return nil, err
		}
		e.fast.stats = stats
	}
	c := fastpath.Config{Stats: e.fast.stats, Frags: e.long}
	for _, p := range e.ports {
		c.Sockets, c.Links = append(c.Sockets, p.program.Sockets), append(c.Links, p.index)
	}
	return fastpath.Load(c)
}

// share gives the threads what they share with the programs. The caller holds mu.
func (e *Engine) share() error {
	if e.fast.lives == nil {
		var err error
		if e.fast.lives, err = xsk.MapLives(e.fast.stats.Lives(), MaxQueues); err != nil {
			return err
		}
	}
	var mono unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	epoch := mono.Nano() - int64(time.Since(e.epoch))
	for _, w := range e.workers {
		k := &kernelSide{life: &e.fast.lives[w.queue], epoch: epoch, nap: napTime}
		if after := e.fast.bypass.after; after > 0 {
			k.nap = min(napTime, after/4)
		}
		if old := w.kernel.Load(); old != nil {
			k.ring = old.ring
		} else {
			size := copyRing
			if len(e.ports) == 1 {
				size = os.Getpagesize() // the least there can be: nothing is copied
			}
			fd, size, err := e.fast.stats.Ring(w.queue, size)
			if err != nil {
				return err
			}
			if k.ring, err = xsk.MapRingbuf(fd, size); err != nil {
				return err
			}
		}
		k.life.Thread.Store(w.thread)
		k.live(int64(time.Since(e.epoch)))
		w.kernel.Store(k)
		w.wake() // from a sleep that may be too long now
	}
	return nil
}

// apply puts the rules of the policy in force in the kernel. The caller holds update.
func (e *Engine) apply(alone bool) error {
	rules := e.rules(e.plan.Load())
	rules.Alone = alone
	return e.fast.path.Apply(&rules)
}

// plain gives the ports their plain programs back.
func (e *Engine) plain() error {
	var errs []error
	for _, p := range e.ports {
		if err := p.link.Update(p.program.Program); err != nil && !errors.Is(err, unix.ENOLINK) { // the interface is gone
			errs = append(errs, fmt.Errorf("port %s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}

// disengage takes the fast path away again; no frame is lost by it. The caller holds
// mu.
func (e *Engine) disengage() error {
	path := e.fast.path
	if path == nil {
		return nil
	}
	e.update.Lock()
	defer e.update.Unlock()
	defer func() { e.fast.path, e.fast.denied = nil, [2]string{} }()
	if e.fast.bypass.stays {
		return errors.Join(e.apply(true), path.Release())
	}
	var err error
	if e.fast.bypass.pinned {
		err = e.unpin()
	}
	return errors.Join(err, e.plain(), path.Close())
}

// rules are what a policy asks of the fast path. The caller holds update.
func (e *Engine) rules(p *plan) (r fastpath.Rules) {
	bridge := len(e.ports) == 2
	addresses := func(macs policy.MACs) (list []fastpath.MAC) {
		for _, m := range macs.All() {
			list = append(list, m)
		}
		return list
	}
	for i := range e.ports {
		r.Port[i] = fastpath.PortRules{
			Forward: bridge,
			Divert:  !e.fast.wanted || e.fast.denied[i] != "",
			Fault:   bridge && p.Ports[i].Fault.Enabled,
			Longest: int(e.fast.takes[i].longest),
			Whole:   e.fast.takes[i].whole,
		}
	}
	r.Drop, r.Fault = addresses(p.Drop), addresses(p.Policy.Fault)
	for _, t := range p.Taps {
		out := outletOf(p.outlets[:], t.Name)
		r.Taps[out.tap] = fastpath.Tap{RX: t.RX, TX: t.TX, Choosy: t.MACs != "", MACs: addresses(t.MACs)}
		if q := out.queue.Load(); q != nil {
			r.Kept = max(r.Kept, q.Room())
		}
	}
	// A frame that is mirrored has nothing to wait for: the thread takes it as it is.
	r.Copy = bridge
	r.Bypass = e.fast.bypass.after
	return r
}

// fastTally returns what the fast path counted of all queues and interfaces since it
// was first used. Should it be unreadable, that is what was read last. The caller
// holds mu.
func (e *Engine) fastTally() *[MaxQueues][2]tally {
	if e.fast.stats == nil {
		return &e.fast.last
	}
	all, err := e.fast.stats.Read()
	if err != nil {
		e.config.Logf("fast path: counters: %v", err)
		return &e.fast.last
	}
	var sums [MaxQueues][2]tally
	e.fast.missed = [fastpath.MaxTaps]uint64{}
	for i := range all {
		for q := range all[i] {
			c, t := &all[i][q], &sums[q][i]
			t[countRX] = c.Forwarded + c.Dropped + c.NoIf + c.Mirrored
			t[countDrop], t[countNoIf], t[countMirrored], t[countBypassed] = c.Dropped, c.NoIf, c.Mirrored, c.Bypassed
			t[countRXBytes] = c.Bytes
			t[countHeld] = c.Held()
			for errno, n := range c.Errors {
				t[countErr+int(fastReason(errno))] += n
			}
			o := &sums[q][1-i]
			o[countTX], o[countTXBytes] = c.Sent, c.SentBytes
			t[countTapQualified] += c.MissedRX[0]
			t[countTapRefused] += c.MissedRX[0]
			o[countTapQualified] += c.MissedTX[0]
			o[countTapRefused] += c.MissedTX[0]
			for tap := range e.fast.missed {
				e.fast.missed[tap] += c.MissedRX[tap] + c.MissedTX[tap]
			}
		}
	}
	e.fast.last = sums
	return &e.fast.last
}

// fastReason is the reason of an error of the fast path.
func fastReason(errno int) Reason {
	if errno == 0 {
		return ReasonFull
	}
	return reasonOf(unix.Errno(errno))
}

// count returns the counters of a queue, of its thread and of the fast path together,
// given what fastTally returned. Each part is of one moment in which the accounting
// identity holds, so it holds in the sum.
func (e *Engine) count(queue int, fast *[MaxQueues][2]tally) [2]tally {
	now := e.counts[queue].read()
	for p := range now {
		now[p].add(&fast[queue][p])
	}
	return now
}

// addFast adds a table of the fast path to a sum. The caller holds mu.
func (e *Engine) addFast(s *sum, port int, which fastpath.Table) error {
	if e.fast.stats == nil {
		return nil
	}
	rest, err := e.fast.stats.Sum(port, which, func(key uint64, u fastpath.Usage) {
		s.rows[key] = s.rows[key].plus(usage{u.Frames, u.Bytes, u.Last, u.Seen})
	})
	if err != nil {
		return fmt.Errorf("fast path: %w", err)
	}
	s.over = s.over.plus(usage{rest.Frames, rest.Bytes, rest.Last, rest.Seen})
	return nil
}

// resetFast empties tables of the fast path. The caller holds mu.
func (e *Engine) resetFast(which ...fastpath.Table) {
	if e.fast.stats == nil {
		return
	}
	for _, t := range which {
		if err := e.fast.stats.Reset(t); err != nil {
			e.config.Logf("fast path: %v", err)
		}
	}
}
