package dataplane

import (
	"math/bits"

	"ethertap/dataplane/policy"
)

// macKey makes a non-zero number of an address: macBit is always set.
func macKey(m policy.MAC) uint64 {
	return macBit | uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(m[2])<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
}

// macOf is the inverse of macKey.
func macOf(key uint64) policy.MAC {
	return policy.MAC{byte(key >> 40), byte(key >> 32), byte(key >> 24), byte(key >> 16), byte(key >> 8), byte(key)}
}

// hosts is a set of addresses in which threads look frames up. It never changes.
type hosts struct {
	macs  policy.MACs // what it was made from
	table []uint64    // open addressing, at most half full; 0 = empty; len is a power of two
	shift uint8       // 64 - log2(len(table))
}

// newHosts makes the set of some addresses, of which there is at least one.
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

// slot is Fibonacci hashing: the upper bits of the product depend on all of the key.
func (h *hosts) slot(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> h.shift }

// has says whether an address is in the set, in constant time and without allocation.
func (h *hosts) has(m policy.MAC) bool {
	key, mask := macKey(m), uint64(len(h.table)-1)
	for i := h.slot(key); ; i = (i + 1) & mask {
		switch h.table[i] {
		case key:
			return true
		case 0:
			return false
		}
	}
}

// destination returns the address that a frame is for. What is too short to
// have one has the address zero.
func destination(frame []byte) (m policy.MAC) {
	if len(frame) >= 6 {
		m = policy.MAC(frame)
	}
	return m
}

// source returns the address that a frame comes from, zero likewise.
func source(frame []byte) (m policy.MAC) {
	if len(frame) >= 12 {
		m = policy.MAC(frame[6:])
	}
	return m
}
