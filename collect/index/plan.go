// SPDX-License-Identifier: BSD-3-Clause

package index

import (
	"github.com/RoaringBitmap/roaring/v2"

	p "ethertap/lib/predicate"
)

// Plan returns the parts of the file that surely hold all packets which the tree takes (nil: every
// packet) and whose time is from a time on and before another. The descriptions of interfaces and
// what else is no packet are in them too. An error means that the index cannot be used.
func (x *Index) Plan(tree p.Expr, from, to int64) ([]Run, error) {
	set := x.within(from, to)
	if tree != nil {
		w := &walk{x: x, steps: maxSteps}
		taken, _ := w.may(tree, nil, true)
		if w.err != nil {
			return nil, w.err
		}
		taken.Or(x.odd)
		set.And(taken)
	}
	set.Or(x.describes)
	return x.runs(set), nil
}

// Descriptions returns the parts of the file with what is no packet.
func (x *Index) Descriptions() []Run { return x.runs(x.describes) }

// maxSteps bounds the work for a tree. What is beyond is taken to hold everywhere.
const maxSteps = 20_000

// walk finds the blocks of a tree, following what the evaluator of lib/predicate does.
type walk struct {
	x     *Index
	steps int
	err   error
}

// load is a number in a frame: Size bytes at an offset, or behind the IPv4 header at an offset.
type load struct {
	at     int
	behind bool
	size   int
	mask   uint32
}

// fact says that a number is known to be one of some values.
type fact struct {
	of     load
	values []uint32
}

// facts are what is known of the packets for which a part of a tree is evaluated, from the parts
// before it.
type facts []fact

func (f facts) with(of load, values ...uint32) facts {
	return append(f[:len(f):len(f)], fact{of, values})
}

// values returns what a number may be, or nil if nothing is known.
func (f facts) values(of load) []uint32 {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].of == of {
			return f[i].values
		}
	}
	return nil
}

// is says whether a number is known to be one of some values.
func (f facts) is(of load, any ...uint32) bool {
	known := f.values(of)
	for _, v := range known {
		found := false
		for _, a := range any {
			found = found || a == v
		}
		if !found {
			return false
		}
	}
	return known != nil
}

// either returns what is known if one of two sets of facts holds.
func (f facts) either(g facts) (both facts) {
	for _, a := range f {
		if v := g.values(a.of); v != nil && both.values(a.of) == nil {
			both = both.with(a.of, append(append([]uint32(nil), f.values(a.of)...), v...)...)
		}
	}
	return both
}

// may returns a set of blocks that has all packets for which the facts hold and the tree is true,
// or is false if want is false, and what is known of these packets.
func (w *walk) may(e p.Expr, in facts, want bool) (*roaring.Bitmap, facts) {
	if w.steps--; w.steps < 0 || w.err != nil {
		return w.x.whole(), in
	}
	switch e := e.(type) {
	case p.Number:
		if (e != 0) == want {
			return w.x.whole(), in
		}
		return roaring.New(), in
	case p.Not:
		return w.may(e.A, in, !want)
	case p.And:
		return w.joined(e.A, e.B, in, want, true)
	case p.Or:
		return w.joined(e.A, e.B, in, want, false)
	case p.If:
		yes, known := w.may(e.Cond, in, true)
		then, thenKnown := w.may(e.Then, known, want)
		no, _ := w.may(e.Cond, in, false)
		otherwise, otherKnown := w.may(e.Else, in, want)
		yes.And(then)
		no.And(otherwise)
		yes.Or(no)
		return yes, thenKnown.either(otherKnown)
	case p.Need:
		return w.may(e.Then, in, want) // where the layer is missing, it fails
	case p.Compare:
		return w.compare(e, in, want)
	}
	return w.x.whole(), in
}

// joined is may of And, and by De Morgan's laws of Or: (A or B) is not (not A and not B).
func (w *walk) joined(a, b p.Expr, in facts, want, and bool) (*roaring.Bitmap, facts) {
	if want == and { // both have to be so
		first, known := w.may(a, in, want)
		second, known := w.may(b, known, want)
		first.And(second)
		return first, known
	}
	// One has to be so. The other one is evaluated before it, or not at all.
	first, one := w.may(a, in, want)
	_, after := facts(nil), in
	if and {
		_, after = w.may(a, in, true)
	}
	second, other := w.may(b, after, want)
	first.Or(second)
	return first, one.either(other)
}

