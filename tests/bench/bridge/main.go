// SPDX-License-Identifier: BSD-3-Clause

// Command bridge measures EtherTAP's bridge beside others, on veth pairs in network
// namespaces of its own: a bridge in C on libxdp (peer/), the kernel's, asavie/xdp's
// sockets (l2fwd/), tcpbridge.
//
//	saturation   frames a second that come out when four million a second go in
//	loss-free    the highest rate of which at most one frame in a thousand is lost
//	switched on  what tap, collector, machash and faults take from the first
//	fast-path    frames that stay in the kernel, beside a bare redirect and our threads
//	latency      age of a frame at the sink
//	viewers      a rate that is carried, looked at by ten and by nobody
//	recording    the highest rate of which a file has all but one frame in a thousand,
//	             beside tcpdump, dumpcap and netsniff-ng
//	sustained    frames of 1500 bytes that reach a file on a disk, for seconds or
//	             minutes, and the CPU for each
//	indexing     the CPU that the indexes of a recording take, beside the recording
//	replay       captures: between files, and onto a veth beside tcpreplay
//	at rest      CPU when idle, time from start to the first frame, memory
//
// The generator has a core of its own, the device the other. See tests/bench/wire.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"ethertap/tests/bench/rounds"
	"ethertap/tests/bench/wire"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("bridge", flag.ContinueOnError)
	f.SetOutput(stderr)
	n := f.Int("rounds", 5, "counted rounds of what takes a second; half as many of what takes longer")
	only := f.String("only", "", "this group alone: saturation, loss-free, switched-on, fast-path, latency, rest, viewers, recording, sustained, indexing, replay")
	which := f.String("rows", "", "only the rows whose names this regular expression matches")
	peers := f.String("peers", "", "only the peers whose names this regular expression matches")
	quick := f.Bool("quick", false, "the most telling rows alone, beside the nearest peers")
	during := f.Duration("time", 500*time.Millisecond, "length of one measurement")
	dir := f.String("dir", os.TempDir(), "directory on a disk for what is recorded there")
	lasts := f.Duration("lasts", 10*time.Second, "length of a sustained recording")
	save := f.String("save", "", "directory for the measurements, as text for benchstat")
	if err := f.Parse(args); err != nil {
		return 2
	}
	wanted, err := regexp.Compile(*peers)
	if err != nil {
		fmt.Fprintf(stderr, "bench bridge: --peers: %v\n", err)
		return 2
	}
	named, err := regexp.Compile(*which)
	if err != nil {
		fmt.Fprintf(stderr, "bench bridge: --rows: %v\n", err)
		return 2
	}
	return wire.Run("bridge", stderr, func(t testing.TB) error {
		return measure(t, *n, *during, *only, named, wanted, *quick, *dir, *lasts, *save, stdout, stderr)
	})
}

// quickRows are those of a quick run.
var quickRows = regexp.MustCompile(`^(saturation, (64|1500) bytes|fast path, 64 bytes|age at 10 kpps, p(50|99)|CPU when idle)$`)

// telling returns the rows of a quick run, with two peers each.
func telling(rows []rounds.Row) (few []rounds.Row) {
	for _, r := range rows {
		if quickRows.MatchString(r.Name) {
			r.Peers = r.Peers[:min(len(r.Peers), 2)]
			few = append(few, r)
		}
	}
	return few
}

// measure measures the groups and prints their table.
func measure(t testing.TB, n int, during time.Duration, only string, named, peers *regexp.Regexp, quick bool, dir string, lasts time.Duration, save string, stdout, stderr io.Writer) error {
	few := (n + 1) / 2
	var results []rounds.Result
	for _, g := range []struct {
		name   string
		rounds int
		rows   func(testing.TB, time.Duration) []rounds.Row
	}{
		{"saturation", n, saturation},
		{"loss-free", few, lossFree},
		{"switched-on", few, switchedOn},
		{"fast-path", few, fastPath},
		{"latency", few, latency},
		{"rest", few, rest},
		{"viewers", n, viewed},
		{"recording", few, recording},
		{"sustained", few, sustained(dir, lasts)},
		{"indexing", few, indexing(dir)},
		{"replay", n, replays},
	} {
		if only != "" && only != g.name {
			continue
		}
		rows := slices.DeleteFunc(g.rows(t, during), func(r rounds.Row) bool { return !named.MatchString(r.Name) })
		for i := range rows {
			rows[i].Peers = slices.DeleteFunc(rows[i].Peers, func(p rounds.Peer) bool { return !peers.MatchString(p.Name) })
		}
		if quick {
			rows = telling(rows)
		}
		r, err := rounds.Measure(rows, rounds.Options{Rounds: g.rounds, Progress: stderr})
		if err != nil {
			return err
		}
		results = append(results, r...)
	}
	if len(results) == 0 {
		return fmt.Errorf("no group %s", only)
	}
	return rounds.Report(stdout, save, "bridge", results)
}
