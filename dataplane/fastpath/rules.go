package fastpath

import (
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/cilium/ebpf"
)

// MAC is an Ethernet address.
type MAC = [6]byte

// Rules say what is done with frames in the kernel, and which are diverted.
type Rules struct {
	Port  [ports]PortRules
	Taps  [MaxTaps]Tap
	Drop  []MAC // frames from these are dropped, after they were tapped as received
	Fault []MAC // if any: PortRules.Fault is for frames from these

	// Copy says that frames which are only tapped are forwarded at once and a copy of
	// their first Kept bytes is put in the ring of their queue: see Stats.Ring. Otherwise
	// they are diverted.
	Copy bool
	Kept int

	// Bypass, if not 0, says that frames to be diverted are forwarded when there is no
	// socket for them, or its thread has shown no sign of life for so long: see Life.
	Bypass time.Duration
	Alone  bool // with Bypass: none is diverted, since the threads are about to end
}

// PortRules are the rules for frames received on a port.
type PortRules struct {
	Forward bool // they leave by the other port; otherwise they are only counted
	Divert  bool // all are diverted
	Fault   bool // those that may suffer faults are diverted, if they leave by the other port
	Longest int  // bytes; longer frames are diverted, if they leave by the other port; 0 = none
	Whole   bool // frames of several buffers are diverted, likewise
}

// Tap is somebody who wants frames.
type Tap struct {
	RX     [ports]bool // those received on the port
	TX     [ports]bool // those sent by the port
	Choosy bool        // only those whose source or destination is one of MACs
	MACs   []MAC
}

func (r *Rules) flags(port int) (flags uint32) {
	p := &r.Port[port]
	for _, f := range []struct {
		on   bool
		flag objectFlag
	}{
		{p.Forward, objectFlagFORWARD}, {p.Divert, objectFlagDIVERT},
		{len(r.Drop) > 0, objectFlagDROP_SET},
		{p.Fault, objectFlagFAULT}, {len(r.Fault) > 0 && p.Fault, objectFlagFAULT_SET},
		{r.Copy, objectFlagCOPY}, {r.Bypass > 0 && p.Forward, objectFlagBYPASS}, {r.Alone && p.Forward, objectFlagALONE},
		{p.Whole && p.Forward, objectFlagWHOLE},
	} {
		if f.on {
			flags |= uint32(f.flag)
		}
	}
	return flags
}

// policy is what the programs read of the rules, but for the addresses.
func (r *Rules) policy(set uint32, n int) objectPolicy {
	p := objectPolicy{Set: set, Kept: uint32(r.Kept), Patience: uint64(r.Bypass)}
	for port := range n {
		p.Flags[port] = r.flags(port)
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

// addresses returns in what each address is, by its key.
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

// macKey is the key that package dataplane has for an address.
func macKey(m MAC) uint64 {
	key := uint64(0)
	for _, b := range m {
		key = key<<8 | uint64(b)
	}
	return key | 1<<MACAt
}

// Apply puts rules in force: each frame sees either the old ones or the new ones,
// whole, and when it returns no frame is under way that sees the old ones, unless all
// that differs is what one address is in. On error the old ones stay.
func (p *Path) Apply(r *Rules) error {
	// What is in the set is what the flags speak of. The same addresses need no other set, for
	// which the kernel would wait once more.
	in, turn := r.addresses(), p.turn
	if p.in == nil || !maps.Equal(in, p.in) {
		if done, err := p.applyOne(r, in); done || err != nil {
			return err
		}
		turn = 1 - p.turn
		p.in = nil // until it is known to be there
		if err := p.putSet(turn, in); err != nil {
			return fmt.Errorf("addresses: %w", err)
		}
	}
	policy := r.policy(turn, p.ports)
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
	return nil
}

// applyOne changes the set in force, if what one address is in is all that is to change:
// that is one step by itself, and needs no wait, of which a list of a thousand would
// take half a minute. done is false if it is not so, or there is no room.
func (p *Path) applyOne(r *Rules, in map[uint64]uint32) (done bool, err error) {
	if p.in == nil || p.set == nil || r.policy(p.turn, p.ports) != p.policy {
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
	return true, nil
}

// spare is for how many more addresses a set has room.
const spare = 1024

// putSet fills one of the two sets, which no policy in force refers to.
func (p *Path) putSet(which uint32, in map[uint64]uint32) error {
	spec := p.spec.Maps[objectMapSets].InnerMap.Copy()
	spec.MaxEntries = uint32(len(in) + spare)
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return err
	}
	_ = p.set.Close() // of nil it does nothing
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

// inForce returns the policy in force, of which the zero one is none yet.
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
