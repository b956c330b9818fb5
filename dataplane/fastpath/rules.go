// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/cilium/ebpf"

	"ethertap/lib/predicate"
)

// MAC is an Ethernet address.
type MAC = [6]byte

// Rules say which frames the kernel drops, forwards and copies, and which it diverts.
type Rules struct {
	Port  [ports]PortRules
	Taps  [MaxTaps]Tap
	Drop  []MAC // frames from these sources are dropped, after they were tapped as received
	Fault []MAC // if there are any, PortRules.Fault concerns only frames from these sources

	DropFilter  *predicate.Code // frames that match are dropped as well; nil: none
	FaultFilter *predicate.Code // if not nil: PortRules.Fault is for frames that match

	// Copy says that frames that are only tapped are forwarded at once, and that a copy of their
	// first Kept bytes is put in the ring of their queue: see Stats.Ring. Without Copy they are
	// diverted.
	Copy bool
	Kept int

	// With Bypass, a frame that should be diverted is forwarded if there is no socket for it, or if
	// its thread has shown no sign of life for so long. 0 means off.
	Bypass time.Duration
	Alone  bool // with Bypass: no frame is diverted, since the threads are about to end
}

// PortRules are the rules for the frames received on a port.
type PortRules struct {
	Forward bool // frames leave by the other port; otherwise they are only counted
	Divert  bool // all frames are diverted
	Fault   bool // frames suffer Faults, if Forward is set
	Away    bool // frames that may suffer faults are diverted, as the thread carries out the faults
	Faults  Faults
	Longest int  // in bytes; longer frames are diverted, if Forward is set; 0 means no limit
	Whole   bool // frames of several buffers are diverted, if Forward is set
}

// Tap says which frames a tap wants.
type Tap struct {
	RX     [ports]bool // frames received on the port
	TX     [ports]bool // frames sent by the port
	Choosy bool        // only frames whose source or destination is one of MACs
	MACs   []MAC

	RXFilter [ports]*predicate.Code // if not nil: only frames received on the port that match
	TXFilter [ports]*predicate.Code // likewise of those sent
}

func (r *Rules) flags(port int) (flags uint32) {
	p := &r.Port[port]
	for _, f := range []struct {
		on   bool
		flag objectFlag
	}{
		{p.Forward, objectFlagFORWARD}, {p.Divert, objectFlagDIVERT},
		{len(r.Drop) > 0, objectFlagDROP_SET},
		{p.Fault, objectFlagFAULT}, {p.Fault && p.Away, objectFlagAWAY}, {len(r.Fault) > 0 && p.Fault, objectFlagFAULT_SET},
		{r.Copy, objectFlagCOPY}, {r.Bypass > 0 && p.Forward, objectFlagBYPASS}, {r.Alone && p.Forward, objectFlagALONE},
		{p.Whole && p.Forward, objectFlagWHOLE},
	} {
		if f.on {
			flags |= uint32(f.flag)
		}
	}
	return flags
}

// policy returns what the programs read of the rules, except for the addresses. set is the number
// of the set of addresses, n the number of ports.
func (r *Rules) policy(set uint32, n int) objectPolicy {
	p := objectPolicy{Set: set, Kept: uint32(r.Kept), Patience: uint64(r.Bypass)}
	for port := range n {
		p.Flags[port] = r.flags(port)
		if r.Port[port].Fault {
			p.Faults[port] = r.Port[port].Faults.object()
			p.Faults[port].Diverted = r.diverted(port)
		}
		p.Longest[port] = math.MaxUint32
		if l := r.Port[port].Longest; l > 0 && r.Port[port].Forward {
			p.Longest[port] = uint32(l)
		}
		for i, t := range r.Taps {
			if t.RX[port] {
				p.Rx[port] |= 1 << i
			}
			if t.TX[ports-1-port] && r.Port[port].Forward {
				p.Tx[port] |= 1 << i
			}
		}
	}
	wanted := p.Rx[0] | p.Rx[1] | p.Tx[0] | p.Tx[1]
	for i, t := range r.Taps {
		if t.Choosy && wanted&(1<<i) != 0 {
			p.Choosy |= 1 << i
		}
	}
	return p
}

// diverted returns the faults for which a frame received on a port goes to the thread: that by which it is sent
// twice, and those that change a frame about which a filter has to be asked afterwards.
func (r *Rules) diverted(port int) uint32 {
	faults := uint32(1 << FaultDup)
	for _, t := range r.Taps {
		if out := ports - 1 - port; t.TX[out] && t.TXFilter[out] != nil {
			faults |= uint32(objectFaultSPOILS)
		}
	}
	return faults
}

