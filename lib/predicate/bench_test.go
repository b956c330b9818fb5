// SPDX-License-Identifier: BSD-3-Clause

package predicate_test

import (
	"net/netip"
	"testing"

	"ethertap/lib/predicate"
	"ethertap/tests/frames"
)

func BenchmarkMatch(b *testing.B) {
	equal := func(a, c predicate.Expr) predicate.Expr { return predicate.Compare{A: a, B: c} }
	at := func(n, size int) predicate.Expr { return predicate.Load{At: predicate.Number(n), Size: size} }
	and := func(a predicate.Expr, more ...predicate.Expr) predicate.Expr {
		for _, e := range more {
			a = predicate.And{A: a, B: e}
		}
		return a
	}
	port := func(n int) predicate.Expr {
		return equal(predicate.Load{At: predicate.BehindIP4(14, n), Size: 2}, predicate.Number(443))
	}
	first := equal(predicate.Calculate{Op: predicate.BitAnd, A: at(20, 2), B: predicate.Number(0x1fff)}, predicate.Number(0))
	host := netip.MustParseAddr("10.0.0.1")
	for _, bench := range []struct {
		name string
		e    predicate.Expr
	}{
		{"nothing", predicate.Number(0)},
		{"udp port 53 of fields", predicate.And{A: predicate.Is{Any: predicate.UDP}, B: predicate.Need{Any: predicate.Ports, Then: equal(predicate.DestinationPort, predicate.Number(53))}}},
		{"host of fields", predicate.Need{Any: predicate.IP, Then: predicate.Address{Of: predicate.IPSource, Low: host, High: host}}},
		{"tcp port 443 of loads", predicate.Or{
			A: and(equal(at(12, 2), predicate.Number(0x86dd)), equal(at(20, 1), predicate.Number(6)), predicate.Or{A: equal(at(54, 2), predicate.Number(443)), B: equal(at(56, 2), predicate.Number(443))}),
			B: and(equal(at(12, 2), predicate.Number(0x800)), equal(at(23, 1), predicate.Number(6)), first, predicate.Or{A: port(0), B: port(2)}),
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := frames.New(6)
			all := make([]predicate.Frame, 512)
			for i := range all {
				all[i].Data = r.Frame()
				all[i].Wire = len(all[i].Data)
			}
			c := compile(b, bench.e)
			var s predicate.Scratch
			for i := 0; b.Loop(); i++ {
				c.Match(&s, &all[i%len(all)])
			}
		})
	}
}
