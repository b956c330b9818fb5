// SPDX-License-Identifier: BSD-3-Clause

package index

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cespare/xxhash/v2"
)

// writer encodes an index.
type writer struct {
	blocks    int
	tables    []byte
	chunks    []byte // all that are complete
	chunk     []byte
	first     Key // of the chunk
	last      Key // in the chunk
	directory []byte
}

func appendSigned(b []byte, n int64) []byte  { return binary.AppendVarint(b, n) }
func appendNumber(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

// table encodes the blocks, as differences.
func (w *writer) table(blocks []block, describes, odd []uint32) {
	b := appendNumber(nil, uint64(len(blocks)))
	var before block
	for _, c := range blocks {
		if c.min > c.max { // it has no packets
			c.min, c.max = before.min, before.min-1
		}
		b = appendNumber(b, uint64(c.at.File-before.at.File))
		b = appendNumber(b, uint64(c.at.Skip))
		b = appendNumber(b, uint64(c.at.Raw-before.at.Raw))
		b = appendSigned(b, c.min-before.min)
		b = appendSigned(b, c.max-c.min)
		before = c
	}
	b = appendSet(b, describes, len(blocks))
	w.tables = appendSet(b, odd, len(blocks))
}

// appendSet encodes a set of blocks: the numbers of those that lie between, or a bit for each block
// if that is shorter. Both are half as long as what roaring writes, and shorter.
func appendSet(b []byte, set []uint32, blocks int) []byte {
	at := len(b)
	b = appendNumber(b, uint64(len(set))<<1)
	if len(set)*8 < blocks {
		next := uint32(0)
		for _, n := range set {
			b = appendNumber(b, uint64(n-next))
			next = n + 1
		}
		return b
	}
	b = appendNumber(b[:at], uint64(len(set))<<1|1)
	at = len(b)
	b = append(b, make([]byte, (blocks+7)/8)...)
	for _, n := range set {
		b[at+int(n/8)] |= 1 << (n % 8)
	}
	return b
}

// key appends a key and its blocks. Keys come in order.
func (w *writer) key(k Key, set []uint32) {
	if len(w.chunk) >= chunkSize || len(w.chunk) > 0 && k.Class != w.first.Class {
		w.endChunk()
	}
	if len(w.chunk) == 0 {
		w.first, w.last = k, k
	}
	w.chunk = appendNumber(w.chunk, k.High-w.last.High)
	if k.High != w.last.High {
		w.last.Low = 0
	}
	w.chunk = appendNumber(w.chunk, k.Low-w.last.Low)
	w.last = k
	w.chunk = appendSet(w.chunk, set, w.blocks)
}

func (w *writer) endChunk() {
	if len(w.chunk) == 0 {
		return
	}
	le := binary.LittleEndian
	d := append(w.directory, byte(w.first.Class))
	d = le.AppendUint64(d, w.first.High)
	d = le.AppendUint64(d, w.first.Low)
	d = le.AppendUint64(d, uint64(headerSize+len(w.tables)+len(w.chunks)))
	d = le.AppendUint32(d, uint32(len(w.chunk)))
	w.directory = le.AppendUint64(d, xxhash.Sum64(w.chunk))
	w.chunks = append(w.chunks, w.chunk...)
	w.chunk = w.chunk[:0]
}

// finish returns the whole index.
func (w *writer) finish(of state, m *maker) []byte {
	w.endChunk()
	le := binary.LittleEndian
	without := uint32(0)
	for c, is := range m.without {
		if is {
			without |= 1 << c
		}
	}
	least, most := int64(1<<63-1), int64(-1<<63)
	for _, c := range m.blocks {
		if c.min <= c.max {
			least, most = min(least, c.min), max(most, c.max)
		}
	}
	b := append(make([]byte, 0, headerSize+len(w.tables)+len(w.chunks)+len(w.directory)), magic...)
	b = le.AppendUint32(b, version)
	b = le.AppendUint32(b, without)
	for _, v := range []uint64{uint64(of.size), uint64(of.changed), of.sum, m.packets, uint64(least), uint64(most)} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, uint32(len(w.tables)))
	b = le.AppendUint32(b, uint32(len(w.directory)))
	b = le.AppendUint64(b, uint64(headerSize+len(w.tables)+len(w.chunks)+len(w.directory)))
	b = le.AppendUint64(b, xxhash.Sum64(w.tables))
	b = le.AppendUint64(b, xxhash.Sum64(w.directory))
	b = append(b, make([]byte, headerSize-8-len(b))...)
	b = le.AppendUint64(b, xxhash.Sum64(b))
	return slices.Concat(b, w.tables, w.chunks, w.directory)
}