// compare is may of a comparison.
func (w *walk) compare(e p.Compare, in facts, want bool) (*roaring.Bitmap, facts) {
	k, ok := e.B.(p.Number)
	if !ok || k < 0 || k > 1<<32-1 {
		return w.x.whole(), in
	}
	op := e.Op
	if op == p.NotEqual {
		op, want = p.Equal, !want
	}
	switch op {
	case p.Equal:
		of, ok := loadOf(e.A)
		if !ok {
			break
		}
		if uint32(k)&^of.mask != 0 { // such a number never is in the frame
			if want {
				return roaring.New(), in
			}
			return w.x.whole(), in
		}
		set := w.leaf(of, uint32(k), uint32(k), in, want)
		if want {
			in = in.with(of, uint32(k))
		}
		return set, in
	case p.Below: // a range of ports, as package filter writes it
		sub, ok := e.A.(p.Calculate)
		low, fixed := sub.B.(p.Number)
		if !ok || !fixed || sub.Op != p.Subtract || sub.Narrow || low < 0 || k == 0 || low+k > 1<<16 || !want {
			break
		}
		if of, ok := loadOf(sub.A); ok && of.size == 2 {
			return w.leaf(of, uint32(low), uint32(low+k-1), in, true), in
		}
	}
	return w.x.whole(), in
}

// loadOf recognizes a number in a frame at a constant place, with a mask or without.
func loadOf(e p.Expr) (load, bool) {
	mask := uint32(1<<32 - 1)
	if c, ok := e.(p.Calculate); ok && c.Op == p.BitAnd {
		m, fixed := c.B.(p.Number)
		if !fixed || m < 0 || m > 1<<32-1 {
			return load{}, false
		}
		mask, e = uint32(m), c.A
	}
	l, ok := e.(p.Load)
	if !ok || l.Size != 1 && l.Size != 2 && l.Size != 4 {
		return load{}, false
	}
	mask &= uint32(1<<(8*l.Size) - 1)
	if at, ok := l.At.(p.Number); ok {
		return load{int(at), false, l.Size, mask}, at >= 0 && at < 1<<20
	}
	for level := range levels + 1 {
		for _, n := range []int{0, 2} {
			if header := 14 + 4*level; l.At == p.BehindIP4(header, n) {
				return load{header + n<<16, true, l.Size, mask}, true
			}
		}
	}
	return load{}, false
}

// whole is a load without a mask.
func whole(at, size int) load { return load{at, false, size, uint32(1<<(8*size) - 1)} }

var tags = []uint32{0x8100, 0x88a8, 0x9100, 0x9200}

// leaf returns the blocks with packets for which the facts hold, and for which a number is from low
// to high, or is not if want is false. What packet of build.go takes as keys and what is read here
// has to be the same.
func (w *walk) leaf(of load, low, high uint32, in facts, want bool) *roaring.Bitmap {
	full := of.mask == uint32(1<<(8*of.size)-1)
	if !of.behind && of.at < 12 {
		return w.mac(of, low, high, in, want, full)
	}
	for level := range levels + 1 { // behind the facts that there are so many tags
		at := 12 + 4*level
		switch {
		case of == whole(at, 2) && low == high:
			k := Key{EtherType + Class(level), 0, typeKey(uint16(low))}
			if want {
				return w.find(k, k, nil)
			}
			if low > 1500 {
				return w.find(Key{k.Class, 0, 0}, Key{k.Class, 0, 1 << 16}, &k)
			}
			return w.x.whole()
		case of == load{at + 2, false, 2, 0xfff} && level < levels && want && in.is(whole(at, 2), tags...):
			return w.find(Key{VLAN + Class(level), 0, uint64(low)}, Key{VLAN + Class(level), 0, uint64(high)}, nil)
		}
		if etype := whole(at, 2); in.is(etype, 0x0800) {
			return w.ip4(at+2, of, low, high, in, want, full)
		} else if in.is(etype, 0x86dd) {
			return w.ip6(at+2, of, low, high, in, want, full)
		} else if in.is(etype, 0x0806, 0x8035) {
			if of.at == at+2+14 || of.at == at+2+24 {
				return w.address(of, low, want)
			}
			return w.x.whole()
		} else if !in.is(etype, tags...) {
			return w.x.whole()
		}
	}
	return w.x.whole()
}

