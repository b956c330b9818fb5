// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// A directory of pins has each map, program and trace under its name, the XDP links as link0 and
// link1, and the map of links again under the name of the version. That is made last, so it says
// that everything is there.
const (
	linkPin    = "link"
	versionPin = "version-"
)

// ErrOther says that the pins are of another version, or of other interfaces.
var ErrOther = errors.New("pinned by another version, or for other interfaces")

// ErrGone says that the pins are useless: an interface has disappeared, or they were never
// complete.
var ErrGone = errors.New("an interface has disappeared, or the pins are incomplete")

// Pin makes the path outlive the process. It pins programs, maps, and the links that hold the
// programs on the interfaces. dir must not exist yet, and must be on a BPF file system. After an
// error nothing is pinned.
func (p *Path) Pin(dir string, links []link.Link) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	if err := p.pin(dir, links); err != nil {
		return errors.Join(fmt.Errorf("pin: %w", err), p.Unpin(dir, links))
	}
	return nil
}

// Repin does the same in place of what another version has pinned in dir, on the same links. The
// links stay pinned all the time: if this process is killed meanwhile, they keep the frames going,
// and the next process finds something to replace. After an error the caller has to call Unpin.
func (p *Path) Repin(dir string, links []link.Link) error {
	entries, err := os.ReadDir(dir)
	if err == nil {
		err = errors.Join(remove(dir, slices.DeleteFunc(entries, isLink))...)
	}
	if err == nil {
		err = p.pin(dir, links)
	}
	if err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	return nil
}

func (p *Path) pin(dir string, links []link.Link) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, m := range p.maps {
		if strings.HasPrefix(name, ".") { // a map of the compiler
			continue
		}
		if err := m.Pin(at(name)); err != nil {
			return err
		}
	}
	for name, program := range p.programs {
		if slices.Contains(portPrograms[:], name) {
			if err := program.Pin(at(name)); err != nil {
				return err
			}
		}
	}
	for name, l := range p.traces {
		if err := l.Pin(at(name)); err != nil {
			return err
		}
	}
	for i, l := range links {
		if err := l.Pin(linkName(dir, i)); err != nil {
			return err
		}
	}
	again, err := p.maps[objectMapLinks].Clone()
	if err != nil {
		return err
	}
	defer again.Close()
	return again.Pin(at(versionPin + p.version))
}

// Unpin removes all pins of the path in dir, and dir itself.
func (p *Path) Unpin(dir string, links []link.Link) error {
	// Each object remembers whether it is pinned, so it is unpinned by its own method.
	var errs []error
	for _, l := range links {
		errs = append(errs, l.Unpin())
	}
	for _, l := range p.traces {
		errs = append(errs, l.Unpin())
	}
	for _, program := range p.programs {
		errs = append(errs, program.Unpin())
	}
	for _, m := range p.maps {
		errs = append(errs, m.Unpin())
	}
	return errors.Join(append(errs, Unpin(dir))...)
}

// Unpin removes all pins in dir, and dir itself. When it returns, the programs have left the
// interfaces of links that were pinned there. It is no error if dir does not exist.
func Unpin(dir string) error {
	st, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !st.IsDir() { // a symbolic link could lead to a directory that is not ours
		err = fmt.Errorf("%s: not a directory", dir)
	}
	var entries []os.DirEntry
	if err == nil {
		entries, err = os.ReadDir(dir)
	}
	if err != nil {
		return fmt.Errorf("unpin: %w", err)
	}
	var errs []error
	// The links are removed first: a program that is still attached needs its maps.
	for _, e := range entries {
		if isLink(e) {
			errs = append(errs, detach(filepath.Join(dir, e.Name()))) // the kernel would do it some time after the last pin has gone
		}
	}
	errs = append(errs, remove(dir, entries)...)
	if err := errors.Join(append(errs, os.Remove(dir))...); err != nil {
		return fmt.Errorf("unpin: %w", err)
	}
	return nil
}