// decoder reads what writer wrote. Whatever it gets, it ends.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.failed, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) signed() int64 {
	n := d.number()
	return int64(n>>1) ^ -int64(n&1)
}

// set reads a set of blocks.
func (d *decoder) set(blocks int) *roaring.Bitmap {
	set := roaring.New()
	head := d.number()
	n := head >> 1
	if n > uint64(blocks) {
		d.failed = true
		return set
	}
	if head&1 == 1 {
		size := (blocks + 7) / 8
		if size > len(d.b) {
			d.failed = true
			return set
		}
		for i, bit := range d.b[:size] {
			for ; bit != 0; bit &= bit - 1 {
				set.Add(uint32(8*i + bits.TrailingZeros8(bit)))
			}
		}
		d.b = d.b[size:]
		return set
	}
	for next := uint64(0); n > 0 && !d.failed; n-- {
		next += d.number()
		if next >= uint64(blocks) {
			d.failed = true
			return set
		}
		set.Add(uint32(next))
		next++
	}
	return set
}

// skip passes a set.
func (d *decoder) skip(blocks int) {
	head := d.number()
	n := head >> 1
	if head&1 == 1 {
		size := (blocks + 7) / 8
		if size > len(d.b) {
			d.failed = true
			return
		}
		d.b = d.b[size:]
		return
	}
	for ; n > 0; n-- { // the numbers are passed byte by byte: all but the last have their high bit
		i := 0
		for i < len(d.b) && d.b[i] >= 0x80 {
			i++
		}
		if i >= len(d.b) {
			d.failed = true
			return
		}
		d.b = d.b[i+1:]
	}
}

// chunk is a part of the keys.
type chunk struct {
	first Key
	b     []byte
}

func (x *Index) chunks() int { return len(x.directory) / entrySize }

// first returns the first key of a chunk.
func (x *Index) first(i int) Key {
	e, le := x.directory[i*entrySize:], binary.LittleEndian
	return Key{Class(e[0]), le.Uint64(e[1:]), le.Uint64(e[9:])}
}

// chunk reads a chunk.
func (x *Index) chunk(i int) (chunk, error) {
	if c, ok := x.cached[i]; ok {
		return c, nil
	}
	e, le := x.directory[i*entrySize:(i+1)*entrySize], binary.LittleEndian
	at, n, sum := le.Uint64(e[17:]), le.Uint32(e[25:]), le.Uint64(e[29:])
	st, err := x.f.Stat()
	if err != nil {
		return chunk{}, err
	}
	if at > uint64(st.Size()) || uint64(n) > uint64(st.Size())-at {
		return chunk{}, errDamaged
	}
	c := chunk{x.first(i), make([]byte, n)}
	if _, err := x.f.ReadAt(c.b, int64(at)); err != nil {
		return chunk{}, err
	}
	if xxhash.Sum64(c.b) != sum {
		return chunk{}, errDamaged
	}
	if len(x.cached) < 64 {
		x.cached[i] = c
	}
	return c, nil
}

// find returns the blocks of all keys from low to high, both included, but not those of except.
// Both have the same class.
func (x *Index) find(low, high Key, except *Key) (*roaring.Bitmap, error) {
	var sets []*roaring.Bitmap
	// The first chunk that may have low is that before the first one that begins behind it.
	i := max(0, sort.Search(x.chunks(), func(i int) bool { return x.first(i).compare(low) > 0 })-1)
	for ; i < x.chunks() && x.first(i).compare(high) <= 0; i++ {
		if x.first(i).Class < low.Class {
			continue
		}
		c, err := x.chunk(i)
		if err != nil {
			return nil, err
		}
		d, k := &decoder{b: c.b}, c.first
		for len(d.b) > 0 {
			more := d.number()
			if k.High += more; more != 0 {
				k.Low = 0
			}
			k.Low += d.number()
			if k.compare(high) > 0 {
				break
			}
			if k.compare(low) >= 0 && (except == nil || k != *except) {
				sets = append(sets, d.set(len(x.blocks)))
			} else {
				d.skip(len(x.blocks))
			}
			if d.failed {
				return nil, errDamaged
			}
		}
	}
	if len(sets) == 1 {
		return sets[0], nil
	}
	return roaring.FastOr(sets...), nil
}
