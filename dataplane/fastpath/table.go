package fastpath

import (
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Table is one of the three tables of a port. Keys are those of the dataplane's
// tables, and so is the room, for each CPU.
type Table int

// MACs counts by source, Types by Ethertype below so many tags, VLANs by tag.
const (
	MACs  = Table(objectTableOF_MACS)
	Types = Table(objectTableOF_TYPES)
	VLANs = Table(objectTableOF_VLANS)
)

// tableMaps are the names of the maps. It does not compile when a table has none.
var tableMaps [tables]string = [...]string{MACs: objectMapMacs, Types: objectMapTypes, VLANs: objectMapVlans}

// Usage is what was counted for a key.
type Usage struct {
	Frames, Bytes uint64
	Last          uint64 // key of the source that sent the last frame
	Seen          uint32 // when that was, s since 1970
}

// bucketsPerRead is how many buckets are read in one call.
const bucketsPerRead = 64

// Sum calls add for each key of a table as often as CPUs have seen it, and returns
// what found no room.
func (s *Stats) Sum(port int, t Table, add func(key uint64, u Usage)) (rest Usage, err error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return rest, err
	}
	boot, err := bootTime()
	if err != nil {
		return rest, err
	}
	m := s.maps[tableMaps[t]]
	keys, values := make([]uint32, bucketsPerRead), make([]objectBucket, bucketsPerRead*cpus)
	var cursor ebpf.MapBatchCursor
	for first := 0; first < int(m.MaxEntries()); first += bucketsPerRead {
		// The last chunk ends with ErrKeyNotExist, having been read.
		if n, err := m.BatchLookup(&cursor, keys, values, nil); n != bucketsPerRead {
			return rest, fmt.Errorf("read %s: %d of %d buckets: %w", tableMaps[t], n, bucketsPerRead, err)
		}
		if first/(int(m.MaxEntries())/ports) != port {
			continue
		}
		for i := range values {
			for way, key := range values[i].Keys {
				if e := &values[i].Entries[way]; key != 0 && e.Frames > 0 {
					add(key, e.usage(boot))
				}
			}
		}
	}
	list := make([]objectEntry, ports*tables*cpus)
	if err := s.lookup(objectMapRest, ports*tables, list); err != nil {
		return rest, err
	}
	at := (port*tables + int(t)) * cpus
	for i := range list[at : at+cpus] {
		u := list[at+i].usage(boot)
		rest.Frames += u.Frames
		rest.Bytes += u.Bytes
		if u.Seen > rest.Seen {
			rest.Seen, rest.Last = u.Seen, u.Last
		}
	}
	return rest, nil
}

func (e *objectEntry) usage(boot int64) Usage {
	return Usage{Frames: e.Frames, Bytes: e.Bytes, Last: e.Last, Seen: uint32((boot + int64(e.Seen)) / 1e9)}
}

// bootTime returns when the clock of the programs was 0, ns since 1970.
func bootTime() (int64, error) {
	var real, mono unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &real); err != nil {
		return 0, fmt.Errorf("clock: %w", err)
	}
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return 0, fmt.Errorf("clock: %w", err)
	}
	return real.Nano() - mono.Nano(), nil
}

// Reset empties a table of all ports. A frame that is counted at the same moment is
// counted before or after it.
func (s *Stats) Reset(t Table) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	m := s.maps[tableMaps[t]]
	keys, values := make([]uint32, bucketsPerRead), make([]objectBucket, bucketsPerRead*cpus)
	for first := 0; first < int(m.MaxEntries()); first += bucketsPerRead {
		for i := range keys {
			keys[i] = uint32(first + i)
		}
		if _, err := m.BatchUpdate(keys, values, nil); err != nil {
			return fmt.Errorf("reset %s: %w", tableMaps[t], err)
		}
	}
	nothing := make([]objectEntry, cpus)
	for port := range uint32(ports) {
		if err := s.maps[objectMapRest].Put(port*uint32(tables)+uint32(t), nothing); err != nil {
			return fmt.Errorf("reset %s: %w", objectMapRest, err)
		}
	}
	return nil
}
