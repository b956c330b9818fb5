// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// The format is specified in draft-ietf-opsawg-pcapng. A stream is one section: a section header,
// an interface description for each interface of the queue's table, enhanced packet blocks, and
// at the end interface statistics. An interface that shows up later is described before its first
// packet.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6
	byteOrderMagic  = 0x1a2b3c4d

	optEnd     = 0
	optComment = 1

	shbHardware, shbOS, shbApplication = 2, 3, 4

	ifName, ifDescription, ifMAC, ifResolution, ifFilter, ifOS = 2, 3, 6, 9, 11, 12

	epbFlags, epbDropCount, epbPacketID, epbQueue = 2, 4, 5, 6

	isbStart, isbEnd, isbReceived, isbDropped, isbAccepted, isbDelivered = 2, 3, 4, 5, 6, 8

	packetHeader   = 28              // a packet block up to its data
	leastPacket    = 32 + 8 + 12 + 4 // a packet block without data, with flags and id
	statisticsSize = 24 + 2*12 + 4*12 + 4
)

// StampedText ends the description of an interface. The format has no option that says from which
// clock time stamps come.
const StampedText = ", hardware time stamps of received packets"

// These are the flags of a packet: direction in bits 0 and 1, reception in bits 2 to 4.
const (
	flagInbound     = 1
	flagOutbound    = 2
	flagUnicast     = 1 << 2
	flagMulticast   = 2 << 2
	flagBroadcast   = 3 << 2
	flagPromiscuous = 4 << 2
)

// section is the state of a PCAPNG stream.
type section struct {
	application string
	filter      string
	place       string // begins the name of each interface
	snap        int    // see encoder

	reproducible bool // see Options

	// By the queue's number of an interface. It lives as long as the run.
	table []tableEntry

	// The rest belongs to this section.
	start     int64
	described []statistics // by the number of the description, from 0
	under     bool         // it is under way

	// The state before the last packet, for undo.
	last struct {
		table     int // index, -1: none
		described int // how many there were
		refused   uint64
	}
}

// tableEntry is an interface of the queue's table.
type tableEntry struct {
	known   bool
	iface   shm.Interface // as in the queue's table
	refused uint64        // how much of the table's count was told by drop counts so far
	stated  uint64        // and by statistics
	number  int           // number of its description in this section, from 1; 0: none
}

// tableSize is how many interfaces a queue has at most. The table of another input may be longer.
const tableSize = 64

// maxInterfaces is how many interfaces a record can name.
const maxInterfaces = 1 << 16

// statistics are those of one interface in one section.
type statistics struct {
	taken, accepted uint64
	dropped         uint64 // before its description was replaced
	table           int    // the queue's number of the interface
}

// setInterfaces sets the table of the queue. Packets that were refused before the first call do
// not count.
func (s *section) setInterfaces(list []shm.Interface) {
	for _, i := range list {
		if i.Index < 0 || i.Index >= maxInterfaces {
			continue
		}
		for i.Index >= len(s.table) {
			s.table = append(s.table, tableEntry{})
		}
		t := &s.table[i.Index]
		name, mac := t.iface.Name != i.Name, t.iface.MAC != i.MAC
		if t.known && (name || mac || (t.iface.Taps^i.Taps)&shm.TapStamped != 0) {
			until := i.Refused
			if name && mac {
				until = t.iface.Refused
			}
			s.replaced(t, until) // so is one whose time stamps come from elsewhere now
		}
		if !t.known || name && mac {
			t.refused, t.stated = i.Refused, i.Refused // another interface; as the queue has it
		}
		t.refused, t.stated = min(t.refused, i.Refused), min(t.stated, i.Refused) // a producer may begin again at 0
		t.known, t.iface = true, i
	}
}

// replaced has an interface described anew. What it has lost until now is in the statistics of the former
// description.
func (s *section) replaced(t *tableEntry, until uint64) {
	if s.under && t.number != 0 {
		s.described[t.number-1].dropped += until - min(until, t.stated)
		t.stated = until
	}
	t.number = 0
}

