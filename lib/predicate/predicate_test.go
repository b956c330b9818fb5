// SPDX-License-Identifier: BSD-3-Clause

package predicate_test

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"ethertap/lib/predicate"
	"ethertap/tests/frames"
)

// check compares the evaluator with the reference on a frame, and on snapshots of it: what is
// decided about a snapshot must hold for the whole.
func check(t *testing.T, e predicate.Expr, c *predicate.Code, s *predicate.Scratch, b []byte, outbound bool, snapshots ...int) predicate.Verdict {
	t.Helper()
	whole := predicate.Frame{Data: b, Wire: len(b), Outbound: outbound}
	want := predicate.NoMatch
	if holds(e, &whole) {
		want = predicate.Match
	}
	if got := c.Match(s, &whole); got != want {
		t.Fatalf("%s\n%x\nis %d, not %d", predicate.Text(e), b, got, want)
	}
	for _, n := range snapshots {
		part := whole
		part.Data = b[:n:n]
		if got := c.Match(s, &part); got != want && got != predicate.Undecided {
			t.Fatalf("%s\n%x\nin %d bytes of it is %d, not %d", predicate.Text(e), b, n, got, want)
		}
	}
	return want
}

func TestLikeReference(t *testing.T) {
	r := frames.New(1)
	var s predicate.Scratch
	verdicts := [2]int{}
	large := 0
	for range 3000 {
		e := frames.Tree(r, 1+r.IntN(5))
		c, err := predicate.Compile(e)
		if err != nil {
			large++
			continue
		}
		for range 20 {
			b := r.Damaged(r.Frame())
			verdicts[check(t, e, c, &s, b, r.IntN(2) == 0, r.IntN(len(b)+1), r.IntN(len(b)+1))]++
		}
	}
	if large > 30 || verdicts[predicate.Match] < 5000 || verdicts[predicate.NoMatch] < 5000 {
		t.Errorf("%d trees too large; %v", large, verdicts)
	}
}

// These are the verdicts about a snapshot of any length, and the length from which on they are
// known.
func TestSnapshots(t *testing.T) {
	const tcp = "020000000001 020000000002 8100 0005 0800 4500 0028 0001 0000 4006 0000 0a000001 0a000002 0050 01bb 00000001 00000002 5010 1000 0000 0000"
	b := unhex(t, tcp)
	var s predicate.Scratch
	for _, c := range []struct {
		e     predicate.Expr
		known int // from this number of bytes on
		want  predicate.Verdict
	}{
		{predicate.Number(1), 0, predicate.Match},
		{predicate.Compare{Op: predicate.Greater, A: predicate.Length{}, B: predicate.Number(50)}, 0, predicate.Match},
		{predicate.Load{At: predicate.Number(100), Size: 1}, 0, predicate.NoMatch},
		{predicate.Is{Any: predicate.Tag}, 18, predicate.Match},
		{predicate.Is{Any: predicate.IP6}, 18, predicate.NoMatch},
		{predicate.Is{Any: predicate.IP4}, 38, predicate.Match},
		{predicate.Is{Any: predicate.UDP}, 38, predicate.NoMatch},
		{predicate.Is{Any: predicate.TCP}, 58, predicate.Match},
		{predicate.Not{A: predicate.Is{Any: predicate.TCP}}, 58, predicate.NoMatch},
		{predicate.Compare{A: predicate.EtherType, B: predicate.Number(0x800)}, 18, predicate.Match},
		{predicate.Compare{A: predicate.VLAN, B: predicate.Number(5)}, 18, predicate.Match},
		{predicate.Compare{A: predicate.IPProtocol, B: predicate.Number(6)}, 38, predicate.Match},
		{predicate.Compare{A: predicate.DestinationPort, B: predicate.Number(443)}, 58, predicate.Match},
		{predicate.Compare{A: predicate.ARPOperation, B: predicate.Number(1)}, 18, predicate.NoMatch},
		{predicate.Compare{A: predicate.Load{At: predicate.BehindIP4(18, 2), Size: 2}, B: predicate.Number(443)}, 42, predicate.Match},
	} {
		code := compile(t, c.e)
		for n := range len(b) + 1 {
			want := predicate.Undecided
			if n >= c.known {
				want = c.want
			}
			if got := code.Match(&s, &predicate.Frame{Data: b[:n:n], Wire: len(b)}); got != want {
				t.Errorf("%s in %d bytes: %d, not %d", predicate.Text(c.e), n, got, want)
			}
		}
	}
}

