package nic

import "github.com/cilium/ebpf"

// unserved counts an interface's frames that come on a queue without a thread, while the
// others are admitted. They go past the bridge, into the host's stack.
type unserved struct {
	count    *ebpf.Map // of the plain program of this run; nil: there is none
	admitted bool
	start    uint64 // what the program had counted when frames were admitted
	past     uint64 // counted by those before
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

// programCount returns what the plain program of this run has counted.
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

// Unserved returns how many frames the plain program saw so far on queues without a thread.
func (p *Port) Unserved() uint64 {
	u := &p.unserved
	if !u.admitted {
		return u.past
	}
	return u.past + u.programCount() - u.start
}
