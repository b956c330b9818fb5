// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"encoding/binary"

	"ethertap/dataplane/xsk"
	"ethertap/lib/predicate"
)

// congestionField finds the byte with the ECN field of a frame whose sender knows ECN, which is marked
// ECT(0) or ECT(1). shift is the place of the field in the byte. ok is false for other frames.
func (w *worker) congestionField(d xsk.Desc) (h predicate.Headers, at int, shift uint, ok bool) {
	data := w.umem.Bytes(d)
	h.Dissect(data, w.length(d), predicate.ToNetwork)
	at = h.Network + 1
	switch {
	case h.Layers&predicate.IP6 != 0:
		shift = 4
	case h.Layers&predicate.IP4 == 0:
		return h, 0, 0, false
	}
	mark := data[at] >> shift & 3
	return h, at, shift, mark == 1 || mark == 2
}

// congest sets the mark of a router that has too much to forward (CE, RFC 3168), and corrects the
// checksum of the IPv4 header.
func (w *worker) congest(d xsk.Desc, h *predicate.Headers, at int, shift uint) {
	data := w.umem.Bytes(d)
	before := uint16(data[at])
	data[at] |= 3 << shift
	if h.Layers&predicate.IP4 != 0 {
		field := data[h.Network+10:]
		binary.BigEndian.PutUint16(field, corrected(binary.BigEndian.Uint16(field), before, uint16(data[at])))
	}
}
