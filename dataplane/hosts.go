// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"
	"math/bits"

	"ethertap/dataplane/policy"
)

// macKey returns an address as a number. macBit is always set, so that it is not 0.
func macKey(m policy.MAC) uint64 {
	return macBit | uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(m[2])<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
}

// macOf is the inverse of macKey.
func macOf(key uint64) policy.MAC {
	return policy.MAC{byte(key >> 40), byte(key >> 32), byte(key >> 24), byte(key >> 16), byte(key >> 8), byte(key)}
}

// hosts is a set of addresses in which the threads look up frames. It never changes.
type hosts struct {
	macs  policy.MACs // the addresses of the set
	table []uint64    // open addressing, at most half full; 0 means empty; len is a power of two
	shift uint8       // 64 - log2(len(table))
}

// newHosts makes the set of some addresses. There must be at least one.
func newHosts(macs policy.MACs) *hosts {
	size := max(8, 1<<bits.Len(uint(2*macs.Len()-1)))
	h := &hosts{macs: macs, table: make([]uint64, size), shift: uint8(64 - bits.Len(uint(size-1)))}
	for _, m := range macs.All() {
		i := h.slot(macKey(m))
		for h.table[i] != 0 {
			i = (i + 1) & uint64(size-1)
		}
		h.table[i] = macKey(m)
	}
	return h
}

// slot returns where the search for a key begins, by Fibonacci hashing: the upper bits of the
// product depend on the whole key.
func (h *hosts) slot(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> h.shift }

// has says whether an address, of which it gets the key, is in the set, in constant time and without
// allocation.
func (h *hosts) has(key uint64) bool {
	mask := uint64(len(h.table) - 1)
	for i := h.slot(key); ; i = (i + 1) & mask {
		switch h.table[i] {
		case key:
			return true
		case 0:
			return false
		}
	}
}

// destination returns the key of the destination address of a frame. A frame that is too short to have
// one has the address zero. One load of 8 bytes is made where it can be: addresses as arrays went through
// memory, which took 3 ns for the two of a frame.
func destination(frame []byte) uint64 {
	switch {
	case len(frame) >= 8:
		return binary.BigEndian.Uint64(frame)>>16 | macBit
	case len(frame) >= 6:
		return macKey(policy.MAC(frame))
	}
	return macBit
}

// source returns the key of the source address of a frame, likewise.
func source(frame []byte) uint64 {
	switch {
	case len(frame) >= protected:
		return binary.BigEndian.Uint64(frame[6:])>>16 | macBit
	case len(frame) >= 12:
		return macKey(policy.MAC(frame[6:]))
	}
	return macBit
}
