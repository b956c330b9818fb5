// SPDX-License-Identifier: BSD-3-Clause

package shm

import "testing"

// What was refused of an interface is counted on when it gets another name or another
// address, and begins at 0 for another interface.
func TestRefusedOfAnInterface(t *testing.T) {
	q := openTest(t, testName(t), Options{Slots: MinSlots})
	p := producer(t, q)
	a, b := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}
	for _, c := range []struct {
		Interface
		refused uint64
	}{
		{Interface{Name: "eth0", MAC: a}, 0},
		{Interface{Name: "lan0", MAC: a}, 4},
		{Interface{Name: "lan0", MAC: b}, 8},
		{Interface{Name: "eth1", MAC: a}, 0},
	} {
		if err := q.SetInterfaces([]Interface{c.Interface}); err != nil {
			t.Fatal(err)
		}
		list, err := q.Interfaces()
		if err != nil || len(list) != 1 || list[0].Name != c.Name || list[0].MAC != c.MAC || list[0].Refused != c.refused {
			t.Errorf("%+v, %v, want %+v with %d refused", list, err, c.Interface, c.refused)
		}
		if n := p.Put(make([]Record, MinSlots+4)); n > MinSlots {
			t.Fatalf("stored %d", n)
		}
		if _, err := q.Reset(); err != nil {
			t.Fatal(err)
		}
	}
}
