// SPDX-License-Identifier: BSD-3-Clause

// Package vyukov is the plain bounded multi-producer, multi-consumer ring that the TAP
// queue is measured beside: Dmitry Vyukov's, with a sequence number a cell, in shared
// memory, with a semaphore to wait at. It is as fast as such a ring gets and stops for
// ever when a user is killed between claiming a cell and letting go of it; nothing but
// benchmarks uses it.
package vyukov

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is an open ring. Its methods may be called concurrently.
type Ring struct {
	bytes  []byte
	head   *atomic.Uint64
	tail   *atomic.Uint64
	value  *atomic.Uint32 // of the semaphore: a token for each post
	asleep *atomic.Uint32 // who sleeps at the semaphore
	mask   uint64
	stride uint64
}

// cell is the head of a cell; the bytes of the packet follow.
type cell struct {
	seq atomic.Uint64
	n   uint64
	_   [48]byte
}

const (
	cellHeader = 64
	cellsAt    = 512 // head, tail and semaphore have lines of their own before
)

// Open maps the ring in file, which is made with that many cells (a power of two) of
// stride bytes when it is not there.
func Open(file string, cells, stride int) (*Ring, error) {
	size := cellsAt + cells*stride
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	fresh := os.IsNotExist(err)
	if fresh {
		f, err = os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", file, err)
	}
	_ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) // as the TAP queue does
	r := &Ring{
		bytes: b, mask: uint64(cells - 1), stride: uint64(stride),
		head: (*atomic.Uint64)(unsafe.Pointer(&b[0])), tail: (*atomic.Uint64)(unsafe.Pointer(&b[128])),
		value: (*atomic.Uint32)(unsafe.Pointer(&b[256])), asleep: (*atomic.Uint32)(unsafe.Pointer(&b[384])),
	}
	if fresh {
		for i := range uint64(cells) {
			r.cell(i).seq.Store(i)
		}
	}
	return r, nil
}

// Close unmaps the ring.
func (r *Ring) Close() error { return unix.Munmap(r.bytes) }

func (r *Ring) cell(pos uint64) *cell {
	return (*cell)(unsafe.Pointer(&r.bytes[cellsAt+(pos&r.mask)*r.stride]))
}

func (r *Ring) room(pos uint64) []byte {
	at := cellsAt + (pos&r.mask)*r.stride
	return r.bytes[at+cellHeader : at+r.stride]
}

// Put copies a packet in; false when the ring is full.
func (r *Ring) Put(b []byte) bool {
	for {
		pos := r.head.Load()
		c := r.cell(pos)
		switch seq := c.seq.Load(); {
		case seq == pos:
			if r.head.CompareAndSwap(pos, pos+1) {
				c.n = uint64(copy(r.room(pos), b))
				c.seq.Store(pos + 1)
				return true
			}
		case seq < pos:
			return false
		}
	}
}

// Get copies a packet out and returns its length, or -1 when the ring is empty.
func (r *Ring) Get(b []byte) int {
	for {
		pos := r.tail.Load()
		c := r.cell(pos)
		switch seq := c.seq.Load(); {
		case seq == pos+1:
			if r.tail.CompareAndSwap(pos, pos+1) {
				n := copy(b, r.room(pos)[:c.n])
				c.seq.Store(pos + r.mask + 1)
				return n
			}
		case seq < pos+1:
			return -1
		}
	}
}

// Post wakes a sleeper, as sem_post does: a token for each call.
func (r *Ring) Post() {
	r.value.Add(1)
	if r.asleep.Load() > 0 {
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(r.value)), 1 /* FUTEX_WAKE */, 1, 0, 0, 0)
	}
}

// Wait takes a token, and sleeps until there is one or d has passed.
func (r *Ring) Wait(d time.Duration) {
	for range 2 {
		if v := r.value.Load(); v > 0 {
			if r.value.CompareAndSwap(v, v-1) {
				return
			}
			continue
		}
		r.asleep.Add(1)
		ts := unix.NsecToTimespec(int64(d))
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(r.value)), 0 /* FUTEX_WAIT */, 0, uintptr(unsafe.Pointer(&ts)), 0, 0)
		r.asleep.Add(^uint32(0))
	}
}
