// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
)

// Table is one of the three tables of a port. Keys and sizes are those of the tables of package
// dataplane, for each CPU.
type Table int

// MACs counts by source, Types by Ethertype and number of tags before it, VLANs by tag.
const (
	MACs  = Table(objectTableOF_MACS)
	Types = Table(objectTableOF_TYPES)
	VLANs = Table(objectTableOF_VLANS)
)

// tableMaps are the names of the maps. It does not compile if a table has none.
var tableMaps [tables]string = [...]string{MACs: objectMapMacs, Types: objectMapTypes, VLANs: objectMapVlans}

// Usage counts the frames with one key.
type Usage struct {
	Frames, Bytes uint64
	Last          uint64 // key of the source of the last frame
	Seen          uint32 // when that came, s since 1970
}

// bucketsPerRead is the number of buckets that one call reads.
const bucketsPerRead = 64

// Sum calls add for each key of a table, once for every CPU that has seen it. rest counts the
// frames whose keys found no room.
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
		// The last read fills its buckets and returns ErrKeyNotExist.
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

// bootTime returns the Unix time in ns at which the clock of the programs was 0.
func bootTime() (int64, error) {
	return Zero(func() int64 { return time.Now().UnixNano() })
}

// Reset empties a table of all ports. A frame that is counted at the same time is counted before or
// after it.
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
