// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ethertap/shm"
	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/frames"
	"ethertap/tests/netlab"
)

const (
	indexedFiles = 2
	indexedFile  = 1 << 29 // about how many bytes a file has
	indexedAim   = 0.1     // of the recording's CPU
	// indexedTime is within which all indexes are there.
	indexedTime = 60 * time.Second
)

// indexing returns rows of the CPU that the indexes of a recording take, beside that of the recording.
// The packets are those of ten thousand hosts, and come from a queue as fast as collect takes them.
func indexing(dir string) func(testing.TB, time.Duration) []rounds.Row {
	return func(t testing.TB, _ time.Duration) (rows []rounds.Row) {
		for _, c := range []struct {
			name  string
			sizes []int
		}{
			{"60 bytes", []int{60}},
			{"a mixture of 64 to 1500 bytes", []int{64, 64, 576, 1500, 1500}},
			{"1500 bytes", []int{1500}},
		} {
			var recorded []float64 // of the measurements of ours, in turn
			rows = append(rows, rounds.Row{
				Name: "CPU of the index a packet, " + c.name, Unit: "ns",
				Ours: rounds.Contender{Name: "index", Run: func() (float64, error) {
					index, recording, err := indexed(t, dir, c.sizes)
					recorded = append(recorded, recording)
					return index, err
				}},
				Peers: []rounds.Peer{{Aim: indexedAim, Contender: rounds.Contender{Name: "collect", Run: func() (float64, error) {
					if len(recorded) == 0 {
						return 0, errors.New("nothing was recorded")
					}
					first := recorded[0]
					recorded = recorded[1:]
					return first, nil
				}}}},
			})
		}
		return rows
	}
}

// indexed records packets of some sizes, and returns the CPU that the child which makes the indexes and
// that collect have used for each, in ns.
func indexed(t testing.TB, dir string, sizes []int) (index, recording float64, err error) {
	err = wire.In(t, func(t testing.TB) error {
		q, err := shm.Open(queueName(), shm.Options{Slots: 1 << 14, Role: shm.RoleEthertap, Name: "bench"})
		if err != nil {
			return err
		}
		defer os.Remove("/dev/shm/" + queueName())
		defer q.Close()
		set, err := os.MkdirTemp(dir, "ethertap-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(set)
		const perPacket = 56 // bytes in pcapng, beside the frame
		average := perPacket
		for _, n := range sizes {
			average += n / len(sizes)
		}
		each := indexedFile / average
		packets := indexedFiles * each
		cmd := exec.Command(netlab.Build(t, "./cmd/collect"), "--silent", "--noreset", "--queue", queueName(), "--format", "pcapng",
			"--rotate", "packets="+strconv.Itoa(each), filepath.Join(set, "x.pcapng"))
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
		p := netlab.StartProcess(t, cmd)
		if err := feed(q, sizes, packets+1); err != nil { // one for the next file
			return fmt.Errorf("%w: %s", err, p.Output())
		}
		for deadline := time.Now().Add(indexedTime); ; time.Sleep(patience) {
			closed, _ := filepath.Glob(set + "/*.pcapng")
			indexes, _ := filepath.Glob(set + "/*.index")
			if left, err := q.Backlog(); err == nil && left == 0 && len(indexes) == indexedFiles {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%d indexes of %d files after %v: %s", len(indexes), len(closed), indexedTime, p.Output())
			}
		}
		child, err := childOf(p)
		if err != nil {
			return err
		}
		ticks := func(pid int) float64 {
			n, terr := cpuTicks(pid)
			err = errors.Join(err, terr)
			return n / 100 * 1e9 / float64(packets)
		}
		index, recording = ticks(child), ticks(p.PID())
		return err
	})
	return index, recording, err
}

// feed puts packets into a queue, as fast as they are taken.
func feed(q *shm.Queue, sizes []int, packets int) error {
	p, err := q.NewProducer("bench")
	if err != nil {
		return err
	}
	defer p.Close()
	traffic := frames.NewTraffic(1)
	traffic.Sizes = sizes
	batch := make([]shm.Record, 64)
	for i := range batch {
		batch[i].Data = make([]byte, 0, 2048)
	}
	for packets > 0 {
		left := batch[:min(len(batch), packets)]
		packets -= len(left)
		for i := range left {
			head, payload := traffic.Next()
			r := &left[i]
			r.Data = append(r.Data[:0], head...)
			r.Data = r.Data[:min(len(head)+payload, cap(r.Data))]
			r.Timestamp, r.Direction, r.OrigLen = time.Now().UnixNano(), shm.RX, uint32(len(r.Data))
		}
		for len(left) > 0 {
			n := p.Put(left)
			if left = left[n:]; n == 0 {
				if p.Err() != nil {
					return p.Err()
				}
				time.Sleep(100 * time.Microsecond)
			}
		}
	}
	return nil
}

// childOf returns the child of a process that makes its indexes.
func childOf(p *netlab.Process) (pid int, err error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID()))
	if err != nil {
		return 0, err
	}
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		if f := strings.Fields(string(b)); len(f) > 0 {
			return strconv.Atoi(f[0])
		}
	}
	return 0, errors.New("collect has no child that makes indexes")
}
