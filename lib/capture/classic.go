// SPDX-License-Identifier: BSD-3-Clause

package capture

import (
	"encoding/binary"
	"math/bits"
)

// The classic format is specified in draft-ietf-opsawg-pcap. The third magic number is that of a
// libpcap which old Linux distributions changed; each packet has 8 bytes more.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34

	classicHeader = 24
)

// beginClassic reads the header of a classic stream.
func (r *Reader) beginClassic(magic uint32) error {
	r.order = binary.LittleEndian
	switch swapped := bits.ReverseBytes32(magic); swapped {
	case magicMicro, magicNano, magicModified:
		magic, r.order, r.big = swapped, binary.BigEndian, true
	}
	r.head, r.scale = 16, 1000
	switch magic {
	case magicMicro:
	case magicNano:
		r.format, r.scale = PCAPNano, 1
	case magicModified:
		r.head = 24
	default:
		return &foreign{r.name}
	}
	if !r.need(classicHeader) {
		return r.broken()
	}
	if major := r.order.Uint16(r.buf[4:]); major != 2 {
		return r.damage("version %d of pcap, not 2,", major)
	}
	link := r.order.Uint32(r.buf[20:])
	r.interfaces = []*Interface{{SnapLen: r.order.Uint32(r.buf[16:]), LinkType: link & 0x03ffffff}}
	if link&0x04000000 != 0 {
		r.interfaces[0].FCS = 2 * int(link>>28)
	}
	r.start += classicHeader
	return nil
}

// foreign is ErrForeign with the name of the file.
type foreign struct{ name string }

func (e *foreign) Error() string { return e.name + ": " + ErrForeign.Error() }
func (e *foreign) Unwrap() error { return ErrForeign }

// nextClassic reads the next packet of a classic stream.
func (r *Reader) nextClassic(p *Packet) error {
	if !r.need(r.head) {
		return r.broken()
	}
	h := r.buf[r.start : r.start+16]
	le := binary.LittleEndian
	seconds, fraction, captured, wire := le.Uint32(h), le.Uint32(h[4:]), le.Uint32(h[8:]), le.Uint32(h[12:])
	if r.big {
		seconds, fraction = bits.ReverseBytes32(seconds), bits.ReverseBytes32(fraction)
		captured, wire = bits.ReverseBytes32(captured), bits.ReverseBytes32(wire)
	}
	if captured > maxEthernet && (captured > maxBlock || r.interfaces[0].LinkType == Ethernet) {
		return r.damage("a packet of %d bytes", captured)
	}
	n := r.head + int(captured)
	if !r.need(n) {
		return r.broken()
	}
	at := r.start + r.head
	*p = Packet{
		Time: int64(seconds)*1e9 + int64(fraction)*r.scale,
		Data: r.buf[at : at+int(captured) : at+int(captured)],
		Wire: max(wire, captured),
	}
	r.start += n
	return nil
}
