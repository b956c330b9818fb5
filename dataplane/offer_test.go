// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"slices"
	"strings"
	"testing"

	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/tests/netlab"
)

// What is said of the kernel is found by trying, and is what is known of its version. What is said of an interface is what a
// start finds.
func TestOffers(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridgeWith(t, netlab.Options{GRO: true})
	var all []dataplane.Offered
	look := func(c dataplane.Config) {
		t.Helper()
		err := lab.Dut.Do(func() (err error) {
			all, err = dataplane.Offers(c)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	offer := func(place int, feature string) nic.Offer {
		t.Helper()
		i := slices.IndexFunc(all[place].Offers, func(o nic.Offer) bool { return o.Feature == feature })
		if i < 0 {
			t.Fatalf("no %s in %+v", feature, all[place])
		}
		return all[place].Offers[i]
	}
	look(dataplane.Config{})
	names := []string{}
	for _, o := range all[1:] {
		names = append(names, strings.Fields(o.Interface)[0])
	}
	slices.Sort(names)
	if want := []string{netlab.D0, netlab.D1}; !slices.Equal(names, want) {
		t.Errorf("%v, not %v", names, want)
	}
	for feature, want := range map[string]bool{
		"a version that is tested": true, "AF_XDP": true, "fast path": true, "filters in the kernel": true, "busy polling": true, "bypass": false,
		"frames of several buffers": netlab.KernelHas(t, 6, 6), "transmit budget": netlab.KernelHas(t, 6, 18),
	} {
		if o := offer(0, feature); o.Has != want || !o.Known || o.Has != (o.Note == "") {
			t.Errorf("%+v, and it is there: %v", o, want)
		}
	}

	look(dataplane.Config{Interfaces: []string{netlab.D0, "nosuch0"}, BypassDir: "/sys/fs/bpf/x"})
	if len(all) != 3 || all[1].Err != nil || all[2].Err == nil || !offer(0, "bypass").Has {
		t.Fatalf("%+v", all)
	}
	native := offer(1, "native XDP")
	if told := netlab.KernelHas(t, 6, 3); native.Known != told || native.Has != told {
		t.Errorf("%+v", native)
	}
}
