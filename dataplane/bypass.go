package dataplane

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf/link"

	"ethertap/dataplane/fastpath"
)

// Limits of Engine.SetBypassLimit, and what is usual. A thread of a busy machine loses its CPU
// for some ten milliseconds now and then.
const (
	MinBypass     = 10 * time.Millisecond
	MaxBypass     = time.Minute
	DefaultBypass = 200 * time.Millisecond
)

// bypass is what keeps the link going without this process: the fast path's programs,
// pinned. While a thread lives they divert frames to it as the policy says; otherwise
// they forward them. It is guarded as the fast path is.
type bypass struct {
	dir    string // on a BPF file system, where things are pinned; "": there can be no bypass
	runDir string // for the records of what was changed on interfaces
	clear  string // the command that ends what is pinned, for messages

	// The wish:
	limit   time.Duration // without a sign of life, a thread is taken for dead
	after   time.Duration // the limit, or 0: bypass is off
	chosen  bool          // whether it is on is somebody's wish: what an earlier process had does not matter
	limited bool          // likewise the limit

	// What is:
	state     pinState
	why       string           // why nothing is pinned though it is wanted
	inherited *fastpath.Pinned // what an earlier process left; nil but for foundPins
}

// BypassInfo says what becomes of the link without this process.
type BypassInfo struct {
	On     bool
	Limit  time.Duration // without a sign of life, a thread is taken for dead
	Pinned string        // where programs and maps are pinned; "": they are not
	Why    string        // why not
}

// Bypass tells about it.
func (e *Engine) Bypass() BypassInfo {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fast.bypassInfo()
}

func (f *fastPath) bypassInfo() BypassInfo {
	b := &f.bypass
	info := BypassInfo{On: b.after > 0, Limit: b.limit, Why: b.why}
	switch {
	case b.state == ownPins || b.state == leftPins:
		info.Pinned = b.dir
	case info.On && f.threads == nil:
		info.Why = "not attached"
	}
	return info
}

// SetBypass lets the link go on when this process stops, is killed, or one of its threads
// shows no sign of life for as long as the limit says: frames are then forwarded in the
// kernel, without taps and faults; the drop list stays. It lasts beyond the process, until
// it is switched off or ClearBypass. The next engine with the same Config.BypassDir takes
// over. Before Start the wish is noted. Where it cannot work it is an error and changes
// nothing. It must be called in the network namespace of the interfaces.
func (e *Engine) SetBypass(on bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fast.wantBypass(on)
}

// SetBypassLimit sets how long a thread may show no sign of life before it is taken for
// dead: MinBypass to MaxBypass.
func (e *Engine) SetBypassLimit(limit time.Duration) error {
	if limit < MinBypass || limit > MaxBypass {
		return fmt.Errorf("bypass: a limit of %v is not in %v…%v", limit, MinBypass, MaxBypass)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b := &e.fast.bypass
	if err := e.fast.changeBypass(b.after > 0, limit); err != nil {
		return err
	}
	b.limited = true
	return nil
}

func (f *fastPath) wantBypass(on bool) error {
	b := &f.bypass
	switch {
	case on && len(f.ports) != 2:
		return errors.New("bypass: a mirror forwards nothing")
	case on && b.dir == "":
		return errors.New("bypass: no BPF file system to pin things in: mount -t bpf bpf /sys/fs/bpf, or ethertap --bpffs DIRECTORY")
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

// changeBypass changes the wish, and what is at once if the engine runs, or nothing.
func (f *fastPath) changeBypass(on bool, limit time.Duration) error {
	before := f.bypass
	f.wishBypass(on, limit)
	if f.threads == nil {
		return nil
	}
	err := f.arrangeBypass()
	if err == nil {
		return nil
	}
	f.wishBypass(before.after > 0, before.limit)
	return fmt.Errorf("bypass: %w", errors.Join(err, f.arrangeBypass()))
}

func (f *fastPath) wishBypass(on bool, limit time.Duration) {
	f.update.Lock()
	defer f.update.Unlock()
	b := &f.bypass
	b.after, b.limit, b.why = 0, limit, ""
	if on {
		b.after = limit
	}
}

// arrangeBypass does what the wish asks for while the engine runs.
func (f *fastPath) arrangeBypass() error {
	b := &f.bypass
	switch {
	case b.after == 0 && f.path == nil:
		return nil
	case b.after == 0 && !f.wanted:
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
	case b.after == 0 && b.state == ownPins:
		return f.unpinLocked()
	case b.after > 0 && b.state != ownPins:
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

// pinLocked makes the path outlive the process, in the place of what another version has
// pinned on the same links if over.
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
	return nil
}

// unpinLocked ends that.
func (f *fastPath) unpinLocked() error {
	f.moveBypass(pinsRemoved)
	err := f.path.Unpin(f.bypass.dir, f.links())
	f.takeBack()
	f.logf("bypass: the link ends with this process")
	return err
}

// takeBack undoes on the interfaces what was to outlive the process, or an earlier one.
func (f *fastPath) takeBack() {
	for _, p := range f.ports {
		if p.nic != nil {
			p.nic.TakeBack()
		}
	}
}

// beforeStop and stopped are around the rollback of a stop: a bypass that is pinned stays, and
// with it what was changed on the interfaces.
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
