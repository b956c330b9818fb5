// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"
	"strings"
	"testing"

	"ethertap/dataplane/policy"
)

// Each term of each account is the counter with its name: all counters have different values here.
func TestBalances(t *testing.T) {
	s := PortStats{
		RX: 1, TX: 2, Drop: 4, NoIf: 8, Err: 16, Mirrored: 32, Held: 64, DroppedByFI: 128,
		ByFI: [policy.FaultKinds]uint64{
			policy.FaultDup: 256, policy.FaultDrop: 512, policy.FaultBurst: 1024, policy.FaultOutage: 2048, policy.FaultRate: 4096, policy.FaultHold: 8192,
			policy.FaultLength: 1 << 19, policy.FaultBitflip: 1 << 20, policy.FaultReorder: 1 << 21, policy.FaultDelay: 1 << 22,
			policy.FaultTrace: 1 << 24, policy.FaultECN: 1 << 25, policy.FaultCorrupt: 1 << 26,
		},
		TapQualified: 1 << 14, TapStored: 1 << 15, TapLost: 1 << 16, TapRefused: 1 << 17,
	}
	o := s
	o.TX = 1 << 18
	drawn := func(all ...PortStats) string {
		var b strings.Builder
		for _, a := range balances(all) {
			if a.Interface != 0 {
				continue
			}
			fmt.Fprintf(&b, "%s %d:", a.Name, a.N)
			for _, term := range a.Terms {
				sign := "+"
				if term.Minus {
					sign = "-"
				}
				fmt.Fprintf(&b, " %s %s %d", sign, term.Name, term.N)
			}
			fmt.Fprintf(&b, " = %d\n", a.Difference)
		}
		return b.String()
	}
	tap := "tap qualified 16384: + tapped 32768 + tap full 131072 + tap lost 65536 = -212992\n"
	want := "rx 1: + tx of 1 262144 - duplicated by FI 256 + drop 4 + noif 8 + err 16 + dropped by FI 128 + held 64 + mirrored 32 = -262139\n" +
		"dropped by FI 128: + drop 512 + burst 1024 + trace 16777216 + outage 2048 + rate limit 4096 + hold limit 8192 = -16792960\n" + tap
	if got := drawn(s, o); got != want {
		t.Errorf("a bridge:\n%s", got)
	}
	if got := drawn(s); got != "rx 1: + drop 4 + mirrored 32 = -35\n"+tap {
		t.Errorf("a mirror:\n%s", got)
	}
}
