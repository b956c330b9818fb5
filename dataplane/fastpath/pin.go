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

// What is in a directory of pins: each map, program and trace under its name, the
// XDP links as link0 and link1, and the map of links once more under the version's
// name, which is made last.
const (
	linkPin    = "link"
	versionPin = "version-"
)

// ErrOther says that what is pinned is of another version, or of other interfaces.
var ErrOther = errors.New("pinned by another version, or for other interfaces")

// ErrGone says that an interface of what is pinned has disappeared, or that it was never
// pinned whole: it is of no use.
var ErrGone = errors.New("an interface has disappeared, or not all is pinned")

// Pin makes the path outlive the process: programs, maps and links, the last of which
// hold the programs on the interfaces. dir must be new, on a BPF file system.
func (p *Path) Pin(dir string, links []link.Link) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	if err := p.pin(dir, links); err != nil {
		return errors.Join(fmt.Errorf("pin: %w", err), p.Unpin(dir, links))
	}
	return nil
}

// Repin is Pin over what another version has pinned in dir, on the same links. Those keep
// their names all the time: if we are killed, the link goes on, and the next one finds
// something to replace. After an error Unpin is due.
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
		if strings.HasPrefix(name, ".") { // of the compiler
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

// Unpin takes the names of all that is pinned in dir away, and dir itself.
func (p *Path) Unpin(dir string, links []link.Link) error {
	// By the objects themselves: each remembers whether it has a name.
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

// Unpin takes the names away from what is pinned in dir, and dir itself. Programs have
// left the interfaces of links that were pinned there when it returns.
func Unpin(dir string) error {
	st, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !st.IsDir() { // a link would lead to what is not ours to be removed
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
	// The links first: a program that is still there finds its maps.
	for _, e := range entries {
		if isLink(e) {
			errs = append(errs, detach(filepath.Join(dir, e.Name()))) // the kernel would do it some time after the last name has gone
		}
	}
	errs = append(errs, remove(dir, entries)...)
	if err := errors.Join(append(errs, os.Remove(dir))...); err != nil {
		return fmt.Errorf("unpin: %w", err)
	}
	return nil
}

// remove takes the names of entries of dir away.
func remove(dir string, entries []os.DirEntry) (errs []error) {
	for _, e := range entries {
		errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errs
}

// isLink says whether it is the link of an interface.
func isLink(e os.DirEntry) bool {
	return strings.HasPrefix(e.Name(), linkPin) && e.Name() != objectMapLinks
}

func detach(name string) error {
	l, err := link.LoadPinnedLink(name, nil)
	if err != nil {
		return err
	}
	err = l.Detach()
	if errors.Is(err, unix.ENOLINK) { // its interface is gone
		err = nil
	}
	return errors.Join(err, l.Close())
}

// Pinned is what another process has left in a directory.
type Pinned struct {
	Links    []link.Link      // of the interfaces
	Programs []ebpf.ProgramID // on them, by these links
	Path     *Path            // nil: it cannot be gone on with, and has to be replaced, on the same links
	Stats    *Stats           // likewise

	Bypass time.Duration // of the rules in force
	Old    uint64        // frames bypassed so far
}

// Open opens what is pinned in dir for interfaces of the calling thread's network
// namespace; nil if there is nothing. frags is as in Config. It changes nothing. An
// error that is ErrOther says that the links are of other interfaces.
func Open(dir string, indexes []int, frags bool) (*Pinned, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	found := &Pinned{}
	if _, err := os.Stat(linkName(dir, len(indexes))); err == nil {
		return nil, fmt.Errorf("%s: %w", dir, ErrOther)
	}
	for i, index := range indexes {
		l, err := link.LoadPinnedLink(linkName(dir, i), nil)
		if errors.Is(err, fs.ErrNotExist) { // killed while it was pinned or removed
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
	_ = found.adopt(dir, indexes, frags) // what fails leaves Path nil
	return found, nil
}

// Attached is an interface and the program that a link holds on it.
type Attached struct {
	Index   int // in the interface's network namespace
	Program ebpf.ProgramID
}

// Interfaces returns those whose links are pinned in dir, without what has disappeared.
func Interfaces(dir string) (list []Attached) {
	for i := range ports {
		l, err := link.LoadPinnedLink(linkName(dir, i), nil)
		if err != nil {
			continue
		}
		if info, err := l.Info(); err == nil && info.XDP() != nil && info.XDP().Ifindex != 0 {
			list = append(list, Attached{int(info.XDP().Ifindex), info.Program})
		}
		_ = l.Close() // of a descriptor
	}
	return list
}

// linkName is where the link of a port is pinned.
func linkName(dir string, port int) string {
	return filepath.Join(dir, fmt.Sprintf("%s%d", linkPin, port))
}

// adopt opens all the rest, if it is what this version would load.
func (f *Pinned) adopt(dir string, indexes []int, frags bool) (err error) {
	p, err := specify(frags, len(indexes))
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
			_ = errors.Join(p.Release(), s.Close()) // only closes
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
	for _, name := range statsMaps { // each has its own descriptor, as after Load
		if s.maps[name], err = p.maps[name].Clone(); err != nil {
			return err
		}
	}
	policy, err := p.inForce()
	if err != nil {
		return err
	}
	p.turn = policy.Set
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

// Close lets go of all of it again.
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