// begin appends the section header and the descriptions of the interfaces.
func (s *section) begin(b []byte, now int64) []byte {
	s.start, s.described, s.under = now, s.described[:0], true
	if s.reproducible {
		s.start = 0
	}
	s.last.table = -1
	for i := range s.table {
		s.table[i].number = 0
	}
	le := binary.LittleEndian
	at := len(b)
	b = le.AppendUint32(b, blockSection)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, byteOrderMagic)
	b = le.AppendUint32(b, 1) // version 1.0
	b = le.AppendUint64(b, 1<<64-1)
	if !s.reproducible {
		b = appendText(b, shbHardware, runtime.GOARCH)
		b = appendText(b, shbOS, system())
	}
	b = appendText(b, shbApplication, s.application)
	b = endBlock(b, at)
	for i := range s.table {
		if s.table[i].known {
			b = s.describe(b, i)
		}
	}
	return b
}

// system returns the name and release of the kernel.
var system = sync.OnceValue(func() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "Linux"
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
})

// describe appends the description of an interface. An interface that is not in the table has no
// name.
func (s *section) describe(b []byte, index int) []byte {
	t := &s.table[index]
	s.described = append(s.described, statistics{table: index})
	t.number = len(s.described)
	le := binary.LittleEndian
	at := len(b)
	b = le.AppendUint32(b, blockInterface)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, linkEthernet)
	b = le.AppendUint32(b, uint32(s.snap))
	name := t.iface.Name
	if name == "" {
		name = fmt.Sprintf("interface%d", index)
	}
	b = appendText(b, ifName, s.place+name)
	stamps := ""
	if t.iface.Taps&shm.TapStamped != 0 {
		stamps = StampedText
	}
	b = appendText(b, ifDescription, fmt.Sprintf("EtherTAP interface %d%s", index, stamps))
	if t.iface.MAC != [6]byte{} {
		b = appendOption(b, ifMAC, t.iface.MAC[:])
	}
	b = appendOption(b, ifResolution, []byte{9}) // 10⁻⁹ s
	if s.filter != "" {
		b = appendText(b, ifFilter, "\x00"+s.filter) // 0: in the language of libpcap
	}
	if !s.reproducible {
		b = appendText(b, ifOS, system())
	}
	return endBlock(b, at)
}

// index returns the number of a packet's interface in the table.
func (s *section) index(r *shm.Record) int { return int(r.Interface) % len(s.table) }

// setPlace sets what the names of interfaces begin with. Those of this section are described anew.
func (s *section) setPlace(place string) {
	if place == s.place {
		return
	}
	s.place = place
	for i := range s.table {
		s.table[i].number = 0
	}
}

func (s *section) packet(b []byte, timestamp int64, r *shm.Record, data []byte, wire uint32) []byte {
	index := s.index(r)
	t := &s.table[index]
	s.last.table, s.last.described, s.last.refused = index, len(s.described), t.refused
	if t.number == 0 {
		b = s.describe(b, index)
	}
	st := &s.described[t.number-1]
	st.taken++
	st.accepted++
	le := binary.LittleEndian
	at := len(b)
	b = le.AppendUint32(b, blockPacket)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, uint32(t.number-1))
	b = le.AppendUint32(b, uint32(uint64(timestamp)>>32))
	b = le.AppendUint32(b, uint32(timestamp))
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, wire)
	b = append(b, data...)
	b = pad(b, len(data))
	b = le.AppendUint32(b, epbFlags|4<<16)
	b = le.AppendUint32(b, flags(r, &t.iface.MAC))
	if n := t.iface.Refused - t.refused; n > 0 {
		t.refused = t.iface.Refused
		b = le.AppendUint32(b, epbDropCount|8<<16)
		b = le.AppendUint64(b, n)
	}
	b = le.AppendUint32(b, epbPacketID|8<<16)
	b = le.AppendUint64(b, r.PacketID)
	if r.Queue != 0 {
		b = le.AppendUint32(b, epbQueue|4<<16)
		b = le.AppendUint32(b, uint32(r.Queue))
	}
	if r.Fault != 0 {
		b = appendText(b, optComment, shm.FaultText(r.Fault))
	}
	return endBlock(b, at)
}

