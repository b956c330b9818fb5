// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"

	"ethertap/dataplane/policy"
)

// Balance is an account of the frames of one interface: N is the sum of Terms, or else Difference
// says what is missing.
type Balance struct {
	Interface  int    `json:"interface"`
	Name       string `json:"name"` // what N counts: "rx", "dropped by FI" or "tap qualified"
	N          uint64 `json:"n"`
	Terms      []Term `json:"terms"`
	Difference int64  `json:"difference"` // N less the sum: 0 unless frames were lost or invented
}

// Term is a number of frames in one place.
type Term struct {
	Name  string `json:"name"`
	N     uint64 `json:"n"`
	Minus bool   `json:"minus,omitempty"` // it is subtracted
}

// balances returns the accounts of all interfaces. They close at every moment between two batches of
// each thread. In a bridge, where o is the interface other than i:
//
//	RX(i) = TX(o) − ByFI(i)[dup] + Drop(i) + NoIf(i) + Err(i) + DroppedByFI(i) + Held(i)
//	DroppedByFI(i) = the sum of ByFI(i) of all faults that drop frames
//
// Where nothing can be sent by o, since it is a file that is read, Mirrored(i) is added. For a mirrored interface RX = Drop + Mirrored. For both kinds
//
//	TapQualified = TapStored + TapRefused + TapLost
func balances(all []PortStats) []Balance {
	var list []Balance
	for i, s := range all {
		rx := Balance{Interface: i, Name: "rx", N: s.RX}
		if len(all) == 1 {
			rx.Terms = []Term{{Name: "drop", N: s.Drop}, {Name: "mirrored", N: s.Mirrored}}
		} else {
			o := 1 - i
			rx.Terms = []Term{
				{Name: fmt.Sprintf("tx of %d", o), N: all[o].TX},
				{Name: "duplicated by FI", N: s.ByFI[policy.FaultDup], Minus: true},
				{Name: "drop", N: s.Drop},
				{Name: "noif", N: s.NoIf},
				{Name: "err", N: s.Err},
				{Name: "dropped by FI", N: s.DroppedByFI},
				{Name: "held", N: s.Held},
			}
			if s.Mirrored > 0 {
				rx.Terms = append(rx.Terms, Term{Name: "mirrored", N: s.Mirrored})
			}
		}
		tap := Balance{Interface: i, Name: "tap qualified", N: s.TapQualified, Terms: []Term{
			{Name: "tapped", N: s.TapStored},
			{Name: "tap full", N: s.TapRefused},
		}}
		if s.TapLost > 0 {
			tap.Terms = append(tap.Terms, Term{Name: "tap lost", N: s.TapLost})
		}
		list = append(list, rx.closed())
		if len(all) == 2 {
			list = append(list, lostByFI(i, &s))
		}
		list = append(list, tap.closed())
	}
	return list
}

// lostByFI returns the account of the faults that drop frames.
func lostByFI(number int, s *PortStats) Balance {
	b := Balance{Interface: number, Name: "dropped by FI", N: s.DroppedByFI}
	for _, f := range faultCounters {
		if f.loses {
			b.Terms = append(b.Terms, Term{Name: policy.Faults[f.fault].Name, N: s.ByFI[f.fault]})
		}
	}
	return b.closed()
}

// closed returns the balance with its difference.
func (b Balance) closed() Balance {
	b.Difference = int64(b.N)
	for _, t := range b.Terms {
		if t.Minus {
			b.Difference += int64(t.N)
		} else {
			b.Difference -= int64(t.N)
		}
	}
	return b
}
