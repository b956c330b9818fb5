package dataplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
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

// inherit finds what an earlier process left on the interfaces. It changes nothing there.
func (e *Engine) inherit(tool *ethtool) error {
	for _, p := range e.ports {
		p.switchedOff, p.promisc = nil, false
	}
	dir := e.config.BypassDir
	if dir == "" || !exists(dir) {
		return nil
	}
	var indexes []int
	var programs []ebpf.ProgramID
	frags := false
	for _, p := range e.ports {
		l, err := p.find(e.ports)
		if err != nil {
			return err
		}
		a := l.Attrs()
		indexes = append(indexes, a.Index)
		frags = frags || a.MTU > maxMTU
		programs = append(programs, programOn(a))
	}
	old, err := fastpath.Open(dir, indexes, frags)
	if errors.Is(err, fastpath.ErrGone) {
		e.config.Logf("bypass of an earlier process: %v; it is removed", err)
		return errors.Join(fastpath.Unpin(dir), e.recover(tool))
	}
	if err == nil && !slices.Equal(old.Programs, programs) { // links of interfaces with these numbers elsewhere
		err = errors.Join(fmt.Errorf("%s: %w", dir, fastpath.ErrOther), old.Close())
	}
	if errors.Is(err, fastpath.ErrOther) {
		err = fmt.Errorf("%w: it is on %s", err, bypassed(dir))
	}
	if err != nil {
		return fmt.Errorf("bypass of an earlier process: %w; ethertap --clear ends it", err)
	}
	if e.config.Attach == AttachSKB {
		return errors.Join(errors.New("bypass of an earlier process: it is native, and generic XDP is asked for; ethertap --clear ends it"), old.Close())
	}
	b := &e.fast.bypass
	if !b.chosen {
		limit := b.limit
		if old.Bypass > 0 && !b.limited {
			limit = old.Bypass
		}
		e.wishBypass(true, limit)
	}
	if old.Stats != nil && e.fast.stats == nil {
		e.fast.stats, old.Stats = old.Stats, nil
		for _, f := range e.Policy().Feeds {
			e.number(f.out)
		}
	}
	b.left = false
	b.inherited = old
	e.undo.push(func() error { // when the start fails before it is settled, all stays as it was
		if b.inherited == nil {
			return nil
		}
		b.inherited = nil
		for _, p := range e.ports {
			p.release()
			p.link = nil
		}
		return old.Close()
	})
	e.config.Logf("bypass: taking over from an earlier process; %d frames went past it", old.Old)
	return nil
}

// bypassed names the interfaces that what is pinned in dir is on.
func bypassed(dir string) string {
	var list []string
	for _, on := range fastpath.Interfaces(dir) {
		name := fmt.Sprintf("an interface of another network namespace (index %d there)", on.Index)
		if l, err := netlink.LinkByIndex(on.Index); err == nil && programOn(l.Attrs()) == on.Program {
			name = l.Attrs().Name
		}
		list = append(list, name)
	}
	if len(list) == 0 {
		return "interfaces that are gone"
	}
	return strings.Join(list, " and ")
}

// programOn is the XDP program on an interface, 0 if there is none.
func programOn(a *netlink.LinkAttrs) ebpf.ProgramID {
	if a.Xdp == nil || !a.Xdp.Attached {
		return 0
	}
	return ebpf.ProgramID(a.Xdp.ProgId)
}

// inheritRecord learns from an earlier process' record what it changed on the interface.
func (p *port) inheritRecord(dir string) {
	_, netns, err := here()
	if dir == "" || err != nil {
		return
	}
	f, err := os.Open(recordName(dir, netns, p.index))
	if err != nil {
		return // nothing was changed
	}
	defer f.Close()
	var r record
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || json.NewDecoder(f).Decode(&r) != nil {
		return // somebody's who lives, or nobody knows
	}
	if r.Index != p.index || r.MAC != p.mac.String() && r.Name != p.device {
		return // of an interface that had the index before
	}
	p.switchedOff = slices.DeleteFunc(r.Features, func(f string) bool { return !slices.Contains(falsifying, f) })
	p.promisc = r.Promisc
}

// settle ends a start: what was inherited is in use now, or is replaced or removed. The
// caller holds mu.
func (e *Engine) settle() {
	b := &e.fast.bypass
	e.update.Lock()
	defer e.update.Unlock()
	var errs []error
	over := false
	if old := b.inherited; old != nil {
		b.inherited = nil
		switch {
		case old.Path != nil && old.Path == e.fast.path:
			b.pinned = true
		case e.fast.path != nil && b.after > 0:
			over = true
		default:
			if e.fast.path == nil {
				errs = append(errs, e.plain())
			}
			for _, l := range old.Links {
				errs = append(errs, l.Unpin())
			}
			errs = append(errs, fastpath.Unpin(e.config.BypassDir))
		}
		if old.Path != nil && old.Path != e.fast.path {
			errs = append(errs, old.Path.Release())
		}
		if old.Stats != nil {
			errs = append(errs, old.Stats.Close())
		}
	}
	switch {
	case b.after > 0 && e.fast.path == nil:
		b.why = e.withoutPath()
	case b.after > 0 && !b.pinned:
		errs = append(errs, e.pin(over))
	case b.after == 0 && b.pinned:
		errs = append(errs, e.unpin())
	}
	if !b.pinned {
		e.unpromise() // what was inherited
	}
	if err := errors.Join(errs...); err != nil {
		b.why = err.Error()
	}
	if b.after > 0 && b.why != "" {
		e.config.Logf("bypass: not in use: %s", b.why)
	}
}

// ClearBypass ends what a process that is gone has left in dir: programs leave the
// interfaces, and what records in runDir say is restored, on interfaces of the calling
// thread's network namespace. found says whether there was anything.
func ClearBypass(dir, runDir string, logf func(string, ...any)) (found bool, err error) {
	if exists(dir) {
		found = true
		if err := fastpath.Unpin(dir); err != nil {
			return found, err
		}
		logf("bypass: %s is removed; the link is cut", dir)
	}
	tool, err := newEthtool()
	if err != nil {
		return found, err
	}
	before, _ := recordNames(runDir)
	if err := recoverAll(runDir, tool, logf); err != nil {
		return found, err
	}
	after, _ := recordNames(runDir)
	for _, name := range after {
		b, err := os.ReadFile(name)
		var r record
		if err == nil && json.Unmarshal(b, &r) == nil && dir != "" && r.Bypass == dir {
			logf("port %s: is in another network namespace: offloads and promiscuous mode are restored by ethertap --clear there", r.Name)
		}
	}
	return found || len(after) < len(before), nil
}
