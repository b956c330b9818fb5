// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/policy"
	"ethertap/dataplane/stamp"
	"ethertap/dataplane/xsk"
)

// Records of received frames have the time at which the device received them, if the device tells
// it (package stamp). All others, also those of frames as they were sent, have the time at which a
// program first saw the frame. The queues say by shm.TapStamped which interfaces are of the first
// kind.

// StampMode returns the mode of SetStamps.
func (e *Engine) StampMode() nic.StampMode {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stamps
}

// SetStamps says where the time stamps of received frames come from, at once if the engine runs. It
// must then be called in the network namespace of the interfaces. If a device is required and an
// interface cannot have its time stamps, the error says why, and nothing changes. No frame is lost
// by a change.
func (e *Engine) SetStamps(m nic.StampMode) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.config.unstamped(m); err != nil {
		return err
	}
	before := e.stamps
	e.noteStampsLocked(m)
	if e.workers == nil || m == before {
		return nil
	}
	err := e.restampLocked()
	if err != nil {
		e.noteStampsLocked(before)
		err = errors.Join(err, e.restampLocked())
	}
	return err
}

func (e *Engine) noteStampsLocked(m nic.StampMode) {
	e.stamps = m
	for _, p := range e.nics() {
		p.SetStampMode(m)
	}
}

// restampLocked carries out a change of the mode while threads run. The fast path is off meanwhile.
func (e *Engine) restampLocked() error {
	if err := e.fast.disengage(); err != nil {
		return err
	}
	var errs []error
	for _, p := range e.ports {
		if p.nic != nil && !p.gone.Load() {
			errs = append(errs, p.nic.Restamp())
		}
	}
	e.fast.start(e.fast.threads)
	e.followStampsLocked()
	return errors.Join(append(errs, e.announceNamesLocked())...)
}

// followStampsLocked tells the threads how the clocks of the devices are related to the wall clock.
func (e *Engine) followStampsLocked() {
	for i, p := range e.ports {
		clock := p.Facts().Stamps
		for _, w := range e.workers {
			w.lanes[i].clock.Store(clock)
		}
	}
}

// compareClocksLocked compares the clocks of the devices with the wall clock again.
func (e *Engine) compareClocksLocked() {
	if e.workers == nil {
		return
	}
	for _, p := range e.nics() {
		p.CompareClock()
	}
	e.followStampsLocked()
}

// stampSources returns where the programs of the fast path get time stamps from.
func (f *fastPath) stampSources() (s fastpath.Stamps) {
	for i, p := range f.ports {
		s[i] = p.nic.StampSource()
	}
	return s
}

// received returns the time of reception of a frame of lane in, for a record.
func (w *worker) received(in int, d xsk.Desc) int64 {
	clock := w.lanes[in].clock.Load()
	if clock == nil {
		return w.stamp
	}
	return w.stampOr(in, clock, stamp.Read(w.umem.Front(d, stamp.FrontSize), in), w.stamp)
}

// stampOr returns the time of a device's stamp. If there is none, or it cannot be right, that is
// counted, and the result is seen, the time at which a program first saw the frame.
func (w *worker) stampOr(in int, clock *stamp.Clock, device uint64, seen int64) int64 {
	if ns, ok := clock.Wall(device, seen); ok {
		return ns
	}
	w.tally[in][countUnstamped]++
	return seen
}

// stampedPorts says for each interface whether received frames have the time stamps of its device.
type stampedPorts [policy.MaxPorts]bool

// stampedLocked returns that for the interfaces as they are now.
func (e *Engine) stampedLocked() (s stampedPorts) {
	for i, p := range e.ports {
		s[i] = p.Facts().Stamps != nil
	}
	return s
}
