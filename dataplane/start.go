package dataplane

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// errNative says that a driver refused native XDP where generic XDP is allowed.
var errNative = errors.New("native XDP refused")

// Start checks the interfaces, attaches and forwards. On error everything is as
// it was before. It must be called in the network namespace of the interfaces,
// and Stop likewise.
func (e *Engine) Start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit != nil {
		return errors.New("the engine runs already")
	}
	if e.config.Rehearsal {
		return nil
	}
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if err := e.start(); err != nil {
		return errors.Join(err, e.rollback(0), home.Close())
	}
	for _, p := range e.ports {
		p.goneSaid = false
	}
	e.quit, e.said = make(chan struct{}), ""
	go e.watch(e.quit, home)
	go e.watchQueues(e.quit)
	return nil
}

func (e *Engine) start() error {
	if err := e.Privileged(); err != nil {
		return err
	}
	tool, err := newEthtool()
	if err != nil {
		return err
	}
	if err := e.recover(tool); err != nil {
		return err
	}
	if err := e.inherit(tool); err != nil {
		return err
	}
	if err := e.inspect(tool, e.fast.bypass.inherited != nil, e.config.Logf); err != nil {
		return err
	}
	e.renewQueues()
	frame := e.frameSize()
	e.long = false
	for _, p := range e.ports {
		e.warnAllSlots(p)
		p.generic = e.config.Attach == AttachSKB
		p.gone.Store(false)
		e.long = e.long || p.mtu > maxMTU
	}
	// A thread that spins keeps a P for good; everything else needs others.
	if need := e.queues + 2; runtime.GOMAXPROCS(0) < need {
		runtime.GOMAXPROCS(need)
	}
	if len(e.ports) == 2 {
		a, b := e.ports[0], e.ports[1]
		if a.index == b.index {
			return fmt.Errorf("ports %s and %s are the same interface", a.name, b.name)
		}
		if a.mtu != b.mtu {
			e.config.Logf("ports %s and %s have different MTUs (%d, %d): longer frames get lost", a.name, b.name, a.mtu, b.mtu)
		}
	}
	bypass := ""
	if e.fast.bypass.inherited != nil {
		bypass = e.config.BypassDir
	}
	for _, p := range e.ports {
		p.inheritRecord(e.config.RunDir)
		restore, err := p.offloadsOff(tool, e.config.RunDir, bypass, e.config.Logf)
		if err != nil {
			return err
		}
		e.undo.push(func() error {
			switch {
			case e.fast.bypass.stays || e.fast.bypass.inherited != nil:
				p.release()
				return nil
			case restore == nil:
				return nil
			}
			return restore()
		})
	}
	for kept := len(e.undo); ; { // again at most once for each port
		err := e.bring(frame)
		if !errors.Is(err, errNative) {
			return err
		}
		if err := e.rollback(kept); err != nil {
			return err
		}
	}
}

// inspect looks at all interfaces, settles how many threads there are, and
// refuses what cannot be served. It changes nothing.
func (e *Engine) inspect(tool *ethtool, ours bool, logf func(string, ...any)) error {
	for _, p := range e.ports {
		before := p.identity
		if err := p.inspect(&e.config, e.ports, ours, tool); err != nil {
			return err
		}
		p.sayChange(before, logf)
	}
	queues, err := e.threads()
	if err != nil {
		return err
	}
	for _, p := range e.ports {
		p.warn(tool, logf)
	}
	e.queues = queues
	return enoughMemory(&e.config, queues, e.frameSize(), availableMemory())
}

// frameSize is the chunk that holds frames of all interfaces.
func (e *Engine) frameSize() (size int) {
	for _, p := range e.ports {
		size = max(size, frameSize(p.mtu))
	}
	return size
}

// bring is what depends on the mode of each port: sockets before the program,
// since they are bound for it, and the program last, since frames come with it.
func (e *Engine) bring(frame int) error {
	if err := e.open(frame); err != nil {
		return err
	}
	for _, p := range e.ports {
		end, err := p.promiscuous()
		if err != nil {
			return err
		}
		e.undo.push(end)
	}
	if err := e.launch(); err != nil {
		return err
	}
	if err := e.attach(); err != nil {
		return err
	}
	e.undo.push(e.disengage)
	if e.fast.wanted || e.fast.bypass.after > 0 {
		e.engage()
	}
	e.settle()
	e.followJoiners()
	return nil
}

// rollback undoes all but the first steps.
func (e *Engine) rollback(keep int) error {
	e.frames = Frames{}
	err := e.undo.run(keep)
	e.workers = nil
	for _, p := range e.ports {
		p.mode = notAttached
	}
	return err
}

