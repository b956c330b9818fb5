// SPDX-License-Identifier: BSD-3-Clause

// Package index makes and reads indexes of capture files: which hosts, ports and protocols are in
// which blocks of a file.
//
//	file → maker → FILE.index → Open → Index.Plan(filter tree) → blocks to be read
//
// A block is a part of the file of at least 16 KiB that can be read from its beginning: in a file
// that is compressed by zstd it begins with a frame. A plan is a set of blocks that surely holds all
// packets that the filter takes; the filter itself decides in them. So an index that is missing,
// damaged, of another version or of another file costs time, never an answer.
//
// The index of a file is at most a hundredth of it: if it would be longer, blocks are joined, and if
// that does not suffice, keys of one kind are left out, for which plans then have all blocks.
//
// Layout, little-endian: a header; the table of blocks; chunks of keys in order, each with the
// blocks of each key; and the directory of the chunks. The header, the table and each chunk have a
// checksum, and only the chunks are read that a filter asks for.
package index

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"

	"ethertap/lib/capture"
)

// Suffix is the end of the name of an index, after the name of its file.
const Suffix = ".index"

// Path returns the name of the index of a file.
func Path(file string) string { return file + Suffix }

// levels is how many VLAN tags are looked behind.
const levels = 2

// Class is the kind of a key.
type Class uint8

const (
	EtherType Class = iota // without tags, and behind the first and the second tag
	etherType1
	etherType2
	VLAN // the id of the first tag, and of the second
	vlan1
	MAC
	IP4       // of IPv4, and at its place in ARP and RARP
	IP6       // a key of 128 bits
	Protocol4 // of IPv4
	Protocol6 // the next header of IPv6, and that behind a fragment header
	Port      // protocol<<16 | port, of TCP, UDP and SCTP
	classes
)

// Key is what is looked for in an index.
type Key struct {
	Class     Class
	High, Low uint64 // High is 0 but for IP6
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Class, o.Class), cmp.Compare(k.High, o.High), cmp.Compare(k.Low, o.Low))
}

// typeKey makes one key of all Ethertypes that are lengths.
func typeKey(etype uint16) uint64 {
	if etype <= 1500 {
		return 0
	}
	return uint64(etype)
}

func isTag(etype uint16) bool {
	return etype == 0x8100 || etype == 0x88a8 || etype == 0x9100 || etype == 0x9200
}

const (
	magic   = "EtherTAPindex\r\n\x1a"
	version = 1

	headerSize = 128
	chunkSize  = 32 << 10 // of a chunk at least, but for the last
	entrySize  = 1 + 16 + 8 + 4 + 8

	ends = 16 << 10 // how much of the beginning and the end of a file tells it from others
)

// state is what an index knows its file by.
type state struct {
	size, changed int64 // bytes; ns since the epoch
	sum           uint64
}

// stateOf returns the state of a file.
func stateOf(f *os.File) (state, error) {
	st, err := f.Stat()
	if err != nil {
		return state{}, err
	}
	if !st.Mode().IsRegular() {
		return state{}, ErrNoUse
	}
	s := state{size: st.Size(), changed: st.ModTime().UnixNano()}
	b := make([]byte, ends)
	h := xxhash.New()
	for _, at := range []int64{0, max(0, s.size-ends)} {
		n, err := f.ReadAt(b, at)
		if err != nil && err != io.EOF {
			return state{}, err
		}
		h.Write(b[:n])
	}
	s.sum = h.Sum64()
	return s, nil
}

// Index is the index of a file.
type Index struct {
	Packets  uint64
	Min, Max int64 // times of the first and the last packet; Min is larger if there is none

	f              *os.File
	blocks         []block
	describes, odd *roaring.Bitmap
	without        uint32 // classes that are left out, a bit each
	directory      []byte
	cached         map[int]chunk
}

// ErrOther is returned for an index that is not that of the file as it is now.
var ErrOther = errors.New("the file was changed since its index was made")

var errDamaged = errors.New("the index is damaged")

// Open opens the index of an open file. It returns fs.ErrNotExist if there is none, ErrOther if it is
// not that of the file, and other errors if it cannot be used.
func Open(path string, file *os.File) (*Index, error) {
	f, err := os.Open(Path(path))
	if err != nil {
		return nil, err
	}
	x, err := read(f, file)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", Path(path), err)
	}
	return x, nil
}

