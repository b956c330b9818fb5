// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Desc is an entry of the RX and TX rings: bytes of a frame in the UMEM. Its layout is the
// kernel's struct xdp_desc.
type Desc struct {
	Addr    uint64 // offset of the first byte in the UMEM, not of the chunk
	Len     uint32 // bytes
	Options uint32 // Continued, or 0; the kernel refuses entries with any other bit
}

// Continued in Desc.Options says that the frame goes on in the next entry (only for multi-buffer
// sockets).
const Continued = unix.XDP_PKT_CONTD

// producer is our side of a ring that we fill and the kernel empties.
type producer struct {
	ours   *atomic.Uint32 // index of the next entry; we write it (release), the kernel reads it
	theirs *atomic.Uint32 // entries before it are consumed; the kernel writes it, we load it (acquire)
	flags  *atomic.Uint32 // the kernel writes it
	size   uint32         // a power of two
	next   uint32         // copy of *ours; only we write it
	taken  uint32         // last value read from *theirs
}

// room returns how many entries may be written, at most want. It loads the kernel's index only if
// the cached one does not suffice: without the cache each call fetches the line that the kernel
// has just written.
func (p *producer) room(want uint32) uint32 {
	free := p.size - (p.next - p.taken)
	if free < want {
		p.taken = p.theirs.Load()
		free = p.size - (p.next - p.taken)
	}
	return min(free, want)
}

func (p *producer) publish(n uint32) {
	p.next += n
	p.ours.Store(p.next)
}

// NeedWakeup says whether the kernel goes on with this ring only after a system call. Kernels
// that do not know the flag leave it clear; sockets that do not use it must always be woken.
func (p *producer) NeedWakeup() bool { return p.flags.Load()&unix.XDP_RING_NEED_WAKEUP != 0 }

// consumer is our side of a ring that the kernel fills and we empty.
type consumer struct {
	ours   *atomic.Uint32 // entries before it belong to the kernel again; we write it (release)
	theirs *atomic.Uint32 // entries before it are filled; the kernel writes it, we load it (acquire)
	size   uint32         // a power of two
	next   uint32         // copy of *ours; only we write it
	filled uint32         // last value read from *theirs
}

func (c *consumer) ready(want uint32) uint32 {
	n := c.filled - c.next
	if n < want {
		c.filled = c.theirs.Load()
		n = c.filled - c.next
	}
	return min(n, want)
}

func (c *consumer) release(n uint32) {
	c.next += n
	c.ours.Store(c.next)
}

// Ready returns how many entries wait to be taken.
func (c *consumer) Ready() int {
	c.filled = c.theirs.Load()
	return int(c.filled - c.next)
}

// fill and empty copy a list into and out of a ring with a power of two entries, from running
// number at on: in one piece, or in two at the end of the ring. Copying entry by entry took twice
// as long.
func fill[T any](ring []T, at uint32, list []T) {
	n := copy(ring[at&uint32(len(ring)-1):], list)
	copy(ring, list[n:])
}

func empty[T any](ring []T, at uint32, list []T) {
	n := copy(list, ring[at&uint32(len(ring)-1):])
	copy(list[n:], ring)
}

// FillRing gives frames to the kernel for reception.
type FillRing struct {
	producer
	entries []uint64 // we write, the kernel reads; len is size
}

// Put gives frames to the kernel, as many as fit, and returns how many.
func (r *FillRing) Put(frames []uint64) int {
	n := r.room(uint32(len(frames)))
	if n == 0 {
		return 0
	}
	fill(r.entries, r.next, frames[:n])
	r.publish(n)
	return int(n)
}

// CompletionRing gives back frames that the kernel has transmitted or dropped.
type CompletionRing struct {
	consumer
	entries []uint64 // the kernel writes, we read
}

// Get takes frames back, at most len(frames), and returns how many. The addresses are those that
// were put in the TX ring.
func (r *CompletionRing) Get(frames []uint64) int {
	n := r.ready(uint32(len(frames)))
	if n == 0 {
		return 0
	}
	empty(r.entries, r.next, frames[:n])
	r.release(n)
	return int(n)
}

// RXRing gives received frames.
type RXRing struct {
	consumer
	entries []Desc // the kernel writes, we read
}

// Get takes received frames, at most len(descs), and returns how many. Entries are copied (16
// bytes each) so that the ring is released in the same call; using them in place was not
// measurably faster.
func (r *RXRing) Get(descs []Desc) int {
	n := r.ready(uint32(len(descs)))
	if n == 0 {
		return 0
	}
	empty(r.entries, r.next, descs[:n])
	r.release(n)
	return int(n)
}

// TXRing takes frames for transmission.
type TXRing struct {
	producer
	entries []Desc // we write, the kernel reads
}

// Put schedules frames, as many as fit, and returns how many. Unless the kernel works on the ring
// already (see NeedWakeup), nothing is sent before Socket.Kick.
func (r *TXRing) Put(descs []Desc) int {
	n := r.room(uint32(len(descs)))
	if n == 0 {
		return 0
	}
	fill(r.entries, r.next, descs[:n])
	r.publish(n)
	return int(n)
}

// Size returns how many entries the ring has.
func (r *TXRing) Size() int { return int(r.size) }