// A failure ends the whole tree, and a skipped part does not fail.
func TestFailures(t *testing.T) {
	b := unhex(t, "020000000001 020000000002 0800 4500 001c 0001 0000 4011 0000 0a000001 0a000002 0050 0035 0008 0000")
	beyond := predicate.Load{At: predicate.Number(200), Size: 1}
	yes := predicate.Is{Any: predicate.UDP}
	no := predicate.Is{Any: predicate.TCP}
	var s predicate.Scratch
	for _, c := range []struct {
		e     predicate.Expr
		want  bool
		fails bool
	}{
		{predicate.Not{A: beyond}, false, true},
		{predicate.Or{A: beyond, B: yes}, false, true},
		{predicate.Or{A: yes, B: beyond}, true, true},
		{predicate.And{A: no, B: beyond}, false, true},
		{predicate.Not{A: predicate.And{A: no, B: beyond}}, true, true},
		{predicate.Not{A: predicate.Calculate{Op: predicate.BitAnd, A: no, B: predicate.Compare{A: beyond, B: predicate.Number(0)}}}, false, true},
		{predicate.Calculate{Op: predicate.BitOr, A: yes, B: predicate.Compare{A: beyond, B: predicate.Number(0)}}, false, true},
		{predicate.Calculate{Op: predicate.BitOr, A: no, B: yes}, true, false},
		{predicate.Not{A: predicate.Need{Any: predicate.TCP, Then: predicate.Number(0)}}, false, true},
		{predicate.Need{Any: predicate.TCP | predicate.UDP, Then: predicate.Number(5)}, true, true},
		{predicate.Not{A: predicate.Calculate{Op: predicate.Divide, A: predicate.Number(1), B: predicate.Number(0)}}, false, true},
		{predicate.Calculate{Op: predicate.Divide, A: predicate.Length{}, B: predicate.Number(2)}, true, false},
		{predicate.Compare{Op: predicate.Less, A: predicate.Calculate{Op: predicate.Modulo, A: predicate.Number(7), B: predicate.Number(-2)}, B: predicate.Number(0)}, true, false},
		{predicate.Not{A: predicate.Compare{A: predicate.TCPFlags, B: predicate.Number(0)}}, false, true},
		{predicate.If{Cond: yes, Then: predicate.Number(1), Else: beyond}, true, true},
	} {
		if got := compile(t, c.e).Match(&s, &predicate.Frame{Data: b, Wire: len(b)}) == predicate.Match; got != c.want {
			t.Errorf("%s: %v", predicate.Text(c.e), got)
		}
		if got := predicate.Fails(c.e); got != c.fails {
			t.Errorf("%s fails: %v", predicate.Text(c.e), got)
		}
	}
}

