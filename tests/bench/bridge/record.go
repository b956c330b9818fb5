// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/shm"
	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
)

// recorder is what writes the frames that come to d0 into a file.
type recorder struct {
	name string
	// start returns when it records, on the device's core alone or on two, with its
	// processes: SIGINT ends the first one in an orderly way.
	start func(t testing.TB, l *wire.Lab, cores int, file string) ([]*netlab.Process, error)
	// frames returns how many frames of a length are in the file so far; nil: as in a pcap file.
	frames func(file string, size int) (float64, error)
	// direct says that it does not write through the page cache, and hangs at the end until a packet
	// comes, so that it is killed.
	direct bool
}

// awaitFile waits until a recorder has made its file.
func (r *recorder) awaitFile(p *netlab.Process, file string) error {
	for deadline := time.Now().Add(startTime); length(file) < 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s makes no file: %s", r.name, p.Output())
		}
	}
	return nil
}

// All have buffers of 128 MiB, so that a recorder which loses its CPU for a while loses
// no frame. Ours is the queue, of 2112 bytes a slot; the rings come to it. Of 1500 bytes
// such a buffer holds some 88,000 frames, which all may save beyond what they write.
const (
	bufferMiB  = 128
	queueSlots = 1 << 16
	ringFrames = "32768"
)

// ourRecorder is ethertap as a mirror and collect behind it.
var ourRecorder = recorder{name: "ethertap", start: func(t testing.TB, l *wire.Lab, cores int, file string) ([]*netlab.Process, error) {
	q, err := shm.Open(queueName(), shm.Options{Slots: queueSlots, Role: shm.RoleEthertap, Name: "bench"})
	if err != nil {
		return nil, err
	}
	if err := q.Close(); err != nil {
		return nil, err
	}
	p, err := mirror("mirror", []string{"--rings", ringFrames}, "0 tap.rx.enable").start(t, l)
	if err != nil {
		return nil, err
	}
	if err := p.WaitOutput("}\n", startTime); err != nil {
		return nil, err
	}
	return []*netlab.Process{pinned(t, l, cores, netlab.Build(t, "./cmd/collect"), "--silent", "--queue", queueName(), file), p}, nil
}}

// peerRecorder is a program that says when it records.
func peerRecorder(name, says string, args ...string) recorder {
	return recorder{name: name, start: func(t testing.TB, l *wire.Lab, cores int, file string) ([]*netlab.Process, error) {
		path, err := exec.LookPath(name)
		if err != nil {
			return nil, errors.New("not installed")
		}
		wire.NAPI(t, l.Dut, netlab.D0)
		p := pinned(t, l, cores, path, append(args, file)...)
		return []*netlab.Process{p}, p.WaitOutput(says, startTime)
	}}
}

var peerRecorders = []recorder{
	peerRecorder("tcpdump", "listening on", "-i", netlab.D0, "-n", "-B", strconv.Itoa(bufferMiB<<10), "-Z", "root", "-w"),
	peerRecorder("dumpcap", "File:", "-q", "-P", "-i", netlab.D0, "-B", strconv.Itoa(bufferMiB), "-w"),
	peerRecorder("netsniff-ng", "Running!", "--in", netlab.D0, "--silent", "--verbose", "--ring-size", strconv.Itoa(bufferMiB)+"MiB", "--out"),
}

// recording is the highest rate of which next to nothing is missing in the file.
func recording(t testing.TB, during time.Duration) []rounds.Row {
	var rows []rounds.Row
	for _, s := range []struct {
		bytes int
		top   float64 // kpps, more than anybody records
		aim   float64
	}{{64, 4000, 1.5}, {1500, 1500, 1.2}} {
		measured := func(r recorder) rounds.Contender {
			var last float64 // what the round before found
			return rounds.Contender{Name: r.name, Run: func() (_ float64, err error) {
				last, err = record(t, r, s.bytes, s.top, last, during)
				return last, err
			}}
		}
		row := rounds.Row{Name: fmt.Sprintf("recording without loss, %d bytes", s.bytes), Unit: "kpps", More: true, Ours: measured(ourRecorder)}
		for _, r := range peerRecorders {
			row.Peers = append(row.Peers, rounds.Peer{Contender: measured(r), Aim: s.aim})
		}
		row.Peers = append(row.Peers, rounds.Peer{Contender: rounds.Contender{Name: "page cache alone", Run: func() (float64, error) {
			bytes := 1 << 29
			took, err := pages(bytes)
			return float64(bytes) / float64(s.bytes+recordHeader) / took.Seconds() / 1000, err
		}}})
		rows = append(rows, row)
	}
	return rows
}

