// SPDX-License-Identifier: BSD-3-Clause

package predicate

import (
	"encoding/hex"
	"testing"

	"ethertap/lib/predicate"
)

// These measure the cost of a word per frame, as a filter and in the VM.
func BenchmarkWord(b *testing.B) {
	s := session(b)
	var all [][]byte
	for _, digits := range ordinary {
		frame, err := hex.DecodeString(digits)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, frame)
	}
	for _, c := range []struct{ name, source string }{
		{"dns", `: f dup packet.udp? if packet.dport 53 = else drop 0 then ;`},
		{"host and port", `: f dup packet.tcp? if dup packet.dport 443 = swap packet.ip.src 10.0.0.1 = and else drop 0 then ;`},
		{"vlan", `: f packet.vlan 7 = ;`},
	} {
		run(b, s, c.source)
		f, err := compile(b, s)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name+"/filter", func(b *testing.B) {
			var scratch predicate.Scratch
			for i := 0; b.Loop(); i++ {
				data := all[i%len(all)]
				f.Code.Match(&scratch, &predicate.Frame{Data: data, Wire: len(data)})
			}
		})
		b.Run(c.name+"/vm", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				inVM(s, "f", all[i%len(all)])
			}
		})
		b.Run(c.name+"/compile", func(b *testing.B) {
			for b.Loop() {
				if _, err := compile(b, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// ordinary are frames of usual traffic: TCP and DNS over IPv4, TCP over IPv6, ARP.
var ordinary = []string{
	"02bb0000000202bb000000010800450000280001000040066ccd0a0101010a0101021f90005000000001000000025010000000000000",
	"02bb0000000202bb000000010800450000200001000040116ecc0a0101010a01010230390035000c00006869000a",
	"02bb0000000202bb0000000186dd600000000014064020010db800000000000000000000000120010db8000000000000000000000002d43101bb00000001000000025010000000000000",
	"ffffffffffff02bb000000010806000108000604000102bb000000010a0101010000000000000a010102",
}
