// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"encoding/binary"
	"fmt"
	"math"

	"ethertap/shm"
)

// Format is the format of a stream.
type Format uint8

const (
	PCAP     Format = iota // classic, timestamps in microseconds
	PCAPNano               // classic, in nanoseconds
	PCAPNG                 // with interfaces, directions and drop counts
)

// ParseFormat converts the name of a format: pcap, pcap-ns or pcapng.
func ParseFormat(s string) (Format, error) {
	for i, name := range formatNames {
		if s == name {
			return Format(i), nil
		}
	}
	return 0, fmt.Errorf("%s: pcap, pcap-ns or pcapng", s)
}

var formatNames = [...]string{PCAP: "pcap", PCAPNano: "pcap-ns", PCAPNG: "pcapng"}

func (f Format) String() string { return formatNames[f] }

// The classic format is specified in draft-ietf-opsawg-pcap: a header of 24 bytes, then, for each
// packet, a header of 16 bytes and the captured bytes. We write little-endian, which readers
// recognize by the magic number.
const (
	magicMicro   = 0xa1b2c3d4
	magicNano    = 0xa1b23c4d
	pcapVersion  = 2 | 4<<16 // major, minor
	linkEthernet = 1

	// HeaderSize is the length of the header of a classic stream, in bytes. A limit of bytes must
	// not be less.
	HeaderSize   = 24
	recordHeader = 16

	// MaxSnapLen is the largest length of a record that libpcap accepts.
	MaxSnapLen = 262144
)

// encoder turns packets into the bytes of a stream. It appends to a buffer of the caller (6 ns
// for a packet of 64 bytes; pcapgo's writer takes 26) and has none of its own. It is for one run,
// which may have many files one after the other.
type encoder struct {
	format Format
	// snap is announced in the header, and no record is longer, since readers take a file with a
	// longer one for broken.
	snap int
	ng   section // state of a PCAPNG stream
}

// newEncoder returns an encoder. PCAPNG names the application and the filter.
func newEncoder(format Format, application, filter string) *encoder {
	return &encoder{format: format, snap: MaxSnapLen, ng: section{application: application, filter: filter, snap: MaxSnapLen, table: make([]tableEntry, tableSize)}}
}

// SetSnapLen sets how many bytes of each packet are kept, at most MaxSnapLen. It is called before
// a stream begins.
func (e *encoder) SetSnapLen(n int) { e.snap, e.ng.snap = n, n }

// AppendHeader appends the header of a stream. now is the time, in ns since the epoch, from which
// on its statistics count.
func (e *encoder) AppendHeader(b []byte, now int64) []byte {
	le := binary.LittleEndian
	switch e.format {
	case PCAPNG:
		return e.ng.begin(b, now)
	case PCAPNano:
		b = le.AppendUint32(b, magicNano)
	default:
		b = le.AppendUint32(b, magicMicro)
	}
	b = le.AppendUint32(b, pcapVersion)
	b = le.AppendUint64(b, 0) // time zone and accuracy: always zero
	b = le.AppendUint32(b, uint32(e.snap))
	return le.AppendUint32(b, linkEthernet)
}

// AppendRecord appends one packet with its timestamp in ns since the epoch. The classic format
// has 32 bits for the seconds, enough until 2106. The record of a truncated packet has its length
// on the wire.
func (e *encoder) AppendRecord(b []byte, timestamp int64, r *shm.Record) []byte {
	data := r.Data[:min(len(r.Data), e.snap)]
	// The length on the wire comes from shared memory. It must not be less than the length of the
	// data.
	wire := max(r.OrigLen, uint32(len(r.Data)))
	if e.format == PCAPNG {
		return e.ng.packet(b, timestamp, r, data, wire)
	}
	fraction := timestamp % 1e9
	if e.format == PCAP {
		fraction /= 1e3
	}
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(timestamp/1e9))
	b = le.AppendUint32(b, uint32(fraction))
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, wire)
	return append(b, data...)
}

// Time returns what a reader of the stream takes for a timestamp, in ns since the epoch.
func (e *encoder) Time(timestamp int64) int64 {
	seconds := int64(uint32(timestamp/1e9)) * 1e9
	switch e.format {
	case PCAPNG:
		if timestamp < 0 {
			return math.MaxInt64
		}
		return timestamp
	case PCAPNano:
		return seconds + int64(uint32(timestamp%1e9))
	}
	return seconds + int64(uint32(timestamp%1e9/1e3))*1e3
}

// Appended returns the bytes of the packet in what AppendRecord has appended, and whether there is
// something else before it: the description of its interface.
func (e *encoder) Appended(b []byte) (data []byte, other bool) {
	le := binary.LittleEndian
	if e.format != PCAPNG {
		return b[recordHeader:], false
	}
	for le.Uint32(b) != blockPacket {
		b, other = b[le.Uint32(b[4:]):], true
	}
	return b[packetHeader:][:le.Uint32(b[20:])], other
}

// Undo reverses what the last AppendRecord has changed, except for the buffer.
func (e *encoder) Undo() {
	if e.format == PCAPNG {
		e.ng.undo()
	}
}

// Skipped counts a packet that the filter kept out of the stream.
func (e *encoder) Skipped(r *shm.Record) {
	if e.format == PCAPNG {
		e.ng.skipped(r)
	}
}

// Least returns the length of a record without data.
func (e *encoder) Least() int {
	if e.format == PCAPNG {
		return leastPacket
	}
	return recordHeader
}

// AppendTrailer appends the end of a stream.
func (e *encoder) AppendTrailer(b []byte, now int64) []byte {
	if e.format == PCAPNG {
		return e.ng.end(b, now)
	}
	return b
}

// TrailerSize returns how many bytes AppendTrailer appends.
func (e *encoder) TrailerSize() int {
	if e.format == PCAPNG {
		return e.ng.trailerSize()
	}
	return 0
}

// Describes says whether the format has interfaces, so that SetInterfaces has an effect.
func (e *encoder) Describes() bool { return e.format == PCAPNG }

// Knows says whether the interface of a packet was in the table of SetInterfaces.
func (e *encoder) Knows(r *shm.Record) bool {
	return e.format != PCAPNG || int(r.Interface) < len(e.ng.table) && e.ng.table[r.Interface].known
}

// SetInterfaces sets the queue's table: names, and how many packets were refused.
func (e *encoder) SetInterfaces(list []shm.Interface) {
	if e.format == PCAPNG {
		e.ng.setInterfaces(list)
	}
}

// Whole returns how much of b is complete records: bytes, and packets in them. begin says whether
// b begins with the header.
func (e *encoder) Whole(b []byte, begin bool) (bytes, packets int) {
	le := binary.LittleEndian
	if e.format != PCAPNG && begin {
		if len(b) < HeaderSize {
			return 0, 0
		}
		bytes = HeaderSize
	}
	for {
		rest := b[bytes:]
		if len(rest) < recordHeader {
			return bytes, packets
		}
		n, isPacket := recordHeader+int(le.Uint32(rest[8:])), 1
		if e.format == PCAPNG {
			n = int(le.Uint32(rest[4:]))
			if le.Uint32(rest) != blockPacket {
				isPacket = 0
			}
		}
		if len(rest) < n {
			return bytes, packets
		}
		bytes += n
		packets += isPacket
	}
}