// addresses returns the lists that each address is in, by its key.
func (r *Rules) addresses() map[uint64]uint32 {
	in := make(map[uint64]uint32)
	add := func(macs []MAC, bit objectIn) {
		for _, m := range macs {
			in[macKey(m)] |= uint32(bit)
		}
	}
	add(r.Drop, objectInIN_DROP)
	add(r.Fault, objectInIN_FAULT)
	for i, t := range r.Taps {
		if t.Choosy {
			add(t.MACs, 1<<(int(objectInIN_TAP_AT)+i))
		}
	}
	return in
}

// macKey returns the key of an address, as package dataplane makes it.
func macKey(m MAC) uint64 {
	key := uint64(0)
	for _, b := range m {
		key = key<<8 | uint64(b)
	}
	return key | 1<<MACAt
}

// Apply puts rules in force. Each frame meets either the old rules or the new ones as a whole. When
// Apply returns, no frame is under way that meets the old ones, unless the rules differ only in the
// lists of one address. After an error the old rules stay in force.
func (p *Path) Apply(r *Rules) error {
	// The set holds only the addresses that the flags speak of. If they are the same, the set
	// stays, which saves one wait of the kernel.
	in, turn := r.addresses(), p.turn
	filters := p.putFilters(r)
	if p.in == nil || !maps.Equal(in, p.in) {
		if done, err := p.applyOne(r, in, filters); done || err != nil {
			return err
		}
		turn = 1 - p.turn
		p.in = nil // until the new set is known to be there
		if err := p.putSet(turn, in); err != nil {
			return fmt.Errorf("addresses: %w", err)
		}
	}
	policy := p.filtered(r.policy(turn, p.ports), filters)
	m, err := ebpf.NewMap(p.spec.Maps[objectMapPolicies].InnerMap)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	defer m.Close()
	if err := m.Put(uint32(0), &policy); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if err := p.maps[objectMapPolicies].Put(uint32(0), m); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	p.turn, p.in, p.policy = turn, in, policy
	return p.dropFilters(filters)
}

// filtered is a policy with filters. Where they cannot be in the kernel, everything is for the
// thread.
func (p *Path) filtered(policy objectPolicy, filters [ports]uint16) objectPolicy {
	policy.Filter = filters
	for port, err := range p.failures {
		if err != nil {
			policy.Flags[port] |= uint32(objectFlagDIVERT)
		}
	}
	return policy
}

// applyOne changes the set in force, if the rules differ only in the lists of one address. That is
// one step, and needs no wait; with waits, a list of a thousand addresses would take half a minute.
// done is false if the rules differ in more, or if the set has no room.
func (p *Path) applyOne(r *Rules, in map[uint64]uint32, filters [ports]uint16) (done bool, err error) {
	if p.in == nil || p.set == nil || p.filtered(r.policy(p.turn, p.ports), filters) != p.policy {
		return false, nil
	}
	var changed uint64
	n := 0
	for key, bits := range in {
		if p.in[key] != bits {
			changed = key
			n++
		}
	}
	for key := range p.in {
		if _, there := in[key]; !there {
			changed = key
			n++
		}
	}
	if n != 1 || len(in) > int(p.set.MaxEntries()) {
		return false, nil
	}
	if bits, there := in[changed]; there {
		err = p.set.Put(changed, bits)
	} else {
		err = p.set.Delete(changed)
	}
	if err != nil {
		return false, fmt.Errorf("addresses: %w", err)
	}
	p.in = in
	return true, p.dropFilters(filters)
}

// spare is the number of addresses for which a new set has room, besides its own.
const spare = 1024

// putSet fills that of the two sets to which no policy in force refers.
func (p *Path) putSet(which uint32, in map[uint64]uint32) error {
	spec := p.spec.Maps[objectMapSets].InnerMap.Copy()
	spec.MaxEntries = uint32(len(in) + spare)
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return err
	}
	_ = p.set.Close() // on nil Close does nothing
	p.set = m
	if len(in) > 0 {
		keys, values := make([]uint64, 0, len(in)), make([]uint32, 0, len(in))
		for key, bits := range in {
			keys, values = append(keys, key), append(values, bits)
		}
		if _, err := m.BatchUpdate(keys, values, nil); err != nil {
			return err
		}
	}
	return p.maps[objectMapSets].Put(which, m)
}

// inForce returns the policy in force. A zero policy means that there is none yet.
func (p *Path) inForce() (policy objectPolicy, err error) {
	var id ebpf.MapID
	if err := p.maps[objectMapPolicies].Lookup(uint32(0), &id); err != nil {
		return policy, fmt.Errorf("policy: %w", err)
	}
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return policy, fmt.Errorf("policy: %w", err)
	}
	defer m.Close()
	if err := m.Lookup(uint32(0), &policy); err != nil {
		return policy, fmt.Errorf("policy: %w", err)
	}
	return policy, nil
}
