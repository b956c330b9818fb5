// SPDX-License-Identifier: BSD-3-Clause

package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ethertap/lib/predicate"
)

// Two policies are equal as long as nothing differs, and a copy that is changed leaves the
// original as it was.
func TestPoliciesAreValues(t *testing.T) {
	first := New()
	first.Taps = append(first.Taps, Tap{Name: "other"})
	for what, change := range map[string]func(*Policy){
		"a tap":           func(p *Policy) { p.First().RX[1] = true },
		"a further tap":   func(p *Policy) { t, _ := p.Tap("other"); t.MACs = t.MACs.With(mac(1)) },
		"one tap more":    func(p *Policy) { p.Taps = append(p.Taps, Tap{Name: "third"}) },
		"the drop list":   func(p *Policy) { p.Drop = p.Drop.With(mac(1)) },
		"who suffers":     func(p *Policy) { p.Fault = p.Fault.With(mac(1)) },
		"a fault":         func(p *Policy) { p.Ports[1].Fault.Delay = time.Second },
		"the seed":        func(p *Policy) { p.Seed.Seed++ },
		"begun once more": func(p *Policy) { p.Seed.Epoch++ },
		"a tap's filter":  func(p *Policy) { p.First().RXFilter[1] = udp },
		"another filter":  func(p *Policy) { t, _ := p.Tap("other"); t.TXFilter[0] = udp },
		"what is dropped": func(p *Policy) { p.DropFilter = udp },
		"what suffers":    func(p *Policy) { p.FaultFilter = udp },
	} {
		before, changed := first.Clone(), first.Clone()
		if !before.Equal(&changed) {
			t.Fatalf("%s: copies differ", what)
		}
		change(&changed)
		if before.Equal(&changed) {
			t.Errorf("%s has changed, and nothing differs", what)
		}
		if !before.Equal(&first) {
			t.Errorf("%s: the original has changed", what)
		}
		if err := changed.Check(bridge); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// udp is a filter.
var udp = Filter{"udp?", predicate.Is{Any: predicate.UDP}}

// Filters says of the frames received on which interface a filter is asked, of two.
func TestFiltersAreAskedAboutFramesReceived(t *testing.T) {
	for want, change := range map[[2]bool]func(*Policy){
		{}:            func(p *Policy) { p.Taps[0].RXFilter[0], p.Taps[0].TXFilter[1], p.FaultFilter = udp, udp, udp }, // of what is off
		{true, false}: func(p *Policy) { p.Taps[0].RX[0], p.Taps[0].RXFilter[0] = true, udp },
		{false, true}: func(p *Policy) { p.Taps[0].TX[0], p.Taps[0].TXFilter[0] = true, udp },
		{true, true}:  func(p *Policy) { p.DropFilter = udp },
	} {
		p := New()
		change(&p)
		if got := [2]bool{p.Filters(0, 2), p.Filters(1, 2)}; got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	p := New()
	p.Ports[1].Fault.Enabled, p.FaultFilter = true, udp
	if p.Filters(0, 2) || !p.Filters(1, 2) {
		t.Error("a fault filter is not asked where faults are enabled")
	}
}

func TestPolicyIsJSON(t *testing.T) {
	p := New()
	p.First().RX[0] = true
	p.First().RXFilter[0] = udp
	p.Drop = p.Drop.With(mac(1), mac(2))
	p.Ports[1].Fault.Rate.Kbits = 1000
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"taps":[{"name":"","rx":[true,false],"tx":[false,false],"macs":[],"rx_filter":[{"source":"udp?","tree":"is udp"},{"source":"","tree":""}]`, `"drop":["02:00:00:00:00:01","02:00:00:00:00:02"]`, `"fault":[]`, `"kbit_per_s":1000`, `"seed":{"seed":0}`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for want, change := range map[string]func(*Policy){
		"length probability 100001 of interface 1": func(p *Policy) { p.Ports[1].Fault.Length.Probability = Certain + 1 },
		"burst probabilities":                      func(p *Policy) { p.Ports[0].Fault.Burst.Leave = Certain + 1 },
		"delay":                                    func(p *Policy) { p.Ports[0].Fault.Jitter = -1 },
		"the first tap":                            func(p *Policy) { p.Taps = nil },
		"queue x is fed twice":                     func(p *Policy) { p.Taps = append(p.Taps, Tap{Name: "x"}, Tap{Name: "x"}) },
		"8 further queues are fed already":         func(p *Policy) { p.Taps = make([]Tap, MaxTaps+1) },
	} {
		p := New()
		change(&p)
		if err := p.Check(bridge); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Each fault that has a chance has one of its own.
func TestChances(t *testing.T) {
	var f Fault
	var named []string
	for i, k := range Faults {
		if k.Chance == nil {
			if k.Name == "" || k.Help != "" {
				t.Errorf("%+v", k)
			}
			continue
		}
		k.Chance(&f).Every = uint32(i + 1)
		named = append(named, k.Name+": "+k.Help)
	}
	if f.Drop.Every != FaultDrop+1 || f.Length.Every != FaultLength+1 || f.Bitflip.Every != FaultBitflip+1 || f.Dup.Every != FaultDup+1 || f.Reorder.Every != FaultReorder+1 || f.ECN.Every != FaultECN+1 || f.Corrupt.Every != FaultCorrupt+1 {
		t.Errorf("%+v", f)
	}
	if want := []string{
		"drop: that a frame is dropped",
		"length: that a frame is cut short or made longer",
		"bitflip: that one bit of a frame is inverted, from byte 15 on",
		"dup: that a frame is sent twice",
		"reorder: that a frame is spared the delay and overtakes others",
		"ecn: that a frame whose sender knows ECN is marked as having met congestion (CE)",
		"corrupt: that in a frame with TCP, UDP or an ICMP echo one bit of the payload is inverted and the checksum corrected",
	}; !slices.Equal(named, want) {
		t.Errorf("%q", named)
	}
}

// bridge are the ends of two network interfaces.
var bridge = []End{{Receives: true, Sends: true}, {Receives: true, Sends: true}}

// Nothing can be wished of frames that never come: of those that a file receives which is written, or which a file would send
// that is read.
func TestCheckOfFiles(t *testing.T) {
	link, read, written := End{true, true}, End{Receives: true}, End{Sends: true}
	fault := func(i int) func(*Policy) { return func(p *Policy) { p.Ports[i].Fault.Enabled = true } }
	tree := Filter{Source: "?", Tree: predicate.Compare{A: predicate.DestinationPort, B: predicate.Number(443)}}
	const (
		noFault = "interface 1 is a file that is written: nothing is received there that a fault could be done to; faults are for interface 0"
		noTX    = "interface 0 is a file that is read: nothing is sent there that a TX tap could take"
		noRX    = "interface 1 is a file that is written: nothing is received there that an RX tap could take"
	)
	for _, c := range []struct {
		ends []End
		wish func(*Policy)
		want string
	}{
		{[]End{read, written}, fault(0), ""},
		{[]End{read, written}, fault(1), noFault},
		{[]End{link, written}, fault(0), ""},
		{[]End{link, written}, fault(1), noFault},
		{[]End{read, link}, fault(0), ""},
		{[]End{read, link}, fault(1), "interface 0 is a file that is read: what interface 1 receives is mirrored, and no fault can be done to it; faults are for interface 0"},
		{[]End{read, link}, func(p *Policy) { p.First().RX = [2]bool{true, true}; p.First().TX[1] = true }, ""},
		{[]End{read, link}, func(p *Policy) { p.First().TX[0] = true }, noTX},
		{[]End{read, link}, func(p *Policy) { p.First().TXFilter[0] = tree }, noTX},
		{[]End{link, written}, func(p *Policy) { p.First().RX[1] = true }, noRX},
		{[]End{link, written}, func(p *Policy) { p.First().RXFilter[1] = tree }, noRX},
		{[]End{link, written}, func(p *Policy) { p.First().TX = [2]bool{true, true}; p.First().RX[0] = true }, ""},
		{[]End{read, written}, func(p *Policy) { p.Seed.Seed = 1 }, ""},
	} {
		p, got := New(), ""
		c.wish(&p)
		if err := p.Check(c.ends); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.ends, got, c.want)
		}
	}
}

// A mirrored interface sends nothing.
func TestCheckOfAMirror(t *testing.T) {
	for want, change := range map[error]func(*Policy){
		nil:        func(p *Policy) { p.First().RX[0] = true; p.Drop = p.Drop.With(mac(1)) },
		ErrNoTXTap: func(p *Policy) { p.First().TX[0] = true },
		ErrNoFault: func(p *Policy) { p.Seed.Seed = 1 },
	} {
		p := New()
		change(&p)
		if err := p.Check(bridge[:1]); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// Every fault says whether it is set, and no other does so.
func TestFaultsSayWhetherTheyAreSet(t *testing.T) {
	trace, err := TraceOf("t", []Step{{0, 1}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	wishes := map[int]func(f *Fault){
		FaultOutage: func(f *Fault) { f.Outage = Endless },
		FaultBurst:  func(f *Fault) { f.Burst.LossGood = 1 },
		FaultTrace:  func(f *Fault) { f.Trace = trace },
	}
	for i, k := range Faults {
		if k.Chance != nil {
			wishes[i] = func(f *Fault) { k.Chance(f).Probability = 1 }
		}
	}
	for fault, wish := range wishes {
		f := Fault{Enabled: true}
		for i := range Faults {
			if f.Set(i) {
				t.Errorf("%s is set, and nobody has wished it", Faults[i].Name)
			}
		}
		wish(&f)
		for i := range Faults {
			if f.Set(i) != (i == fault) {
				t.Errorf("%s is %v where %s is wished", Faults[i].Name, f.Set(i), Faults[fault].Name)
			}
		}
	}
	if delay, rate := (Fault{Jitter: 1}), (Fault{Rate: Rate{Kbits: 1}}); !delay.Set(FaultDelay) || !rate.Set(FaultRate) || !delay.Set(FaultHold) || !rate.Set(FaultHold) || rate.Set(FaultDelay) {
		t.Error("delay and rate hold frames")
	}
}
