// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"slices"
	"testing"
	"time"

	"ethertap/lib/filter"
	"ethertap/lib/predicate"
	"ethertap/tests/netlab"
)

// BenchmarkFilter measures what filters cost a frame that the kernel forwards: the difference between a
// chain with them and one without, which take turns of a tenth of a millisecond. The median of the differences counts: on a machine
// with other work the fastest turns were tens of nanoseconds apart by chance. The two are the same programs at
// different addresses, which matters as much as a filter, so they change their parts, and ns/frame is the mean over
// these. No filter matches, so no copy is in it.
func BenchmarkFilter(b *testing.B) {
	netlab.RequireRoot(b)
	p := [2]*path{load(b, Config{}), load(b, Config{})}
	bridge := [ports]PortRules{{Forward: true}, {Forward: true}}
	for _, c := range []struct {
		name  string
		frame []byte
		taps  []predicate.Expr // of the first taps, on received frames
		drop  predicate.Expr
	}{
		{"port", tcp4, []predicate.Expr{toPort(443)}, nil},
		{"tcp port 443 and host 10.0.0.1", tcp4, []predicate.Expr{parsed(b, "tcp port 443 and host 10.0.0.1")}, nil},
		{"four predicates", tcp4, []predicate.Expr{
			predicate.And{A: predicate.Is{Any: predicate.UDP}, B: toPort(53)}, toPort(443), parsed(b, "tcp port 22 and host 10.0.0.1")}, parsed(b, "udp port 1900")},
		{"port, frame with a tag", tagged(tcp4), []predicate.Expr{toPort(443)}, nil},
		{"port, frame of IPv6", tcp6, []predicate.Expr{toPort(443)}, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := Rules{Port: bridge, Copy: true, Kept: 2048}
			for i, e := range c.taps {
				r.Taps[i] = Tap{RX: [ports]bool{true}, RXFilter: [ports]*predicate.Code{compiled(b, e)}}
			}
			if c.drop != nil {
				r.DropFilter = compiled(b, c.drop)
			}
			const parts = 4
			sum := 0.0
			for part := range parts {
				with, without := p[part%2], p[1-part%2]
				apply(b, without, Rules{Port: bridge})
				apply(b, with, r)
				if _, err := with.Filters(0); err != nil {
					b.Fatal(err)
				}
				var more []float64
				for range max(b.N/perTurn/parts, 3) {
					before := nsPerFrame(b, without, c.frame)
					more = append(more, nsPerFrame(b, with, c.frame)-before)
				}
				slices.Sort(more)
				sum += more[len(more)/2]
			}
			b.ReportMetric(sum/parts, "ns/frame")
			b.ReportMetric(0, "ns/op")
		})
	}
}

const perTurn = 1000 // frames

// nsPerFrame returns what the program of port 0 takes for a frame. The kernel measures it in whole
// nanoseconds, and so it is measured here, with 2 ns for the call.
func nsPerFrame(b *testing.B, p *path, frame []byte) float64 {
	start := time.Now()
	action, _, err := p.Program(0).Benchmark(frame, perTurn, nil)
	took := time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	if action != forwarded {
		b.Fatalf("action %d", action)
	}
	return float64(took.Nanoseconds()) / perTurn
}

// toPort is the word `packet.dport N =`.
func toPort(n int) predicate.Expr {
	return predicate.Need{Any: predicate.Ports, Then: predicate.Compare{A: predicate.DestinationPort, B: predicate.Number(n)}}
}

func parsed(t testing.TB, expression string) predicate.Expr {
	t.Helper()
	e, err := filter.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// These are first packets of TCP connections to port 80.
var (
	tcp4 = []byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00" +
		"\x45\x00\x00\x3c\x00\x01\x40\x00\x40\x06\x00\x00\x0a\x00\x00\x02\x0a\x00\x00\x03" +
		"\x30\x39\x00\x50\x00\x00\x00\x01\x00\x00\x00\x00\xa0\x02\x20\x00\x00\x00\x00\x00\x02\x04\x05\xb4\x04\x02\x08\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x01\x03\x03\x07")
	tcp6 = append([]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x86\xdd"+
		"\x60\x00\x00\x00\x00\x28\x06\x40\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03"),
		tcp4[34:]...)
)

func tagged(frame []byte) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0, 0, 7}, frame[12:])
}
