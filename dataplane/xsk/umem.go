// SPDX-License-Identifier: BSD-3-Clause

package xsk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Headroom is the space that the kernel keeps free before the bytes of each received frame
// (XDP_PACKET_HEADROOM).
const Headroom = unix.XDP_PACKET_HEADROOM

// hugePage is the default size of MAP_HUGETLB on the machines we know; if it differs, the mapping
// fails and plain pages are used.
const hugePage = 2 << 20

// UMEM is the memory for the frames of one thread: Frames chunks of FrameSize bytes. Addresses
// are offsets in it.
type UMEM struct {
	mem       []byte
	frameSize uint32
	frames    uint32
	owner     *Socket // the socket through whose descriptor the kernel knows the memory; set by Open
	users     int     // open sockets
}

// NewUMEM maps memory for frames chunks of frameSize bytes (2048 or 4096: chunks are aligned and
// must not cross a page). It uses huge pages if there are any.
func NewUMEM(frames, frameSize int) (*UMEM, error) {
	if frameSize != 2048 && frameSize != 4096 {
		return nil, fmt.Errorf("umem: frame size %d is neither 2048 nor 4096", frameSize)
	}
	if frames <= 0 || frames > 1<<20 {
		return nil, fmt.Errorf("umem: %d frames are not in 1…%d", frames, 1<<20)
	}
	size := frames * frameSize
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	var mem []byte
	err := error(unix.EINVAL)
	if size%hugePage == 0 {
		mem, err = unix.Mmap(-1, 0, size, prot, flags|unix.MAP_HUGETLB)
	}
	if err != nil {
		if mem, err = unix.Mmap(-1, 0, size, prot, flags); err != nil {
			return nil, fmt.Errorf("umem: mmap of %d bytes: %w", size, err)
		}
		// This is advice, and has to be given before the pages exist: registering the memory
		// makes them. Kernels without transparent huge pages refuse it.
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE)
	}
	return &UMEM{mem: mem, frameSize: uint32(frameSize), frames: uint32(frames)}, nil
}

// FrameSize returns the size of a chunk in bytes.
func (u *UMEM) FrameSize() int { return int(u.frameSize) }

// Frames returns the number of chunks.
func (u *UMEM) Frames() int { return int(u.frames) }

// Frame returns the address of the chunk that contains an address.
func (u *UMEM) Frame(addr uint64) uint64 { return addr &^ uint64(u.frameSize-1) }

// Bytes returns the bytes of d. It is nil if they do not lie in one chunk.
func (u *UMEM) Bytes(d Desc) []byte {
	end := d.Addr&uint64(u.frameSize-1) + uint64(d.Len)
	if d.Addr >= uint64(len(u.mem)) || end > uint64(u.frameSize) {
		return nil
	}
	return u.mem[d.Addr : d.Addr+uint64(d.Len) : d.Addr+uint64(d.Len)]
}

// Front returns the n bytes in front of d. It is nil if they do not lie in the same chunk.
func (u *UMEM) Front(d Desc, n int) []byte {
	if d.Addr >= uint64(len(u.mem)) || d.Addr&uint64(u.frameSize-1) < uint64(n) {
		return nil
	}
	return u.mem[d.Addr-uint64(n) : d.Addr : d.Addr]
}

// Close unmaps the memory. It fails while sockets use it, since the kernel would go on writing
// into the pages.
func (u *UMEM) Close() error {
	if u.users > 0 {
		return fmt.Errorf("umem: %d sockets still use it", u.users)
	}
	if u.mem == nil {
		return nil
	}
	err := unix.Munmap(u.mem)
	u.mem = nil
	if err != nil {
		return fmt.Errorf("umem: munmap: %w", err)
	}
	return nil
}
