package dataplane

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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
// they forward them.
type bypass struct {
	limit     time.Duration // without a sign of life, a thread is taken for dead
	after     time.Duration // the limit, or 0: bypass is off
	chosen    bool          // whether it is on is somebody's wish: what an earlier process had does not matter
	limited   bool          // likewise the limit
	left      bool          // Stop has left something pinned
	why       string        // why nothing is pinned though it is wanted
	pinned    bool
	stays     bool             // during Stop: what is pinned remains
	inherited *fastpath.Pinned // during Start: what an earlier process left
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
	b := BypassInfo{On: e.fast.bypass.after > 0, Limit: e.fast.bypass.limit, Why: e.fast.bypass.why}
	switch {
	case e.fast.bypass.pinned || e.workers == nil && e.fast.bypass.left:
		b.Pinned = e.config.BypassDir
	case b.On && e.workers == nil:
		b.Why = "not attached"
	}
	return b
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
	switch {
	case on && len(e.ports) != 2:
		return errors.New("bypass: a mirror forwards nothing")
	case on && e.config.BypassDir == "":
		return errors.New("bypass: no BPF file system to pin things in: mount -t bpf bpf /sys/fs/bpf, or ethertap --bpffs DIRECTORY")
	}
	before := e.fast.bypass.chosen
	e.fast.bypass.chosen = true
	if err := e.changeBypass(on, e.fast.bypass.limit); err != nil {
		e.fast.bypass.chosen = before
		return err
	}
	if !on && e.fast.bypass.left {
		e.fast.bypass.left = false
		_, err := ClearBypass(e.config.BypassDir, e.config.RunDir, e.config.Logf)
		return err
	}
	return nil
}

// SetBypassLimit sets how long a thread may show no sign of life before it is taken for
// dead: MinBypass to MaxBypass.
func (e *Engine) SetBypassLimit(limit time.Duration) error {
	if limit < MinBypass || limit > MaxBypass {
		return fmt.Errorf("bypass: a limit of %v is not in %v…%v", limit, MinBypass, MaxBypass)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.changeBypass(e.fast.bypass.after > 0, limit); err != nil {
		return err
	}
	e.fast.bypass.limited = true
	return nil
}

// changeBypass changes what is wished, at once if the engine runs, or nothing. The caller
// holds mu.
func (e *Engine) changeBypass(on bool, limit time.Duration) error {
	before := e.fast.bypass
	e.wishBypass(on, limit)
	if e.workers == nil {
		return nil
	}
	err := e.arrangeBypass()
	if err == nil {
		return nil
	}
	e.wishBypass(before.after > 0, before.limit)
	return fmt.Errorf("bypass: %w", errors.Join(err, e.arrangeBypass()))
}

func (e *Engine) wishBypass(on bool, limit time.Duration) {
	e.update.Lock()
	defer e.update.Unlock()
	b := &e.fast.bypass
	b.after, b.limit, b.why = 0, limit, ""
	if on {
		b.after = limit
	}
}

// arrangeBypass does what bypass.after asks for while the engine runs. The caller holds
// mu.
func (e *Engine) arrangeBypass() error {
	b := &e.fast.bypass
	switch {
	case b.after == 0 && e.fast.path == nil:
		return nil
	case b.after == 0 && !e.fast.wanted:
		return e.disengage()
	case e.fast.path == nil:
		if e.engage(); e.fast.path == nil {
			return errors.New(e.withoutPath())
		}
	}
	e.update.Lock()
	defer e.update.Unlock()
	if err := errors.Join(e.share(), e.apply(false)); err != nil {
		return err
	}
	switch {
	case b.after == 0 && b.pinned:
		return e.unpin()
	case b.after > 0 && !b.pinned:
		return e.pin(false)
	}
	return nil
}

func (e *Engine) links() (list []link.Link) {
	for _, p := range e.ports {
		list = append(list, p.link)
	}
	return list
}

// pin makes the path outlive the process, in the place of what another version has pinned
// on the same links if over. The caller holds mu and update.
func (e *Engine) pin(over bool) (err error) {
	dir, pin := e.config.BypassDir, e.fast.path.Pin
	if over {
		pin = e.fast.path.Repin
	}
	defer func() {
		if err != nil {
			if over {
				err = errors.Join(err, e.fast.path.Unpin(dir, e.links()))
			}
			e.fast.bypass.why = err.Error()
			e.unpromise()
		}
	}()
	for _, p := range e.ports {
		l, err := netlink.LinkByIndex(p.index)
		if err != nil {
			return fmt.Errorf("port %s: %w", p.name, err)
		}
		// Of what others have made so, the kernel shows only this flag.
		if l.Attrs().RawFlags&unix.IFF_PROMISC == 0 {
			p.promisc = true
		}
		if p.promisc || len(p.switchedOff) > 0 { // else there is nothing to restore
			if err := p.note(e.config.RunDir, dir); err != nil {
				return fmt.Errorf("port %s: %w", p.name, err)
			}
		}
		if err := netlink.SetPromiscOn(l); err != nil {
			return fmt.Errorf("port %s: promiscuous mode: %w", p.name, err)
		}
	}
	if err := pin(dir, e.links()); err != nil {
		return err
	}
	e.fast.bypass.pinned, e.fast.bypass.why = true, ""
	e.config.Logf("bypass: pinned in %s: the link goes on without this process", dir)
	return nil
}

// unpin ends that. The caller holds mu and update.
func (e *Engine) unpin() error {
	e.fast.bypass.pinned = false
	err := e.fast.path.Unpin(e.config.BypassDir, e.links())
	e.unpromise()
	e.config.Logf("bypass: the link ends with this process")
	return err
}

// unpromise takes back what was changed on the interfaces to outlive the process.
func (e *Engine) unpromise() {
	for _, p := range e.ports {
		if p.promisc {
			p.promisc = false
			if l, err := netlink.LinkByIndex(p.index); err == nil {
				if err := netlink.SetPromiscOff(l); err != nil {
					e.config.Logf("port %s: leave promiscuous mode: %v", p.name, err)
				}
			}
		}
		if len(p.switchedOff) == 0 {
			p.forget()
		} else if err := p.note(e.config.RunDir, ""); err != nil {
			e.config.Logf("port %s: %v", p.name, err)
		}
	}
}
