// SPDX-License-Identifier: BSD-3-Clause

package capture

import (
	"encoding/binary"
	"iter"
	"math"
	"math/bits"
)

// The format is specified in draft-ietf-opsawg-pcapng.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockOldPacket  = 2
	blockSimple     = 3
	blockStatistics = 5
	blockPacket     = 6
	byteOrderMagic  = 0x1a2b3c4d

	optComment                = 1
	ifName                    = 2
	ifResolution, ifOffset    = 9, 14
	epbFlags, epbDropCount    = 2, 4
	isbStart, isbEnd, isbLast = 2, 3, 8
)

// Options are the options of a block, as they stand in the file.
type Options struct {
	Raw []byte
	Big bool // the byte order of the numbers in it
}

// All returns the options, by code and value. It ends at an option that is cut short.
func (o Options) All() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		b := o.Raw
		for len(b) >= 4 {
			code, n := o.u16(b), int(o.u16(b[2:]))
			if code == 0 || 4+n > len(b) {
				return
			}
			if !yield(code, b[4:4+n]) {
				return
			}
			b = b[min(len(b), 4+(n+3)&^3):]
		}
	}
}

// Comments returns the comments.
func (o Options) Comments() (all []string) {
	for code, value := range o.All() {
		if code == optComment {
			all = append(all, string(value))
		}
	}
	return all
}

// Text returns the first option of a code as text, or "".
func (o Options) Text(code uint16) string {
	for c, value := range o.All() {
		if c == code {
			return string(value)
		}
	}
	return ""
}