// mac is leaf of MAC addresses, whose lower four bytes are compared first.
func (w *walk) mac(of load, low, high uint32, in facts, want, full bool) *roaring.Bitmap {
	if !want || !full || low != high || of.size != 2 || of.at != 0 && of.at != 6 {
		return w.x.whole()
	}
	rest := in.values(whole(of.at+2, 4))
	if len(rest) != 1 {
		return w.x.whole()
	}
	k := Key{MAC, 0, uint64(low)<<32 | uint64(rest[0])}
	return w.find(k, k, nil)
}

// address is leaf of IPv4 addresses, with a mask of leading bits.
func (w *walk) address(of load, value uint32, want bool) *roaring.Bitmap {
	if !want || of.behind || of.size != 4 || ^of.mask&(^of.mask+1) != 0 || value&^of.mask != 0 {
		return w.x.whole()
	}
	return w.find(Key{IP4, 0, uint64(value)}, Key{IP4, 0, uint64(value | ^of.mask)}, nil)
}

// protocols returns the blocks with a protocol, or with another one.
func (w *walk) protocols(c Class, value uint32, want bool) *roaring.Bitmap {
	k := Key{c, 0, uint64(value)}
	if want {
		return w.find(k, k, nil)
	}
	return w.find(Key{c, 0, 0}, Key{c, 0, 255}, &k)
}

// ports returns the blocks with ports of the protocols of which a number is known to be one.
func (w *walk) ports(protocol load, low, high uint32, in facts, want bool) *roaring.Bitmap {
	if !want || !in.is(protocol, 6, 17, 132) {
		return w.x.whole()
	}
	set := roaring.New()
	for _, proto := range in.values(protocol) {
		set.Or(w.find(Key{Port, 0, uint64(proto<<16 | low)}, Key{Port, 0, uint64(proto<<16 | high)}, nil))
	}
	return set
}

// ip4 is leaf behind an IPv4 header that begins at an offset.
func (w *walk) ip4(at int, of load, low, high uint32, in facts, want, full bool) *roaring.Bitmap {
	switch {
	case of == whole(at+9, 1) && low == high:
		return w.protocols(Protocol4, low, want)
	case !of.behind && (of.at == at+12 || of.at == at+16):
		return w.address(of, low, want)
	case of.behind && full && of.size == 2 && (of.at == at || of.at == at+2<<16) && in.is(load{at + 6, false, 2, 0x1fff}, 0):
		return w.ports(whole(at+9, 1), low, high, in, want)
	}
	return w.x.whole()
}

// ip6 is leaf behind an IPv6 header that begins at an offset.
func (w *walk) ip6(at int, of load, low, high uint32, in facts, want, full bool) *roaring.Bitmap {
	next := whole(at+6, 1)
	switch {
	case of == next && low == high:
		return w.protocols(Protocol6, low, want)
	case of == whole(at+40, 1) && want && low == high && in.is(next, 44):
		return w.protocols(Protocol6, low, true)
	case of == whole(at+40, 2) || of == whole(at+42, 2):
		return w.ports(next, low, high, in, want)
	case of.behind || of.size != 4 || !want:
		return w.x.whole()
	}
	// A word of an address, of which the words before may be known. An address is compared from its
	// beginning, with a mask of leading bits; what is behind does not matter.
	for _, begin := range []int{at + 8, at + 24} {
		word := (of.at - begin) / 4
		if of.at < begin || word > 3 || of.at != begin+4*word || ^of.mask&(^of.mask+1) != 0 || low&^of.mask != 0 {
			continue
		}
		var from, to [4]uint32
		for i := range from {
			from[i], to[i] = 0, 1<<32-1
		}
		for i := range word {
			known := in.values(whole(begin+4*i, 4))
			if len(known) != 1 {
				return w.x.whole()
			}
			from[i], to[i] = known[0], known[0]
		}
		from[word], to[word] = low, low|^of.mask
		join := func(a [4]uint32) Key {
			return Key{IP6, uint64(a[0])<<32 | uint64(a[1]), uint64(a[2])<<32 | uint64(a[3])}
		}
		return w.find(join(from), join(to), nil)
	}
	return w.x.whole()
}

// find is Index.find. If keys of the class are left out, they may be in every block.
func (w *walk) find(low, high Key, except *Key) *roaring.Bitmap {
	if w.x.without>>low.Class&1 == 1 {
		return w.x.whole()
	}
	set, err := w.x.find(low, high, except)
	if err != nil {
		w.err = err
		return w.x.whole()
	}
	return set.Clone()
}
