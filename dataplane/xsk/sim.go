// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kernel is the other side of the rings of a simulated socket, in plain memory. When its methods
// are called, it does what a zero-copy driver does: tests and fuzzing use the rings, and
// everything that is built on them, without rights or interfaces. It may run in another goroutine
// than the socket's thread.
type Kernel struct {
	socket *Socket
	umem   *UMEM
	fill   CompletionRing // the consuming side of the fill ring
	rx     TXRing         // the producing side of the RX ring
	tx     RXRing
	done   FillRing

	partial []byte   // bytes of a frame whose last entry has not been taken yet
	sent    []uint64 // taken from the TX ring and not completed yet

	Starved atomic.Uint64 // frames that found the fill ring empty
	Full    atomic.Uint64 // frames that found the RX ring full
	Removed atomic.Bool   // the interface has disappeared; anybody may set it
	Ended   atomic.Bool   // no frame will come any more; anybody may set it

	meta Meta // of the frame that is being transmitted

	transmit func() unix.Errno // see Copying
	budget   int               // see Copying
}

// Copying makes the socket one that copies: its thread kicks, and a kick transmits up to budget
// entries, and no more than the completion ring has room for, before it returns; EAGAIN says that
// there are more. ready is called before each kick; unless it returns 0, nothing is taken,
// and the kick returns that error. send gets the frames, like fn of Transmit. If it returns
// false, the device has dropped the frame, and the kick ends with EBUSY. The thread of the socket
// calls both. Copying must be called before that thread runs.
func (k *Kernel) Copying(budget int, ready func() unix.Errno, send func(frame []byte) bool) {
	k.socket.zeroCopy = false
	k.budget = budget
	k.transmit = func() unix.Errno {
		if errno := ready(); errno != 0 {
			return errno
		}
		taken, ok := 0, true
		for taken < k.budget && ok && k.mayComplete(len(k.sent)+1) && k.Transmit(1, func(frame []byte) { ok = send(frame) }) == 1 {
			taken++
		}
		k.Complete(len(k.sent))
		switch {
		case !ok:
			return unix.EBUSY
		case k.tx.Ready() > 0:
			return unix.EAGAIN
		}
		return 0
	}
}

func (k *Kernel) kick() unix.Errno {
	if k.transmit == nil {
		return 0
	}
	return k.transmit()
}

func (k *Kernel) statistics() unix.XDPStatistics {
	starved := k.Starved.Load()
	return unix.XDPStatistics{Rx_dropped: starved, Rx_fill_ring_empty_descs: starved, Rx_ring_full: k.Full.Load()}
}

// Simulate makes a socket without a kernel, and the Kernel that replaces it. NeedWakeup is clear
// and the socket works as with zero-copy, so Kick is not needed, except after Copying.
func Simulate(u *UMEM, o Options) (*Socket, *Kernel, error) {
	s := &Socket{fd: -1, umem: u, options: o, bound: true, zeroCopy: true}
	k := &Kernel{umem: u, socket: s}
	s.kernel = k
	at := layout{producer: 0, consumer: 128, flags: 256, entries: 384}
	memory := func(size int, entry uintptr) []byte {
		words := make([]uint64, at.bytes(uint32(size), entry)/8)
		return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
	}
	for _, size := range []int{o.Fill, o.Completion, o.RX, o.TX} {
		if size <= 0 {
			return nil, nil, fmt.Errorf("ring size %d is not positive", size)
		}
	}
	fill, done, rx, tx := memory(o.Fill, 8), memory(o.Completion, 8), memory(o.RX, 16), memory(o.TX, 16)
	var err error
	build := func(e error) {
		if err == nil {
			err = e
		}
	}
	var e error
	s.Fill, e = newFillRing(fill, at, uint32(o.Fill))
	build(e)
	k.fill, e = newCompletionRing(fill, at, uint32(o.Fill))
	build(e)
	s.Completion, e = newCompletionRing(done, at, uint32(o.Completion))
	build(e)
	k.done, e = newFillRing(done, at, uint32(o.Completion))
	build(e)
	s.RX, e = newRXRing(rx, at, uint32(o.RX))
	build(e)
	k.rx, e = newTXRing(rx, at, uint32(o.RX))
	build(e)
	s.TX, e = newTXRing(tx, at, uint32(o.TX))
	build(e)
	k.tx, e = newRXRing(tx, at, uint32(o.TX))
	build(e)
	return s, k, err
}

// Receive puts a frame in the RX ring as the kernel does, in as many chunks as it needs, and says
// whether there was room.
func (k *Kernel) Receive(frame []byte) bool {
	full, starved := k.receive(frame, Meta{})
	if full {
		k.Full.Add(1)
	}
	if starved {
		k.Starved.Add(1)
	}
	return !full && !starved
}

// ReceiveWith is Receive for a frame of which something is known, and which is not lost without room: the caller tries
// again.
func (k *Kernel) ReceiveWith(frame []byte, meta Meta) bool {
	full, starved := k.receive(frame, meta)
	return !full && !starved
}

func (k *Kernel) receive(frame []byte, meta Meta) (full, starved bool) {
	size := k.umem.FrameSize() - Headroom
	n := max(1, (len(frame)+size-1)/size)
	if int(k.rx.room(uint32(n))) < n {
		return true, false
	}
	if k.fill.Ready() < n {
		return false, true
	}
	for i := range n {
		var at [1]uint64
		k.fill.Get(at[:])
		part := frame[:min(size, len(frame))]
		frame = frame[len(part):]
		d := Desc{Addr: k.umem.Frame(at[0]) + Headroom, Len: uint32(len(part))}
		if i < n-1 {
			d.Options = Continued
		}
		copy(k.umem.Bytes(d), part)
		*k.umem.Meta(d.Addr) = meta
		k.rx.Put([]Desc{d})
	}
	return false, false
}

// Transmit takes up to n entries from the TX ring. It calls fn for each frame whose last entry it
// took; the argument is valid only during the call. It returns how many entries it took. The
// frames are not complete before Complete.
func (k *Kernel) Transmit(n int, fn func([]byte)) int {
	var d [1]Desc
	for i := range n {
		if k.tx.Get(d[:]) == 0 {
			return i
		}
		if len(k.partial) == 0 {
			k.meta = *k.umem.Meta(d[0].Addr)
		}
		switch b := k.umem.Bytes(d[0]); {
		case d[0].Options&Continued != 0:
			k.partial = append(k.partial, b...)
		case len(k.partial) > 0:
			k.partial = append(k.partial, b...)
			fn(k.partial)
			k.partial = k.partial[:0]
		default:
			fn(b)
		}
		k.sent = append(k.sent, d[0].Addr)
	}
	return n
}

// Meta returns what is known of the frame that fn of Transmit, or send of Copying, has been given.
func (k *Kernel) Meta() Meta { return k.meta }

// Complete gives back up to n transmitted frames and returns how many.
func (k *Kernel) Complete(n int) int {
	n = k.done.Put(k.sent[:min(n, len(k.sent))])
	k.sent = append(k.sent[:0], k.sent[n:]...)
	return n
}

// mayComplete says whether the completion ring has room for n frames.
func (k *Kernel) mayComplete(n int) bool { return int(k.done.room(uint32(n))) == n }

// Holding returns how many frames of the fill ring and the TX ring the simulated kernel has taken
// and not given back.
func (k *Kernel) Holding() int { return len(k.sent) }
