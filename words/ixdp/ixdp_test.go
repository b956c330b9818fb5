// SPDX-License-Identifier: BSD-3-Clause

package ixdp

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/dataplane/policy"
	"ethertap/interp"
	"ethertap/words/report"
)

// counted returns the counters of an interface, all of them different.
func counted() dataplane.PortStats {
	return dataplane.PortStats{
		RX: 100, TX: 101, RXBytes: 102, TXBytes: 103, Drop: 104, NoIf: 105, Err: 106, Mirrored: 107, Bypassed: 108, Lost: 109, Held: 110,
		DroppedByFI: 111, HeldByFI: 122,
		ByFI: [policy.FaultKinds]uint64{
			policy.FaultDrop: 112, policy.FaultBurst: 113, policy.FaultOutage: 114, policy.FaultRate: 115, policy.FaultHold: 116,
			policy.FaultBitflip: 117, policy.FaultDup: 118, policy.FaultLength: 119, policy.FaultDelay: 120, policy.FaultReorder: 121, policy.FaultECN: 131, policy.FaultCorrupt: 132, policy.FaultTrace: 133,
		},
		TapQualified: 123, TapStored: 124, TapLost: 125, TapRefused: 126,
		ErrReasons: dataplane.Counts{{Name: "full", N: 201}, {Name: "ENXIO", N: 202}},
		CallErrors: dataplane.Counts{{Name: "EAGAIN", N: 203}},
	}
}

func settings() policy.Port {
	return policy.Port{Fault: policy.Fault{
		Enabled: true, Drop: policy.Chance{Probability: 1}, Bitflip: policy.Chance{Every: 2},
		Dup: policy.Chance{Probability: 3}, Length: policy.Chance{Probability: 4000},
	}}
}

func printed(t *testing.T, show func(*interp.Session)) string {
	t.Helper()
	dict, err := interp.NewDict()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), &out, &out)
	show(s)
	s.Flush()
	return out.String()
}

// Each row shows the value that its label says. All values differ, so an exchange is found.
func TestRowsOfStats(t *testing.T) {
	info := dataplane.PortInfo{Index: 1, Name: "eth1", Driver: "ixgbe", Queues: 2, Mode: "ZEROCOPY"}
	stats := interfaces{Interfaces: []portState{{info, counted(), taps{RX: true}, settings(), false}, {info, counted(), taps{RX: true}, settings(), false}}}
	one := `1 eth1 ixgbe queues:2 ZEROCOPY
  rx                    100
  tx                    101
  drop                  104
  noif                  105
  err                   106
  RX tap                enabled
  TX tap                disabled
  fault injection       enabled
    drop probability    1 (0.001%)
    bitflip probability every 2
    dup probability     3 (0.003%)
    dropped by FI       111
    bitflipped by FI    117
    duplicated by FI    118
    length probability  4000 (4.000%)
    length by FI        119
    burst loss by FI    113
    trace loss by FI    133
    outage by FI        114
    rate limit by FI    115
    hold limit by FI    116
    delayed by FI       120
    reordered by FI     121
    CE marked by FI     131
    corrupted by FI     132
  bypassed              108
  lost                  109
  held                  110
  tapped                124
  tap lost              125
  tap full              126
`
	mirror := strings.Replace(one, "  bypassed", "  mirrored              107\n  bypassed", 1) // with a capture that is read
	if got := printed(t, func(s *interp.Session) { showStats(s, stats) }); got != mirror+mirror {
		t.Errorf("if.stats:\n%s", got)
	}
	none := stats.Interfaces[1]
	none.stats.Mirrored = 0
	if got := printed(t, func(s *interp.Session) { showStats(s, interfaces{Interfaces: []portState{none, none}}) }); got != one+one {
		t.Errorf("if.stats:\n%s", got)
	}
	stats.Interfaces = stats.Interfaces[:1]
	if got := printed(t, func(s *interp.Session) { showStats(s, stats) }); got != mirror {
		t.Errorf("if.stats of a mirror:\n%s", got)
	}

	// With faults disabled their rows are one, the four that were always there, and what is not 0.
	quiet := portState{info: info, stats: dataplane.PortStats{RX: 7}}
	quiet.stats.ByFI[policy.FaultDup] = 3
	quiet.Fault.Length = policy.Chance{Every: 9}
	wantQuiet := `1 eth1 ixgbe queues:2 ZEROCOPY
  rx                    7
  tx                    0
  drop                  0
  noif                  0
  err                   0
  RX tap                disabled
  TX tap                disabled
  fault injection       disabled
    drop probability    0 (0.000%)
    bitflip probability 0 (0.000%)
    dropped by FI       0
    bitflipped by FI    0
    duplicated by FI    3
    length probability  every 9
  mirrored              0
  bypassed              0
  lost                  0
  held                  0
  tapped                0
  tap full              0
`
	both := interfaces{Interfaces: []portState{quiet}}
	if got := printed(t, func(s *interp.Session) { showStats(s, both) }); got != wantQuiet {
		t.Errorf("if.stats with faults disabled:\n%s", got)
	}
	if got := printed(t, func(s *interp.Session) { listStats(s, both, true) }); strings.Count(got, "\n") != strings.Count(mirror, "\n")-1 { // tap lost is 0
		t.Errorf("if.stats.all with faults disabled:\n%s", got)
	}

	queue := oneQueue{PortInfo: info, Queue: 1, QueueStats: dataplane.QueueStats{PortStats: counted(), Kernel: dataplane.Counts{{Name: "rx_dropped", N: 204}}}}
	want := `1 eth1 ixgbe queue:1 ZEROCOPY
  rx                    100
  tx                    101
  drop                  104
  noif                  105
  err                   106
  bypassed              108
  lost                  109
  held                  110
  tapped                124
  tap lost              125
  tap full              126
  err full              201
  err ENXIO             202
  call EAGAIN           203
  rx_dropped            204
`
	if got := printed(t, func(s *interp.Session) { showQueue(s, queue) }); got != want {
		t.Errorf("if.qstats:\n%s", got)
	}
}

