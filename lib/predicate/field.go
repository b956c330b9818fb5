// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"encoding/binary"
	"net/netip"
)

// has says whether a field exists and is certain.
func (h *Headers) has(f Field) bool {
	return h.Layers&f.Needs() != 0 && (h.Open == 0 || h.Open&h.unsettled(f) == 0)
}

// unsettled returns what must not be open for a field of a layer that exists.
func (h *Headers) unsettled(f Field) Layers {
	switch f {
	case EtherType:
		return openType
	case IPProtocol:
		return openProtocol
	case VLAN:
		if h.Tags == 0 {
			return Tag
		}
	}
	return 0
}

// without returns the verdict of a tree that reads a field that does not exist.
func (h *Headers) without(f Field) Verdict {
	return h.lacking(f.Needs() | h.unsettled(f))
}

// value returns a field that exists.
func (h *Headers) value(data []byte, f Field) int64 {
	be := binary.BigEndian
	switch f {
	case MACDestination:
		return int64(be.Uint64(data) >> 16)
	case MACSource:
		return int64(be.Uint64(data[6:]) >> 16)
	case EtherType:
		return int64(h.EtherType)
	case VLAN:
		return int64(h.VLAN)
	case ARPOperation:
		return int64(be.Uint16(data[h.Network+6:]))
	case IPProtocol:
		return int64(h.Protocol)
	case IPTTL:
		if h.Layers&IP4 != 0 {
			return int64(data[h.Network+8])
		}
		return int64(data[h.Network+7])
	case IPTOS:
		if h.Layers&IP4 != 0 {
			return int64(data[h.Network+1])
		}
		return int64(be.Uint16(data[h.Network:]) >> 4 & 0xff)
	case SourcePort:
		return int64(be.Uint16(data[h.Transport:]))
	case DestinationPort:
		return int64(be.Uint16(data[h.Transport+2:]))
	case TCPFlags:
		return int64(data[h.Transport+13])
	case TCPSequence:
		return int64(be.Uint32(data[h.Transport+4:]))
	case TCPAcknowledgement:
		return int64(be.Uint32(data[h.Transport+8:]))
	case ICMPType:
		return int64(data[h.Transport])
	}
	return int64(data[h.Transport+1]) // ICMPCode
}

// address returns one of the IP addresses, in halves like those of Range.
func (h *Headers) address(data []byte, f Field) (six bool, high, low uint64) {
	b, be := data[h.Network:], binary.BigEndian
	switch {
	case h.Layers&IP4 != 0 && f == IPSource:
		return false, 0, uint64(be.Uint32(b[12:]))
	case h.Layers&IP4 != 0:
		return false, 0, uint64(be.Uint32(b[16:]))
	case f == IPSource:
		return true, be.Uint64(b[8:]), be.Uint64(b[16:])
	}
	return true, be.Uint64(b[24:]), be.Uint64(b[32:])
}

// Value returns a field of the packet, which must have been dissected to its end; ok is false if
// it does not exist.
func (h *Headers) Value(data []byte, f Field) (n int64, ok bool) {
	if !h.has(f) || f == IPSource || f == IPDestination {
		return 0, false
	}
	return h.value(data, f), true
}

// Address returns IPSource or IPDestination of the dissected packet, or an invalid address if it
// does not exist.
func (h *Headers) Address(data []byte, f Field) netip.Addr {
	size, at := 4, 12
	switch {
	case h.Layers&IP == 0:
		return netip.Addr{}
	case h.Layers&IP6 != 0:
		size, at = 16, 8
	}
	if f == IPDestination {
		at += size
	}
	a, _ := netip.AddrFromSlice(data[h.Network+at:][:size])
	return a
}
