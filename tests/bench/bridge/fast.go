// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	aimOneFlow    = 0.95 // with a tap of one flow among many
	aimCPU        = 0.5  // of the threads'
	// What it is to reach with faults: of itself without any, and of our threads with the same.
	aimUnspoiled      = 0.9
	aimSpoilingThread = 2.5
)

// fastPath compares frames that stay in the kernel with a bare redirect, and with frames
// that go through our threads.
func fastPath(t testing.TB, during time.Duration) []rounds.Row {
	rate := func(d device) rounds.Contender {
		return saturated(t, d, 64, during, 1)
	}
	cpu := func(d device) rounds.Contender {
		return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
			return flooded(l, func() (float64, error) { return busyOver(wire.DeviceCore(), during) })
		})
	}
	fast, threads := stays("fast path"), ethertap("threads", 1, nil)
	tapped := stays("fast path, tapped", "0 tap.rx.enable")
	const faults = "0 fault.enable 1 fault.enable 1% 0 fault.drop.probability 1% 1 fault.drop.probability" +
		" 0.1% 0 fault.bitflip.probability 0.1% 1 fault.bitflip.probability"
	return []rounds.Row{
		{Name: "fast path, 64 bytes", Unit: "kpps", More: true, Ours: rate(fast), Peers: []rounds.Peer{
			{Contender: rate(redirect()), Aim: aimOfRedirect}, {Contender: rate(threads), Aim: aimOfThreads}, {Contender: rate(kernelBridge()), Aim: 1}}},
		{Name: "fast path, 64 bytes, 1 % lost and 0.1 % damaged by faults", Unit: "kpps", More: true, Ours: rate(stays("faults", faults)), Peers: []rounds.Peer{
			{Contender: rate(stays("no faults")), Aim: aimUnspoiled}, {Contender: rate(ethertap("threads, faults", 1, nil, faults)), Aim: aimSpoilingThread}}},
		{Name: "CPU of the device's core in that flood", Unit: "%", Ours: cpu(fast), Peers: []rounds.Peer{{Contender: cpu(threads), Aim: aimCPU}}},
		{Name: "fast path, 64 bytes, RX tap and collector, none lost on the way", Unit: "kpps", More: true,
			Ours: contender(t, tapped, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
				collector(t, l)
				return unlost(l, during)
			}),
			Peers: []rounds.Peer{{Contender: contender(t, stays("untapped"), func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
				return unlost(l, during)
			}), Aim: aimTapped}}},
		{Name: "fast path, 64 bytes of 64 senders, a filter taps one, collector", Unit: "kpps", More: true,
			Ours:  ofMany(t, stays("one tapped", `"ether src host 02:00:00:01:00:00" 0 tap.rx.filter 0 tap.rx.enable`), true, during),
			Peers: []rounds.Peer{{Contender: ofMany(t, stays("untapped"), false, during), Aim: aimOneFlow}}},
		{Name: "bypass: frames lost of a million at 500 kpps, killed and started again", Unit: "frames", Ours: killed(t), Peers: []rounds.Peer{
			{Contender: constant("limit", 0.5), Aim: 1}}},
		{Name: "bypass: silence when the thread hangs, limit 50 ms", Unit: "ms", Ours: hung(t), Peers: []rounds.Peer{
			{Contender: constant("limit + 10 ms", 60), Aim: 1}}},
	}
}

// ofMany is what comes out of a device in a flood from 64 senders.
func ofMany(t testing.TB, d device, collecting bool, during time.Duration) rounds.Contender {
	return contender(t, d, func(t testing.TB, l *wire.Lab, _ *netlab.Process) (float64, error) {
		if collecting {
			collector(t, l)
		}
		r, err := l.Saturate(warm, during, l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64, Sources: 64}))
		return r / 1000, err
	})
}

// bypassing is ours with bypass on, on a BPF file system of its own.
func bypassing(t testing.TB, lines ...string) (device, error) {
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		return device{}, fmt.Errorf("mount a BPF file system: %w", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }) // with it goes what is pinned there
	return answering(ethertap("bypass", 1, []string{"--fastpath", "--bpffs", dir}, append(lines, "bypass.enable")...)), nil
}

// settled ends the bypass, so that nothing is left behind.
func settled(p *netlab.Process) error {
	if _, err := p.Write([]byte("bypass.disable bypass.status\n")); err != nil {
		return err
	}
	return p.WaitOutput("bypass disabled", startTime)
}

// killed kills a bridge under load and starts it again, which takes over.
func killed(t testing.TB) rounds.Contender {
	return rounds.Contender{Name: "bypass", Run: func() (lost float64, err error) {
		err = wire.In(t, func(t testing.TB) error {
			d, err := bypassing(t)
			if err != nil {
				return err
			}
			return d.running(t, false, func(t testing.TB, l *wire.Lab, p *netlab.Process) error {
				const n = 1000000
				g := l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64, Rate: 500000})
				before, err := l.Sink.Count()
				if err != nil {
					return err
				}
				sent := make(chan error, 1)
				go func() { _, err := g.Send(n); sent <- err }()
				time.Sleep(500 * time.Millisecond)
				if err := p.Signal(unix.SIGKILL); err != nil {
					return err
				}
				if _, err := p.Wait(startTime); err != nil {
					return err
				}
				time.Sleep(200 * time.Millisecond)
				if p, err = d.start(t, l); err != nil {
					return err
				}
				if err := p.WaitOutput("}\n", startTime); err != nil {
					return fmt.Errorf("%w: %s", err, p.Output())
				}
				if err := <-sent; err != nil {
					return err
				}
				time.Sleep(100 * time.Millisecond)
				after, err := l.Sink.Count()
				lost = float64(n - int(after-before))
				return errors.Join(err, settled(p))
			})
		})
		return lost, err
	}}
}

// hung stops a bridge whose frames all go through its thread, and returns how long nothing
// comes out, in ms.
func hung(t testing.TB) rounds.Contender {
	return rounds.Contender{Name: "bypass", Run: func() (silence float64, err error) {
		err = wire.In(t, func(t testing.TB) error {
			d, err := bypassing(t, "0 fault.enable 1us 0 0 fault.delay", "50 bypass.limit")
			if err != nil {
				return err
			}
			return d.running(t, false, func(t testing.TB, l *wire.Lab, p *netlab.Process) error {
				g := l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64, Rate: 20000, Burst: 1})
				stop, err := g.Flood()
				if err != nil {
					return err
				}
				time.Sleep(100 * time.Millisecond)
				if err := p.Signal(unix.SIGSTOP); err != nil {
					return err
				}
				last, err := l.Sink.Count()
				since, longest := time.Now(), time.Duration(0)
				for start := since; err == nil && time.Since(start) < 300*time.Millisecond; time.Sleep(200 * time.Microsecond) {
					var n uint64
					n, err = l.Sink.Count()
					if now := time.Now(); n != last {
						last, since = n, now
					} else {
						longest = max(longest, now.Sub(since))
					}
				}
				silence = 1000 * longest.Seconds()
				return errors.Join(err, p.Signal(unix.SIGCONT), stop(), settled(p))
			})
		})
		return silence, err
	}}
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