// recordPrecision is that of the rate searched: each step takes two seconds.
const recordPrecision = 1.05

// record finds the highest rate. What is saved of too much says where to look, if no
// guess does.
func record(t testing.TB, r recorder, size int, top, guess float64, during time.Duration) (float64, error) {
	if guess == 0 {
		saved, took, _, err := saves(t, r, size, top, during/2)
		if err != nil {
			return 0, err
		}
		guess = float64(saved) / took.Seconds() / 1000
	}
	return search(min(guess, top), recordPrecision, func(kpps float64) (offered float64, ok bool, err error) {
		saved, took, sent, err := saves(t, r, size, kpps, during)
		if err != nil {
			return 0, false, err
		}
		return float64(sent) / took.Seconds() / 1000, float64(sent-saved) <= lossAllowed*float64(sent), nil
	})
}

// pages writes so many bytes to where the recorders do, twice, on the device's core, and
// returns how long the second time took: the page cache is what all of them write to.
// Memory that was free for some seconds may have been given back to the machine below a
// virtual one, and costs several times as much when it is used again. So it is touched
// before each measurement, that all have the same.
func pages(bytes int) (took time.Duration, err error) {
	f, err := os.CreateTemp("/dev/shm", "ethertap-bench-")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // at once: so nothing is left however it ends
		return 0, err
	}
	err = wire.On(wire.DeviceCore(), func() error {
		block := make([]byte, 256<<10)
		for range 2 {
			if err := errors.Join(f.Truncate(0), rewind(f)); err != nil {
				return err
			}
			start := time.Now()
			for left := bytes; left > 0; left -= len(block) {
				if _, err := f.Write(block); err != nil {
					return err
				}
			}
			took = time.Since(start)
		}
		return nil
	})
	return took, err
}

func rewind(f *os.File) error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// saves offers frames at a rate and counts those in the file.
func saves(t testing.TB, r recorder, size int, kpps float64, during time.Duration) (saved int, took time.Duration, sent int, err error) {
	sent = int(kpps * 1000 * during.Seconds())
	if _, err := pages(sent * (size + recordHeader)); err != nil {
		return 0, 0, 0, err
	}
	err = wire.In(t, func(t testing.TB) error {
		l := wire.NewLab(t, 1, false)
		file := filepath.Join("/dev/shm", fmt.Sprintf("ethertap-bench-%d.pcap", os.Getpid()))
		t.Cleanup(func() { os.Remove(file) })
		g := l.Generator(wire.GeneratorCore, wire.Traffic{Size: size, Rate: kpps * 1000})
		processes, err := r.start(t, l, 1, file)
		if err != nil {
			return err
		}
		p := processes[0]
		if err := r.awaitFile(p, file); err != nil {
			return err
		}
		time.Sleep(patience) // some say that they record a little before they do
		if took, err = g.Send(sent); err != nil {
			return err
		}
		if sent, err = g.Sent(); err != nil {
			return err
		}
		for last := int64(-1); length(file) != last; time.Sleep(patience) {
			last = length(file)
		}
		if err := p.Signal(unix.SIGINT); err != nil {
			return fmt.Errorf("%s: %w: %s", r.name, err, p.Output())
		}
		if _, err := p.Wait(startTime); err != nil {
			return err
		}
		saved = int(length(file)-fileHeader) / (size + recordHeader)
		return nil
	})
	return saved, took, sent, err
}

// Of a pcap file, bytes.
const (
	fileHeader   = 24
	recordHeader = 16
)

// patience is how long a recorder may keep what it will write.
const patience = 100 * time.Millisecond

// length returns that of a file, -1 if there is none.
func length(file string) int64 {
	st, err := os.Stat(file)
	if err != nil {
		return -1
	}
	return st.Size()
}
