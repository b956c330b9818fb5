// SPDX-License-Identifier: BSD-3-Clause

package index

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"

	"ethertap/lib/capture"
)

const (
	// leastBlock is how long a block is at least, in bytes of the uncompressed stream. Blocks are
	// joined until the index keeps its size.
	leastBlock = 16 << 10

	// readAhead is how much is read at a time: so little that it is in a core's cache when it is looked
	// at.
	readAhead = 128 << 10

	// share is which part of the file an index may be, and leastSize what a small file may have.
	share, leastSize = 100, 8 << 10

	// maxEntries bounds the memory of the making: blocks are joined when there are more entries, of
	// 4 bytes each.
	maxEntries = 16 << 20
	// maxKeys bounds the keys of one class. A class with more, as in a flood of random addresses, is
	// left out.
	maxKeys = 1 << 18
	// fewBlocks is where joining ends, and classes are left out instead.
	fewBlocks = 64
)

// ErrNoUse is returned for a file that an index cannot help to read: it is a pipe, or compressed by
// gzip, which has no places to begin at.
var ErrNoUse = errors.New("an index is of no use for it")

// Make makes the index of a file that is complete, and returns its length in bytes. It may be ended
// by stop, which is asked now and then, with the error that it gives. A file that changes meanwhile
// gets no index.
func Make(path string, stop func() error) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	before, err := stateOf(f)
	if err != nil {
		return 0, err
	}
	r, err := capture.NewReader(f, path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if r.Compression() == "gzip" {
		return 0, ErrNoUse
	}
	r.SetAhead(readAhead)
	m := newMaker()
	// More entries than the index may have bytes are not needed, since an entry takes one at least.
	m.most = int(min(maxEntries, max(before.size/share, leastSize)))
	m.entries = make([]uint32, 0, m.most+m.most/8)
	if err := m.read(r, stop); err != nil {
		return 0, err
	}
	return m.finish(path, f, before)
}

// finish writes the index of a file, if the file still has the state that it had when it was looked at.
func (m *maker) finish(path string, f *os.File, before state) (int64, error) {
	b := m.encode(before, before.size)
	after, err := stateOf(f)
	if err != nil {
		return 0, err
	}
	if after != before {
		return 0, errors.New(path + ": the file was changed while its index was made")
	}
	if err := save(path, f, b); err != nil {
		return 0, err
	}
	if _, err := os.Lstat(path); err != nil { // a ring has removed the file meanwhile, and found no index
		os.Remove(Path(path))
		return 0, err
	}
	return int64(len(b)), nil
}

// save writes the index beside its file, with the same rights.
func save(path string, of *os.File, b []byte) error {
	st, err := of.Stat()
	if err != nil {
		return err
	}
	temporary := Path(path) + ".new"
	os.Remove(temporary) // left by one that was killed
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, st.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(temporary, Path(path))
	}
	if err != nil {
		os.Remove(temporary)
	}
	return err
}

// block is a part of a file: from its position to that of the next one.
type block struct {
	at       capture.Position
	min, max int64 // times of its packets; min is larger if there is none
}

// maker gathers which keys are in which blocks.
type maker struct {
	least   int64 // leastBlock
	most    int   // entries at which blocks are joined
	blocks  []block
	packets uint64
	// describes has blocks with more than packets in them; odd those with a packet whose headers are
	// cut by the snapshot. Both are always read.
	describes, odd []uint32

	ids     table
	ids6    map[[2]uint64]uint32
	keys    []Key    // by id
	last    []uint32 // by id: 1 + the last block
	entries []uint32 // ids, block by block
	starts  []int    // where the entries of each block begin
	count   [classes]int
	without [classes]bool // the class is left out

	recent [1 << 12]known
	given  []uint32 // ids of the packet under way, with those of classes that are left out

	// of written
	ends, sorted []uint32
	ranked       [classes][]ranked
	spare        []ranked
}

// known is a flow of which there were packets, with its keys, so that they need not be looked up
// again; block is 1 + the last block that they were noted for. It is 0 in a slot without a flow, which
// looks like that of a frame of zeros.
type known struct {
	flow
	block uint32
	n     int32
	ids   [14]uint32 // the most that dissect finds are 13
}

func newMaker() *maker {
	return &maker{least: leastBlock, most: maxEntries, ids6: map[[2]uint64]uint32{}}
}

