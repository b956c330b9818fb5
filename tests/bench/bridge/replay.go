// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"ethertap/lib/capture"
	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
)

// replaySize are the sizes of captures: frames that are replayed as fast as possible or pass between files, and frames of known
// gaps.
type replaySize struct{ frames, rounds, gaps int }

const (
	// aimRead and aimFiles are thousands of frames of 64 bytes a second, from a file in memory to nowhere and to another file.
	aimRead, aimFiles = 5000, 1000
	// aimGap is the median error of a gap between two frames, µs.
	aimGap = 20
	// replayTime bounds a run.
	replayTime = 2 * time.Minute
)

// replays are captures as interfaces: between files, and onto a link.
func replays(t testing.TB, _ time.Duration) []rounds.Row {
	return replayRows(t, replaySize{frames: 1_000_000, rounds: 5, gaps: 2000})
}

func replayRows(t testing.TB, s replaySize) []rounds.Row {
	dir, err := os.MkdirTemp("/dev/shm", "ethertap-bench-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	hour, gaps := filepath.Join(dir, "hour.pcap"), filepath.Join(dir, "gaps.pcap")
	if err := makeCapture(hour, s.frames, func() time.Duration { return time.Hour / time.Duration(s.frames) }); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	if err := makeCapture(gaps, s.gaps, func() time.Duration {
		return 50*time.Microsecond + time.Duration(random.Int64N(int64(time.Millisecond)))
	}); err != nil {
		t.Fatal(err)
	}
	in, out := "pcap:"+hour, "pcap:"+filepath.Join(dir, "out.pcapng")
	files := func(name string, n int, args ...string) rounds.Contender {
		return rounds.Contender{Name: name, Run: func() (float64, error) {
			took, err := offline(t, append(args, "--loop", fmt.Sprint(n))...)
			return float64(n*s.frames) / took.Seconds() / 1000, err
		}}
	}
	const line = "0 fault.enable 20ms 5ms 0 fault.delay 100Mbit 50ms 0 fault.rate"
	limit := func(kpps float64) []rounds.Peer { return []rounds.Peer{{Contender: constant("aim", kpps), Aim: 1}} }
	return []rounds.Row{
		{Name: "a file read through the chain, 64 bytes", Unit: "kpps", More: true, Ours: files("ethertap", s.rounds, in), Peers: limit(aimRead)},
		{Name: "from file to file, 64 bytes", Unit: "kpps", More: true, Ours: files("ethertap", 1, in, out), Peers: limit(aimFiles)},
		{Name: "an hour from file to file, with delay, jitter and rate, 64 bytes", Unit: "kpps", More: true, Ours: files("ethertap", 1, in, out, "-e", line), Peers: limit(aimFiles)},
		{Name: "replay onto a veth as fast as possible, 64 bytes", Unit: "kpps", More: true, Ours: flat(t, replayers[0], hour, s.frames), Peers: []rounds.Peer{
			{Contender: flat(t, replayers[1], hour, s.frames), Aim: 1}, {Contender: flat(t, replayers[2], hour, s.frames)}}},
		{Name: "error of a gap at the pace of the capture, median", Unit: "µs", Ours: paced(t, replayers[0], gaps, 0.5), Peers: []rounds.Peer{
			{Contender: constant("aim", aimGap), Aim: 1}, {Contender: paced(t, replayers[1], gaps, 0.5)}}},
		{Name: "error of a gap at the pace of the capture, p99", Unit: "µs", Ours: paced(t, replayers[0], gaps, 0.99), Peers: []rounds.Peer{
			{Contender: paced(t, replayers[1], gaps, 0.99)}}},
	}
}

// makeCapture makes a capture of frames of 64 bytes, with their checksums, which the file does not have.
func makeCapture(path string, n int, gap func() time.Duration) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b := bufio.NewWriterSize(f, 1<<20)
	w := pcapgo.NewWriterNanos(b)
	if err := w.WriteFileHeader(1<<18, layers.LinkTypeEthernet); err != nil {
		return err
	}
	for i, at := 0, time.Unix(1_700_000_000, 0); i < n; i++ {
		frame := netlab.UDP(60, uint64(i))
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(frame), Length: len(frame)}, frame); err != nil {
			return err
		}
		at = at.Add(gap())
	}
	return errors.Join(b.Flush(), f.Close())
}

