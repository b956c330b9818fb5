// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/policy"
	"ethertap/lib/predicate"
)

// Usage counts the frames that have something in common, and their bytes.
type Usage struct {
	Frames uint64 `json:"frames"`
	Bytes  uint64 `json:"bytes"`
}

// MACUsage counts the frames of one source.
type MACUsage struct {
	MAC policy.MAC `json:"mac"`
	Usage
	Seen time.Time `json:"seen"` // when its last frame came, in whole seconds
}

// MACTable lists the sources seen on an interface, those with the most frames first.
type MACTable struct {
	Rows   []MACUsage `json:"rows"`
	NoRoom Usage      `json:"no_room"` // all sources for which there was no room, together
}

// TypeKind says what is in the place of an Ethertype.
type TypeKind uint8

// KindType means that it is an Ethertype.
const (
	KindType   TypeKind = iota
	KindLength          // it is an 802.3 length
	KindShort           // the frame ends before it
)

// TypeUsage counts the frames with one Ethertype behind a number of VLAN tags.
type TypeUsage struct {
	Level int // number of tags before it: 0…4
	Kind  TypeKind
	Type  uint16 // 0 unless Kind is KindType
	Usage
	Last policy.MAC // the source of the last frame
	Seen time.Time
}

// VLANUsage counts the tags of one VLAN, of one kind and in one position.
type VLANUsage struct {
	Level int    // number of tags before this one: 0…3
	TPID  uint16 // one of predicate.TagTypes
	ID    uint16 // 0: the tag has only a priority
	Usage
	Last policy.MAC
	Seen time.Time
}

// TypeTable lists the Ethertypes and VLANs seen on an interface, ordered by level and number. A
// frame counts for one type, and for the VLAN of each of its tags.
type TypeTable struct {
	Types       []TypeUsage
	TypesNoRoom Usage // all Ethertypes for which there was no room, together
	VLANs       []VLANUsage
	VLANsNoRoom Usage
}

// portTables are the tables of a thread, by interface. The engine sets the pointers; the thread
// reads each once a batch.
type portTables [2]atomic.Pointer[tables]

// MACs returns the sources seen on an interface since the last reset, summed over the threads and
// the fast path. It fails if there is no such interface, or if the kernel's table cannot be read.
func (e *Engine) MACs(number int) (MACTable, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.macsLocked(number)
}

func (e *Engine) macsLocked(number int) (MACTable, error) {
	s, err := e.sumLocked(number, func(t *tables) *table { return t.macs }, fastpath.MACs)
	if err != nil {
		return MACTable{}, err
	}
	m := MACTable{Rows: make([]MACUsage, 0, len(s.rows)), NoRoom: s.over.public()}
	for key, u := range s.rows {
		m.Rows = append(m.Rows, MACUsage{macOf(key), u.public(), time.Unix(int64(u.seen), 0)})
	}
	slices.SortFunc(m.Rows, func(a, b MACUsage) int {
		return cmp.Or(cmp.Compare(b.Frames, a.Frames), slices.Compare(a.MAC[:], b.MAC[:]))
	})
	return m, nil
}

// Types returns the Ethertypes and VLANs seen on an interface since the last reset, summed over the
// threads and the fast path. It fails as MACs does.
func (e *Engine) Types(number int) (TypeTable, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.typesLocked(number)
}

func (e *Engine) typesLocked(number int) (TypeTable, error) {
	types, err := e.sumLocked(number, func(t *tables) *table { return t.types }, fastpath.Types)
	if err != nil {
		return TypeTable{}, err
	}
	vlans, err := e.sumLocked(number, func(t *tables) *table { return t.vlans }, fastpath.VLANs)
	if err != nil {
		return TypeTable{}, err
	}
	m := TypeTable{TypesNoRoom: types.over.public(), VLANsNoRoom: vlans.over.public()}
	for _, key := range sortedKeys(types) {
		u := types.rows[key]
		row := TypeUsage{Level: int(key >> levelAt & 7), Type: uint16(key), Usage: u.public(), Last: macOf(u.last), Seen: time.Unix(int64(u.seen), 0)}
		switch {
		case key&lengthKey == lengthKey:
			row.Kind = KindLength
		case key&shortKey == shortKey:
			row.Kind = KindShort
		}
		m.Types = append(m.Types, row)
	}
	for _, key := range sortedKeys(vlans) {
		u := vlans.rows[key]
		row := VLANUsage{Level: int(key >> placeAt & 3), TPID: predicate.TagTypes[key>>tpidAt&3], ID: uint16(key & vlanMask), Usage: u.public(), Last: macOf(u.last), Seen: time.Unix(int64(u.seen), 0)}
		m.VLANs = append(m.VLANs, row)
	}
	return m, nil
}

// ResetMACs empties the tables of sources of all interfaces.
func (e *Engine) ResetMACs() {
	e.replaceTables(func(t *tables) { t.macs = newMACs() }, fastpath.MACs)
}

// ResetTypes empties the tables of Ethertypes and VLANs of all interfaces.
func (e *Engine) ResetTypes() {
	e.replaceTables(func(t *tables) { t.types, t.vlans = newTypes(), newVLANs() }, fastpath.Types, fastpath.VLANs)
}

// sumLocked adds up one table, over all threads and the fast path.
func (e *Engine) sumLocked(number int, which func(*tables) *table, fast fastpath.Table) (*sum, error) {
	if number < 0 || number >= len(e.ports) {
		return nil, fmt.Errorf("no interface %d", number)
	}
	s := newSum()
	for q := range e.tables {
		if t := e.tables[q][number].Load(); t != nil {
			s.add(which(t))
		}
	}
	return s, e.fast.addTable(s, number, fast)
}

// replaceTables replaces some tables of all threads by new ones, which change sets. A batch that is
// under way still counts in the old ones.
func (e *Engine) replaceTables(change func(*tables), fast ...fastpath.Table) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fast.resetTables(fast...)
	for q := range e.tables {
		for p := range e.tables[q] {
			if t := e.tables[q][p].Load(); t != nil {
				renewed := &tables{macs: t.macs, types: t.types, vlans: t.vlans}
				change(renewed)
				e.tables[q][p].Store(renewed)
			}
		}
	}
}

func (u usage) public() Usage { return Usage{Frames: u.frames, Bytes: u.bytes} }

// sortedKeys returns the keys ordered by level, then by number.
func sortedKeys(s *sum) []uint64 {
	keys := make([]uint64, 0, len(s.rows))
	for key := range s.rows {
		keys = append(keys, key)
	}
	level := func(key uint64) uint64 { return key >> levelAt & 7 }
	slices.SortFunc(keys, func(a, b uint64) int { return cmp.Or(cmp.Compare(level(a), level(b)), cmp.Compare(a, b)) })
	return keys
}
