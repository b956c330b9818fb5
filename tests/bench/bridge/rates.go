// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
)

// spin is how ours is compared with what spins too.
var spin = []string{"--poll", "spin"}

// sizes are those of the frames measured.
var sizes = []struct {
	name  string
	bytes int
}{{"64 bytes", 64}, {"512 bytes", 512}, {"1500 bytes", 1500}, {"IMIX", wire.IMIX}}

// aim is what ours is to reach of the bridge in C.
const aim = 0.97

// saturation is what comes out when as much goes in as the generator can.
func saturation(t testing.TB, during time.Duration) []rounds.Row {
	var rows []rounds.Row
	for _, size := range sizes {
		measured := func(d device) rounds.Contender {
			return saturated(t, d, size.bytes, during, 1)
		}
		row := rounds.Row{
			Name: "saturation, " + size.name, Unit: "kpps", More: true, Ours: measured(ethertap("ethertap", 1, spin)),
			Peers: []rounds.Peer{{Contender: measured(peerC(1)), Aim: aim}, {Contender: measured(kernelBridge()), Aim: 1}},
		}
		if size.bytes == 64 {
			row.Peers = append(row.Peers, rounds.Peer{Contender: measured(peerGo()), Aim: 1}, rounds.Peer{Contender: measured(tcpbridge()), Aim: 1})
		}
		rows = append(rows, row)
	}
	two := func(d device) rounds.Contender {
		return saturated(t, d, 64, during, 2)
	}
	return append(rows, rounds.Row{
		Name: "saturation, 64 bytes, two threads on the generators' cores", Unit: "kpps", More: true,
		Ours: two(ethertap("ethertap", 2, spin)), Peers: []rounds.Peer{{Contender: two(peerC(2)), Aim: aim}},
	})
}

// saturated is what comes out of a device in a flood.
func saturated(t testing.TB, d device, size int, during time.Duration, generators int) rounds.Contender {
	return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
		return saturate(l, size, during, generators)
	})
}

// contender starts the device for each measurement and stops it after it.
func contender(t testing.TB, d device, fn func(testing.TB, *wire.Lab, *netlab.Process) (float64, error)) rounds.Contender {
	return rounds.Contender{Name: d.name, Run: func() (v float64, err error) {
		err = d.with(t, false, func(t testing.TB, l *wire.Lab, p *netlab.Process) error {
			v, err = fn(t, l, p)
			return err
		})
		return v, err
	}}
}

// saturate returns thousands of frames a second. Each of the generators has a core
// of its own, which also decides the queue that its frames come to.
func saturate(l *wire.Lab, size int, during time.Duration, generators int) (float64, error) {
	var all []*wire.Generator
	for core := range generators {
		all = append(all, l.Generator(core, wire.Traffic{Size: size}))
	}
	r, err := l.Saturate(warm, during, all...)
	return r / 1000, err
}

// warm is how long a flood lasts before it is measured.
const warm = 200 * time.Millisecond

// lossFree is the highest rate of which next to nothing is lost.
func lossFree(t testing.TB, during time.Duration) []rounds.Row {
	var rows []rounds.Row
	for _, size := range sizes {
		measured := func(d device) rounds.Contender {
			var last float64 // what the round before found
			return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (v float64, err error) {
				start := last
				if start == 0 {
					if start, err = saturate(l, size.bytes, during/2, 1); err != nil {
						return 0, err
					}
				}
				last, err = search(start, precision, func(kpps float64) (float64, bool, error) { return withoutLoss(l, size.bytes, kpps, during) })
				return last, err
			})
		}
		row := rounds.Row{
			Name: "loss-free, " + size.name, Unit: "kpps", More: true, Ours: measured(ethertap("ethertap", 1, spin)),
			Peers: []rounds.Peer{{Contender: measured(peerC(1)), Aim: aim}},
		}
		if size.bytes == 64 || size.bytes == 1500 {
			row.Peers = append(row.Peers, rounds.Peer{Contender: measured(kernelBridge()), Aim: 1})
		}
		rows = append(rows, row)
	}
	return rows
}

const (
	lossAllowed = 0.001
	precision   = 1.01 // of the rate searched
	lowest      = 1.0  // kpps: nobody is asked for less
)

// search finds the highest rate that holds: from a guess on, up or down in steps that
// grow, until there is one that does and one that does not, and then by halving their
// ratio. holds returns also at which rate it could really ask: that is what was held, and
// where it falls short by much there is nothing to be found higher up.
func search(guess, precision float64, holds func(kpps float64) (offered float64, ok bool, err error)) (float64, error) {
	best, low, high := 0.0, 0.0, math.Inf(1)
	step := math.Pow(precision, 4)
	for rate := guess; rate > lowest; {
		offered, ok, err := holds(rate)
		if err != nil {
			return 0, err
		}
		if ok {
			best, low = max(best, offered), rate
			if offered < fellShort*rate {
				return best, nil
			}
		} else {
			high = rate
		}
		switch {
		case low == 0:
			rate = high / step
		case math.IsInf(high, 1):
			rate = low * step
		case high/low < precision:
			return best, nil
		default:
			rate = math.Sqrt(low * high)
			continue
		}
		step = min(step*step, 2)
	}
	return best, nil
}

