package collect

import (
	"encoding/binary"

	"ethertap/shm"
)

// The format is that of draft-ietf-opsawg-pcap: a header of 24 bytes, then for
// each packet a header of 16 bytes and the captured bytes. We write
// little-endian; readers know by the magic number.
const (
	pcapMagic    = 0xa1b2c3d4 // microseconds
	pcapVersion  = 2 | 4<<16  // major, minor
	linkEthernet = 1

	// HeaderSize is the length of the header of a stream, in bytes; a byte
	// limit below it leaves no room for anything.
	HeaderSize   = 24
	recordHeader = 16

	// snapLen is announced in the header, and no record is longer: a reader
	// takes a longer one for a broken file. It is the largest that libpcap
	// accepts.
	snapLen = 262144
)

// Encoder turns packets into the bytes of a stream. It holds no bytes itself:
// it appends to a buffer of the caller (6 ns for a packet of 64 bytes, where
// pcapgo's writer takes 26).
type Encoder struct{}

// AppendHeader appends what a stream begins with.
func (Encoder) AppendHeader(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, pcapMagic)
	b = le.AppendUint32(b, pcapVersion)
	b = le.AppendUint64(b, 0) // time zone and accuracy: always zero
	b = le.AppendUint32(b, snapLen)
	return le.AppendUint32(b, linkEthernet)
}

// Size is how many bytes AppendRecord appends.
func (Encoder) Size(r *shm.Record) int {
	return recordHeader + min(len(r.Data), snapLen)
}

// AppendRecord appends one packet with the timestamp, in ns since the epoch.
// The format has 32 bits for the seconds, enough until 2106. A packet that was
// truncated keeps its length on the wire.
func (Encoder) AppendRecord(b []byte, timestamp int64, r *shm.Record) []byte {
	data := r.Data[:min(len(r.Data), snapLen)]
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(timestamp/1e9))
	b = le.AppendUint32(b, uint32(timestamp%1e9/1e3))
	b = le.AppendUint32(b, uint32(len(data)))
	// The length on the wire comes from shared memory: never below what is there.
	b = le.AppendUint32(b, max(r.OrigLen, uint32(len(data))))
	return append(b, data...)
}

// Whole tells how much of b is whole records, where b begins with a record.
func (Encoder) Whole(b []byte) (bytes, packets int) {
	for {
		rest := b[bytes:]
		if len(rest) < recordHeader {
			return bytes, packets
		}
		n := recordHeader + int(binary.LittleEndian.Uint32(rest[8:]))
		if len(rest) < n {
			return bytes, packets
		}
		bytes += n
		packets++
	}
}
