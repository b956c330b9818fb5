package dataplane

import (
	"fmt"
	"math/bits"
	"slices"
)

// MAC is an Ethernet address.
type MAC [6]byte

func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// key makes a non-zero number of an address: bit 48 is always set.
func (m MAC) key() uint64 {
	return 1<<48 | uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(m[2])<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
}

// MACHash is a set of addresses that remembers the order of insertion. It never
// changes: With and Without return changed copies, so that threads may read one
// while the next is made. A nil *MACHash is the empty set.
type MACHash struct {
	order []MAC
	table []uint64 // open addressing, at most half full; 0 = empty; len is a power of two
	shift uint8    // 64 - log2(len(table))
}

func newMACHash(order []MAC) *MACHash {
	if len(order) == 0 {
		return nil
	}
	size := max(8, 1<<bits.Len(uint(2*len(order)-1)))
	h := &MACHash{order: order, table: make([]uint64, size), shift: uint8(64 - bits.Len(uint(size-1)))}
	for _, m := range order {
		i := h.slot(m.key())
		for h.table[i] != 0 {
			i = (i + 1) & uint64(size-1)
		}
		h.table[i] = m.key()
	}
	return h
}

// slot is Fibonacci hashing: the upper bits of the product depend on all of the key.
func (h *MACHash) slot(key uint64) uint64 { return key * 0x9e3779b97f4a7c15 >> h.shift }

// Has says whether m is in the set, in constant time and without allocation.
func (h *MACHash) Has(m MAC) bool {
	if h == nil {
		return false
	}
	key, mask := m.key(), uint64(len(h.table)-1)
	for i := h.slot(key); ; i = (i + 1) & mask {
		switch h.table[i] {
		case key:
			return true
		case 0:
			return false
		}
	}
}

// Len returns the number of addresses.
func (h *MACHash) Len() int {
	if h == nil {
		return 0
	}
	return len(h.order)
}

// All returns the addresses in the order of insertion. The slice is a copy.
func (h *MACHash) All() []MAC {
	if h == nil {
		return nil
	}
	return slices.Clone(h.order)
}

// With returns the set with the addresses added; those present stay where they are.
func (h *MACHash) With(macs ...MAC) *MACHash {
	order := h.All()
	seen := make(map[MAC]bool, len(order)+len(macs))
	for _, m := range order {
		seen[m] = true
	}
	for _, m := range macs {
		if !seen[m] {
			seen[m] = true
			order = append(order, m)
		}
	}
	return newMACHash(order)
}

// Without returns the set with the addresses taken out; those absent are ignored.
func (h *MACHash) Without(macs ...MAC) *MACHash {
	return newMACHash(slices.DeleteFunc(h.All(), func(m MAC) bool { return slices.Contains(macs, m) }))
}
