// SPDX-License-Identifier: BSD-3-Clause

package fastpath

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"ethertap/lib/predicate"
	"ethertap/tests/netlab"
)

func compiled(t testing.TB, e predicate.Expr) *predicate.Code {
	t.Helper()
	code, err := predicate.Compile(e)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func isFrom(m MAC) predicate.Expr {
	return predicate.Compare{A: predicate.MACSource, B: predicate.Number(macKey(m) &^ (1 << MACAt))}
}

// What no program decides goes to the thread; with bypass, when there is none, it is
// forwarded, and missed by each tap that may have wanted it.
func TestUndecidedIsDiverted(t *testing.T) {
	five := make([]netlab.Tag, 5)
	for i := range five {
		five[i].Type = netlab.TypeVLAN
	}
	frame := netlab.Frame{Src: macA, Dst: macB, Tags: five, Size: 100}.Bytes()
	for name, is := range map[string]struct {
		bypass bool
		want   Counts
	}{"diverted": {}, "bypassed": {true, Counts{Forwarded: 1, Bypassed: 1, MissedRX: [MaxTaps]uint64{1}}}} {
		t.Run(name, func(t *testing.T) {
			p := load(t, Config{})
			r := Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}, Copy: true, Kept: 2048}
			r.Taps[0] = Tap{RX: [2]bool{true}, RXFilter: [2]*predicate.Code{compiled(t, predicate.Is{Any: predicate.UDP})}}
			r.Taps[1] = Tap{RX: [2]bool{true}, Choosy: true, MACs: []MAC{macC}}
			r.DropFilter = compiled(t, predicate.Is{Any: predicate.ARP})
			want := uint32(diverted)
			if is.bypass {
				r.Bypass, want = 1, forwarded
			}
			apply(t, p, r)
			if action := run(t, p, 0, frame); action != want {
				t.Errorf("action %d, want %d", action, want)
			}
			if got := counts(t, p, 0); got != is.want {
				t.Errorf("counts %+v, want %+v", got, is.want)
			}
		})
	}
}

// Many changes of filters and of other rules, each in one step: the frame is dropped under
// one, forwarded under the next; programs that no policy has are gone from the map.
func TestFiltersChangeWithThePolicy(t *testing.T) {
	p := load(t, Config{Frags: true})
	frame := netlab.Frame{Src: macA, Dst: macB, Size: 64}.Bytes()
	yes, no := compiled(t, isFrom(macA)), compiled(t, isFrom(macC))
	for i := range 30 {
		r := Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}}
		want, programs := uint32(forwarded), 2
		switch i % 5 {
		case 0:
			r.DropFilter, want = yes, dropped
		case 1:
			r.DropFilter = no
		case 2:
			r.DropFilter, r.Drop, want = no, []MAC{macA}, dropped // the same filter, other addresses
		case 3:
			programs = 0
		case 4:
			r.DropFilter, r.Port[0].Longest, want = yes, 63, diverted
		}
		apply(t, p, r)
		for range 2 {
			if action := run(t, p, i%2, frame); action != want && !(want == diverted && i%2 == 1) {
				t.Fatalf("change %d: action %d, want %d", i, action, want)
			}
		}
		var key, id uint32
		have := 0
		for all := p.Path.maps[objectMapFilters].Iterate(); all.Next(&key, &id); {
			have++
		}
		if have != programs {
			t.Errorf("change %d: %d programs, want %d", i, have, programs)
		}
	}
}

// Filters that are too much for the kernel leave the port to the thread, and say so.
func TestFiltersThatTheKernelDoesNotTake(t *testing.T) {
	large := predicate.Expr(predicate.Number(0))
	for i := range 1000 {
		large = predicate.Or{A: large, B: predicate.Compare{A: predicate.Load{At: predicate.Number(i), Size: 2}, B: predicate.Number(i)}}
	}
	frame := netlab.Frame{Src: macA, Dst: macB, Size: 64}.Bytes()
	r := Rules{Port: [2]PortRules{{Forward: true}, {Forward: true}}}
	check := func(t *testing.T, p *path, want uint32, reason string) {
		t.Helper()
		apply(t, p, r)
		_, err := p.Filters(0)
		if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) {
			t.Errorf("failure: %v, want %s", err, reason)
		}
		if action := run(t, p, 0, frame); action != want {
			t.Errorf("action %d, want %d", action, want)
		}
	}
	p := load(t, Config{})
	r.DropFilter = compiled(t, large)
	check(t, p, diverted, "too complex together")
	check(t, p, diverted, "too complex together") // not looked at once more
	r.DropFilter = compiled(t, isFrom(macA))
	check(t, p, dropped, "")

}

// In a kernel that takes no tail calls from a subprogram, or no filter programs, everything works but filters: frames
// about which they are asked go to the thread, and the reason is told.
func TestKernelsThatTakeNoFilters(t *testing.T) {
	netlab.RequireRoot(t)
	for name, is := range map[string]struct {
		spoil  func(*Path) // so that the kernel refuses
		calls  int         // tail calls that are left
		reason string
	}{
		"no tail calls":      {func(p *Path) { p.spec.Maps[objectMapFilters].Type = ebpf.Array }, 0, "this kernel has no filters: "},
		"no filter programs": {func(p *Path) { p.filter.Flags |= 1 << 30 }, 2 * int(objectFilterSizeFILTER_TURNS), "load filters: "},
	} {
		t.Run(name, func(t *testing.T) {
			stats, err := NewStats()
			if err != nil {
				t.Fatal(err)
			}
			defer stats.Close()
			p, err := specify(false, 2, &Stamps{})
			if err != nil {
				t.Fatal(err)
			}
			is.spoil(p)
			if err := p.loadAny(&Config{Stats: stats}); err != nil {
				t.Fatal(err)
			}
			defer p.Release()
			for _, program := range portPrograms {
				if n := tailCalls(p, program); n != is.calls {
					t.Errorf("%s has %d tail calls", program, n)
				}
			}
			for _, rules := range []struct {
				drop   *predicate.Code
				action uint32
				reason string
			}{
				{nil, dropped, ""}, // there is no output
				{compiled(t, predicate.Is{Any: predicate.ARP}), diverted, is.reason},
				{nil, dropped, ""},
			} {
				if err := p.Apply(&Rules{Port: [2]PortRules{{Forward: true}, {Divert: true}}, DropFilter: rules.drop}); err != nil {
					t.Fatal(err)
				}
				if action := run(t, &path{p, stats}, 0, netlab.UDP(64, 1)); action != rules.action {
					t.Errorf("action %d, not %d", action, rules.action)
				}
				if _, err := p.Filters(0); (err == nil) != (rules.reason == "") || err != nil && !strings.HasPrefix(err.Error(), rules.reason) {
					t.Errorf("the reason is %v, not %q", err, rules.reason)
				}
			}
		})
	}
}

func tailCalls(p *Path, program string) (n int) {
	for _, in := range p.spec.Programs[program].Instructions {
		if in.IsBuiltinCall() && in.Constant == 12 {
			n++
		}
	}
	return n
}
