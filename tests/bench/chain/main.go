// Command chain measures what a frame costs in user space, step by step, on rings in
// memory (BenchmarkStep of package dataplane), and says what follows for hardware
// with zero-copy drivers: packets a second a core, and which links these fill. What
// the driver takes on the same core is not in it.
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
	{"with RX tap", 64, 90},
	{"with RX tap, of 1500 bytes", 1500, 0},
	{"part: clock", 0, 0},
	{"part: statistics", 0, 0},
	{"part: counters published", 0, 0},
	{"part: machash", 0, 0},
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
	program := filepath.Join(dir, "dataplane.test")
	if out, err := exec.Command("go", "test", "-c", "-o", program, "ethertap/dataplane").CombinedOutput(); err != nil {
		return fmt.Errorf("compile the benchmarks: %w: %s", err, out)
	}
	var rows []rounds.Row
	for _, s := range steps {
		row := rounds.Row{Name: s.name, Unit: "ns/frame", Ours: rounds.Contender{Name: "ethertap", Run: func() (float64, error) {
			return once(program, s.name, frames)
		}}}
		if s.aim > 0 {
			limit := rounds.Contender{Name: "limit", Run: func() (float64, error) { return s.aim, nil }}
			row.Peers = []rounds.Peer{{Contender: limit, Aim: 1}}
		}
		rows = append(rows, row)
	}
	results, err := rounds.Measure(rows, rounds.Options{Rounds: n, Progress: stderr})
	if err != nil {
		return err
	}
	return rounds.Report(stdout, save, "chain", results, func(w io.Writer) error { return follows(w, results) })
}

// once runs one benchmark.
func once(program, name string, frames int) (float64, error) {
	pattern := "^BenchmarkStep$/^" + strings.ReplaceAll(name, " ", "_") + "$"
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
