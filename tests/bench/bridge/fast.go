package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
)

// What the fast path is to reach: of a bare redirect, of our threads, and of itself with
// nothing tapped.
const (
	aimOfRedirect = 0.6
	aimOfThreads  = 2.0
	aimTapped     = 0.5
	aimCPU        = 0.5 // of the threads'
)

// fastPath compares frames that stay in the kernel with a bare redirect, and with frames
// that go through our threads.
func fastPath(t testing.TB, during time.Duration) []rounds.Row {
	rate := func(d device) rounds.Contender {
		return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
			return saturate(l, 64, during, 1)
		})
	}
	cpu := func(d device) rounds.Contender {
		return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (busy float64, err error) {
			stop, err := l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64}).Flood()
			if err != nil {
				return 0, err
			}
			time.Sleep(warm)
			busy, err = busyOver(wire.DeviceCore(), during)
			if serr := stop(); err == nil {
				err = serr
			}
			return busy, err
		})
	}
	fast, threads := stays("fast path"), ethertap("threads", 1, nil)
	tapped := stays("fast path, tapped", "0 tap.rx.enable")
	return []rounds.Row{
		{Name: "fast path, 64 bytes", Unit: "kpps", More: true, Ours: rate(fast), Peers: []rounds.Peer{
			{Contender: rate(redirect()), Aim: aimOfRedirect}, {Contender: rate(threads), Aim: aimOfThreads}, {Contender: rate(kernelBridge()), Aim: 1}}},
		{Name: "CPU of the device's core in that flood", Unit: "%", Ours: cpu(fast), Peers: []rounds.Peer{{Contender: cpu(threads), Aim: aimCPU}}},
		{Name: "fast path, 64 bytes, RX tap and collector, none lost on the way", Unit: "kpps", More: true,
			Ours: contender(t, tapped, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
				file := filepath.Join("/dev/shm", fmt.Sprintf("ethertap-bench-%d.pcap", os.Getpid()))
				t.Cleanup(func() { os.Remove(file) })
				pinned(t, l, 1, netlab.Build(t, "./cmd/collect"), "--silent", "--queue", queueName(), file)
				return unlost(l, during)
			}),
			Peers: []rounds.Peer{{Contender: contender(t, stays("untapped"), func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
				return unlost(l, during)
			}), Aim: aimTapped}}},
	}
}

// unlost returns how many thousand frames a second come through when they are sent as fast
// as the generator can, on whose core they are forwarded; 0 if more than one in a thousand
// is lost.
func unlost(l *wire.Lab, during time.Duration) (float64, error) {
	const perSecond = 2e6
	n := int(perSecond * during.Seconds())
	offered, arrived, err := l.Offer(l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64}), n)
	if float64(n-arrived) > lossAllowed*float64(n) {
		return 0, err
	}
	return offered / 1000, err
}

// stays is ours with the fast path, as it is by default. Its programs are loaded after the
// first frames have come through, and before the first line is answered.
func stays(name string, lines ...string) device {
	return answering(ethertap(name, 1, []string{"--fastpath"}, lines...))
}

// busyOver returns how many percent of the time a core was not idle.
func busyOver(core int, during time.Duration) (float64, error) {
	idle, total, err := coreTimes(core)
	if err != nil {
		return 0, err
	}
	time.Sleep(during)
	idle2, total2, err := coreTimes(core)
	if err != nil || total2 == total {
		return 0, err
	}
	return 100 * (1 - float64(idle2-idle)/float64(total2-total)), nil
}

// coreTimes returns the ticks of a core since boot: idle, and all.
func coreTimes(core int) (idle, total uint64, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 6 || f[0] != fmt.Sprintf("cpu%d", core) {
			continue
		}
		for i, s := range f[1:min(len(f), 9)] { // guest time is in user time
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return 0, 0, err
			}
			total += n
			if i == 3 || i == 4 { // idle and iowait
				idle += n
			}
		}
		return idle, total, nil
	}
	return 0, 0, fmt.Errorf("/proc/stat knows no core %d", core)
}