// flags returns the direction and the kind of reception of a packet; mac is the interface's.
func flags(r *shm.Record, mac *[6]byte) uint32 {
	var f uint32
	switch r.Direction {
	case shm.RX:
		f = flagInbound
	case shm.TX:
		f = flagOutbound
	}
	if len(r.Data) < 6 {
		return f
	}
	to := [6]byte(r.Data)
	switch {
	case to == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}:
		return f | flagBroadcast
	case to[0]&1 == 1:
		return f | flagMulticast
	case r.Direction == shm.RX && to != *mac:
		return f | flagPromiscuous
	}
	return f | flagUnicast
}

// undo reverses the last packet, which the caller has cut off its buffer.
func (s *section) undo() {
	if s.last.table < 0 {
		return
	}
	t := &s.table[s.last.table]
	t.refused = s.last.refused
	if s.last.described < len(s.described) {
		s.described, t.number = s.described[:s.last.described], 0
	} else {
		st := &s.described[t.number-1]
		st.taken--
		st.accepted--
	}
	s.last.table = -1
}

func (s *section) skipped(r *shm.Record) {
	if t := &s.table[s.index(r)]; t.number != 0 {
		s.described[t.number-1].taken++
	}
}

func (s *section) trailerSize() int { return len(s.described) * statisticsSize }

// end appends the statistics of the interfaces: packets taken from the queue, and packets for
// which the queue had no room. Those of all sections of a run add up to the counts of the queue.
func (s *section) end(b []byte, now int64) []byte {
	s.under = false
	le := binary.LittleEndian
	for i, st := range s.described {
		t := &s.table[st.table]
		dropped := st.dropped
		if t.number == i+1 { // otherwise its description was replaced
			dropped += t.iface.Refused - t.stated
			t.stated = t.iface.Refused
		}
		at := len(b)
		b = le.AppendUint32(b, blockStatistics)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(i))
		b = le.AppendUint32(b, uint32(uint64(now)>>32))
		b = le.AppendUint32(b, uint32(now))
		if !s.reproducible {
			b = appendTime(b, isbStart, s.start)
		}
		b = appendTime(b, isbEnd, now)
		for _, o := range []struct {
			code  uint32
			value uint64
		}{{isbReceived, st.taken + dropped}, {isbDropped, dropped}, {isbAccepted, st.accepted}, {isbDelivered, st.accepted}} {
			b = le.AppendUint32(b, o.code|8<<16)
			b = le.AppendUint64(b, o.value)
		}
		b = endBlock(b, at)
	}
	return b
}

// appendTime appends an option with a timestamp, the high half first.
func appendTime(b []byte, code uint32, ns int64) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, code|8<<16)
	b = le.AppendUint32(b, uint32(uint64(ns)>>32))
	return le.AppendUint32(b, uint32(ns))
}

func appendText(b []byte, code uint16, text string) []byte {
	if text == "" {
		return b
	}
	return appendOption(b, code, []byte(text[:min(len(text), 0xffff)]))
}

func appendOption(b []byte, code uint16, value []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, code)
	b = le.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return pad(b, len(value))
}

// pad appends zeros up to a multiple of 4, after n bytes.
func pad(b []byte, n int) []byte { return append(b, make([]byte, -n&3)...) }

// endBlock ends the options and writes the length of the block at its beginning and its end.
func endBlock(b []byte, at int) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, optEnd)
	n := uint32(len(b) - at + 4)
	le.PutUint32(b[at+4:], n)
	return le.AppendUint32(b, n)
}
