// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"encoding/binary"
	"slices"
	"testing"
)

func mac(n byte) MAC { return MAC{2, 0, 0, 0, 0, n} }

func TestMACsKeepTheOrderOfInsertion(t *testing.T) {
	var empty MACs
	if empty.Has(MAC{}) || empty.Len() != 0 || empty.All() != nil {
		t.Error("the empty set is not empty")
	}
	h := empty.With(mac(3), mac(1), MAC{}, mac(3))
	g := h.With(mac(1), mac(2))
	if want := []MAC{mac(3), mac(1), {}}; !slices.Equal(h.All(), want) {
		t.Errorf("%v, want %v", h.All(), want)
	}
	if want := []MAC{mac(3), mac(1), {}, mac(2)}; !slices.Equal(g.All(), want) {
		t.Errorf("%v, want %v", g.All(), want)
	}
	if h.Has(mac(2)) || !g.Has(mac(2)) || !h.Has(MAC{}) || h.With(mac(3)) != h {
		t.Error("a copy changed the original, or zero is not an address")
	}
	less := g.Without(mac(1), mac(9))
	if want := []MAC{mac(3), {}, mac(2)}; !slices.Equal(less.All(), want) || less.Has(mac(1)) || less.Len() != 3 {
		t.Errorf("%v, want %v", less.All(), want)
	}
	if none := less.Without(less.All()...); none != empty {
		t.Errorf("emptied: %v", none)
	}
}

// An address is not found across two others.
func TestMACsHaveWholeAddressesOnly(t *testing.T) {
	s := MACs("").With(MAC{1, 2, 3, 1, 2, 3}, MAC{1, 2, 3, 4, 5, 6})
	if s.Has(MAC{1, 2, 3, 1, 2, 3}) != true || s.Has(MAC{2, 3, 1, 2, 3, 1}) || s.Has(MAC{3, 1, 2, 3, 4, 5}) || !s.Has(MAC{1, 2, 3, 4, 5, 6}) {
		t.Errorf("%v", s)
	}
}

func TestMACsAgreeWithAMap(t *testing.T) {
	var macs []MAC
	for i := range 1000 {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(i*i*7919))
		macs = append(macs, MAC(b[2:]))
	}
	set, many, m := MACs(""), MACs("").With(macs[:600]...), map[MAC]bool{}
	for _, a := range macs[:600] {
		set = set.With(a)
		m[a] = true
	}
	if set != many || set.Len() != len(m) {
		t.Errorf("%d one by one, %d at once, %d in a map", set.Len(), many.Len(), len(m))
	}
	for _, a := range macs {
		if set.Has(a) != m[a] {
			t.Fatalf("%v: %v", a, set.Has(a))
		}
	}
}
