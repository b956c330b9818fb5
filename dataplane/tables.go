// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"
	"slices"

	"ethertap/dataplane/fastpath"
	"ethertap/lib/predicate"
)

// The tables of one thread for one interface have room for so many keys.
const (
	macPlaces  = 8192
	typePlaces = 1024
	vlanPlaces = 8192
)

// maxTags is the number of VLAN tags of a frame that are looked at.
const maxTags = 4

// maxLength is the largest value in the place of an Ethertype that is a length.
const maxLength = 1500

// macBit is set in every key of the table of addresses, so that no key is 0.
const macBit = 1 << fastpath.MACAt

// The keys of the table of types consist of what follows the tags and of the number of tags before
// it. All have the highest bit set, so that no key is 0.
const (
	typeKey   = 1 << fastpath.TypeAt
	lengthKey = typeKey | 1<<fastpath.LengthAt // any 802.3 length instead of a type
	shortKey  = typeKey | 1<<fastpath.ShortAt  // the frame ends before its type
	levelAt   = fastpath.LevelAt               // the lowest bit of the number of tags, above the type
)

// The keys of the table of VLANs consist of the position of the tag, the number of the VLAN, and the index
// of the tag's type in predicate.TagTypes.
const (
	vlanKey  = 1 << fastpath.VLANAt
	tpidAt   = fastpath.TPIDAt
	placeAt  = fastpath.LevelAt
	vlanMask = 0xfff
)

// tables count the frames of one interface by source, type and VLAN, for one thread. The pointers
// never change: a reset makes new tables.
//
// Consecutive untagged frames of one source and type are a run, which is added to the tables as a
// whole. Measured, in ns a frame: one source 4 (10 without runs), two in turn 12, a thousand in
// turn 30, a flood of random ones 27.
type tables struct {
	macs, types, vlans *table

	runKey uint64 // source and type of the run, as in the frame
	frames uint64 // frames of the run, which are not in the tables yet
	bytes  uint64
}

func newTables() *tables { return &tables{macs: newMACs(), types: newTypes(), vlans: newVLANs()} }

func newMACs() *table  { return newTable(macPlaces, batchSize) }
func newTypes() *table { return newTable(typePlaces, batchSize) }
func newVLANs() *table { return newTable(vlanPlaces, maxTags*batchSize) }

// countFrame counts a frame of length bytes by source, by type and by VLAN. frame is its first
// bytes.
func (t *tables) countFrame(frame []byte, length int) {
	if len(frame) < protected {
		from := source(frame)
		t.macs.add(from, 1, uint64(length), 0)
		t.types.add(shortKey, 1, uint64(length), from)
		return
	}
	// One load gets the source and the type behind it.
	x := binary.BigEndian.Uint64(frame[6:])
	if x == t.runKey && t.frames > 0 {
		t.frames++
		t.bytes += uint64(length)
		return
	}
	t.flush()
	if kind := uint16(x); !predicate.IsTag(kind) {
		t.runKey, t.frames, t.bytes = x, 1, uint64(length)
		return
	}
	from := x>>16 | macBit
	t.macs.add(from, 1, uint64(length), 0)
	t.types.add(t.tags(frame, uint64(length), from, uint16(x)), 1, uint64(length), from)
}

// flush adds the run to the tables.
func (t *tables) flush() {
	if t.frames > 0 {
		from := t.runKey>>16 | macBit
		t.macs.add(from, t.frames, t.bytes, 0)
		t.types.add(typeOf(uint16(t.runKey), 0), t.frames, t.bytes, from)
		t.frames = 0
	}
}

// tags counts the tags of a frame that begins with one, and returns the key of the type below them.
func (t *tables) tags(frame []byte, length uint64, from uint64, kind uint16) uint64 {
	at := protected
	for level := range uint64(maxTags) {
		if !predicate.IsTag(kind) {
			return typeOf(kind, level)
		}
		if len(frame) < at+4 {
			return shortKey | level<<levelAt
		}
		tpid := uint64(slices.Index(predicate.TagTypes[:], kind))
		key := vlanKey | tpid<<tpidAt | level<<placeAt | uint64(binary.BigEndian.Uint16(frame[at:])&vlanMask)
		t.vlans.add(key, 1, length, from)
		kind = binary.BigEndian.Uint16(frame[at+2:])
		at += 4
	}
	return typeOf(kind, maxTags)
}

func typeOf(kind uint16, level uint64) uint64 {
	if kind <= maxLength {
		return lengthKey | level<<levelAt
	}
	return typeKey | level<<levelAt | uint64(kind)
}

func (t *tables) publish(now int64) {
	t.flush()
	t.macs.publish(now)
	t.types.publish(now)
	t.vlans.publish(now)
}
