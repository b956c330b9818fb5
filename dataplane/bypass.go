// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf/link"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/port"
)

// MinBypass and MaxBypass bound the limit of Engine.SetBypassLimit; defaultBypass is its value at
// the start. A thread of a busy machine loses its CPU for some ten milliseconds now and then.
const (
	MinBypass     = 10 * time.Millisecond
	MaxBypass     = time.Minute
	defaultBypass = 200 * time.Millisecond
)

// bypass keeps the link going without this process: the programs of the fast path are pinned. While
// a thread lives, they divert frames to it as the policy says; otherwise they forward them. The
// same locks guard it as the fast path.
type bypass struct {
	dir    string // a directory on a BPF file system, where everything is pinned; "" means that no bypass is possible
	runDir string // for the records of settings changed on interfaces
	clear  string // the command that ends a bypass, for messages

	// The settings:
	limit     time.Duration // a thread without a sign of life for so long counts as dead
	deadAfter time.Duration // the limit if the bypass is on, else 0
	chosen    bool          // somebody has switched it on or off, so the setting of an earlier process does not matter
	limited   bool          // somebody has set the limit, so that of an earlier process does not matter

	// The present state:
	state     pinState
	why       string           // why nothing is pinned though it is wanted
	cut       []string         // which frames are lost without a thread though it is pinned, as last logged
	inherited *fastpath.Pinned // what an earlier process left; nil except in state foundPins
}

// BypassInfo describes the bypass.
type BypassInfo struct {
	On     bool
	Limit  time.Duration // a thread without a sign of life for so long counts as dead
	Pinned string        // where programs and maps are pinned; "" if they are not
	Why    string        // why they are not, or which frames are lost all the same
}

func (f *fastPath) bypassInfo() BypassInfo {
	b := &f.bypass
	info := BypassInfo{On: b.deadAfter > 0, Limit: b.limit, Why: b.why}
	switch {
	case b.state == ownPins || b.state == leftPins:
		info.Pinned = b.dir
		info.Why = strings.Join(b.cut, "; ")
	case info.On && f.threads == nil:
		info.Why = "not attached"
	}
	return info
}

// SetBypass switches the bypass on or off. With it the link goes on when this process stops or is
// killed, or when a thread shows no sign of life for as long as the limit says: the kernel then
// forwards the frames, without taps and faults; the drop list stays in force. The bypass outlives
// the process until it is switched off or ClearBypass ends it. The next engine with the same
// Config.BypassDir takes it over. Before Start the setting is only noted. Where the bypass cannot
// work it returns an error and changes nothing. It must be called in the network namespace of the
// interfaces.
func (e *Engine) SetBypass(on bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fast.setBypass(on)
}

