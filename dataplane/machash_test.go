package dataplane

import (
	"encoding/binary"
	"slices"
	"testing"
)

func TestMACHashKeepsTheOrderOfInsertion(t *testing.T) {
	var empty *MACHash
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
	if h.Has(mac(2)) || !g.Has(mac(2)) || !h.Has(MAC{}) {
		t.Error("a copy changed the original, or zero is not an address")
	}
	less := g.Without(mac(1), mac(9))
	if want := []MAC{mac(3), {}, mac(2)}; !slices.Equal(less.All(), want) || less.Has(mac(1)) || less.Len() != 3 {
		t.Errorf("%v, want %v", less.All(), want)
	}
	if none := less.Without(less.All()...); none != nil {
		t.Errorf("emptied: %v", none)
	}
	h.All()[0] = mac(99)
	if h.All()[0] != mac(3) {
		t.Error("All shows the inside")
	}
}

func TestMACHashAgreesWithAMap(t *testing.T) {
	var macs []MAC
	for i := range 3000 {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(i*i*7919))
		macs = append(macs, MAC(b[2:]))
	}
	in := map[MAC]bool{}
	for _, m := range macs[:2000] {
		in[m] = true
	}
	h := (*MACHash)(nil).With(macs[:2000]...)
	if h.Len() != len(in) {
		t.Fatalf("%d addresses, want %d", h.Len(), len(in))
	}
	for _, m := range macs {
		if h.Has(m) != in[m] {
			t.Fatalf("%v: %v", m, h.Has(m))
		}
	}
	if n := testing.AllocsPerRun(10, func() { h.Has(macs[0]) }); n != 0 {
		t.Errorf("a look-up allocates %v", n)
	}
}
