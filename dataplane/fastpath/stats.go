package fastpath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Stats are the maps in which programs count. They outlive a Path: the next one
// goes on counting in them.
type Stats struct{ maps map[string]*ebpf.Map }

// NewStats makes the maps: about 0.7 MB for each port and CPU.
func NewStats() (*Stats, error) {
	spec, err := loadObject()
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	s := &Stats{make(map[string]*ebpf.Map)}
	for _, name := range [...]string{objectMapCounts, objectMapSent, objectMapErrors, objectMapMacs, objectMapTypes, objectMapVlans, objectMapRest} {
		m, err := ebpf.NewMap(spec.Maps[name])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("map %s: %w", name, err), s.Close())
		}
		s.maps[name] = m
	}
	return s, nil
}

// Close gives the memory back, once no Path uses it any more.
func (s *Stats) Close() error {
	var errs []error
	for _, m := range s.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Counts is what became of the frames of one queue that were not diverted. They are
// never reset. What was received is the sum of Forwarded, Dropped, NoIf and Mirrored.
type Counts struct {
	Forwarded uint64 // given to the other port
	Dropped   uint64 // by Rules.Drop
	NoIf      uint64 // the other port's interface has disappeared
	Mirrored  uint64 // not to be forwarded

	Sent   uint64         // of the forwarded ones: taken by the other port's driver
	Errors [errnos]uint64 // likewise not taken, by errno; 0 is a full ring, the last one any other errno
}

// Held returns how many frames are on their way between the programs and a driver.
func (c *Counts) Held() uint64 {
	n := c.Forwarded - c.Sent
	for _, e := range c.Errors {
		n -= e
	}
	return n
}

// Read returns the counts of all ports and queues.
func (s *Stats) Read() (all [ports][queues]Counts, err error) {
	// The end of the way first: so no more frames left than came.
	places := make([]uint64, ports*queues*errnos)
	if err := s.lookup(objectMapErrors, ports*queues*errnos, places); err != nil {
		return all, err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return all, err
	}
	sent := make([]uint64, ports*queues*cpus)
	if err := s.lookup(objectMapSent, ports*queues, sent); err != nil {
		return all, err
	}
	fates := make([]objectFates, ports*queues*cpus)
	if err := s.lookup(objectMapCounts, ports*queues, fates); err != nil {
		return all, err
	}
	for i := range ports * queues {
		c := &all[i/queues][i%queues]
		copy(c.Errors[:], places[i*errnos:])
		for cpu := range cpus {
			f := &fates[i*cpus+cpu]
			c.Sent += sent[i*cpus+cpu]
			c.Forwarded += f.Forwarded
			c.Dropped += f.Dropped
			c.NoIf += f.Noif
			c.Mirrored += f.Mirrored
		}
	}
	return all, nil
}

// lookup reads all n elements of an array.
func (s *Stats) lookup(name string, n int, values any) error {
	keys := make([]uint32, n)
	got, err := s.maps[name].BatchLookup(new(ebpf.MapBatchCursor), keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if got != n {
		return fmt.Errorf("read %s: %d of %d elements", name, got, n)
	}
	return nil
}