// reset prepares a maker for another file. Its memory is used again: to get it anew takes as long as a
// tenth of the work.
func (m *maker) reset() {
	m.least, m.most, m.packets = leastBlock, maxEntries, 0
	m.blocks, m.starts, m.entries = m.blocks[:0], m.starts[:0], m.entries[:0]
	m.describes, m.odd = m.describes[:0], m.odd[:0]
	m.ids.reset()
	clear(m.ids6)
	m.keys, m.last = m.keys[:0], m.last[:0]
	m.count, m.without = [classes]int{}, [classes]bool{}
	clear(m.recent[:])
}

// read takes all packets of a stream. A stream that breaks has an index up to that place: behind it
// nothing is read anyway.
func (m *maker) read(r *capture.Reader, stop func() error) error {
	const look = 1 << 14
	m.begin(r.Position())
	var p capture.Packet
	others := r.Others()
	for n := 1; ; n++ {
		// A block begins where its first packet does, or what stands before that.
		var at capture.Position
		due := r.Offset()-m.blocks[len(m.blocks)-1].at.Raw >= m.least
		if due {
			at = r.Position()
		}
		err := r.Next(&p)
		if due && err == nil {
			m.begin(at)
		}
		now := uint32(len(m.blocks) - 1)
		if o := r.Others(); o != others {
			others = o
			m.describes = appendOnce(m.describes, now)
		}
		if err != nil {
			break
		}
		b := &m.blocks[now]
		b.min, b.max = min(b.min, p.Time), max(b.max, p.Time)
		m.packets++
		if r.Interfaces()[p.Interface].LinkType == capture.Ethernet {
			m.packet(p.Data, now+1)
		}
		if n%look == 0 {
			if err := stop(); err != nil {
				return err
			}
		}
	}
	m.end()
	return nil
}

// end says that there are no more packets. The last block is read to the end of the file, whatever is
// there.
func (m *maker) end() { m.describes = appendOnce(m.describes, uint32(len(m.blocks)-1)) }

func appendOnce(list []uint32, n uint32) []uint32 {
	if len(list) > 0 && list[len(list)-1] == n {
		return list
	}
	return append(list, n)
}

// begin begins a block, unless the one before is too short by now or a compressed file has no place to
// begin there.
func (m *maker) begin(at capture.Position) {
	if n := len(m.blocks); n > 0 {
		before := m.blocks[n-1].at
		if at.Raw-before.Raw < m.least || !beginsBlock(at, before) {
			return
		}
	}
	m.blocks = append(m.blocks, block{at, math.MaxInt64, math.MinInt64})
	m.starts = append(m.starts, len(m.entries))
	if len(m.entries) > m.most {
		m.join()
		m.least *= 2
	}
}

// packet takes the keys of a packet; now is 1 + the number of the block. What is a key, and where it
// stands in a frame, has to be as plan.go reads it.
func (m *maker) packet(d []byte, now uint32) {
	m.given = m.given[:0]
	var f flow
	if !f.of(d) {
		m.dissect(d, now)
		return
	}
	slot := &m.recent[f.hash()>>52]
	if slot.block != 0 && slot.is(&f) {
		if slot.block != now {
			slot.block = now
			for _, id := range slot.ids[:slot.n] {
				m.enter(id, now)
			}
		}
		return
	}
	m.dissect(d, now)
	slot.flow, slot.block, slot.n = f, now, int32(copy(slot.ids[:], m.given))
}