// Close closes the index.
func (x *Index) Close() { x.f.Close() }

// read reads the header, the table of blocks and the directory.
func read(f, file *os.File) (*Index, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var header [headerSize]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return nil, errDamaged
	}
	h, le := header[:], binary.LittleEndian
	if string(h[:16]) != magic {
		return nil, errors.New("it is no index")
	}
	if v := le.Uint32(h[16:]); v != version {
		return nil, fmt.Errorf("version %d of an index, not %d", v, version)
	}
	if xxhash.Sum64(h[:headerSize-8]) != le.Uint64(h[headerSize-8:]) {
		return nil, errDamaged
	}
	x := &Index{f: f, without: le.Uint32(h[20:]), cached: map[int]chunk{}}
	want := state{int64(le.Uint64(h[24:])), int64(le.Uint64(h[32:])), le.Uint64(h[40:])}
	x.Packets, x.Min, x.Max = le.Uint64(h[48:]), int64(le.Uint64(h[56:])), int64(le.Uint64(h[64:]))
	tableSize, directorySize := int64(le.Uint32(h[72:])), int64(le.Uint32(h[76:]))
	length := int64(le.Uint64(h[80:]))
	if got, err := stateOf(file); err != nil {
		return nil, err
	} else if got != want {
		return nil, ErrOther
	}
	if length != st.Size() || headerSize+tableSize+directorySize > length || directorySize%entrySize != 0 {
		return nil, errDamaged
	}
	table := make([]byte, tableSize)
	x.directory = make([]byte, directorySize)
	if _, err := f.ReadAt(table, headerSize); err != nil {
		return nil, err
	}
	if _, err := f.ReadAt(x.directory, length-directorySize); err != nil {
		return nil, err
	}
	if xxhash.Sum64(table) != le.Uint64(h[88:]) || xxhash.Sum64(x.directory) != le.Uint64(h[96:]) {
		return nil, errDamaged
	}
	return x, x.readTable(table)
}

// readTable reads the blocks, and those that are always read.
func (x *Index) readTable(b []byte) error {
	d := &decoder{b: b}
	n := d.number()
	if n == 0 || n > uint64(len(b)) {
		return errDamaged
	}
	x.blocks = make([]block, n)
	var before block
	for i := range x.blocks {
		c := &x.blocks[i]
		c.at.File = before.at.File + int64(d.number())
		c.at.Skip = int64(d.number())
		c.at.Raw = before.at.Raw + int64(d.number())
		c.min = before.min + d.signed()
		c.max = c.min + d.signed()
		if c.at.File < before.at.File || c.at.Raw < before.at.Raw || c.at.Skip < 0 || c.at.Skip > c.at.Raw {
			return errDamaged
		}
		before = *c
	}
	x.describes, x.odd = d.set(int(n)), d.set(int(n))
	if d.failed {
		return errDamaged
	}
	return nil
}

// Run is a part of a file that has to be read: from a position on, to an offset of the uncompressed
// stream.
type Run struct {
	From capture.Position
	To   int64
}

// end is the end of the last block, which is that of the file.
const end = 1<<63 - 1

// runs returns the parts of a set of blocks.
func (x *Index) runs(set *roaring.Bitmap) (all []Run) {
	for it := set.Iterator(); it.HasNext(); {
		i := int(it.Next())
		if i >= len(x.blocks) {
			break
		}
		from, to := x.blocks[i].at, int64(end)
		if i+1 < len(x.blocks) {
			to = x.blocks[i+1].at.Raw
		}
		if n := len(all); n > 0 && all[n-1].To == from.Raw {
			all[n-1].To = to
			continue
		}
		all = append(all, Run{from, to})
	}
	return all
}

// whole returns all blocks.
func (x *Index) whole() *roaring.Bitmap {
	set := roaring.New()
	set.AddRange(0, uint64(len(x.blocks)))
	return set
}

// within returns the blocks with packets from a time on and before another.
func (x *Index) within(from, to int64) *roaring.Bitmap {
	set := roaring.New()
	for i, b := range x.blocks {
		if b.min <= b.max && b.max >= from && b.min < to {
			set.Add(uint32(i))
		}
	}
	return set
}
