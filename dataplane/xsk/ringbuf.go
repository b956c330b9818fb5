// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ringbuf is the consuming side of a BPF ring buffer (BPF_MAP_TYPE_RINGBUF), for one thread. The
// kernel maps the records twice in a row, so each is in one piece.
//
// Memory order: a program stores a record's head, without its busy bit, after the bytes. We load
// the head before the bytes, and store our position after the last access to them.
type Ringbuf struct {
	fd       int
	position []byte         // the page that we write
	rest     []byte         // the page that the kernel writes, then the records
	ours     *atomic.Uint64 // records before it belong to the kernel again; we write it
	theirs   *atomic.Uint64 // room before it is used; the kernel writes it
	records  []byte
	mask     uint64
	next     uint64 // copy of *ours; only we write it
	seen     uint64 // end of the records that were returned so far
}

// These are the bits of a record's head.
const (
	ringBusy    = 1 << 31
	ringDiscard = 1 << 30
	ringHead    = 8 // bytes
)

// MapRingbuf maps a ring buffer of size bytes. The descriptor still belongs to the caller.
func MapRingbuf(fd, size int) (*Ringbuf, error) {
	page := os.Getpagesize()
	if size < page || size&(size-1) != 0 {
		return nil, fmt.Errorf("ring buffer: %d bytes are not a power of two of at least %d", size, page)
	}
	r := &Ringbuf{fd: fd, mask: uint64(size - 1)}
	var err error
	if r.position, err = unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("ring buffer: %w", err)
	}
	if r.rest, err = unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		_ = unix.Munmap(r.position)
		return nil, fmt.Errorf("ring buffer: %w", err)
	}
	r.ours = (*atomic.Uint64)(unsafe.Pointer(&r.position[0]))
	r.theirs = (*atomic.Uint64)(unsafe.Pointer(&r.rest[0]))
	r.records = r.rest[page:]
	r.next = r.ours.Load() // another process may have read it before
	r.seen = r.next
	return r, nil
}

// FD returns the descriptor, for poll.
func (r *Ringbuf) FD() int { return r.fd }

// Next returns the next complete record, or nil. The record stays valid until Release.
func (r *Ringbuf) Next() []byte {
	end := r.theirs.Load()
	for r.seen < end {
		at := r.seen & r.mask
		head := (*atomic.Uint32)(unsafe.Pointer(&r.records[at])).Load()
		if head&ringBusy != 0 {
			return nil
		}
		n := uint64(head &^ (ringBusy | ringDiscard))
		if n > r.mask {
			return nil // no program writes this
		}
		r.seen += (n + ringHead + 7) &^ 7
		if head&ringDiscard == 0 {
			return r.records[at+ringHead : at+ringHead+n : at+ringHead+n]
		}
	}
	return nil
}

// Release gives all records that Next has returned back to the kernel.
func (r *Ringbuf) Release() {
	if r.next != r.seen {
		r.next = r.seen
		r.ours.Store(r.next)
	}
}

// Empty says whether nothing waits, not even an incomplete record.
func (r *Ringbuf) Empty() bool { return r.theirs.Load() == r.seen }

// Close unmaps the ring buffer.
func (r *Ringbuf) Close() error {
	for _, b := range [][]byte{r.position, r.rest} {
		if err := unix.Munmap(b); err != nil {
			return fmt.Errorf("ring buffer: %w", err)
		}
	}
	return nil
}