// The keys in JSON are the documented ones, with the same values.
func TestKeysOfStats(t *testing.T) {
	b, err := json.Marshal(report.Flat{interfaces{Interfaces: []portState{{dataplane.PortInfo{Name: "eth1"}, counted(), taps{RX: true}, settings(), false}}}})
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Interfaces []struct {
			Name   string
			RX     int            `json:"rx"`
			Held   int            `json:"held"`
			HeldFI int            `json:"held_by_fi"`
			Rate   int            `json:"rate_by_fi"`
			Full   int            `json:"tap_full"`
			RXTap  bool           `json:"rx_tap"`
			Errors map[string]int `json:"err_reasons"`
		}
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Interfaces) != 1 {
		t.Fatalf("%v: %s", err, b)
	}
	if p := v.Interfaces[0]; p.Name != "eth1" || p.RX != 100 || p.Held != 110 || p.HeldFI != 122 || p.Rate != 115 || p.Full != 126 || !p.RXTap || p.Errors["ENXIO"] != 202 {
		t.Errorf("%+v", p)
	}
}

// Each row of fault.show has the setting and the count of its own fault.
func TestRowsOfFaults(t *testing.T) {
	d := done{held: 11, by: [policy.FaultKinds]uint64{
		policy.FaultOutage: 1, policy.FaultBurst: 2, policy.FaultDrop: 3, policy.FaultLength: 4, policy.FaultBitflip: 5,
		policy.FaultDup: 6, policy.FaultReorder: 7, policy.FaultDelay: 8, policy.FaultRate: 9, policy.FaultHold: 10, policy.FaultECN: 12, policy.FaultCorrupt: 13, policy.FaultTrace: 14,
	}}
	f := settings().Fault
	f.Burst = policy.Burst{Enter: 21, Leave: 22, LossBad: 23, LossGood: 24}
	f.Reorder = policy.Chance{Every: 25}
	var err error
	if f.Trace, err = policy.TraceOf("/tmp/t", []policy.Step{{At: 0, Loss: 1}, {At: 1, Loss: 2}}, 3); err != nil {
		t.Fatal(err)
	}
	f.Corrupt = policy.Chance{Probability: 50, Correlation: 12500}
	f.Delay, f.Jitter, f.KeepOrder = 26000, 27000, true
	f.Rate = policy.Rate{Kbits: 28, Queue: 29e6}
	v := faults{Seed: 30, HoldLimit: 31, Interfaces: []faultPort{{Name: "eth0", Fault: f, OutageLeft: 32e6, Done: d, Where: places{policy.FaultDrop: dataplane.InKernel, policy.FaultDup: dataplane.InThreads}}}}
	want := `  seed                  30
  sources               all
0 eth0 fault injection enabled
  outage                32 ms left                       1
  burst                 21 22 23 24                      2
  drop                  1 (0.001%)                       3           kernel
  length                4000 (4.000%)                    4
  bitflip               every 2                          5
  dup                   3 (0.003%)                       6           threads
  reorder               every 25                         7
  delay                 26 ± 27 us, ordered              8
  rate limit            28 kbit/s, 29 ms                 9
  hold limit            31 frames                        10
  ecn                   0 (0.000%)                       12
  corrupt               50 (0.050%), corr. 12.5%         13
  trace                 t, 2 steps, repeated             14
  held                  now                              11
`
	if got := printed(t, func(s *interp.Session) { showFaults(s, v) }); got != want {
		t.Errorf("fault.show:\n%s", got)
	}
	b, err := json.Marshal(d)
	if want := `{"outage":1,"burst":2,"drop":3,"length":4,"bitflip":5,"dup":6,"reorder":7,"delay":8,"rate_limit":9,"hold_limit":10,"ecn":12,"corrupt":13,"trace":14,"held":11}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}

// Rates are by the time between the readings, and a reset between them is none backwards.
func TestRowsOfRates(t *testing.T) {
	at := time.Unix(1000, 0)
	before := dataplane.Snapshot{Time: at, Ports: []dataplane.PortSnapshot{{}, {}}}
	now := dataplane.Snapshot{Time: at.Add(2 * time.Second), Ports: []dataplane.PortSnapshot{{}, {}}}
	for i, name := range []string{"eth0", "eth1"} {
		before.Ports[i].Stats = dataplane.PortStats{RX: 100, TX: 5000, RXBytes: 1000, TXBytes: 99999999}
		now.Ports[i].Name = name
		now.Ports[i].Stats = dataplane.PortStats{RX: 3000100, TX: 10, RXBytes: 192001000, TXBytes: 640}
	}
	v := ratesBetween(before, now)
	if v.Seconds != 2 || v.Interfaces[0].RXBits != 8*96e6 {
		t.Errorf("%+v", v)
	}
	const want = `0 eth0
  rx                    1.50 M frames/s, 768 Mbit/s
  tx                    5 frames/s, 2.56 kbit/s
1 eth1
  rx                    1.50 M frames/s, 768 Mbit/s
  tx                    5 frames/s, 2.56 kbit/s
`
	if got := printed(t, func(s *interp.Session) { showRates(s, v) }); got != want {
		t.Errorf("if.rates:\n%s", got)
	}
}
