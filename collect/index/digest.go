// SPDX-License-Identifier: BSD-3-Clause

package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"

	"ethertap/lib/capture"
)

// Digest is what a recorder notes of the packets that it writes, while it has them in its cache: the
// headers of the first packet of each flow in a block. That is enough to make the index, and the file
// need not be read again, which alone takes a twentieth to a tenth of the CPU of the recording. For a
// packet whose flow was seen in this block, noting takes some nanoseconds and no memory.
//
//	recorder: Digest → bytes → another process: Digested.Take → Digested.Make
//
// It is for one stream after the other, and one goroutine. The zero value begins with Begin.
type Digest struct {
	b     []byte
	block uint64 // number of the block, counted over all files; 0: none yet, and it never comes again
	at    capture.Position
	min   int64
	max   int64
	count uint64 // packets of the block
	other bool   // the block has what is no packet
	seen  [1 << 9]struct {
		flow
		block uint64
	}
}

// A digest is a sequence of messages, each with a byte that says what it is.
const (
	noteBegin  = iota // of a file
	noteBlock         // a block begins: its Position
	noteEnd           // a block ends: the times of its first and last packet, number of packets, 1 if there is something else in it
	noteFailed        // the file is not as the digest says
	noteHead          // noteHead+n: the first n bytes of a packet
)

// headSize is how much of a packet is noted: behind two tags, an IPv4 header of full length and ports
// nothing is looked at.
const headSize = 14 + 4*levels + 60 + 4

// Begin begins a file, whose first block begins at a position. other says that there is something before
// the first packet.
func (d *Digest) Begin(at capture.Position, other bool) {
	d.b = append(d.b, noteBegin)
	d.begin(at)
	d.other = other
}

func (d *Digest) begin(at capture.Position) {
	d.block++
	d.at, d.min, d.max, d.count, d.other = at, math.MaxInt64, math.MinInt64, 0, false
	d.b = append(d.b, noteBlock)
	for _, n := range []int64{at.File, at.Skip, at.Raw} {
		d.b = binary.AppendUvarint(d.b, uint64(n))
	}
}

func (d *Digest) endBlock() {
	d.b = binary.AppendVarint(append(d.b, noteEnd), d.min)
	d.b = binary.AppendVarint(d.b, d.max)
	d.b = binary.AppendUvarint(d.b, d.count)
	other := byte(0)
	if d.other {
		other = 1
	}
	d.b = append(d.b, other)
}

// Packet notes a packet of Ethernet: where it begins in the stream, or what is before it if that is no
// packet (other), the time that the file has for it, in ns since the epoch, and the bytes that are in
// the file.
func (d *Digest) Packet(at capture.Position, other bool, time int64, data []byte) {
	if at.Raw-d.at.Raw >= leastBlock && beginsBlock(at, d.at) {
		d.endBlock()
		d.begin(at)
	}
	d.min, d.max = min(d.min, time), max(d.max, time)
	d.count++
	d.other = d.other || other
	var f flow
	if f.of(data) {
		seen := &d.seen[f.hash()>>55]
		if seen.block == d.block && seen.is(&f) {
			return
		}
		seen.flow, seen.block = f, d.block
	}
	n := min(len(data), headSize)
	d.b = append(append(d.b, byte(noteHead+n)), data[:n]...)
}

// Fail says that the file is not as it was noted.
func (d *Digest) Fail() { d.b = append(d.b, noteFailed) }

// End ends a file.
func (d *Digest) End() { d.endBlock() }

// Take returns what was noted since the last Take. It is valid until the next call.
func (d *Digest) Take() []byte {
	b := d.b
	d.b = d.b[:0]
	return b
}

// beginsBlock says whether a block may begin there: a compressed file has to have a place to begin that
// is not that of the block before.
func beginsBlock(at, before capture.Position) bool { return at.Skip == 0 || at.File != before.File }

// Digested makes indexes from digests.
type Digested struct {
	m     *maker
	whole bool // since the beginning of the file nothing was missing or damaged
}

// Take takes the next part of a digest, which may be empty.
func (d *Digested) Take(b []byte) {
	for len(b) > 0 {
		if b[0] == noteBegin {
			d.begin()
			b = b[1:]
			continue
		}
		if !d.whole {
			return
		}
		b, d.whole = d.m.note(b)
	}
}

// begin begins a file, with the memory of the one before.
func (d *Digested) begin() {
	if d.m == nil {
		d.m = newMaker()
	}
	d.m.reset()
	d.whole = true
}

// Lost says that a part of the digest is missing.
func (d *Digested) Lost() { d.whole = false }

// Whole says whether nothing of the digest is missing so far.
func (d *Digested) Whole() bool { return d.whole }

var errDigest = errors.New("there is no whole digest of the file")

// Make makes the index of a file as its digest says, if the file has the length in bytes and the time of
// its last change (ns since the epoch) that the recorder gave it. Otherwise it reads the file, as the
// function Make does.
func (d *Digested) Make(path string, size, changed int64, stop func() error) error {
	err := d.make(path, size, changed)
	d.whole = false
	if errors.Is(err, errDigest) {
		_, err = Make(path, stop)
	}
	return err
}

func (d *Digested) make(path string, size, changed int64) error {
	if !d.whole || len(d.m.blocks) == 0 {
		return errDigest
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	of, err := stateOf(f)
	if err != nil {
		return err
	}
	if of.size != size || of.changed != changed {
		return fmt.Errorf("%s: %w", path, errDigest)
	}
	d.m.end()
	_, err = d.m.finish(path, f, of)
	return err
}

// note takes the first message of a digest, and returns the others. ok is false if it is damaged, or
// says that the file is.
func (m *maker) note(b []byte) (rest []byte, ok bool) {
	kind := b[0]
	d := &decoder{b: b[1:]}
	switch kind {
	case noteBlock:
		at := capture.Position{File: int64(d.number()), Skip: int64(d.number()), Raw: int64(d.number())}
		m.begin(at)
	case noteEnd:
		first, last, n, other := d.signed(), d.signed(), d.number(), d.number()
		if d.failed || len(m.blocks) == 0 {
			return nil, false
		}
		now := len(m.blocks) - 1
		m.blocks[now].min, m.blocks[now].max = min(m.blocks[now].min, first), max(m.blocks[now].max, last)
		m.packets += n
		if other != 0 {
			m.describes = appendOnce(m.describes, uint32(now))
		}
	case noteBegin, noteFailed:
		return nil, false
	default:
		n := int(kind - noteHead)
		if n > len(d.b) || len(m.blocks) == 0 {
			return nil, false
		}
		m.packet(d.b[:n], uint32(len(m.blocks)))
		return d.b[n:], true
	}
	return d.b, !d.failed
}
