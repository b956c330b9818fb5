// SPDX-License-Identifier: BSD-3-Clause

package shm

import "testing"

func TestFaultText(t *testing.T) {
	for fault, want := range map[uint32]string{
		0:                          "",
		FaultBitflip:               "injected fault: bit flip",
		FaultDup:                   "injected fault: duplicate",
		FaultLength:                "injected fault: length changed",
		FaultECN:                   "injected fault: congestion marked",
		FaultCorrupt:               "injected fault: payload corrupted",
		FaultBitflip | FaultLength: "injected fault: bit flip, length changed",
		1<<31 | 1<<30 | FaultDup:   "injected fault: duplicate, fault 0x40000000, fault 0x80000000",
	} {
		if got := FaultText(fault); got != want {
			t.Errorf("%#x: %q, want %q", fault, got, want)
		}
		if got, ok := ParseFault(want); got != fault || ok != (fault != 0) {
			t.Errorf("%q: %#x, %v", want, got, ok)
		}
	}
	for _, text := range []string{"", "a comment", "injected fault: unheard of", "injected fault: fault x"} {
		if got, ok := ParseFault(text); ok {
			t.Errorf("%q: %#x", text, got)
		}
	}
}
