package dataplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/fastpath"
	"ethertap/lib/ownfile"
)

// What an earlier process has left for a bypass: found, taken over, ended.

// inherit finds what an earlier process left on the interfaces. It changes nothing there.
func (e *Engine) inherit(tool *ethtool) error {
	for _, p := range e.ports {
		p.switchedOff, p.promisc = nil, false
	}
	dir := e.config.BypassDir
	if dir == "" {
		return nil
	}
	if err := e.strangersDir(dir); err != nil {
		return err
	}
	if !exists(dir) {
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
		_, on := Pinned(dir)
		err = fmt.Errorf("%w: it is on %s", err, on)
	}
	if err == nil && e.config.Attach == AttachSKB {
		err = errors.Join(errors.New("it is native, and generic XDP is asked for"), old.Close())
	}
	if err != nil {
		return fmt.Errorf("bypass of an earlier process: %w; %s ends it", err, e.config.Clear)
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
		for _, o := range e.outlets[1:] {
			e.number(o)
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

// strangersDir takes the name away from what a stranger has put where we pin things: on a BPF
// file system everybody may make directories, unless it is mounted otherwise.
func (e *Engine) strangersDir(dir string) error {
	found, err := ownfile.Look(dir)
	if err != nil || !found.Stranger() {
		return nil // what is wrong with it shows when it is used
	}
	own := filepath.Join(filepath.Dir(dir), fmt.Sprintf("aside-%016x", rand.Uint64())) // no dots in names there
	if err := os.Mkdir(own, 0o700); err != nil {
		return fmt.Errorf("bypass: %w", err)
	}
	left, err := found.GiveWay(own)
	if err != nil {
		return errors.Join(fmt.Errorf("bypass: %w", err), os.Remove(own))
	}
	if left != "" {
		left = " and is called " + left + " now"
	}
	e.config.Logf("bypass: what had the name %s, %v, has given way%s", dir, &found, left)
	return os.Remove(dir) // pinning makes it
}

// Pinned says what is pinned in dir: the ids of the XDP programs, and in one clause, on which
// interfaces, by the names that they have in the calling thread's network namespace.
func Pinned(dir string) (programs []uint32, on string) {
	var list []string
	for _, on := range fastpath.Interfaces(dir) {
		programs = append(programs, uint32(on.Program))
		name := fmt.Sprintf("an interface of another network namespace (index %d there)", on.Index)
		if l, err := netlink.LinkByIndex(on.Index); err == nil && programOn(l.Attrs()) == on.Program {
			name = l.Attrs().Name
		}
		list = append(list, name)
	}
	if len(list) == 0 {
		return nil, "interfaces that are gone"
	}
	return programs, strings.Join(list, " and ")
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
	if what, err := ownfile.Look(dir); err == nil && what.Stranger() {
		logf("bypass: %s is %v, and left alone", dir, &what)
	} else if err == nil {
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
