// SPDX-License-Identifier: BSD-3-Clause

package nic

import "github.com/cilium/ebpf"

// unserved counts the frames of an interface on queues without a thread, while the frames of the
// other queues are admitted. They do not cross the bridge; they go into the network stack of the
// host.
type unserved struct {
	count    *ebpf.Map // the counter of the plain program of this run; nil if there is none
	admitted bool
	start    uint64 // what the program had counted when frames were admitted
	past     uint64 // counted in earlier runs
}

// newUnserved makes the counter of a plain program.
func newUnserved() (*ebpf.Map, error) {
	return ebpf.NewMap(&ebpf.MapSpec{Name: "ixdp_unserved", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1})
}

func (u *unserved) admit() { u.admitted, u.start = true, u.programCount() }

func (u *unserved) refuse() {
	u.past += u.programCount() - u.start
	u.admitted = false
}

// programCount returns the count of the plain program of this run.
func (u *unserved) programCount() (n uint64) {
	var each []uint64
	if u.count == nil || u.count.Lookup(uint32(0), &each) != nil {
		return 0
	}
	for _, v := range each {
		n += v
	}
	return n
}

// Unserved returns the number of frames so far that the plain program saw on queues without a
// thread.
func (p *Port) Unserved() uint64 {
	u := &p.unserved
	if !u.admitted {
		return u.past
	}
	return u.past + u.programCount() - u.start
}