// Span returns how many frames end in the n entries from running number from on, and the bytes of
// these frames, of which begun bytes were in earlier entries. rest is the number of bytes of a
// frame that goes on after them. The kernel must have taken the entries, and they must not have
// been overwritten: no more entries than the ring has may have been put since.
func (r *TXRing) Span(from, n uint32, begun uint64) (frames int, bytes, rest uint64) {
	rest = begun
	for i := range n {
		d := &r.entries[(from+i)&(r.size-1)]
		rest += uint64(d.Len)
		if d.Options&Continued == 0 {
			frames++
			bytes += rest
			rest = 0
		}
	}
	return frames, bytes, rest
}

// Bytes returns the bytes of the n entries from running number from on, under the same
// conditions. If each is a frame, it costs half of Span.
func (r *TXRing) Bytes(from, n uint32) (bytes uint64) {
	first := r.entries[from&(r.size-1):]
	first = first[:min(int(n), len(first))]
	return Bytes(first) + Bytes(r.entries[:int(n)-len(first)])
}

// Bytes returns the sum of the lengths of entries.
func Bytes(list []Desc) (bytes uint64) {
	bytes, _ = Sum(list)
	return bytes
}

// Sum returns the sum of the lengths of entries, and all options that one of them has. It adds four
// entries at a time: one by one, each addition waits for the one before, half a nanosecond.
func Sum(list []Desc) (bytes uint64, options uint32) {
	var a, b, c, d uint64
	for ; len(list) >= 4; list = list[4:] {
		a += uint64(list[0].Len)
		b += uint64(list[1].Len)
		c += uint64(list[2].Len)
		d += uint64(list[3].Len)
		options |= list[0].Options | list[1].Options | list[2].Options | list[3].Options
	}
	for i := range list {
		a += uint64(list[i].Len)
		options |= list[i].Options
	}
	return a + b + c + d, options
}

// Last returns the bytes of the frame that ends with the entry before running number end,
// under the same condition.
func (r *TXRing) Last(end uint32) (bytes uint64) {
	for i := range r.size {
		d := &r.entries[(end-1-i)&(r.size-1)]
		if i > 0 && d.Options&Continued == 0 {
			break
		}
		bytes += uint64(d.Len)
	}
	return bytes
}

// Taken returns the running number (modulo 2³²) of the entries that the kernel has taken from the
// ring.
func (r *TXRing) Taken() uint32 {
	r.taken = r.theirs.Load()
	return r.taken
}

// layout says where the parts of a ring lie in its memory. The kernel reports it (struct
// xdp_ring_offset); tests make their own.
type layout struct {
	producer, consumer, flags, entries uint64 // byte offsets
}

func (l layout) bytes(size uint32, entry uintptr) uint64 {
	return l.entries + uint64(size)*uint64(entry)
}

// check refuses a layout that does not lie in mem or is not aligned, and a size that is not a
// power of two, since the code after it is unsafe.
func (l layout) check(mem []byte, size uint32, entry uintptr) error {
	if size == 0 || size&(size-1) != 0 {
		return fmt.Errorf("ring size %d is not a power of two", size)
	}
	if l.bytes(size, entry) > uint64(len(mem)) || max(l.producer, l.consumer, l.flags)+4 > uint64(len(mem)) {
		return fmt.Errorf("ring of %d entries does not fit in %d bytes", size, len(mem))
	}
	if (l.producer|l.consumer|l.flags)%4 != 0 || l.entries%8 != 0 || uintptr(unsafe.Pointer(&mem[0]))%8 != 0 {
		return fmt.Errorf("ring layout %+v is not aligned", l)
	}
	return nil
}

func word(mem []byte, offset uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&mem[offset]))
}

func entries[T any](mem []byte, offset uint64, size uint32) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&mem[offset])), size)
}

func newProducer(mem []byte, l layout, size uint32) producer {
	p := producer{ours: word(mem, l.producer), theirs: word(mem, l.consumer), flags: word(mem, l.flags), size: size}
	p.next, p.taken = p.ours.Load(), p.theirs.Load()
	return p
}

func newConsumer(mem []byte, l layout, size uint32) consumer {
	c := consumer{ours: word(mem, l.consumer), theirs: word(mem, l.producer), size: size}
	c.next, c.filled = c.ours.Load(), c.theirs.Load()
	return c
}

func newFillRing(mem []byte, l layout, size uint32) (FillRing, error) {
	if err := l.check(mem, size, unsafe.Sizeof(uint64(0))); err != nil {
		return FillRing{}, err
	}
	return FillRing{newProducer(mem, l, size), entries[uint64](mem, l.entries, size)}, nil
}

func newCompletionRing(mem []byte, l layout, size uint32) (CompletionRing, error) {
	if err := l.check(mem, size, unsafe.Sizeof(uint64(0))); err != nil {
		return CompletionRing{}, err
	}
	return CompletionRing{newConsumer(mem, l, size), entries[uint64](mem, l.entries, size)}, nil
}

func newRXRing(mem []byte, l layout, size uint32) (RXRing, error) {
	if err := l.check(mem, size, unsafe.Sizeof(Desc{})); err != nil {
		return RXRing{}, err
	}
	return RXRing{newConsumer(mem, l, size), entries[Desc](mem, l.entries, size)}, nil
}

func newTXRing(mem []byte, l layout, size uint32) (TXRing, error) {
	if err := l.check(mem, size, unsafe.Sizeof(Desc{})); err != nil {
		return TXRing{}, err
	}
	return TXRing{newProducer(mem, l, size), entries[Desc](mem, l.entries, size)}, nil
}