// open makes the programs and the threads' sockets and registers these.
func (e *Engine) open(frame int) error {
	for _, p := range e.ports {
		var sockets *ebpf.Map // of programs that are there already
		if old := e.fast.bypass.inherited; old != nil && old.Path != nil {
			sockets = old.Path.Sockets(p.number)
		}
		unserved, err := e.countUnserved(p)
		if err != nil {
			return err
		}
		program, err := newProgram(e.long, sockets, unserved)
		if err != nil {
			return fmt.Errorf("port %s: %w", p.name, err)
		}
		p.program = program
		e.undo.push(func() error { p.program = nil; return program.Close() })
	}
	for q := range e.queues {
		w := &worker{
			queue: q, poll: &e.poll, cpu: -1, plan: &e.plan, counts: e.counts[q],
			answer: make(chan Frames, 1), done: make(chan Frames, 1),
			tally: e.counts[q].read(), frameID: e.frameID[q], vanish: e.vanished, tables: &e.tables[q], paces: &e.paces, epoch: e.epoch, long: e.long,
		}
		for i := range e.ports {
			if e.tables[q][i].Load() == nil {
				e.tables[q][i].Store(newTables())
			}
		}
		if len(e.config.CPUs) > 0 {
			w.cpu = e.config.CPUs[q]
		}
		e.workers = append(e.workers, w)
		if err := w.openSockets(e.ports, &e.config, frame, &e.undo); err != nil {
			return err
		}
		for i, p := range e.ports {
			if err := p.program.Register(q, w.lanes[i].sock.FD()); err != nil {
				return fmt.Errorf("port %s: register queue %d: %w", p.name, q, err)
			}
			e.undo.push(func() error { return p.unregister(q) })
			p.mode = "COPY"
			switch {
			case p.generic:
				p.mode = "SKB"
			case w.lanes[i].sock.ZeroCopy():
				p.mode = zeroCopy
			}
		}
	}
	return nil
}

// launch starts the threads and waits until each is where it should be.
func (e *Engine) launch() error {
	e.undo.push(e.leaveQueues)
	for _, o := range e.outlets {
		if err := e.prepare(o); err != nil {
			return err
		}
	}
	for _, w := range e.workers {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		e.undo.push(func() error { return unix.Close(fd) })
		w.wakeFD = fd
		ready := make(chan error, 1)
		go w.run(ready)
		if err := <-ready; err != nil {
			return err
		}
		e.undo.push(func() error { return e.halt(w) })
	}
	return nil
}

// halt ends a thread and keeps what it leaves.
func (e *Engine) halt(w *worker) error {
	w.stop.Store(true)
	w.wake()
	frames := <-w.done
	if k := w.kernel.Swap(nil); k != nil {
		k.life.Thread.Store(0)
		if err := k.ring.Close(); err != nil {
			e.config.Logf("queue %d: %v", w.queue, err)
		}
	}
	e.frames.add(frames)
	e.frameID[w.queue] = w.frameID
	for i := range w.lanes {
		e.kernel[w.queue][i].close(w.lanes[i].sock)
	}
	if n := frames.Lost(); n != 0 {
		return fmt.Errorf("queue %d: %d of %d frames of memory are not accounted for", w.queue, n, frames.Total)
	}
	return nil
}

// attach lets the frames come, as the last step of a start.
func (e *Engine) attach() error {
	for i, p := range e.ports {
		if old := e.fast.bypass.inherited; old != nil {
			p.link = old.Links[i]
			e.undo.push(func() error {
				if e.fast.bypass.inherited != nil {
					return nil // it closes them itself
				}
				return p.detach()
			})
			continue
		}
		if e.config.Replace {
			restore, err := p.evict(&e.config)
			if err != nil {
				return err
			}
			if restore != nil {
				e.undo.push(func() error {
					if e.fast.bypass.stays {
						e.config.Logf("port %s: the XDP program that was replaced is not put back: the bypass is in its place", p.name)
						return nil
					}
					return restore()
				})
			}
		}
		detach, err := p.attach()
		if err != nil && !p.generic && e.config.Attach == AttachAuto && e.config.Copy != ZeroCopyForced {
			e.config.Logf("port %s: the driver (%s) refuses native XDP, generic XDP is used: %v", p.name, p.driver, err)
			p.generic = true
			return errNative
		}
		if err != nil {
			how := "native"
			if p.generic {
				how = "generic"
			}
			return fmt.Errorf("port %s: attach %s XDP (driver %s): %w", p.name, how, p.driver, err)
		}
		e.undo.push(detach)
	}
	return nil
}

// Stop detaches, sends what has been received, and restores everything. The
// counters stay. Stopping what does not run is no error.
func (e *Engine) Stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit == nil {
		return nil
	}
	close(e.quit)
	e.quit, e.said, e.short = nil, "", ""
	b := &e.fast.bypass
	b.stays = b.pinned
	err := e.rollback(0)
	b.left, b.stays, b.pinned = b.stays, false, false
	e.settleFormer(true)
	return err
}

// Waiting says why frames are not forwarded though the engine was started: an
// interface is missing, say. "" if there is no such reason.
func (e *Engine) Waiting() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.said
}

// Running says whether frames are forwarded.
func (e *Engine) Running() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.workers != nil
}