func (o Options) u16(b []byte) uint16 {
	if o.Big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

// kept returns a copy that is valid for good.
func (o Options) kept() Options { return Options{append([]byte(nil), o.Raw...), o.Big} }

// clock converts timestamps of an interface.
type clock struct {
	times, over uint64 // ns = stamp * times / over; one of them is 1
	binary      uint8  // if not 0: a stamp counts 2⁻ⁿ s
	offset      int64  // ns to be added
}

// maxSeconds is how many seconds from the epoch 64 bits of ns hold.
const maxSeconds = math.MaxInt64 / 1_000_000_000

// newClock reads if_tsresol and if_tsoffset. Without them a stamp counts microseconds.
func newClock(o Options, order binary.ByteOrder) clock {
	c := clock{times: 1000, over: 1}
	for code, value := range o.All() {
		switch {
		case code == ifResolution && len(value) == 1:
			n := value[0] & 0x7f
			switch {
			case value[0]&0x80 != 0 && n > 0:
				c.times, c.over, c.binary = 1, 1, n
			case value[0]&0x80 != 0:
				c.times, c.over = 1e9, 1
			case n <= 9:
				c.times, c.over = power(9-n), 1
			case n <= 28:
				c.times, c.over = 1, power(n-9)
			default: // even the largest stamp is less than a ns
				c.times, c.over = 0, 1
			}
		case code == ifOffset && len(value) == 8:
			if s := int64(order.Uint64(value)); s >= -maxSeconds && s <= maxSeconds {
				c.offset = s * 1e9
			}
		}
	}
	return c
}

func power(n uint8) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// time converts a stamp to ns since the epoch. A time beyond what 64 bits hold is the last one.
func (c *clock) time(stamp uint64) int64 {
	var ns uint64
	switch {
	case c.binary > 0:
		n := uint(c.binary)
		high, low := bits.Mul64(stamp, 1e9)
		switch {
		case n >= 128:
		case n >= 64:
			ns = high >> (n - 64)
		case high>>n != 0:
			ns = math.MaxInt64
		default:
			ns = high<<(64-n) | low>>n
		}
	case c.over > 1:
		ns = stamp / c.over
	default:
		var high uint64
		if high, ns = bits.Mul64(stamp, c.times); high != 0 {
			ns = math.MaxInt64
		}
	}
	ns = min(ns, math.MaxInt64)
	sum := int64(ns) + c.offset
	if c.offset > 0 && sum < 0 {
		return math.MaxInt64
	}
	return sum
}

// nextNG reads blocks up to the next packet.
func (r *Reader) nextNG(p *Packet) error {
	for {
		if !r.need(12) {
			return r.broken()
		}
		h := r.buf[r.start : r.start+12]
		le := binary.LittleEndian
		code, size := le.Uint32(h), le.Uint32(h[4:])
		if code == blockSection {
			if err := r.turn(le.Uint32(h[8:])); err != nil {
				return err
			}
		} else if len(r.sections) == 0 {
			return r.damage("a block before the first section")
		}
		if r.big {
			code, size = bits.ReverseBytes32(code), bits.ReverseBytes32(size)
		}
		if size < 12 || size%4 != 0 || size > maxBlock {
			return r.damage("a block of %d bytes", size)
		}
		n := int(size)
		if !r.need(n) {
			return r.broken()
		}
		b := r.buf[r.start : r.start+n]
		if last := r.u32(b[n-4:]); last != size {
			return r.damage("a block whose lengths differ, %d and %d,", size, last)
		}
		isPacket, err := r.block(p, code, b[8:n-4:n-4])
		if err != nil {
			return err
		}
		r.start += n
		if isPacket {
			return nil
		}
		r.others++
	}
}

// turn takes the byte order of a new section.
func (r *Reader) turn(magic uint32) error {
	switch magic {
	case byteOrderMagic:
		r.order, r.big = binary.LittleEndian, false
	case bits.ReverseBytes32(byteOrderMagic):
		r.order, r.big = binary.BigEndian, true
	default:
		return r.damage("a section with the byte-order magic %08x", magic)
	}
	return nil
}

func (r *Reader) u32(b []byte) uint32 {
	if r.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (r *Reader) u64(high, low []byte) uint64 { return uint64(r.u32(high))<<32 | uint64(r.u32(low)) }

// block reads the body of a block. It says whether p is a packet now.
func (r *Reader) block(p *Packet, code uint32, b []byte) (bool, error) {
	switch code {
	case blockPacket:
		if len(b) < 20 {
			return false, r.damage("a packet block of %d bytes", len(b)+12)
		}
		return true, r.packet(p, b, r.u32(b), r.u64(b[4:], b[8:]), r.u32(b[12:]), r.u32(b[16:]))
	case blockOldPacket:
		if len(b) < 20 {
			return false, r.damage("a packet block of %d bytes", len(b)+12)
		}
		number, drops := uint32(r.order.Uint16(b)), r.order.Uint16(b[2:])
		err := r.packet(p, b, number, r.u64(b[4:], b[8:]), r.u32(b[12:]), r.u32(b[16:]))
		if drops != math.MaxUint16 && p.Dropped == 0 { // otherwise it is not known
			p.Dropped, p.Beside = uint64(drops), true
		}
		return true, err
	case blockSimple:
		return true, r.simple(p, b)
	case blockSection:
		return false, r.section(b)
	case blockInterface:
		return false, r.describe(b)
	case blockStatistics:
		return false, r.statistics(b)
	}
	if r.other != nil {
		r.other(code, r.big, b)
	}
	return false, nil
}

// packet reads what follows the fixed part of a packet block.
func (r *Reader) packet(p *Packet, b []byte, number uint32, stamp uint64, captured, wire uint32) error {
	i := r.first + int(number)
	if uint64(number) >= uint64(len(r.interfaces)-r.first) {
		return r.damage("a packet of interface %d, which is not described,", number)
	}
	if uint64(captured) > uint64(len(b)-20) {
		return r.damage("a packet of %d bytes in a block of %d", captured, len(b)+12)
	}
	on := r.interfaces[i]
	if captured > maxEthernet && on.LinkType == Ethernet {
		return r.damage("a packet of %d bytes", captured)
	}
	end := 20 + int(captured)
	*p = Packet{Time: on.clock.time(stamp), Data: b[20:end:end], Wire: max(wire, captured), Interface: i}
	if rest := b[min(len(b), (end+3)&^3):]; len(rest) > 4 {
		p.Options = Options{rest, r.big}
		r.readOptions(p, rest)
	}
	return nil
}

// readOptions reads the flags and the drop count.
func (r *Reader) readOptions(p *Packet, b []byte) {
	for len(b) >= 4 {
		head := binary.LittleEndian.Uint32(b)
		code, n := uint16(head), int(head>>16)
		if r.big {
			code, n = bits.ReverseBytes16(code), int(bits.ReverseBytes16(uint16(n)))
		}
		if code == 0 || 4+n > len(b) {
			return
		}
		switch {
		case code == epbFlags && n == 4:
			p.Flags = r.u32(b[4:])
		case code == epbDropCount && n == 8:
			p.Dropped = r.order.Uint64(b[4:])
		}
		b = b[min(len(b), 4+(n+3)&^3):]
	}
}

// simple reads a packet without a time, which belongs to the first interface.
func (r *Reader) simple(p *Packet, b []byte) error {
	if len(r.interfaces) == r.first {
		return r.damage("a packet without an interface")
	}
	if len(b) < 4 {
		return r.damage("a packet block of %d bytes", len(b)+12)
	}
	on := r.interfaces[r.first]
	wire := r.u32(b)
	captured := wire
	if on.SnapLen > 0 {
		captured = min(wire, on.SnapLen)
	}
	if uint64(captured) > uint64(len(b)-4) || captured > maxEthernet && on.LinkType == Ethernet {
		return r.damage("a packet of %d bytes in a block of %d", captured, len(b)+12)
	}
	*p = Packet{Untimed: true, Data: b[4 : 4+captured : 4+captured], Wire: wire, Interface: r.first}
	return nil
}

// section reads a section header. Its interfaces are its own.
func (r *Reader) section(b []byte) error {
	if len(b) < 16 {
		return r.damage("a section header of %d bytes", len(b)+12)
	}
	if major := r.order.Uint16(b[4:]); major != 1 {
		return r.damage("version %d of pcapng, not 1,", major)
	}
	r.first = len(r.interfaces)
	r.sections = append(r.sections, Section{Options{b[16:], r.big}.kept()})
	return nil
}

func (r *Reader) describe(b []byte) error {
	if len(b) < 8 {
		return r.damage("an interface description of %d bytes", len(b)+12)
	}
	o := Options{b[8:], r.big}.kept()
	r.interfaces = append(r.interfaces, &Interface{
		LinkType: uint32(r.order.Uint16(b)), SnapLen: r.u32(b[4:]),
		Name: o.Text(ifName), Section: len(r.sections) - 1, Options: o, clock: newClock(o, r.order),
	})
	return nil
}

func (r *Reader) statistics(b []byte) error {
	if len(b) < 12 {
		return r.damage("interface statistics of %d bytes", len(b)+12)
	}
	number := r.u32(b)
	if uint64(number) >= uint64(len(r.interfaces)-r.first) {
		return r.damage("statistics of interface %d, which is not described,", number)
	}
	on := r.interfaces[r.first+int(number)]
	s := &Statistics{Time: on.clock.time(r.u64(b[4:], b[8:]))}
	for code, value := range (Options{b[12:], r.big}).All() {
		switch {
		case len(value) != 8:
		case code == isbStart:
			s.Start = on.clock.time(r.u64(value, value[4:]))
		case code == isbEnd:
			s.End = on.clock.time(r.u64(value, value[4:]))
		case code >= firstCounter && code <= isbLast:
			s.Counts[code], s.Has[code] = r.order.Uint64(value), true
		}
	}
	on.Statistics = s
	return nil
}
