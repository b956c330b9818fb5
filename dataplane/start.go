// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
)

// Start checks the interfaces, attaches to them and forwards frames. After an error everything is
// as it was before. Start and Stop must be called in the network namespace of the interfaces.
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
	e.pause, e.retryAt = 0, time.Time{}
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
		f := p.Facts()
		e.long = e.long || f.Long()
	}
	// A thread that spins keeps its P forever, and all other goroutines need some too.
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

// takeOverLocked restores the settings that a killed process changed, or takes over its bypass.
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

// checkPairLocked checks the two interfaces of a bridge against each other.
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
		e.config.Logf("ports %s and %s have different MTUs (%d, %d): frames longer than the smaller one are lost", fa.Name, fb.Name, fa.MTU, fb.MTU)
	}
	return nil
}

// inspectLocked inspects all interfaces, decides on the number of threads, and refuses what cannot
// be served. It changes nothing outside this process.
func (e *Engine) inspectLocked() error {
	for _, p := range e.ports {
		if err := p.Inspect(); err != nil {
			return err
		}
	}
	e.fitLocked()
	queues, err := e.threadsLocked()
	if err != nil {
		return err
	}
	e.queues = queues
	return enoughMemory(&e.config, queues, e.frameSizeLocked(), availableMemory())
}

// fitLocked tells elastic ports what they need to have.
func (e *Engine) fitLocked() {
	queues, mtu := max(e.config.Queues, 1), port.FileMTU
	longest := min(port.FileLongest, e.config.Rings/2*(port.LargeChunk-xsk.Headroom)) // a frame needs room in a ring
	for _, p := range e.ports {
		if f := p.Facts(); !f.Elastic {
			mtu = f.MTU
			longest = 14 + 4 + mtu
			if e.config.Queues == 0 {
				queues = min(f.RXQueues, MaxQueues)
			}
		}
	}
	for _, p := range e.ports {
		p.Fit(queues, mtu, longest)
	}
}

// frameSizeLocked returns the size of a chunk in bytes, large enough for the frames of all
// interfaces.
func (e *Engine) frameSizeLocked() (size int) {
	for _, p := range e.ports {
		size = max(size, p.Facts().Chunk)
	}
	return size
}

// bringLocked takes the steps from prepared interfaces to received frames. Frames are admitted
// last, when a thread waits for them on every queue.
func (e *Engine) bringLocked() error {
	if err := e.openAndAttachLocked(); err != nil {
		return err
	}
	if err := e.launchLocked(); err != nil {
		return err
	}
	e.followStampsLocked()
	for _, p := range e.ports {
		refuse, err := p.Admit()
		if err != nil {
			return err
		}
		e.undo.Push(refuse)
	}
	e.undo.Push(e.restoreInterruptsLocked)
	e.followPollLocked()
	e.undo.Push(e.restoreCarriersLocked)
	e.followCarriersLocked()
	e.undo.Push(e.fast.stop)
	e.fast.start(&startedThreads{e.workers, e.long})
	e.followJoinersLocked()
	return nil
}

// openAndAttachLocked opens the sockets and attaches the programs. When a port turns out to need
// other sockets than were opened, it starts over, at most twice for each port.
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
		if err := enoughMemory(&e.config, e.queues, e.frameSizeLocked(), availableMemory()); err != nil {
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

// rollbackLocked undoes the steps of a start in the opposite order, except for the first keep ones.
func (e *Engine) rollbackLocked(keep int) error {
	e.chunksLeft = Chunks{}
	err := e.undo.Run(keep)
	e.workers = nil
	return err
}

// openLocked makes the threads with their sockets. frame is the size of a chunk in bytes.
func (e *Engine) openLocked(frame int) error {
	var frames *frameClock
	if e.timed {
		frames = &e.frames
	}
	for q := range e.queues {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		e.undo.Push(func() error { return unix.Close(fd) })
		w := &worker{
			queue: q, poll: &e.poll, cpu: -1, plan: &e.plan, counts: e.counts[q], wakeFD: fd,
			answer: make(chan Chunks, 1), done: make(chan Chunks, 1),
			tally: e.counts[q].read(), frameID: e.frameID[q], vanish: e.vanished, tables: &e.tables[q], paces: &e.paces, epoch: e.epoch, frames: frames, long: e.long,
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

// launchLocked starts the threads and waits until each is pinned to its CPU.
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

// haltLocked ends a thread and keeps its counters. It fails if chunks of the thread's memory are
// missing.
func (e *Engine) haltLocked(w *worker) error {
	w.stopping.Store(true)
	w.wake()
	chunks := <-w.done
	if k := w.kernel.Swap(nil); k != nil {
		k.life.Thread.Store(0)
		if err := k.ring.Close(); err != nil {
			e.config.Logf("queue %d: %v", w.queue, err)
		}
	}
	e.chunksLeft.add(chunks)
	e.frameID[w.queue] = w.frameID
	for i := range w.lanes {
		e.kernelCounts[w.queue][i].close(w.lanes[i].sock)
	}
	if n := chunks.Lost(); n != 0 {
		return fmt.Errorf("queue %d: %d of %d chunks of memory are not accounted for", w.queue, n, chunks.Total)
	}
	return nil
}

// Stop detaches from the interfaces, sends the frames that were received, and restores all
// settings. The counters stay. It is no error to stop an engine that does not run.
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
