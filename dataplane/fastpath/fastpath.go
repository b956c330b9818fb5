// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"ethertap/dataplane/stamp"
)

// Config is what Load makes a Path from.
type Config struct {
	Sockets []*ebpf.Map // the AF_XDP sockets of each port, by queue; at most MaxQueues
	Links   []int       // the index of each port's interface, in the network namespace of the caller
	Frags   bool        // the sockets take frames of several buffers
	Stats   *Stats      // where the programs count
	Stamps  Stamps
}

// Stamps says for each port where its program gets the time stamps of received frames from.
type Stamps [ports]stamp.Source

// Path holds the programs, one for each port, and their maps. Its methods are not for concurrent
// use.
type Path struct {
	maps     map[string]*ebpf.Map
	programs map[string]*ebpf.Program
	traces   map[string]link.Link // by the name of the program
	ports    int
	turn     uint32            // the number of the set that the policy in force refers to
	in       map[uint64]uint32 // the members of that set; nil: they are not known
	set      *ebpf.Map         // that set, or the one that will be; nil: it is not open
	policy   objectPolicy      // the policy in force, if in is known
	turns    [ports]uint16     // which of the filters of each port it refers to; 0: none
	filters  [ports]filters    // these
	settled  bool              // filters and failures are those in force
	sizes    [ports]int        // instructions of the programs of these
	failures [ports]error      // why they are not in force
	tailless error             // why the kernel evaluates no filters at all
	spec     *ebpf.CollectionSpec
	filter   *ebpf.ProgramSpec // in the place of which filter programs are put
	version  string
}

// portPrograms and tracePrograms are the names of programs, socketMaps those of maps. A list with
// an entry for each port does not compile if a port has none.
var (
	portPrograms  [ports]string = [...]string{objectProgPort0, objectProgPort1}
	tracePrograms               = [...]string{objectProgTransmitted, objectProgRejected, objectProgEnded}
	socketMaps    [ports]string = [...]string{objectMapSockets0, objectMapSockets1}
)

// Load loads the programs, which divert everything until the first Apply. It attaches them to no
// interface. It fails if the kernel lacks anything: without the traces of frames that could not be
// redirected, for instance, the counters would be guesses.
func Load(c Config) (*Path, error) {
	p, err := specify(c.Frags, len(c.Links), &c.Stamps)
	if err != nil {
		return nil, err
	}
	err = p.loadAny(&c)
	// Without CAP_PERFMON the verifier refuses what our programs do with pointers, by EACCES.
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) && !traces() {
		return nil, errors.New("load: not permitted without CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON")
	}
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if err := p.connect(c.Links); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Supported returns the error with which Load fails on this kernel, or nil; and why the kernel evaluates no
// filters, nil if it does. It loads the programs and attaches them to no interface.
func Supported() (filters, err error) {
	stats, err := NewStats()
	if err != nil {
		return nil, err
	}
	p, err := Load(Config{Stats: stats})
	if err != nil {
		return nil, errors.Join(err, stats.Close())
	}
	return p.tailless, errors.Join(p.Release(), stats.Close())
}

// traces says whether this process has CAP_PERFMON, or CAP_SYS_ADMIN, which includes it.
func traces() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return true // not known
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	return has(unix.CAP_PERFMON) || has(unix.CAP_SYS_ADMIN)
}

// loadAny loads the programs, in a kernel that has no tail calls from a subprogram without them.
func (p *Path) loadAny(c *Config) error {
	err := p.load(c)
	if err == nil || errors.Is(err, unix.EPERM) {
		return err
	}
	withoutTailCalls(p.spec)
	if p.load(c) != nil {
		return err
	}
	p.tailless = fmt.Errorf("this kernel has no filters: %w", err)
	p.version += "-no-filters" // what is pinned is not for those that have
	return nil
}

// load loads the programs and makes the maps that there are not yet.
func (p *Path) load(c *Config) error {
	replaced := maps.Clone(c.Stats.maps)
	for i, name := range socketMaps {
		if i < len(c.Sockets) {
			replaced[name] = c.Sockets[i]
			p.spec.Maps[name].MaxEntries = c.Sockets[i].MaxEntries()
		}
	}
	all, err := ebpf.NewCollectionWithOptions(p.spec, ebpf.CollectionOptions{MapReplacements: replaced})
	if err != nil {
		return err
	}
	p.maps, p.programs = all.Maps, all.Programs
	return nil
}

