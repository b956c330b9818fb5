// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/port"
	"ethertap/lib/ownfile"
)

// These functions find, take over and end what an earlier process has left for a bypass.

// inherit finds what an earlier process has left on the interfaces. It changes nothing there.
// counting says that from now on the counters in the kernel are those of that process.
func (f *fastPath) inherit(generic bool) (counting bool, err error) {
	b := &f.bypass
	if b.dir == "" {
		return false, nil
	}
	if err := b.strangersDir(f.logf); err != nil {
		return false, err
	}
	if !exists(b.dir) {
		f.moveBypass(startFindsNone)
		return false, nil
	}
	var indexes []int
	var programs []ebpf.ProgramID
	frags := false
	var stamps fastpath.Stamps
	for i, p := range f.ports {
		if p.nic == nil {
			return false, fmt.Errorf("%s holds a bypass, and port %s is no network interface; %s ends it", b.dir, p.Name(), b.clear)
		}
		index, mtu, program, err := p.nic.LookUp()
		if err != nil {
			return false, err
		}
		indexes = append(indexes, index)
		frags = frags || mtu > port.MaxMTU
		programs = append(programs, program)
		stamps[i] = p.nic.ExpectStamps(index, generic)
	}
	old, err := fastpath.Open(b.dir, indexes, frags, &stamps)
	if errors.Is(err, fastpath.ErrGone) {
		f.logf("bypass of an earlier process: %v; it is removed", err)
		return false, f.removeFound()
	}
	if err == nil && !slices.Equal(old.Programs, programs) { // the links are on interfaces with these indexes in another namespace
		err = errors.Join(fmt.Errorf("%s: %w", b.dir, fastpath.ErrOther), old.Close())
	}
	if errors.Is(err, fastpath.ErrOther) {
		_, on := Pinned(b.dir)
		err = fmt.Errorf("%w: it is on %s", err, on)
	}
	if err == nil && generic {
		err = errors.Join(errors.New("it is native, and generic XDP is asked for"), old.Close())
	}
	if err != nil {
		return false, fmt.Errorf("bypass of an earlier process: %w; %s ends it", err, b.clear)
	}
	if old.Path == nil && f.stats != nil {
		// This process has left them, for another MTU or other time stamps. They count in the maps in which
		// ours will count, so they have to go before ours come.
		f.logf("bypass: the link pauses, since the programs that were left do not fit any more")
		return false, errors.Join(old.Close(), f.removeFound())
	}
	return f.takeInherited(old), nil
}

// removeFound removes what was found and is of no use, and then what it has left on the interfaces: the
// records speak of a bypass that is in force while its directory exists.
func (f *fastPath) removeFound() error {
	b := &f.bypass
	f.moveBypass(startFindsNone)
	if err := fastpath.Unpin(b.dir); err != nil {
		return err
	}
	_, err := nic.RestoreChanges(b.runDir, f.logf)
	return err
}

// takeInherited hands what was found to the ports and, if the counters are of this version, to the
// fast path.
func (f *fastPath) takeInherited(old *fastpath.Pinned) (counting bool) {
	b := &f.bypass
	if !b.chosen {
		limit := b.limit
		if old.Bypass > 0 && !b.limited {
			limit = old.Bypass
		}
		f.noteBypass(true, limit)
	}
	if old.Stats != nil && f.stats == nil {
		f.stats, old.Stats = old.Stats, nil
		counting = true
	}
	b.inherited = old
	f.moveBypass(startFinds)
	for i, p := range f.ports {
		var sockets *ebpf.Map
		if old.Path != nil {
			sockets = old.Path.Sockets(i)
		}
		p.nic.Inherit(old.Links[i], sockets, b.dir)
	}
	f.logf("bypass: taking over from an earlier process; %d frames have bypassed it", old.Old)
	return counting
}

// renounce leaves what was found as it was, when a start fails before it has decided about it.
func (f *fastPath) renounce() error {
	old := f.bypass.inherited
	if old == nil {
		return nil
	}
	f.bypass.inherited = nil
	f.moveBypass(startFails)
	for _, p := range f.ports {
		p.nic.Renounce()
	}
	return old.Close()
}

