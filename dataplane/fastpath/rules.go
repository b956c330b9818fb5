package fastpath

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// MAC is an Ethernet address.
type MAC = [6]byte

// Rules say which frames are diverted and what becomes of the others.
type Rules struct {
	Port  [ports]PortRules
	Tap   []MAC // if any: TapRX and TapTX are for frames from or to these
	Drop  []MAC // frames from these are dropped, after TapRX
	Fault []MAC // if any: Fault is for frames from these
}

// PortRules are the rules for frames received on a port.
type PortRules struct {
	Forward bool // they leave by the other port; otherwise they are only counted
	Divert  bool // all are diverted
	TapRX   bool // those to be tapped are diverted
	TapTX   bool // likewise, but for those that do not leave by the other port
	Fault   bool // likewise those that may suffer faults
}

// Bits of struct policy's flags.
const (
	flagForward = 1 << iota
	flagDivert
	flagTapRX
	flagTapTX
	flagTapSet
	flagDropSet
	flagFault
	flagFaultSet
)

// Bits of an address in a set.
const (
	inTap = 1 << iota
	inDrop
	inFault
)

func (r *Rules) flags(port int) (flags uint32) {
	p := &r.Port[port]
	for _, f := range []struct {
		on   bool
		flag uint32
	}{
		{p.Forward, flagForward}, {p.Divert, flagDivert},
		{p.TapRX, flagTapRX}, {p.TapTX, flagTapTX}, {len(r.Tap) > 0 && (p.TapRX || p.TapTX), flagTapSet},
		{len(r.Drop) > 0, flagDropSet},
		{p.Fault, flagFault}, {len(r.Fault) > 0 && p.Fault, flagFaultSet},
	} {
		if f.on {
			flags |= f.flag
		}
	}
	return flags
}

// addresses returns in what each address is, by its key.
func (r *Rules) addresses() map[uint64]uint32 {
	in := make(map[uint64]uint32)
	for _, list := range []struct {
		macs []MAC
		bit  uint32
	}{{r.Tap, inTap}, {r.Drop, inDrop}, {r.Fault, inFault}} {
		for _, m := range list.macs {
			in[macKey(m)] |= list.bit
		}
	}
	return in
}

// macKey is dataplane.MAC's key.
func macKey(m MAC) uint64 {
	key := uint64(1)
	for _, b := range m {
		key = key<<8 | uint64(b)
	}
	return key
}

// Apply puts rules in force: each frame sees either the old ones or the new ones,
// whole, and when it returns no frame is under way that sees the old ones. On error
// the old ones stay.
func (p *Path) Apply(r *Rules) error {
	policy := objectPolicy{Set: 1 - p.turn}
	for i := range p.ports {
		policy.Flags[i] = r.flags(i)
	}
	// Whether or not there are any: what is in the set is what the flags speak of.
	if err := p.putSet(policy.Set, r.addresses()); err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	m, err := ebpf.NewMap(p.spec.Maps[objectMapPolicies].InnerMap)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	defer m.Close()
	if err := m.Put(uint32(0), &policy); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if err := p.collection.Maps[objectMapPolicies].Put(uint32(0), m); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	p.turn = policy.Set
	return nil
}

// putSet fills one of the two sets, which no policy in force refers to.
func (p *Path) putSet(which uint32, in map[uint64]uint32) error {
	spec := p.spec.Maps[objectMapSets].InnerMap.Copy()
	spec.MaxEntries = uint32(max(1, len(in)))
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return err
	}
	defer m.Close()
	if len(in) > 0 {
		keys, values := make([]uint64, 0, len(in)), make([]uint32, 0, len(in))
		for key, bits := range in {
			keys, values = append(keys, key), append(values, bits)
		}
		if _, err := m.BatchUpdate(keys, values, nil); err != nil {
			return err
		}
	}
	return p.collection.Maps[objectMapSets].Put(which, m)
}