// specify makes a Path that has no objects in the kernel yet.
func specify(frags bool, links int, stamps *Stamps) (*Path, error) {
	spec, err := loadObject()
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	p := &Path{ports: links, spec: spec, version: fmt.Sprintf("%x", sha256.Sum256(_ObjectBytes))[:12], traces: make(map[string]link.Link)}
	if frags {
		p.version += "-frags"
	}
	fitRings(spec)
	for i := range stamps {
		if err := stamps[i].Put(spec.Programs[portPrograms[i]]); err != nil {
			return nil, err
		}
		if stamps[i].Given() {
			p.version += fmt.Sprintf("-stamps%d", i)
		}
	}
	p.filter = spec.Programs[objectProgFilter]
	delete(spec.Programs, objectProgFilter)
	for _, program := range []*ebpf.ProgramSpec{spec.Programs[portPrograms[0]], spec.Programs[portPrograms[1]], p.filter} {
		// A link changes only between programs of one attach type, and a program made of
		// instructions has none. A tail call is only to a program of the same kind.
		program.AttachType = ebpf.AttachNone
		if frags {
			program.Flags |= unix.BPF_F_XDP_HAS_FRAGS
		}
	}
	return p, nil
}

// interfaces returns the contents of the map of links, for interfaces of the network namespace of
// the calling thread.
func interfaces(links []int) (list [ports]objectInterface, err error) {
	cookie, err := netnsCookie()
	for i, index := range links {
		list[i] = objectInterface{Netns: cookie, Index: uint32(index)}
	}
	return list, err
}

// connect tells the programs which interfaces the ports are, and starts the traces of frames that
// cannot be redirected between them.
func (p *Path) connect(links []int) error {
	list, err := interfaces(links)
	if err != nil {
		return err
	}
	for i, index := range links {
		if err := p.maps[objectMapLinks].Put(uint32(i), &list[i]); err != nil {
			return fmt.Errorf("links: %w", err)
		}
		if len(links) == ports {
			if err := p.maps[objectMapOutputs].Put(uint32(ports-1-i), uint32(index)); err != nil {
				return fmt.Errorf("outputs: %w", err)
			}
		}
	}
	for _, name := range tracePrograms {
		l, err := link.AttachTracing(link.TracingOptions{Program: p.programs[name]})
		if err != nil {
			return fmt.Errorf("trace %s: %w", p.spec.Programs[name].AttachTo, err)
		}
		p.traces[name] = l
	}
	return nil
}

// netnsCookie returns the cookie of the network namespace of the calling thread.
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("cookie of the network namespace: %w", err)
	}
	return cookie, nil
}

// Program returns the program to be attached to the interface of a port, in native mode.
func (p *Path) Program(port int) *ebpf.Program { return p.programs[portPrograms[port]] }

// Sockets returns the map of the AF_XDP sockets of a port, by queue.
func (p *Path) Sockets(port int) *ebpf.Map { return p.maps[socketMaps[port]] }

// Close waits until all forwarded frames have left or failed to leave, and unloads everything. A
// program that is still attached diverts all frames from then on.
func (p *Path) Close() error {
	var all Rules
	for i := range all.Port {
		all.Port[i].Divert = true
	}
	// When Apply returns, they have been transmitted: this happens before a CPU leaves the
	// program's read-side section.
	return errors.Join(p.Apply(&all), p.Release())
}

// Release closes the path and changes nothing: whatever is pinned or attached goes on.
func (p *Path) Release() error {
	var errs []error
	for _, l := range p.traces {
		errs = append(errs, l.Close())
	}
	for _, program := range p.programs {
		errs = append(errs, program.Close())
	}
	for _, m := range p.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(append(errs, p.set.Close())...) // on nil Close does nothing
}

// Refused returns the errno with which the output interface of a port has refused redirected
// frames, or 0. After a refusal all frames of the port are diverted.
func (p *Path) Refused(port int) (errno unix.Errno, err error) {
	var n uint32
	if err := p.maps[objectMapRefused].Lookup(uint32(port), &n); err != nil {
		return 0, fmt.Errorf("read %s: %w", objectMapRefused, err)
	}
	return unix.Errno(n), nil
}

// Accept ends the diversion that a refusal has caused.
func (p *Path) Accept(port int) error {
	if err := p.maps[objectMapRefused].Put(uint32(port), uint32(0)); err != nil {
		return fmt.Errorf("write %s: %w", objectMapRefused, err)
	}
	return nil
}