// offline runs ethertap on files and returns how long it took, with its start and its end.
func offline(t testing.TB, args ...string) (took time.Duration, err error) {
	cmd := exec.Command(netlab.Build(t, "./cmd/ethertap"), args...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return time.Since(begun), err
}

// replayer is a program that puts a capture on a link: as fast as it can, or at the pace of the capture.
type replayer struct {
	name  string
	start func(t testing.TB, n *netlab.Namespace, file string, fast bool) (*netlab.Process, error)
}

var replayers = []replayer{
	{"ethertap", func(t testing.TB, n *netlab.Namespace, file string, fast bool) (*netlab.Process, error) {
		pace := "original"
		if fast {
			pace = "max"
		}
		t.Cleanup(func() { os.Remove("/dev/shm/" + queueName()) })
		cmd := n.Command(netlab.Build(t, "./cmd/ethertap"), "--name", instance(), "--config", os.DevNull, "--pace", pace, "pcap:"+file, netlab.S0)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
		return netlab.StartProcess(t, cmd), nil
	}},
	tcpreplay("tcpreplay --topspeed"),
	tcpreplay("tcpreplay --topspeed, preloaded", "--preload-pcap"),
}

// tcpreplay is the one of Debian's package of that name.
func tcpreplay(name string, options ...string) replayer {
	return replayer{name, func(t testing.TB, n *netlab.Namespace, file string, fast bool) (*netlab.Process, error) {
		path, err := exec.LookPath("tcpreplay")
		if err != nil {
			return nil, errors.New("not installed (tcpreplay)")
		}
		args := slices.Clone(options)
		if fast {
			args = append(args, "--topspeed")
		}
		return netlab.StartProcess(t, n.Command(path, append(args, "--quiet", "-i", netlab.S0, file)...)), nil
	}}
}

// link makes a veth and runs fn.
func link(t testing.TB, fn func(t testing.TB, src, snk *netlab.Namespace) error) error {
	return wire.In(t, func(t testing.TB) error {
		src, snk := netlab.NewNamespace(t, "src"), netlab.NewNamespace(t, "snk")
		netlab.Veth(src, netlab.S0, snk, netlab.K1, netlab.VethOptions{})
		return fn(t, src, snk)
	})
}

// flat is how many thousands of frames a second a replayer puts on a link, from the first one that arrives to the last.
func flat(t testing.TB, r replayer, file string, frames int) rounds.Contender {
	return rounds.Contender{Name: r.name, Run: func() (kpps float64, err error) {
		err = link(t, func(t testing.TB, src, snk *netlab.Namespace) error {
			sink := wire.NewSink(t, snk, netlab.K1, false)
			p, err := r.start(t, src, file, true)
			if err != nil {
				return err
			}
			var first, last time.Time
			var before, now uint64
			begun := time.Now()
			for now < uint64(frames) {
				n, err := sink.Count()
				at := time.Now()
				if err != nil {
					return err
				}
				switch {
				case n > 0 && first.IsZero():
					first, before = at, n
				case n > now:
				case first.IsZero() && at.Sub(begun) > startTime:
					return fmt.Errorf("no frame arrives: %s", p.Output())
				case !first.IsZero() && at.Sub(last) > time.Second: // the rest is lost
					if n < uint64(frames)*99/100 {
						return fmt.Errorf("%d of %d frames arrive: %s", n, frames, p.Output())
					}
					frames = int(n)
				}
				if n > now {
					now, last = n, at
				}
				time.Sleep(500 * time.Microsecond)
			}
			kpps = float64(now-before) / last.Sub(first).Seconds() / 1000
			return ends(p)
		})
		return kpps, err
	}}
}

// ends waits until a replayer has ended well.
func ends(p *netlab.Process) error {
	if err := p.CloseInput(); err != nil {
		return err
	}
	status, err := p.Wait(replayTime)
	if err == nil && status != 0 {
		err = fmt.Errorf("status %d: %s", status, p.Output())
	}
	return err
}

// paced is how wrong the gaps between the frames are, of which a part q is less wrong, in µs. The kernel tells when each arrives.
func paced(t testing.TB, r replayer, file string, q float64) rounds.Contender {
	return rounds.Contender{Name: r.name, Run: func() (µs float64, err error) {
		err = link(t, func(t testing.TB, src, snk *netlab.Namespace) error {
			want, err := times(file)
			if err != nil {
				return err
			}
			arrived := snk.Tcpdump(netlab.K1, "udp")
			p, err := r.start(t, src, file, false)
			if err != nil {
				return err
			}
			if err := ends(p); err != nil {
				return err
			}
			if err := arrived.Stop(len(want)); err != nil {
				return err
			}
			got, err := times(arrived.Path)
			if err != nil {
				return err
			}
			if len(got) != len(want) {
				return fmt.Errorf("%d of %d frames arrived: %s", len(got), len(want), p.Output())
			}
			var wrong []float64
			for i := 1; i < len(got); i++ {
				wrong = append(wrong, math.Abs(float64(got[i]-got[i-1]-(want[i]-want[i-1])))/1000)
			}
			slices.Sort(wrong)
			µs = wrong[int(q*float64(len(wrong)-1))]
			return nil
		})
		return µs, err
	}}
}

// times returns the times of the packets of a capture, in ns.
func times(path string) (list []int64, err error) {
	r, err := capture.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for p := new(capture.Packet); ; list = append(list, p.Time) {
		if err := r.Next(p); err == io.EOF {
			return list, nil
		} else if err != nil {
			return nil, err
		}
	}
}