// fellShort is the part of the rate asked for below which the generator can no more
// beside what runs on its core.
const fellShort = 0.93

// hopeless is the loss from which on there is no second try.
const hopeless = 0.02

// withoutLoss offers a rate, once more if a few frames get lost or the generator was held
// up: the machine may have been busy with something else.
func withoutLoss(l *wire.Lab, size int, kpps float64, during time.Duration) (offered float64, ok bool, err error) {
	g := l.Generator(wire.GeneratorCore, wire.Traffic{Size: size, Rate: kpps * 1000})
	n := int(kpps * 1000 * during.Seconds())
	for range 2 {
		perSecond, arrived, err := l.Offer(g, n)
		if err != nil {
			return 0, false, err
		}
		lost := float64(n-arrived) / float64(n)
		if lost <= lossAllowed {
			offered, ok = max(offered, perSecond/1000), true
		}
		if lost > hopeless || lost <= lossAllowed && offered >= fellShort*kpps {
			break
		}
	}
	return offered, ok, nil
}

// switchedOn compares the bare bridge with one that does more.
func switchedOn(t testing.TB, during time.Duration) []rounds.Row {
	measured := func(d device) rounds.Contender {
		return saturated(t, d, 64, during, 1)
	}
	var addresses strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&addresses, "02:00:00:02:%02x:%02x drop.hash.insert ", i>>8, i&0xff)
	}
	row := rounds.Row{Name: "64 bytes, bridge alone beside the same with", Unit: "kpps", More: true, Ours: measured(ethertap("alone", 1, spin))}
	for _, d := range []device{
		ethertap("RX tap, nobody reads", 1, spin, "0 tap.rx.enable"),
		ethertap("drop machash of 1000", 1, spin, addresses.String()),
		ethertap("faults", 1, spin, "0 fault.enable 100 0 fault.drop.probability 100 0 fault.bitflip.probability 100 0 fault.dup.probability"),
	} {
		row.Peers = append(row.Peers, rounds.Peer{Contender: measured(d)})
	}
	collected := ethertap("RX tap and collector", 1, spin, "0 tap.rx.enable")
	row.Peers = append(row.Peers, rounds.Peer{Contender: contender(t, collected, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
		collector(t, l)
		return saturate(l, 64, during, 1)
	})})
	mirrored := mirror("mirror only", spin)
	row.Peers = append(row.Peers, rounds.Peer{Contender: rounds.Contender{Name: mirrored.name, Run: func() (v float64, err error) {
		err = mirrored.with(t, false, func(t testing.TB, l *wire.Lab, p *netlab.Process) error {
			v, err = flooded(l, func() (float64, error) { return received(p, during) })
			return err
		})
		return v, err
	}}})
	return []rounds.Row{row}
}

// collector starts a collector of our tap's packets on the device's core.
func collector(t testing.TB, l *wire.Lab) {
	file := filepath.Join("/dev/shm", fmt.Sprintf("ethertap-bench-%d.pcap", os.Getpid()))
	t.Cleanup(func() { os.Remove(file) })
	pinned(t, l, 1, netlab.Build(t, "./cmd/collect"), "--silent", "--queue", queueName(), file)
}

// flooded measures while a flood of small frames comes.
func flooded(l *wire.Lab, measure func() (float64, error)) (v float64, err error) {
	stop, err := l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64}).Flood()
	if err != nil {
		return 0, err
	}
	time.Sleep(warm)
	v, err = measure()
	if serr := stop(); err == nil {
		err = serr
	}
	return v, err
}

// received returns how many thousand frames a second a running ethertap receives on
// its first interface.
func received(p *netlab.Process, during time.Duration) (float64, error) {
	before, err := asked(p)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	time.Sleep(during)
	after, err := asked(p)
	return float64(after-before) / time.Since(start).Seconds() / 1000, err
}

// asked asks a running ethertap how many frames it has received.
func asked(p *netlab.Process) (uint64, error) {
	seen := len(p.Stdout())
	if _, err := p.Write([]byte("if.stats.json\n")); err != nil {
		return 0, err
	}
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		line, _, whole := strings.Cut(p.Stdout()[seen:], "\n")
		if !whole {
			continue
		}
		var stats struct {
			Interfaces []struct {
				RX uint64 `json:"rx"`
			} `json:"interfaces"`
		}
		if err := json.Unmarshal([]byte(line), &stats); err != nil || len(stats.Interfaces) == 0 {
			return 0, fmt.Errorf("if.stats.json says %q: %w", line, err)
		}
		return stats.Interfaces[0].RX, nil
	}
	return 0, fmt.Errorf("if.stats.json is not answered: %q", p.Output())
}