// remove removes entries of dir.
func remove(dir string, entries []os.DirEntry) (errs []error) {
	for _, e := range entries {
		errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errs
}

// isLink says whether an entry is the link of an interface.
func isLink(e os.DirEntry) bool {
	return strings.HasPrefix(e.Name(), linkPin) && e.Name() != objectMapLinks
}

func detach(name string) error {
	l, err := link.LoadPinnedLink(name, nil)
	if err != nil {
		return err
	}
	err = l.Detach()
	if errors.Is(err, unix.ENOLINK) { // the interface is gone
		err = nil
	}
	return errors.Join(err, l.Close())
}

// Pinned is what another process has left in a directory.
type Pinned struct {
	Links    []link.Link      // one for each interface
	Programs []ebpf.ProgramID // the programs that these links hold on the interfaces
	Path     *Path            // nil if this version cannot use it, and has to replace it on the same links
	Stats    *Stats           // nil likewise

	Bypass time.Duration // of the rules in force
	Old    uint64        // frames bypassed so far
}

// Open opens what is pinned in dir for interfaces of the network namespace of the calling thread.
// It returns nil if there is nothing. frags and stamps are as in Config. It changes nothing. An error that is
// ErrOther says that the links are of other interfaces; one that is ErrGone, that the pins are
// useless.
func Open(dir string, indexes []int, frags bool, stamps *Stamps) (*Pinned, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found := &Pinned{}
	if _, err := os.Stat(linkName(dir, len(indexes))); err == nil {
		return nil, fmt.Errorf("%s: %w", dir, ErrOther)
	}
	for i, index := range indexes {
		l, err := link.LoadPinnedLink(linkName(dir, i), nil)
		if errors.Is(err, fs.ErrNotExist) { // the process was killed while it pinned or unpinned
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrGone), found.Close())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), found.Close())
		}
		found.Links = append(found.Links, l)
		info, err := l.Info()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), found.Close())
		}
		switch x := info.XDP(); {
		case x == nil || x.Ifindex == 0:
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrGone), found.Close())
		case int(x.Ifindex) != index:
			return nil, errors.Join(fmt.Errorf("%s: %w", dir, ErrOther), found.Close())
		}
		found.Programs = append(found.Programs, info.Program)
	}
	_ = found.adopt(dir, indexes, frags, stamps) // an error leaves Path nil
	return found, nil
}

// Attached is an interface with the program that a link holds on it.
type Attached struct {
	Index   int // in the network namespace of the interface
	Program ebpf.ProgramID
}

// Interfaces returns the interfaces whose links are pinned in dir, except those that have
// disappeared.
func Interfaces(dir string) (list []Attached) {
	for i := range ports {
		l, err := link.LoadPinnedLink(linkName(dir, i), nil)
		if err != nil {
			continue
		}
		if info, err := l.Info(); err == nil && info.XDP() != nil && info.XDP().Ifindex != 0 {
			list = append(list, Attached{int(info.XDP().Ifindex), info.Program})
		}
		_ = l.Close() // it closes only a descriptor
	}
	return list
}

// linkName returns the file name of the pinned link of a port.
func linkName(dir string, port int) string {
	return filepath.Join(dir, fmt.Sprintf("%s%d", linkPin, port))
}

// adopt opens the programs and maps, if this version would load the same.
func (f *Pinned) adopt(dir string, indexes []int, frags bool, stamps *Stamps) (err error) {
	p, err := specify(frags, len(indexes), stamps)
	if err != nil {
		return err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	if _, err := os.Stat(at(versionPin + p.version)); err != nil {
		return ErrOther
	}
	p.maps, p.programs = make(map[string]*ebpf.Map), make(map[string]*ebpf.Program)
	s := &Stats{maps: make(map[string]*ebpf.Map)}
	defer func() {
		if err != nil {
			_ = errors.Join(p.Release(), s.Close()) // they only close descriptors
		}
	}()
	for name := range p.spec.Maps {
		if strings.HasPrefix(name, ".") {
			continue
		}
		if p.maps[name], err = ebpf.LoadPinnedMap(at(name), nil); err != nil {
			return err
		}
	}
	for _, name := range portPrograms {
		if p.programs[name], err = ebpf.LoadPinnedProgram(at(name), nil); err != nil {
			return err
		}
	}
	for _, name := range tracePrograms {
		if p.traces[name], err = link.LoadPinnedLink(at(name), nil); err != nil {
			return err
		}
	}
	want, err := interfaces(indexes)
	if err != nil {
		return err
	}
	for i := range ports {
		var have objectInterface
		if err := p.maps[objectMapLinks].Lookup(uint32(i), &have); err != nil {
			return err
		}
		if have != want[i] {
			return ErrOther
		}
	}
	for _, name := range statsMaps { // each gets a descriptor of its own, as after Load
		if s.maps[name], err = p.maps[name].Clone(); err != nil {
			return err
		}
	}
	policy, err := p.inForce()
	if err != nil {
		return err
	}
	p.turn, p.turns = policy.Set, policy.Filter
	all, err := s.Read()
	if err != nil {
		return err
	}
	for i := range all {
		for q := range all[i] {
			f.Old += all[i][q].Bypassed
		}
	}
	f.Path, f.Stats, f.Bypass = p, s, time.Duration(policy.Patience)
	return nil
}

// Close closes everything that was opened. It changes nothing.
func (f *Pinned) Close() error {
	var errs []error
	for _, l := range f.Links {
		errs = append(errs, l.Close())
	}
	if f.Path != nil {
		errs = append(errs, f.Path.Release())
	}
	if f.Stats != nil {
		errs = append(errs, f.Stats.Close())
	}
	return errors.Join(errs...)
}
