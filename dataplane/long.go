// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"ethertap/dataplane/xsk"
)

// A frame longer than a chunk lies in several chunks (jumbo frames, on sockets with XDP_USE_SG).
// Its first entry stands for it, with Continued in its Options. worker.nextChunk holds the entry that
// follows, at the index of the chunk before. Frames of a single chunk never come here.

// continued says whether another chunk of the frame follows.
func continued(d xsk.Desc) bool { return d.Options&xsk.Continued != 0 }

// follow returns the entry after a continued one.
func (w *worker) follow(d xsk.Desc) *xsk.Desc { return &w.nextChunk[d.Addr/uint64(w.umem.FrameSize())] }

// joinChunks joins n received entries to frames, in place in w.descs, and returns the number of whole
// frames. A frame whose last entry has not come yet waits in the lane.
func (w *worker) joinChunks(l *lane, n int) (whole int) {
	for _, d := range w.descs[:n] {
		d.Options &= xsk.Continued
		if l.parts == 0 {
			l.first = d
		} else {
			*w.follow(l.last) = d
		}
		l.last = d
		if l.parts++; !continued(d) {
			w.descs[whole] = l.first
			whole++
			l.parts = 0
		}
	}
	return whole
}

// length returns the length of a frame in bytes.
func (w *worker) length(d xsk.Desc) int {
	n := int(d.Len)
	for continued(d) {
		d = *w.follow(d)
		n += int(d.Len)
	}
	return n
}

// wire returns the length that a frame has on the link, in bytes. It is larger than that of its bytes if it comes from a file whose
// recorder has cut it off.
func (w *worker) wire(d xsk.Desc) int {
	n := w.length(d)
	if w.frames != nil {
		n += int(w.umem.Meta(d.Addr).Missing)
	}
	return n
}

// chunks returns the number of chunks of a frame.
func (w *worker) chunks(d xsk.Desc) int {
	n := 1
	for ; continued(d); n++ {
		d = *w.follow(d)
	}
	return n
}

// retire frees the chunks of a frame at the end of the batch.
func (w *worker) retire(d xsk.Desc) {
	w.retired = append(w.retired, w.umem.Frame(d.Addr))
	for continued(d) {
		d = *w.follow(d)
		w.retired = append(w.retired, w.umem.Frame(d.Addr))
	}
}

// contiguous copies a frame into one piece. The copy is valid until the next call.
func (w *worker) contiguous(d xsk.Desc) []byte {
	b := append(w.scratch[:0], w.umem.Bytes(d)...)
	for continued(d) {
		d = *w.follow(d)
		b = append(b, w.umem.Bytes(d)...)
	}
	return b
}

// byteAt returns the chunk that holds byte i of a frame, and the index of the byte in the chunk.
func (w *worker) byteAt(d xsk.Desc, i int) ([]byte, int) {
	for i >= int(d.Len) && continued(d) {
		i -= int(d.Len)
		d = *w.follow(d)
	}
	return w.umem.Bytes(d), i
}

// cut shortens a frame to n bytes, at least 1, and frees the chunks that it no longer needs.
func (w *worker) cut(d *xsk.Desc, n int) {
	for n > int(d.Len) {
		n -= int(d.Len)
		d = w.follow(*d)
	}
	d.Len = uint32(n)
	if continued(*d) {
		w.retire(*w.follow(*d))
		d.Options = 0
	}
}

// duplicate copies a frame into free chunks. The caller has checked that there are enough.
func (w *worker) duplicate(d xsk.Desc) xsk.Desc {
	copyChunk := func(of xsk.Desc) xsk.Desc {
		c := xsk.Desc{Addr: w.free[len(w.free)-1] + xsk.Headroom, Len: of.Len, Options: of.Options}
		w.free = w.free[:len(w.free)-1]
		copy(w.umem.Bytes(c), w.umem.Bytes(of))
		*w.umem.Meta(c.Addr) = *w.umem.Meta(of.Addr)
		return c
	}
	first := copyChunk(d)
	for last := first; continued(d); {
		d = *w.follow(d)
		*w.follow(last) = copyChunk(d)
		last = *w.follow(last)
	}
	return first
}

// putLong puts frames of any number of chunks into the TX ring, each of them whole or not at all,
// and returns the numbers of frames and entries.
//
// The thread counts the frames that the kernel has taken by their entries in the ring, so it must
// not overwrite entries that it has not counted. Therefore room comes from l, not from the ring.
func (w *worker) putLong(l *lane, frames []xsk.Desc) (n, entries int) {
	room := l.sock.TX.Size() - int(l.put-l.taken)
	for _, d := range frames {
		all := append(w.pieces[:0], d)
		for continued(d) {
			d = *w.follow(d)
			all = append(all, d)
		}
		w.pieces = all
		if entries+len(all) > room {
			break
		}
		entries += l.sock.TX.Put(all)
		n++
	}
	return n, entries
}
