// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
	"ethertap/lib/predicate"
)

// payload describes the part of a frame that policy.FaultCorrupt changes.
type payload struct {
	from, end int // offsets in the frame
	start     int // where the checksummed part begins, on which words are counted
	checksum  int // the offset of the checksum, 0 if there is none
	udp       bool
}

// ICMP messages that carry the data of an application.
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// payloadOf finds the payload of TCP, UDP or an ICMP echo in a frame. ok is false if there is none, or
// if the frame is a fragment: then nobody can correct the checksum.
func (w *worker) payloadOf(d xsk.Desc) (p payload, ok bool) {
	var h predicate.Headers
	data := w.umem.Bytes(d) // the headers are in the first chunk
	h.Dissect(data, w.length(d), predicate.ToTransport)
	if h.Layers&predicate.Fragment != 0 || h.Open != 0 {
		return p, false
	}
	p.start, p.end = h.Transport, h.End
	segment := data[min(h.Transport, len(data)):]
	switch {
	case h.Layers&predicate.TCP != 0:
		p.from, p.checksum = p.start+4*int(segment[12]>>4), p.start+16
	case h.Layers&predicate.UDP != 0:
		p.from, p.udp = p.start+8, true
		if length := int(binary.BigEndian.Uint16(segment[4:])); length > 0 {
			p.end = min(p.end, p.start+length)
		}
		if binary.BigEndian.Uint16(segment[6:]) != 0 { // the sender has calculated one
			p.checksum = p.start + 6
		}
	case h.Layers&predicate.ICMP4 != 0 && (segment[0] == echoRequest4 || segment[0] == echoReply4),
		h.Layers&predicate.ICMP6 != 0 && (segment[0] == echoRequest6 || segment[0] == echoReply6):
		p.from, p.checksum = p.start+8, p.start+2
	default:
		return p, false
	}
	return p, p.from < p.end && p.checksum+2 <= len(data)
}

// corrupt inverts one bit in a payload and corrects the checksum, so that the damage reaches the
// application.
func (w *worker) corrupt(d xsk.Desc, p payload, dice *dice) {
	bit := dice.below(policy.FaultCorrupt, 1, uint32(p.end-p.from)*8)
	at := p.from + int(bit/8)
	chunk, i := w.byteAt(d, at)
	before := uint16(chunk[i])
	chunk[i] ^= 1 << (bit % 8)
	if p.checksum == 0 {
		return
	}
	after := uint16(chunk[i])
	if (at-p.start)%2 == 0 {
		before, after = before<<8, after<<8
	}
	field := w.umem.Bytes(d)[p.checksum:]
	sum := corrected(binary.BigEndian.Uint16(field), before, after)
	if sum == 0 && p.udp { // which would mean that there is no checksum
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(field, sum)
}

// corrected returns the checksum of a header in which one word has changed (RFC 1624, equation 3). The
// part of the word that has not changed may be left out of both.
func corrected(sum, before, after uint16) uint16 {
	s := uint32(^sum) + uint32(^before) + uint32(after)
	s = s>>16 + s&0xffff
	s += s >> 16
	return ^uint16(s)
}