// SetBypassLimit sets the time without a sign of life after which a thread counts as dead, from
// MinBypass to MaxBypass. Other values are an error.
func (e *Engine) SetBypassLimit(limit time.Duration) error {
	if limit < MinBypass || limit > MaxBypass {
		return fmt.Errorf("bypass: a limit of %v is not in %v…%v", limit, MinBypass, MaxBypass)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := &e.fast.bypass
	if err := e.fast.changeBypass(b.deadAfter > 0, limit); err != nil {
		return err
	}
	b.limited = true
	return nil
}

func (f *fastPath) setBypass(on bool) error {
	b := &f.bypass
	switch {
	case on && len(f.ports) != 2:
		return errors.New("bypass: a mirrored interface forwards nothing")
	case on && slices.ContainsFunc(f.ports, func(p *enginePort) bool { return p.nic == nil }):
		return fmt.Errorf("bypass: %w", f.unsuited())
	case on && b.dir == "":
		return errors.New("bypass: there is no BPF file system to pin things in; to fix this, run: mount -t bpf bpf /sys/fs/bpf, or start with --bpffs DIRECTORY")
	}
	before := b.chosen
	b.chosen = true
	if err := f.changeBypass(on, b.limit); err != nil {
		b.chosen = before
		return err
	}
	if !on && b.state == leftPins {
		f.moveBypass(pinsRemoved)
		_, err := ClearBypass(b.dir, b.runDir, f.logf)
		return err
	}
	return nil
}

// changeBypass changes the setting, and carries it out if the engine runs. After an error nothing
// has changed.
func (f *fastPath) changeBypass(on bool, limit time.Duration) error {
	before := f.bypass
	f.noteBypass(on, limit)
	if f.threads == nil {
		return nil
	}
	err := f.arrangeBypass()
	if err == nil {
		return nil
	}
	f.noteBypass(before.deadAfter > 0, before.limit)
	return fmt.Errorf("bypass: %w", errors.Join(err, f.arrangeBypass()))
}

func (f *fastPath) noteBypass(on bool, limit time.Duration) {
	f.update.Lock()
	defer f.update.Unlock()
	b := &f.bypass
	b.deadAfter, b.limit, b.why = 0, limit, ""
	if on {
		b.deadAfter = limit
	}
}

// arrangeBypass carries the setting out while the engine runs.
func (f *fastPath) arrangeBypass() error {
	b := &f.bypass
	switch {
	case b.deadAfter == 0 && f.path == nil:
		return nil
	case b.deadAfter == 0 && !f.wanted:
		return f.disengage()
	case f.path == nil:
		if f.engage(); f.path == nil {
			return errors.New(f.withoutPath())
		}
	}
	f.update.Lock()
	defer f.update.Unlock()
	if err := errors.Join(f.connectThreadsLocked(), f.applyLocked(false)); err != nil {
		return err
	}
	switch {
	case b.deadAfter == 0 && b.state == ownPins:
		return f.unpinLocked()
	case b.deadAfter > 0 && b.state != ownPins:
		return f.pinLocked(false)
	}
	return nil
}

func (f *fastPath) links() (list []link.Link) {
	for _, p := range f.ports {
		list = append(list, p.nic.Link())
	}
	return list
}

// pinLocked makes the path outlive the process. over says that another version has pinned its path
// on the same links, which is replaced.
func (f *fastPath) pinLocked(over bool) (err error) {
	b, pin := &f.bypass, f.path.Pin
	if over {
		pin = f.path.Repin
	}
	defer func() {
		if err != nil {
			if over {
				err = errors.Join(err, f.path.Unpin(b.dir, f.links()))
			}
			b.why = err.Error()
			f.moveBypass(pinsRemoved)
			f.takeBack()
		}
	}()
	for _, p := range f.ports {
		if err := p.nic.Promise(b.dir); err != nil {
			return err
		}
	}
	if err := pin(b.dir, f.links()); err != nil {
		return err
	}
	f.moveBypass(pinsMade)
	b.why = ""
	f.logf("bypass: pinned in %s: the link goes on without this process", b.dir)
	f.sayWhatItLoses()
	return nil
}

// cut says which frames the bypass loses though it is pinned, as the port by which they would leave takes
// no redirected ones, as far as that is known.
func (f *fastPath) cut() (list []string) {
	for i, p := range f.ports {
		if l := &f.limits[i]; l.none {
			list = append(list, fmt.Sprintf("frames from port %s to port %s do not pass without a thread, as the latter takes no redirected frames%s",
				p.Name(), f.ports[1-i].Name(), l.help))
		}
	}
	return list
}

// sayCut logs changes of that.
func (f *fastPath) sayCut() {
	cut := f.cut()
	for _, what := range cut {
		if !slices.Contains(f.bypass.cut, what) {
			f.logf("bypass: %s", what)
		}
	}
	f.bypass.cut = cut
}

// sayWhatItLoses logs which frames cannot leave by an interface without a thread, and which not while a
// thread hangs. Once the process has ended there is no zero-copy any more.
func (f *fastPath) sayWhatItLoses() {
	f.bypass.cut = nil
	f.sayCut()
	for i, p := range f.ports {
		if out := f.ports[1-i]; p.Facts().Mode == port.ZeroCopy && !out.nic.TakesFromZeroCopy() {
			f.logf("bypass: while a thread hangs, frames from port %s to port %s are lost: the driver (%s) refuses frames from a port in zero-copy; when this process ends they pass",
				p.Name(), out.Name(), out.Facts().Driver)
		}
	}
}

// unpinLocked makes the path end with the process.
func (f *fastPath) unpinLocked() error {
	f.moveBypass(pinsRemoved)
	err := f.path.Unpin(f.bypass.dir, f.links())
	f.takeBack()
	f.logf("bypass: the link ends with this process")
	return err
}

// takeBack undoes those changes of the interfaces that were to outlive this process or an earlier
// one.
func (f *fastPath) takeBack() {
	for _, p := range f.ports {
		if p.nic != nil {
			p.nic.TakeBack()
		}
	}
}

// beforeStop and afterStop enclose the rollback of a stop: a pinned bypass stays, and with it the
// changed settings of the interfaces.
func (f *fastPath) beforeStop() {
	f.moveBypass(stopBegins)
	f.outlive(f.bypass.state == leavingPins)
}

func (f *fastPath) afterStop() {
	f.moveBypass(stopEnds)
	f.outlive(false)
}

func (f *fastPath) outlive(yes bool) {
	for _, p := range f.ports {
		if p.nic != nil {
			p.nic.Outlive(yes)
		}
	}
}
