// SPDX-License-Identifier: BSD-3-Clause

package xsk

import "unsafe"

// Meta is what is known of a frame beside its bytes where a port is a file. It stands in the headroom of
// the frame's first chunk, as the metadata of devices do. The thread that has the frame owns it. A
// device knows nothing of it, so it is valid only between ports that fill it in.
type Meta struct {
	Time    int64  // when the frame came or leaves, in ns since the epoch
	Fault   uint32 // the faults that it suffered: shm.FaultDrop and its like
	Missing uint32 // how many of its bytes a recorder has cut off
}

// The headroom has room for it.
const _ = uint(Headroom - unsafe.Sizeof(Meta{}))

// Meta returns what is known of the frame that begins at an address.
func (u *UMEM) Meta(addr uint64) *Meta {
	return (*Meta)(unsafe.Pointer(&u.mem[u.Frame(addr)]))
}
