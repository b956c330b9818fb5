// SPDX-License-Identifier: BSD-3-Clause

// Command chain measures what a frame costs in user space, step by step, on rings in
// memory (BenchmarkStep of package dataplane), and says what follows for hardware
// with zero-copy drivers: packets a second a core, and which links these fill. What
// the driver takes on the same core is not in it. Then it measures what filters cost in the kernel
// (BenchmarkFilter of package fastpath), for which it needs root.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"ethertap/tests/bench/rounds"
)

// steps are the benchmarks, with what each may take, ns a frame; 0 = nothing said.
var steps = []struct {
	name  string
	bytes int // of a frame, checksum not counted; 0: no whole way of a frame
	aim   float64
}{
	{"mirror", 64, 0},
	{"bridge", 64, 40},
	{"bridge of 1500 bytes", 1500, 40},
	{"bridge, 1000 sources", 64, 0},
	{"with drop machash of 1000", 64, 0},
	{"with faults", 64, 0},
	{"with RX tap and its machash of 1000, none qualifies", 64, 0},
	{"with RX tap and filter of a port, none qualifies", 64, 0},
	{"with RX tap and filter udp port 443 and host 10.0.0.1, none qualifies", 64, 0},
	{"with RX tap", 64, 90},
	{"with RX tap, of 1500 bytes", 1500, 0},
	{"part: clock", 0, 0},
	{"part: statistics", 0, 0},
	{"part: counters published", 0, 0},
	{"part: machash", 0, 0},
}

// A filter in a thread may take so much more than the bridge, ns a frame. Those in the kernel have rows of
// their own, with what they may take.
const (
	filtered  = "filter"
	aimFilter = 40
)

var kernelFilters = []struct {
	name string
	aim  float64
}{
	{"port", 10},
	{"tcp port 443 and host 10.0.0.1", 10},
	{"four predicates", 12},
	{"port, frame with a tag", 0},
	{"port, frame of IPv6", 0},
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("chain", flag.ContinueOnError)
	f.SetOutput(stderr)
	n := f.Int("rounds", 5, "counted rounds")
	frames := f.Int("frames", 2000000, "frames of one measurement")
	save := f.String("save", "", "directory for the measurements, as text for benchstat")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if err := measure(*n, *frames, *save, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "chain:", err)
		return 1
	}
	return 0
}

func measure(n, frames int, save string, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "ethertap-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	threads, kernel := filepath.Join(dir, "dataplane.test"), filepath.Join(dir, "fastpath.test")
	for program, pkg := range map[string]string{threads: "ethertap/dataplane", kernel: "ethertap/dataplane/fastpath"} {
		if out, err := exec.Command("go", "test", "-c", "-o", program, pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("compile the benchmarks: %w: %s", err, out)
		}
	}
	step := func(name string) (float64, error) { return once(threads, "Step", name, frames) }
	var rows []rounds.Row
	for _, s := range steps {
		row := rowOf(s.name, s.aim, func() (float64, error) { return step(s.name) })
		if strings.Contains(s.name, filtered) {
			row.Peers = []rounds.Peer{{Aim: 1, Contender: rounds.Contender{Name: fmt.Sprintf("bridge + %d ns", aimFilter), Run: func() (float64, error) {
				v, err := step("bridge")
				return v + aimFilter, err
			}}}}
		}
		rows = append(rows, row)
	}
	for _, f := range kernelFilters {
		if os.Geteuid() != 0 {
			fmt.Fprintln(stderr, "chain: filters in the kernel are left out: that takes root")
			break
		}
		rows = append(rows, rowOf("filter in the kernel: "+f.name, f.aim, func() (float64, error) { return once(kernel, "Filter", f.name, 4*frames) }))
	}
	results, err := rounds.Measure(rows, rounds.Options{Rounds: n, Progress: stderr})
	if err != nil {
		return err
	}
	return rounds.Report(stdout, save, "chain", results, func(w io.Writer) error { return follows(w, results) })
}

// rowOf makes a row of ours beside what it may take, ns a frame; 0 is anything.
func rowOf(name string, aim float64, run func() (float64, error)) rounds.Row {
	row := rounds.Row{Name: name, Unit: "ns/frame", Ours: rounds.Contender{Name: "ethertap", Run: run}}
	if aim > 0 {
		limit := rounds.Contender{Name: "limit", Run: func() (float64, error) { return aim, nil }}
		row.Peers = []rounds.Peer{{Contender: limit, Aim: 1}}
	}
	return row
}

// once runs one benchmark.
func once(program, benchmark, name string, frames int) (float64, error) {
	pattern := "^Benchmark" + benchmark + "$/^" + strings.ReplaceAll(name, " ", "_") + "$"
	out, err := exec.Command(program, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", strconv.Itoa(frames)+"x").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		for i, f := range fields {
			if f == "ns/frame" && i > 0 {
				return strconv.ParseFloat(fields[i-1], 64)
			}
		}
	}
	return 0, fmt.Errorf("no ns/frame in %q", out)
}

// overhead is what the wire adds to a frame: checksum, preamble, gap; bytes.
const overhead = 4 + 8 + 12

// links are speeds, Gbit/s.
var links = []float64{10, 25, 100}

// follows says what the costs mean: how many frames a second one core could take
// through the chain, and how many cores fill a link with such frames, one way.
func follows(w io.Writer, results []rounds.Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "chain alone\tMframes/s a core")
	for _, l := range links {
		fmt.Fprintf(t, "\tcores for %g Gbit/s", l)
	}
	fmt.Fprintln(t)
	for i, s := range steps {
		if s.bytes == 0 {
			continue
		}
		ns := rounds.Median(results[i].Ours)
		fmt.Fprintf(t, "%s, %d bytes\t%.1f", s.name, s.bytes, 1000/ns)
		for _, l := range links {
			framesPerNs := l / 8 / float64(s.bytes+overhead)
			fmt.Fprintf(t, "\t%.2f", framesPerNs*ns)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
