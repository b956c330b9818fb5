package fastpath

import (
	"errors"
	"fmt"
	"maps"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Sizes of fastpath.c.
const (
	ports  = 2
	queues = 8
	errnos = 128
)

// Config is what a Path is made of.
type Config struct {
	Sockets []*ebpf.Map // of each port: the AF_XDP sockets by queue; at most 8 queues
	Links   []int       // of each port: the index of its interface, in the network namespace of the caller
	Frags   bool        // the sockets take frames of several buffers
	Stats   *Stats      // where it counts
}

// Path is the programs, one for each port, and their maps. Its methods are not for
// concurrent use.
type Path struct {
	collection *ebpf.Collection
	traces     []link.Link
	ports      int
	turn       uint32 // which of the sets was filled last
	spec       *ebpf.CollectionSpec
}

// Load loads the programs, which divert everything until the first Apply. They
// are not attached to any interface. What it needs of the kernel and has not got is
// an error: without the traces of what could not be redirected the counters would
// be guesses.
func Load(c Config) (*Path, error) {
	spec, err := loadObject()
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	replaced := maps.Clone(c.Stats.maps)
	for i, name := range [...]string{objectMapSockets0, objectMapSockets1} {
		if i < len(c.Sockets) {
			replaced[name] = c.Sockets[i]
			spec.Maps[name].MaxEntries = c.Sockets[i].MaxEntries()
		}
	}
	for _, name := range [...]string{objectProgPort0, objectProgPort1} {
		// A link changes only between programs of one attach type, and one made of
		// instructions has none.
		spec.Programs[name].AttachType = ebpf.AttachNone
		if c.Frags {
			spec.Programs[name].Flags |= unix.BPF_F_XDP_HAS_FRAGS
		}
	}
	p := &Path{ports: len(c.Links), spec: spec}
	if p.collection, err = ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: replaced}); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if err := p.connect(c.Links); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// connect says which interfaces the ports are and begins to note what cannot be
// redirected between them.
func (p *Path) connect(links []int) error {
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	for i, index := range links {
		if err := p.collection.Maps[objectMapLinks].Put(uint32(i), &objectInterface{Netns: cookie, Index: uint32(index)}); err != nil {
			return fmt.Errorf("links: %w", err)
		}
		if len(links) == ports {
			if err := p.collection.Maps[objectMapOutputs].Put(uint32(ports-1-i), uint32(index)); err != nil {
				return fmt.Errorf("outputs: %w", err)
			}
		}
	}
	for _, name := range [...]string{objectProgTransmitted, objectProgRejected} {
		l, err := link.AttachTracing(link.TracingOptions{Program: p.collection.Programs[name]})
		if err != nil {
			return fmt.Errorf("trace %s: %w", p.spec.Programs[name].AttachTo, err)
		}
		p.traces = append(p.traces, l)
	}
	return nil
}

// netnsCookie returns the cookie of the calling thread's network namespace.
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

// Program returns the program to be attached to a port's interface, in native mode.
func (p *Path) Program(port int) *ebpf.Program {
	return p.collection.Programs[[...]string{objectProgPort0, objectProgPort1}[port]]
}

// Close waits until all frames that were forwarded have left, or failed to, and
// unloads everything. A program that is still attached diverts everything from then
// on.
func (p *Path) Close() error {
	var all Rules
	for i := range all.Port {
		all.Port[i].Divert = true
	}
	// Frames are transmitted before the CPU leaves the program's read-side section.
	errs := []error{p.Apply(&all)}
	for _, l := range p.traces {
		errs = append(errs, l.Close())
	}
	p.collection.Close()
	return errors.Join(errs...)
}

// Refused returns the errno with which the interface that frames of a port leave by
// has refused them, whereupon all are diverted; 0 if it has not.
func (p *Path) Refused(port int) (errno unix.Errno, err error) {
	var n uint32
	if err := p.collection.Maps[objectMapRefused].Lookup(uint32(port), &n); err != nil {
		return 0, fmt.Errorf("read %s: %w", objectMapRefused, err)
	}
	return unix.Errno(n), nil
}

// Accept ends the diversion that a refusal caused.
func (p *Path) Accept(port int) error {
	if err := p.collection.Maps[objectMapRefused].Put(uint32(port), uint32(0)); err != nil {
		return fmt.Errorf("write %s: %w", objectMapRefused, err)
	}
	return nil
}