// strangersDir moves away what another user has put at the place where we pin. On a BPF file system
// everybody may make directories, unless it is mounted otherwise.
func (b *bypass) strangersDir(logf func(string, ...any)) error {
	found, err := ownfile.Look(b.dir)
	if err != nil || !found.Stranger() {
		return nil // an error will show when the directory is used
	}
	own := filepath.Join(filepath.Dir(b.dir), fmt.Sprintf("aside-%016x", rand.Uint64())) // names there have no dots
	if err := os.Mkdir(own, 0o700); err != nil {
		return fmt.Errorf("bypass: %w", err)
	}
	left, err := found.GiveWay(own)
	if err != nil {
		return errors.Join(fmt.Errorf("bypass: %w", err), os.Remove(own))
	}
	if left != "" {
		left = ", which is called " + left + " now"
	}
	logf("bypass: %s is made anew, in the place of %v%s", b.dir, &found, left)
	return os.Remove(b.dir) // pinning makes it again
}

// settle ends a start: what was inherited is now in use, replaced or removed.
func (f *fastPath) settle() {
	b := &f.bypass
	f.update.Lock()
	defer f.update.Unlock()
	over, errs := f.settleInheritedLocked()
	switch {
	case b.deadAfter > 0 && f.path == nil:
		b.why = f.withoutPath()
	case b.deadAfter > 0 && b.state != ownPins:
		errs = append(errs, f.pinLocked(over))
	case b.deadAfter == 0 && b.state == ownPins:
		errs = append(errs, f.unpinLocked())
	}
	if b.state != ownPins {
		f.takeBack() // of the earlier process
	}
	if err := errors.Join(errs...); err != nil {
		b.why = err.Error()
	}
	if b.deadAfter > 0 && b.why != "" {
		f.logf("bypass: not in use: %s", b.why)
	}
}

// settleInheritedLocked decides about what was inherited. over says that our own path is to be
// pinned in its place.
func (f *fastPath) settleInheritedLocked() (over bool, errs []error) {
	b := &f.bypass
	old := b.inherited
	if old == nil {
		return false, nil
	}
	b.inherited = nil
	for _, p := range f.ports {
		p.nic.Own()
	}
	switch {
	case old.Path != nil && old.Path == f.path:
		f.moveBypass(startTakes)
		f.sayWhatItLoses()
	case f.path != nil && b.deadAfter > 0:
		over = true
	default:
		if f.path == nil {
			errs = append(errs, f.plain())
		}
		for _, l := range old.Links {
			errs = append(errs, l.Unpin())
		}
		errs = append(errs, fastpath.Unpin(b.dir))
		f.moveBypass(pinsRemoved)
	}
	if old.Path != nil && old.Path != f.path {
		errs = append(errs, old.Path.Release())
	}
	if old.Stats != nil {
		errs = append(errs, old.Stats.Close())
	}
	return over, errs
}

// Pinned says what is pinned in dir: the ids of the XDP programs, and in one phrase the interfaces
// that they are on. Their names are those in the network namespace of the calling thread.
func Pinned(dir string) (programs []uint32, on string) {
	var list []string
	for _, on := range fastpath.Interfaces(dir) {
		programs = append(programs, uint32(on.Program))
		name, ok := nic.NameOf(on.Index, on.Program)
		if !ok {
			name = fmt.Sprintf("an interface of another network namespace (index %d there)", on.Index)
		}
		list = append(list, name)
	}
	if len(list) == 0 {
		return nil, "interfaces that are gone"
	}
	return programs, strings.Join(list, " and ")
}

// ClearBypass ends a bypass that a dead process has left in dir. It removes its programs from the
// interfaces, and restores what the records in runDir say, on interfaces of the network namespace
// of the calling thread. found says whether there was anything to end.
func ClearBypass(dir, runDir string, logf func(string, ...any)) (found bool, err error) {
	if what, err := ownfile.Look(dir); err == nil && what.Stranger() {
		logf("bypass: %s is %v, and is left alone", dir, &what)
	} else if err == nil {
		found = true
		if err := fastpath.Unpin(dir); err != nil {
			return found, err
		}
		logf("bypass: %s is removed; the link is cut", dir)
	}
	restored, err := nic.RestoreChanges(runDir, logf)
	if err != nil {
		return found, err
	}
	for _, name := range nic.Records(runDir, dir) {
		logf("port %s: it is in another network namespace: offloads and promiscuous mode are restored by ethertap --clear there", name)
	}
	return found || restored > 0, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