func TestText(t *testing.T) {
	for want, e := range map[string]predicate.Expr{
		"sport = 53": predicate.Compare{A: predicate.SourcePort, B: predicate.Number(53)},
		"([12:2] = 2048) and (([53] &32 2) != 0)": predicate.And{
			A: predicate.Compare{A: predicate.Load{At: predicate.Number(12), Size: 2}, B: predicate.Number(0x800)},
			B: predicate.Compare{Op: predicate.NotEqual, A: predicate.Calculate{Op: predicate.BitAnd, A: predicate.Load{At: predicate.Number(53), Size: 1}, B: predicate.Number(2), Narrow: true}, B: predicate.Number(0)}},
		"if is udp then need tcp|udp|sctp: dport = 53 else not inbound": predicate.If{
			Cond: predicate.Is{Any: predicate.UDP},
			Then: predicate.Need{Any: predicate.Ports, Then: predicate.Compare{A: predicate.DestinationPort, B: predicate.Number(53)}},
			Else: predicate.Not{A: predicate.Inbound{}}},
		"(ip.src = 10.0.0.1) or (ip.dst in fe80::-fe80::ff)": predicate.Or{
			A: predicate.Address{Of: predicate.IPSource, Low: netip.MustParseAddr("10.0.0.1"), High: netip.MustParseAddr("10.0.0.1")},
			B: predicate.Address{Of: predicate.IPDestination, Low: netip.MustParseAddr("fe80::"), High: netip.MustParseAddr("fe80::ff")}},
		"len below -1": predicate.Compare{Op: predicate.Below, A: predicate.Length{}, B: predicate.Number(-1)},
	} {
		if got := predicate.Text(e); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// These trees have no meaning, or are too large.
func TestRefused(t *testing.T) {
	deep := predicate.Expr(predicate.Length{})
	for range predicate.Registers {
		deep = predicate.Calculate{A: predicate.Length{}, B: deep}
	}
	large := predicate.Expr(predicate.Is{Any: predicate.TCP})
	for range 17 {
		large = predicate.Or{A: large, B: large}
	}
	a4, a6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")
	for _, c := range []struct {
		e    predicate.Expr
		want string
	}{
		{deep, "more than 16 numbers under way"},
		{large, "more than 65536 steps"},
		{predicate.Load{At: predicate.Number(0), Size: 3}, "a load of 3 bytes"},
		{predicate.IPSource, "an IP address is no number"},
		{predicate.Address{Of: predicate.IPSource, Low: a4, High: a6}, "no range of IP addresses"},
		{predicate.Address{Of: predicate.VLAN, Low: a4, High: a4}, "no range of IP addresses"},
		{nil, "no part of a filter"},
	} {
		if _, err := predicate.Compile(c.e); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, not %s", err, c.want)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	r := frames.New(3)
	b := unhex(t, "020000000001 020000000002 86dd 6000 0000 0014 0640 20010db8000000000000000000000001 20010db8000000000000000000000002 0050 01bb 00000001 00000002 5010 1000 0000 0000")
	var s predicate.Scratch
	f := predicate.Frame{Data: b, Wire: len(b)}
	for range 100 {
		c, err := predicate.Compile(frames.Tree(r, 4))
		if err != nil {
			continue
		}
		if n := testing.AllocsPerRun(10, func() { c.Match(&s, &f) }); n != 0 {
			t.Fatalf("%v allocations", n)
		}
	}
}

// Bytes make a tree and a frame; the evaluator agrees with the reference.
func FuzzMatch(f *testing.F) {
	r := frames.New(4)
	for range 50 {
		tree := make([]byte, 40)
		for i := range tree {
			tree[i] = byte(r.IntN(256))
		}
		f.Add(tree, r.Frame(), uint(r.IntN(60)))
	}
	f.Fuzz(func(t *testing.T, tree, frame []byte, snapshot uint) {
		e := frames.Tree(&frames.Bytes{Of: tree}, 6)
		predicate.Text(e)
		c, err := predicate.Compile(e)
		if err != nil {
			return
		}
		var s predicate.Scratch
		check(t, e, c, &s, frame, snapshot%2 == 0, int(snapshot%uint(len(frame)+1)))
	})
}

// The dissector stays within the frame, and a snapshot shows nothing that the whole frame does
// not.
func FuzzDissect(f *testing.F) {
	r := frames.New(5)
	for range 50 {
		f.Add(r.Frame(), uint(r.IntN(60)))
	}
	f.Fuzz(func(t *testing.T, b []byte, snapshot uint) {
		var whole, part predicate.Headers
		whole.Dissect(b, len(b), predicate.ToTransport)
		n := int(snapshot % uint(len(b)+1))
		part.Dissect(b[:n:n], len(b), predicate.ToTransport)
		switch {
		case whole.Open != 0, whole.Network > len(b), whole.Transport > len(b), whole.End > len(b):
			t.Errorf("%+v of %d bytes", whole, len(b))
		case whole.Layers&predicate.IP != 0 && whole.Transport > whole.End:
			t.Errorf("%+v: what IP carries begins behind its end", whole)
		case part.Layers&^whole.Layers != 0, whole.Layers&^part.Layers&^part.Open != 0:
			t.Errorf("%d bytes have %v, open %v; the whole has %v", n, part.Layers, part.Open, whole.Layers)
		case part.Damage != 0 && part.Damage != whole.Damage:
			t.Errorf("%d bytes: %v; the whole: %v", n, part.Damage, whole.Damage)
		}
	})
}

func compile(t testing.TB, e predicate.Expr) *predicate.Code {
	t.Helper()
	c, err := predicate.Compile(e)
	if err != nil {
		t.Fatalf("%s: %v", predicate.Text(e), err)
	}
	return c
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFixed(t *testing.T) {
	sum := predicate.Calculate{Op: predicate.Add, A: predicate.Number(0xffffffff), B: predicate.Number(3), Narrow: true}
	for _, c := range []struct {
		e  predicate.Expr
		n  int64
		ok bool
	}{
		{predicate.Number(-1), -1, true}, {sum, 2, true}, {predicate.Calculate{Op: predicate.Multiply, A: sum, B: sum}, 4, true},
		{predicate.Length{}, 0, false}, {predicate.Calculate{Op: predicate.Multiply, A: predicate.Length{}, B: predicate.Number(0)}, 0, false},
		{predicate.Calculate{Op: predicate.Divide, A: sum, B: predicate.Number(0)}, 0, false}, {predicate.Load{At: sum, Size: 1}, 0, false},
	} {
		if n, ok := predicate.Fixed(c.e); n != c.n || ok != c.ok {
			t.Errorf("%s: %d, %v", predicate.Text(c.e), n, ok)
		}
	}
}