func (m *maker) dissect(d []byte, now uint32) {
	be := binary.BigEndian
	n := len(d)
	if n >= 6 {
		m.add(MAC, uint64(be.Uint16(d))<<32|uint64(be.Uint32(d[2:])), now)
	}
	if n >= 12 {
		m.add(MAC, be.Uint64(d[4:])&(1<<48-1), now)
	}
	if n < 14 {
		return
	}
	o := 12
	etype := be.Uint16(d[o:])
	m.add(EtherType, typeKey(etype), now)
	for level := 0; isTag(etype) && level < levels; level++ {
		if n < o+4 {
			return
		}
		m.add(VLAN+Class(level), uint64(be.Uint16(d[o+2:])&0xfff), now)
		if o += 4; n < o+2 {
			return
		}
		etype = be.Uint16(d[o:])
		m.add(EtherType+1+Class(level), typeKey(etype), now)
	}
	at := o + 2
	address := func(o int) {
		if n >= at+o+4 {
			m.add(IP4, uint64(be.Uint32(d[at+o:])), now)
		}
	}
	port := func(proto byte, o int) {
		if n >= o+2 {
			m.add(Port, uint64(proto)<<16|uint64(be.Uint16(d[o:])), now)
		}
	}
	switch etype {
	case 0x0800:
		if n >= at+10 {
			proto := d[at+9]
			m.add(Protocol4, uint64(proto), now)
			if hasPorts(proto) && be.Uint16(d[at+6:])&0x1fff == 0 {
				h := at + 4*int(d[at]&15)
				port(proto, h)
				port(proto, h+2)
			}
		}
		address(12)
		address(16)
	case 0x0806, 0x8035:
		address(14)
		address(24)
	case 0x86dd:
		if n < at+40 {
			m.odd = appendOnce(m.odd, now-1)
		}
		if n >= at+7 {
			proto := d[at+6]
			m.add(Protocol6, uint64(proto), now)
			if proto == 44 && n >= at+41 {
				m.add(Protocol6, uint64(d[at+40]), now)
			}
			if hasPorts(proto) {
				port(proto, at+40)
				port(proto, at+42)
			}
		}
		if n >= at+24 {
			m.add6(be.Uint64(d[at+8:]), be.Uint64(d[at+16:]), now)
		}
		if n >= at+40 {
			m.add6(be.Uint64(d[at+24:]), be.Uint64(d[at+32:]), now)
		}
	}
}

// add notes that a key is in a block.
func (m *maker) add(c Class, low uint64, now uint32) {
	if m.without[c] {
		return
	}
	id, isNew := m.ids.id(uint64(c)<<56 | low)
	if isNew {
		m.learn(Key{c, 0, low})
		if m.without[c] {
			return
		}
	}
	m.given = append(m.given, id)
	m.enter(id, now)
}

// add6 is add for IPv6 addresses.
func (m *maker) add6(high, low uint64, now uint32) {
	if m.without[IP6] {
		return
	}
	id, ok := m.ids6[[2]uint64{high, low}]
	if !ok {
		id = m.ids.next()
		m.ids6[[2]uint64{high, low}] = id
		m.learn(Key{IP6, high, low})
		if m.without[IP6] {
			return
		}
	}
	m.given = append(m.given, id)
	m.enter(id, now)
}

func (m *maker) enter(id, now uint32) {
	if m.last[id] != now {
		m.last[id] = now
		m.entries = append(m.entries, id)
	}
}

// learn takes a new key.
func (m *maker) learn(k Key) {
	m.keys, m.last = append(m.keys, k), append(m.last, 0)
	if m.count[k.Class]++; m.count[k.Class] > maxKeys {
		m.without[k.Class] = true
	}
}

// join makes one block of each two.
func (m *maker) join() {
	clear(m.last)
	clear(m.recent[:])
	n := (len(m.blocks) + 1) / 2
	to := 0
	for i := range n {
		begin, end := m.starts[2*i], len(m.entries)
		if 2*i+2 < len(m.starts) {
			end = m.starts[2*i+2]
		}
		m.starts[i] = to
		for _, id := range m.entries[begin:end] {
			if m.last[id] != uint32(i+1) && !m.without[m.keys[id].Class] {
				m.last[id] = uint32(i + 1)
				m.entries[to] = id
				to++
			}
		}
		b := m.blocks[2*i]
		if 2*i+1 < len(m.blocks) {
			b.min, b.max = min(b.min, m.blocks[2*i+1].min), max(b.max, m.blocks[2*i+1].max)
		}
		m.blocks[i] = b
	}
	m.entries, m.blocks, m.starts = m.entries[:to], m.blocks[:n], m.starts[:n]
	for _, list := range []*[]uint32{&m.describes, &m.odd} {
		var half []uint32
		for _, b := range *list {
			half = appendOnce(half, b/2)
		}
		*list = half
	}
}

// encode returns the index, which is not longer than a share of the file.
func (m *maker) encode(of state, size int64) []byte {
	budget := int(max(size/share, leastSize))
	for {
		for m.estimate() > budget && len(m.blocks) > fewBlocks {
			m.join()
		}
		b := m.written(of)
		if len(b) <= budget {
			return b
		}
		if len(m.blocks) > fewBlocks {
			m.join()
			continue
		}
		largest := Class(0)
		for c := range m.count {
			if !m.without[c] && (m.without[largest] || m.count[c] > m.count[largest]) {
				largest = Class(c)
			}
		}
		if m.without[largest] {
			return b // nothing is left to leave out
		}
		m.without[largest] = true
		m.join() // which also takes its entries away
	}
}

