// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
)

// A sustained recording goes to a file system on a disk, and lasts. Recorders may use both cores,
// since the generator sleeps between its bursts: it sends what is due every sustainSlice, at three
// times the rate.
const (
	sustainSlice = 100 * time.Millisecond
	sustainSize  = 1500
	sustainKpps  = 500 // more than most save; a minute of it is 45 GB
)

// sustained returns the rows of recordings of a length into files in a directory.
func sustained(dir string, lasts time.Duration) func(testing.TB, time.Duration) []rounds.Row {
	return func(t testing.TB, _ time.Duration) []rounds.Row {
		rate := rounds.Row{Name: fmt.Sprintf("sustained recording, %d bytes, %v", sustainSize, lasts), Unit: "kpps", More: true}
		cpu := rounds.Row{Name: "sustained recording, CPU of the recorder a frame", Unit: "ns"}
		all := rounds.Row{Name: "the same with what brings it the frames", Unit: "ns"}
		contenders := func(r recorder) (saved, recorder, both rounds.Contender) {
			var ns, with []float64 // of the measurements of the first row, in turn
			saved = rounds.Contender{Name: r.name, Run: func() (float64, error) {
				s, err := sustain(t, r, dir, lasts)
				ns, with = append(ns, s.recorder), append(with, s.all)
				return s.kpps, err
			}}
			return saved, inTurn(r.name, &ns), inTurn(r.name, &with)
		}
		rate.Ours, cpu.Ours, all.Ours = contenders(ourRecorder)
		for _, r := range append(slices.Clone(peerRecorders), stenotype) {
			aim := 1.2
			if r.direct {
				aim = 0
			}
			saved, used, with := contenders(r)
			rate.Peers = append(rate.Peers, rounds.Peer{Contender: saved, Aim: aim})
			cpu.Peers = append(cpu.Peers, rounds.Peer{Contender: used})
			all.Peers = append(all.Peers, rounds.Peer{Contender: with})
		}
		return []rounds.Row{rate, cpu, all}
	}
}

// inTurn returns what was measured with another row, one after the other.
func inTurn(name string, measured *[]float64) rounds.Contender {
	return rounds.Contender{Name: name, Run: func() (float64, error) {
		if len(*measured) == 0 {
			return 0, errors.New("nothing was recorded")
		}
		first := (*measured)[0]
		*measured = (*measured)[1:]
		return first, nil
	}}
}

// stenotype is the recorder of Debian's package stenographer. It writes the blocks of the kernel's ring
// as they are, with O_DIRECT, as user nobody.
var stenotype = recorder{name: "stenotype", direct: true, start: func(t testing.TB, l *wire.Lab, cores int, file string) ([]*netlab.Process, error) {
	path, err := exec.LookPath("stenotype")
	if err != nil {
		return nil, errors.New("not installed")
	}
	for _, sub := range []string{"PKT0", "IDX0"} {
		name := filepath.Join(file, sub)
		if err := errors.Join(os.MkdirAll(name, 0o755), os.Chmod(name, 0o777)); err != nil {
			return nil, err
		}
	}
	wire.NAPI(t, l.Dut, netlab.D0)
	p := pinned(t, l, cores, path, "--iface="+netlab.D0, "--dir="+file, "--blocks="+strconv.Itoa(bufferMiB), "--threads=1", "--no_index", "--seccomp=none", "--no_watchdogs", "-v")
	return []*netlab.Process{p}, p.WaitOutput("starting to process packets", startTime)
}, frames: func(file string, _ int) (frames float64, err error) {
	// A file is a sequence of blocks of TPACKET_V3, of a MiB; the fourth number of a block is how many
	// packets are in it.
	names, err := filepath.Glob(filepath.Join(file, "PKT0", "*")) // that which is written begins with a dot
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			continue // it got its name meanwhile
		}
		defer f.Close()
		for at := int64(0); ; at += 1 << 20 {
			var head [16]byte
			if _, err := f.ReadAt(head[:], at); err == io.EOF {
				break
			} else if err != nil {
				return 0, err
			}
			frames += float64(binary.LittleEndian.Uint32(head[12:]))
		}
	}
	return frames, nil
}}

// saved is what a sustained recording gave: thousands of frames saved a second, and the CPU in ns for
// each, of the recorder alone and with the process that brings it the frames, where there is one. What
// the kernel does on the core of the generator until a frame is in its ring is not in it.
type saved struct{ kpps, recorder, all float64 }

// sustain records.
func sustain(t testing.TB, r recorder, dir string, lasts time.Duration) (s saved, err error) {
	count := r.frames
	if count == nil {
		count = func(file string, size int) (float64, error) {
			return float64(length(file)-fileHeader) / float64(size+recordHeader), nil
		}
	}
	err = wire.In(t, func(t testing.TB) error {
		l := wire.NewLab(t, 1, false)
		file := filepath.Join(dir, fmt.Sprintf("ethertap-bench-%d.pcap", os.Getpid()))
		t.Cleanup(func() { os.RemoveAll(file) })
		slice := int(sustainKpps * 1000 * sustainSlice.Seconds())
		g := l.Generator(wire.GeneratorCore, wire.Traffic{Size: sustainSize, Rate: 3 * sustainKpps * 1000})
		processes, err := r.start(t, l, 2, file)
		if err != nil {
			return err
		}
		p := processes[0]
		if err := r.awaitFile(p, file); err != nil {
			return err
		}
		time.Sleep(patience)
		before, err := count(file, sustainSize)
		if err != nil {
			return err
		}
		begin := time.Now()
		for due := begin; time.Since(begin) < lasts; {
			if _, err := g.Send(slice); err != nil {
				return err
			}
			due = due.Add(sustainSlice)
			time.Sleep(time.Until(due)) // not at all if the generator is late
		}
		took := time.Since(begin)
		frames, err := count(file, sustainSize)
		if err != nil {
			return err
		}
		frames -= before
		s.kpps = frames / took.Seconds() / 1000
		for i, p := range processes {
			n, err := cpuTicks(p.PID())
			if err != nil {
				return err
			}
			s.all += n / 100 * 1e9 / max(frames, 1)
			if i == 0 {
				s.recorder = s.all
			}
		}
		if r.direct {
			return nil
		}
		if err := p.Signal(unix.SIGINT); err != nil {
			return fmt.Errorf("%s: %w: %s", r.name, err, p.Output())
		}
		_, err = p.Wait(time.Minute) // it writes what it has in its buffers
		return err
	})
	return s, err
}

// cpuTicks returns the CPU that a process has used, its own and the kernel's for it, in hundredths
// of a second.
func cpuTicks(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	return user + system, err
}
