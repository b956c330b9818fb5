package collect

import (
	"encoding/binary"
	"fmt"

	"ethertap/shm"
)

// Format is that of a stream.
type Format uint8

const (
	PCAP     Format = iota // classic, timestamps in microseconds
	PCAPNano               // classic, in nanoseconds
	PCAPNG                 // with interfaces, directions, drop counts
)

// ParseFormat reads a format's name.
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

// Classic PCAP is that of draft-ietf-opsawg-pcap: a header of 24 bytes, then for
// each packet a header of 16 bytes and the captured bytes. We write little-endian;
// readers know by the magic number.
const (
	magicMicro   = 0xa1b2c3d4
	magicNano    = 0xa1b23c4d
	pcapVersion  = 2 | 4<<16 // major, minor
	linkEthernet = 1

	// HeaderSize is the length of the header of a classic stream, in bytes; a byte
	// limit below it leaves no room for anything.
	HeaderSize   = 24
	recordHeader = 16

	// MaxSnapLen is the largest length of a record that libpcap accepts.
	MaxSnapLen = 262144
)

// Encoder turns packets into the bytes of a stream. It holds no bytes itself: it
// appends to a buffer of the caller (6 ns for a packet of 64 bytes, where pcapgo's
// writer takes 26). It is for one run, which may have many files one after the other.
type Encoder struct {
	format Format
	// snap is announced in the header, and no record is longer: a reader takes a longer
	// one for a broken file.
	snap int
	ng   section // of PCAPNG
}

// NewEncoder makes one; application and filter are named in PCAPNG.
func NewEncoder(format Format, application, filter string) *Encoder {
	return &Encoder{format: format, snap: MaxSnapLen, ng: section{application: application, filter: filter, snap: MaxSnapLen}}
}

// SetSnapLen says how many bytes are kept of each packet, at most MaxSnapLen. It is called
// before a stream begins.
func (e *Encoder) SetSnapLen(n int) { e.snap, e.ng.snap = n, n }

// AppendHeader appends what a stream begins with; now, in ns since the epoch, is the
// time from which on its statistics count.
func (e *Encoder) AppendHeader(b []byte, now int64) []byte {
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

// AppendRecord appends one packet with the timestamp, in ns since the epoch. Classic
// PCAP has 32 bits for the seconds, enough until 2106. A packet that was truncated
// keeps its length on the wire.
func (e *Encoder) AppendRecord(b []byte, timestamp int64, r *shm.Record) []byte {
	data := r.Data[:min(len(r.Data), e.snap)]
	// The length on the wire comes from shared memory: never below what is there.
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

// Undo takes back what the last AppendRecord has changed besides the buffer.
func (e *Encoder) Undo() {
	if e.format == PCAPNG {
		e.ng.undo()
	}
}

// Skipped notes a packet that a filter kept out of the stream.
func (e *Encoder) Skipped(r *shm.Record) {
	if e.format == PCAPNG {
		e.ng.skipped(r)
	}
}

// Least is the length of a record without data: less room is room for none.
func (e *Encoder) Least() int {
	if e.format == PCAPNG {
		return leastPacket
	}
	return recordHeader
}

// AppendTrailer appends what a stream ends with.
func (e *Encoder) AppendTrailer(b []byte, now int64) []byte {
	if e.format == PCAPNG {
		return e.ng.end(b, now)
	}
	return b
}

// TrailerSize is how many bytes AppendTrailer appends.
func (e *Encoder) TrailerSize() int {
	if e.format == PCAPNG {
		return e.ng.trailerSize()
	}
	return 0
}

// Describes says whether the format tells about interfaces: whether it is worth
// calling SetInterfaces.
func (e *Encoder) Describes() bool { return e.format == PCAPNG }

// Knows says whether the interface of a packet was in the table of SetInterfaces.
func (e *Encoder) Knows(r *shm.Record) bool {
	return e.format != PCAPNG || int(r.Interface) < len(e.ng.table) && e.ng.table[r.Interface].known
}

// SetInterfaces takes the queue's table as it is now: names, and how many packets
// were refused.
func (e *Encoder) SetInterfaces(list []shm.Interface) {
	if e.format == PCAPNG {
		e.ng.setInterfaces(list)
	}
}

// Whole tells how much of b is whole: bytes, and packets among them. begin says that
// b begins with the header.
func (e *Encoder) Whole(b []byte, begin bool) (bytes, packets int) {
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
