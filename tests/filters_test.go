// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ethertap/interp"
	tree "ethertap/lib/predicate"
	"ethertap/tests/frames"
	"ethertap/tests/netlab"
	"ethertap/words/core"
	"ethertap/words/predicate"
)

// The taps get the same frames with the fast path on and off, and with filters that are too complex for the kernel, and these are the ones that the
// filters take in this process.
func TestFiltersChooseTheSame(t *testing.T) {
	t.Parallel()
	netlab.RequireRoot(t)
	const words = `: web? ( packet - flag ) dup packet.dport 80 = swap packet.sport 80 = or ;
: tagged? ( packet - flag ) packet.vlan 5 = ;
: mine? ( packet - flag ) dup tagged? if drop true exit then dup packet.ip4? if packet.ip.src 10.0.0.0-10.0.0.1 member else packet.icmp? then ;`
	const rx, tx, drop = "mine?", "arp or icmp or ip6 and not tcp port 443", "web?"

	dict, _ := dictionary(t)
	s := interp.NewSession(dict, strings.NewReader(""), new(strings.Builder), new(strings.Builder))
	if err := core.Prelude(s); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(words, "\n") {
		if err := s.Interpret(line); err != nil {
			t.Fatal(err)
		}
	}
	takes := func(filter string, frame []byte, outbound bool) bool {
		f, err := predicate.Compile(dict, interp.NewString(filter))
		if err != nil {
			t.Fatal(err)
		}
		return f.Code.Match(new(tree.Scratch), &tree.Frame{Data: frame, Wire: len(frame), Outbound: outbound}) == tree.Match
	}
	random := frames.New(15)
	var sent [][]byte
	var want []string
	received, left, dropped := 0, 0, 0
	for range 700 {
		b := random.Frame()
		sent = append(sent, b)
		if takes(rx, b, false) {
			want = append(want, hex.EncodeToString(b))
			received++
		}
		switch {
		case takes(drop, b, false):
			dropped++
		case takes(tx, b, true):
			want = append(want, hex.EncodeToString(b))
			left++
		}
	}
	slices.Sort(want)
	if received < 50 || left < 50 || dropped < 10 {
		t.Fatalf("the filters take %d, %d and %d frames, which tests little", received, left, dropped)
	}

	r := newRigOn(t, netlab.NewBridgeWith(t, netlab.Options{GRO: true}))
	r.daemon("--fastpath")
	for line := range strings.SplitSeq(words, "\n") {
		r.rpcl(line)
	}
	r.rpcl(`"` + rx + `" 0 tap.rx.filter 0 tap.rx.enable "` + tx + `" 1 tap.tx.filter 1 tap.tx.enable "` + drop + `" drop.filter`)
	large := tx
	for i := range 400 { // ports that no frame has
		large += " or port " + strconv.Itoa(40000+i)
	}
	for _, phase := range []struct {
		where, change, shows string
		times                int // it is shown: two taps, and the drop filter of each port
	}{
		{"in the kernel", "", "fast path", 4},
		{"in threads", "fastpath.disable", "disabled", 4},
		{"in threads", `fastpath.enable "` + large + `" 1 tap.tx.filter`, "too complex together", 3},
	} {
		where := phase.where
		r.rpcl(phase.change)
		if out := r.rpcl("tap.filter.show drop.filter.show"); strings.Count(out, where) != phase.times {
			t.Fatalf("%s: %s", where, out)
		}
		if out := r.rpcl("fastpath.status"); !strings.Contains(out, phase.shows) {
			t.Errorf("%s: fastpath.status does not say %q: %s", where, phase.shows, out)
		}
		r.rpcl("if.stats.reset tap.queue.reset")
		r.sendAll(sent...)
		netlab.Await(t, "all frames", func() bool {
			return r.stat(0, "rx") == strconv.Itoa(len(sent)) && r.stat(0, "tapped") == strconv.Itoa(received) && r.stat(1, "tapped") == strconv.Itoa(left)
		})
		got := strings.Fields(r.rpcl(": all begin tap.queue.get dup data.len while data->hex . repeat drop ; all if.check"))
		got = got[:slices.Index(got, "0")] // what if.check prints
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d frames, not %d", where, len(got), len(want))
		}
		if n := r.stat(0, "drop"); n != strconv.Itoa(dropped) {
			t.Errorf("%s: %s are dropped, not %d", where, n, dropped)
		}
	}
}
