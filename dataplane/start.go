package dataplane

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/port"
)

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
	var watch *nic.Watch
	if len(e.nics()) > 0 {
		var err error
		if watch, err = nic.NewWatch(); err != nil {
			return err
		}
	}
	if err := e.startLocked(); err != nil {
		err = errors.Join(err, e.rollbackLocked(0))
		if watch != nil {
			err = errors.Join(err, watch.Close())
		}
		return err
	}
	for _, p := range e.ports {
		p.goneSaid = false
	}
	e.quit, e.said = make(chan struct{}), ""
	go e.watch(e.quit, watch)
	go e.watchQueues(e.quit)
	return nil
}

func (e *Engine) startLocked() error {
	if err := e.Privileged(); err != nil {
		return err
	}
	if err := e.takeOverLocked(); err != nil {
		return err
	}
	if err := e.inspectLocked(); err != nil {
		return err
	}
	e.renewQueuesLocked()
	e.long = false
	for _, p := range e.ports {
		e.warnAllSlotsLocked(p)
		p.gone.Store(false)
		e.long = e.long || p.Facts().MTU > port.MaxMTU
	}
	// A thread that spins keeps a P for good; everything else needs others.
	if need := e.queues + 2; runtime.GOMAXPROCS(0) < need {
		runtime.GOMAXPROCS(need)
	}
	if err := e.checkPairLocked(); err != nil {
		return err
	}
	for _, p := range e.ports {
		restore, err := p.Prepare()
		if err != nil {
			return err
		}
		e.undo.Push(restore)
	}
	return e.bringLocked()
}

// takeOverLocked restores what a killed process has changed, or takes over what one has left for a
// bypass.
func (e *Engine) takeOverLocked() error {
	if len(e.nics()) == 0 {
		return nil
	}
	if _, err := nic.RestoreChanges(e.config.RunDir, e.config.Logf); err != nil {
		return err
	}
	e.undo.Push(e.fast.renounce)
	counting, err := e.fast.inherit(e.config.Attach == nic.AttachSKB)
	if err != nil {
		return err
	}
	if counting {
		for _, o := range e.outlets[1:] {
			e.claimNumberLocked(o)
		}
	}
	e.expectOursLocked(e.fast.bypass.state == foundPins)
	return nil
}

// checkPairLocked looks at both interfaces of a bridge together.
func (e *Engine) checkPairLocked() error {
	if len(e.ports) != 2 {
		return nil
	}
	a, b := e.ports[0], e.ports[1]
	fa, fb := a.Facts(), b.Facts()
	if a.nic != nil && b.nic != nil && a.nic.Index() == b.nic.Index() {
		return fmt.Errorf("ports %s and %s are the same interface", fa.Name, fb.Name)
	}
	if fa.MTU != fb.MTU {
		e.config.Logf("ports %s and %s have different MTUs (%d, %d): longer frames get lost", fa.Name, fb.Name, fa.MTU, fb.MTU)
	}
	return nil
}

// inspectLocked looks at all interfaces, settles how many threads there are, and
// refuses what cannot be served. It changes nothing outside this process.
func (e *Engine) inspectLocked() error {
	for _, p := range e.ports {
		if err := p.Inspect(); err != nil {
			return err
		}
	}
	queues, err := e.threadsLocked()
	if err != nil {
		return err
	}
	e.queues = queues
	return enoughMemory(&e.config, queues, e.frameSizeLocked(), availableMemory())
}

// frameSizeLocked is the chunk that holds frames of all interfaces.
func (e *Engine) frameSizeLocked() (size int) {
	for _, p := range e.ports {
		size = max(size, port.ChunkFor(p.Facts().MTU))
	}
	return size
}

// bringLocked takes the steps from interfaces that are prepared to frames that come: these are
// let in last, when a thread waits for them on every queue.
func (e *Engine) bringLocked() error {
	if err := e.openAndAttachLocked(); err != nil {
		return err
	}
	if err := e.launchLocked(); err != nil {
		return err
	}
	for _, p := range e.ports {
		refuse, err := p.Admit()
		if err != nil {
			return err
		}
		e.undo.Push(refuse)
	}
	e.undo.Push(e.fast.stop)
	e.fast.start(&threads{e.workers, e.long})
	e.followJoinersLocked()
	return nil
}

// openAndAttachLocked does so again, at most once for each port, when one turns out to work otherwise
// than it was opened for.
func (e *Engine) openAndAttachLocked() error {
	for kept := len(e.undo); ; {
		err := e.openLocked(e.frameSizeLocked())
		if err == nil {
			err = e.attachLocked()
		}
		if !errors.Is(err, port.ErrAgain) {
			return err
		}
		if err := e.rollbackLocked(kept); err != nil {
			return err
		}
	}
}

func (e *Engine) attachLocked() error {
	for _, p := range e.ports {
		detach, err := p.Attach(e.long)
		if err != nil {
			return err
		}
		e.undo.Push(detach)
	}
	return nil
}

// rollbackLocked undoes what a start has done, but for the first steps.
func (e *Engine) rollbackLocked(keep int) error {
	e.frames = Frames{}
	err := e.undo.Run(keep)
	e.workers = nil
	return err
}

// openLocked makes the threads with their sockets.
func (e *Engine) openLocked(frame int) error {
	for q := range e.queues {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		e.undo.Push(func() error { return unix.Close(fd) })
		w := &worker{
			queue: q, poll: &e.poll, cpu: -1, plan: &e.plan, counts: e.counts[q], wakeFD: fd,
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
	}
	return nil
}

// launchLocked starts the threads and waits until each is where it should be.
func (e *Engine) launchLocked() error {
	e.undo.Push(e.closeProducersLocked)
	for _, o := range e.outlets {
		if err := e.openProducersLocked(o); err != nil {
			return err
		}
	}
	for _, w := range e.workers {
		ready := make(chan error, 1)
		go w.run(ready)
		if err := <-ready; err != nil {
			return err
		}
		e.undo.Push(func() error { return e.haltLocked(w) })
	}
	return nil
}

// haltLocked ends a thread and keeps what it leaves.
func (e *Engine) haltLocked(w *worker) error {
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
		e.kernelCounts[w.queue][i].close(w.lanes[i].sock)
	}
	if n := frames.Lost(); n != 0 {
		return fmt.Errorf("queue %d: %d of %d frames of memory are not accounted for", w.queue, n, frames.Total)
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
	e.fast.beforeStop()
	err := e.rollbackLocked(0)
	e.fast.afterStop()
	e.settleFormerLocked(true)
	return err
}

// Running says whether frames are forwarded.
func (e *Engine) Running() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.workers != nil
}
