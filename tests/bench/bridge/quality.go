// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
)

// quantiles of the age of frames.
var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}}

// allowed is what ours may take longer than the kernel's bridge, µs.
const allowed = 10

// latency is the age of frames at the sink: everything between the generator's
// program and the sink's. "wire" is XDP's redirect from d0 to d1 in the device's
// place: what is above it is what the device adds.
func latency(t testing.TB, during time.Duration) []rounds.Row {
	var rows []rounds.Row
	for _, kpps := range []int{10, 100} {
		spinning := measuredOnce(t, ethertap("ethertap, spin", 1, spin), kpps, during)
		adaptive := measuredOnce(t, ethertap("ethertap, adaptive", 1, nil), kpps, during)
		kernel, c, none := measuredOnce(t, kernelBridge(), kpps, during), measuredOnce(t, peerC(1), kpps, during), measuredOnce(t, redirect(), kpps, during)
		fast, empty := measuredOnce(t, stays("fast path"), kpps, during), emptyCore(t, kpps, during)
		for i, q := range quantiles {
			row := rounds.Row{Name: fmt.Sprintf("age at %d kpps, %s", kpps, q.name), Unit: "µs", Ours: spinning.quantile(i, 0)}
			limit := kernel.quantile(i, allowed)
			limit.Name = fmt.Sprintf("kernel + %d µs", allowed)
			row.Peers = []rounds.Peer{{Contender: limit, Aim: 1}, {Contender: c.quantile(i, 0)}, {Contender: none.quantile(i, 0)}, {Contender: fast.quantile(i, 0)}, {Contender: adaptive.quantile(i, 0)}, {Contender: empty.quantile(i, 0)}}
			if q.name != "p99" {
				row.Peers[0].Aim = 0
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// once measures all quantiles in one run for the first of them and remembers them
// for the others, whose rows come later.
type once struct {
	name    string
	measure func() ([]float64, error)
	runs    [][]float64
}

func measuredOnce(t testing.TB, d device, kpps int, during time.Duration) *once {
	return &once{name: d.name, measure: func() (all []float64, err error) {
		err = d.with(t, true, func(t testing.TB, l *wire.Lab, _ *netlab.Process) error {
			before, err := l.Sink.Ages()
			if err != nil {
				return err
			}
			if err := offer(l, kpps, during); err != nil {
				return err
			}
			after, err := l.Sink.Ages()
			if err != nil {
				return err
			}
			ages := after.Since(before)
			for _, q := range quantiles {
				all = append(all, ages.Quantile(q.q))
			}
			return nil
		})
		return all, err
	}}
}

// offer lets small frames come one by one, at even intervals.
func offer(l *wire.Lab, kpps int, during time.Duration) error {
	rate := float64(kpps) * 1000
	g := l.Generator(wire.GeneratorCore, wire.Traffic{Size: 64, Rate: rate, Burst: 1})
	_, _, err := l.Offer(g, int(rate*during.Seconds()))
	return err
}

// emptyCore is how long a frame would wait for a thread that spins on the device's core
// and does nothing else, while the same traffic goes by in the kernel (peer/watch.c):
// what the timer's tick and the hypervisor take. No thread on that core can do better.
func emptyCore(t testing.TB, kpps int, during time.Duration) *once {
	return &once{name: "empty core", measure: func() (waits []float64, err error) {
		path, err := compiled(t, "watch")
		if err != nil {
			return nil, err
		}
		err = redirect().with(t, false, func(t testing.TB, l *wire.Lab, _ *netlab.Process) error {
			var out bytes.Buffer
			cmd := exec.Command(path, strconv.Itoa(wire.DeviceCore()), strconv.FormatInt(during.Milliseconds(), 10))
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				return err
			}
			if err := errors.Join(offer(l, kpps, during), cmd.Wait()); err != nil {
				return fmt.Errorf("%w: %s", err, out.Bytes())
			}
			waits = make([]float64, len(quantiles))
			_, err := fmt.Sscan(out.String(), &waits[0], &waits[1], &waits[2])
			return err
		})
		return waits, err
	}}
}

// quantile is the contender of the row of one quantile, with so many µs more.
func (o *once) quantile(i int, more float64) rounds.Contender {
	next := 0
	return rounds.Contender{Name: o.name, Run: func() (float64, error) {
		if next == len(o.runs) {
			run, err := o.measure()
			if err != nil {
				return 0, err
			}
			o.runs = append(o.runs, run)
		}
		next++
		return o.runs[next-1][i] + more, nil
	}}
}

// constant is a peer that is not measured: a limit.
func constant(name string, v float64) rounds.Contender {
	return rounds.Contender{Name: name, Run: func() (float64, error) { return v, nil }}
}

// rest is what a device costs that has nothing to do, and how soon it works.
func rest(t testing.TB, during time.Duration) []rounds.Row {
	idle := func(t testing.TB, _ *wire.Lab, p *netlab.Process) (float64, error) {
		time.Sleep(warm)
		before, err := cpuTime(p.PID())
		if err != nil {
			return 0, err
		}
		start := time.Now()
		time.Sleep(2 * during)
		after, err := cpuTime(p.PID())
		return 100 * float64(after-before) / float64(time.Since(start)), err
	}
	memory := func(t testing.TB, _ *wire.Lab, p *netlab.Process) (float64, error) {
		kib, err := resident(p.PID())
		return float64(kib) / 1024, err
	}
	adaptive := ethertap("ethertap, adaptive", 1, nil)
	return []rounds.Row{
		{Name: "CPU when idle", Unit: "% of a core", Ours: contender(t, adaptive, idle), Peers: []rounds.Peer{
			{Contender: constant("limit", 2), Aim: 1}, {Contender: contender(t, peerC(1), idle)}}},
		{Name: "start to first frame", Unit: "ms", Ours: startUp(t, adaptive), Peers: []rounds.Peer{
			{Contender: startUp(t, peerC(1))}, {Contender: startUp(t, peerGo())}, {Contender: startUp(t, tcpbridge())}}},
		{Name: "memory resident", Unit: "MiB", Ours: contender(t, adaptive, memory), Peers: []rounds.Peer{
			{Contender: contender(t, peerC(1), memory)}, {Contender: contender(t, peerGo(), memory)}}},
	}
}

// startUp is the time from the start of a device to the first frame that comes
// through, to a millisecond.
func startUp(t testing.TB, d device) rounds.Contender {
	return rounds.Contender{Name: d.name, Run: func() (ms float64, err error) {
		err = wire.In(t, func(t testing.TB) error {
			l := wire.NewLab(t, 1, false)
			if err := d.ready(t); err != nil { // compiling is no part of it
				return err
			}
			start := time.Now()
			if _, err := d.start(t, l); err != nil {
				return err
			}
			err := l.AwaitTraffic(startTime)
			ms = time.Since(start).Seconds() * 1000
			return err
		})
		return ms, err
	}}
}

// cpuTime returns the CPU time of all threads of a process.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d: no threads: %w", pid, err)
	}
	var sum int64
	for _, file := range tasks {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		ns, _, _ := strings.Cut(string(b), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += n
	}
	return time.Duration(sum), nil
}

// resident returns the memory of a process in KiB, shared pages and all.
func resident(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return 0, fmt.Errorf("process %d: no VmRSS", pid)
}