// estimate returns about how long the index would be.
func (m *maker) estimate() int {
	return len(m.entries) + 3*len(m.keys) + 8*len(m.blocks)
}

// written returns the index as it is.
func (m *maker) written(of state) []byte {
	// The blocks of each key, one after the other: counting sort by key. Those of a key are from
	// ends[id] to ends[id+1] at first, and each that is put there moves ends[id] on; at the end ends[id]
	// is where the next key begins.
	ends := zeroed(&m.ends, len(m.keys)+1)
	for _, id := range m.entries {
		ends[id+1]++
	}
	for i := range m.keys {
		ends[i+1] += ends[i]
	}
	sorted := zeroed(&m.sorted, len(m.entries))
	for i := range m.blocks {
		end := len(m.entries)
		if i+1 < len(m.starts) {
			end = m.starts[i+1]
		}
		for _, id := range m.entries[m.starts[i]:end] {
			sorted[ends[id]] = uint32(i)
			ends[id]++
		}
	}
	begin := func(id uint32) uint32 {
		if id == 0 {
			return 0
		}
		return ends[id-1]
	}
	for c := range m.ranked {
		m.ranked[c] = m.ranked[c][:0]
	}
	for id, k := range m.keys {
		if !m.without[k.Class] && ends[id] > begin(uint32(id)) {
			m.ranked[k.Class] = append(m.ranked[k.Class], ranked{k.Low, uint32(id)})
		}
	}
	w := &writer{blocks: len(m.blocks)}
	w.table(m.blocks, m.describes, m.odd)
	for c, keys := range m.ranked {
		if Class(c) == IP6 {
			slices.SortFunc(keys, func(a, b ranked) int { return m.keys[a.id].compare(m.keys[b.id]) })
		} else {
			keys = m.sort(keys)
		}
		for _, k := range keys {
			w.key(m.keys[k.id], sorted[begin(k.id):ends[k.id]])
		}
	}
	return w.finish(of, m)
}

// ranked is a key of 64 bits and its id.
type ranked struct {
	low uint64
	id  uint32
}

// sort sorts keys of one class, byte by byte from the lowest, in a tenth of the time of a sort that
// compares. The result is valid until the next call.
func (m *maker) sort(keys []ranked) []ranked {
	differ := uint64(0)
	for _, k := range keys {
		differ |= k.low ^ keys[0].low
	}
	m.spare = slices.Grow(m.spare[:0], len(keys))[:len(keys)]
	from, to := keys, m.spare
	for shift := 0; differ>>shift != 0; shift += 8 {
		if differ>>shift&0xff == 0 {
			continue
		}
		var at [256]int
		for _, k := range from {
			at[k.low>>shift&0xff]++
		}
		n := 0
		for i, count := range at {
			at[i], n = n, n+count
		}
		for _, k := range from {
			i := &at[k.low>>shift&0xff]
			to[*i] = k
			*i++
		}
		from, to = to, from
	}
	return from
}

// zeroed returns n zeros in a slice that is kept.
func zeroed(of *[]uint32, n int) []uint32 {
	*of = slices.Grow((*of)[:0], n)[:n]
	clear(*of)
	return *of
}

// table is a hash table from keys of 64 bits to ids, which count from 0. A map of Go takes twice as
// long.
type table struct {
	slots []slot
	used  int
	ids   uint32
}

type slot struct {
	key uint64 // key + 1; 0: free
	id  uint32
}

func (t *table) reset() {
	clear(t.slots)
	t.used, t.ids = 0, 0
}

// next returns a new id.
func (t *table) next() uint32 {
	t.ids++
	return t.ids - 1
}

// id returns the id of a key, and whether it is a new one.
func (t *table) id(key uint64) (id uint32, isNew bool) {
	if 2*t.used >= len(t.slots) {
		t.grow()
	}
	key++
	mask := uint64(len(t.slots) - 1)
	for i := key * 0x9e3779b97f4a7c15 >> 20 & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.key == key {
			return s.id, false
		}
		if s.key == 0 {
			*s = slot{key, t.next()}
			t.used++
			return s.id, true
		}
	}
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, max(1<<12, 2*len(old)))
	mask := uint64(len(t.slots) - 1)
	for _, s := range old {
		if s.key == 0 {
			continue
		}
		i := s.key * 0x9e3779b97f4a7c15 >> 20 & mask
		for t.slots[i].key != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
}
