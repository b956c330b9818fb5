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
			return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
				return saturate(l, size.bytes, during, 1)
			})
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
		return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
			return saturate(l, 64, during, 2)
		})
	}
	return append(rows, rounds.Row{
		Name: "saturation, 64 bytes, two threads on the generators' cores", Unit: "kpps", More: true,
		Ours: two(ethertap("ethertap", 2, spin)), Peers: []rounds.Peer{{Contender: two(peerC(2)), Aim: aim}},
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
			return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
				top, err := saturate(l, size.bytes, during/2, 1)
				if err != nil {
					return 0, err
				}
				return search(top, precision, func(kpps float64) (bool, error) { return withoutLoss(l, size.bytes, kpps, during) })
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

// search finds the highest rate that holds, which is thought to lie below top, by
// halving the ratio of one that does and one that does not.
func search(top, precision float64, holds func(kpps float64) (bool, error)) (float64, error) {
	low, high := 0.0, 1.25*top
	for rate := 0.9 * top; rate > lowest; {
		ok, err := holds(rate)
		if err != nil {
			return 0, err
		}
		if ok {
			low = rate
		} else {
			high = rate
		}
		switch {
		case low == 0:
			rate = 0.7 * high
		case high/low < precision:
			return low, nil
		default:
			rate = math.Sqrt(low * high)
		}
	}
	return low, nil
}

// withoutLoss offers a rate, once more if frames get lost: the machine may have been
// busy with something else.
func withoutLoss(l *wire.Lab, size int, kpps float64, during time.Duration) (bool, error) {
	g := l.Generator(wire.GeneratorCore, wire.Traffic{Size: size, Rate: kpps * 1000})
	n := int(kpps * 1000 * during.Seconds())
	for range 2 {
		offered, arrived, err := l.Offer(g, n)
		if err != nil {
			return false, err
		}
		if offered < 0.97*kpps*1000 { // beyond what the generator can beside what runs on its core
			return false, nil
		}
		if float64(n-arrived) <= lossAllowed*float64(n) {
			return true, nil
		}
	}
	return false, nil
}

// switchedOn compares the bare bridge with one that does more.
func switchedOn(t testing.TB, during time.Duration) []rounds.Row {
	measured := func(d device) rounds.Contender {
		return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
			return saturate(l, 64, during, 1)
		})
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
		file := filepath.Join("/dev/shm", fmt.Sprintf("ethertap-bench-%d.pcap", os.Getpid()))
		t.Cleanup(func() { os.Remove(file) })
		pinned(t, l, 1, netlab.Build(t, "./cmd/collect"), "--silent", "--queue", queueName(), file)
		return saturate(l, 64, during, 1)
	})})
	mirrored := mirror("mirror only", spin)
	row.Peers = append(row.Peers, rounds.Peer{Contender: rounds.Contender{Name: mirrored.name, Run: func() (v float64, err error) {
		err = mirrored.with(t, false, func(t testing.TB, l *wire.Lab, p *netlab.Process) error {
			stop, err := l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64}).Flood()
			if err != nil {
				return err
			}
			time.Sleep(warm)
			v, err = received(p, during)
			if serr := stop(); err == nil {
				err = serr
			}
			return err
		})
		return v, err
	}}})
	return []rounds.Row{row}
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
