// SPDX-License-Identifier: BSD-3-Clause

// Command report prints the tables that the benchmarks have saved, with the machine
// they were measured on, or puts them in a document in the place of the last ones.
//
//	report [-into docs/performance.md] [directory]
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Lines of a document between which the tables stand.
const (
	begin = "<!-- results: written by make bench-docs -->"
	end   = "<!-- end of results -->"
)

// titles of the tables, in their order.
var titles = []struct{ name, title string }{
	{"bridge", "Bridge and recording"},
	{"chain", "User-space cost of the chain, on rings in memory"},
	{"queue", "Queue"},
	{"stream", "A stream of NATS beside a file"},
	{"vm", "RPCL"},
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("report", flag.ContinueOnError)
	f.SetOutput(stderr)
	into := f.String("into", "", "document to put the tables in")
	if err := f.Parse(args); err != nil {
		return 2
	}
	dir := "bench/results"
	if f.NArg() > 0 {
		dir = f.Arg(0)
	}
	text, err := tables(dir, *into != "")
	if err == nil && *into != "" {
		err = replace(*into, text)
	} else if err == nil {
		_, err = io.WriteString(stdout, text)
	}
	if err != nil {
		fmt.Fprintln(stderr, "report:", err)
		return 1
	}
	return 0
}

// tables collects what is in a directory.
func tables(dir string, markdown bool) (string, error) {
	head, before, after := "", "", ""
	if markdown {
		head, before, after = "### ", "```\n", "```\n"
	}
	var b strings.Builder
	found := false
	for _, t := range titles {
		file := filepath.Join(dir, t.name+".table")
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		st, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		found = true
		fmt.Fprintf(&b, "\n%s%s (%s)\n\n%s%s%s", head, t.title, st.ModTime().UTC().Format(time.DateOnly), before, text, after)
	}
	if !found {
		return "", fmt.Errorf("no tables in %s; make bench makes them", dir)
	}
	return "\nMeasured on " + machine() + ".\n" + b.String(), nil
}

// machine describes this one.
func machine() string {
	model := "an unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var u unix.Utsname
	release := ""
	if unix.Uname(&u) == nil {
		release = unix.ByteSliceToString(u.Release[:])
		release, _, _ = strings.Cut(release, "-")
	}
	return fmt.Sprintf("%d cores of %s, Linux %s, %s", runtime.NumCPU(), model, release, runtime.Version())
}

// replace puts text between the two lines of a document.
func replace(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(old, []byte(begin))
	_, tail, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return fmt.Errorf("%s has no lines %q and %q", file, begin, end)
	}
	return os.WriteFile(file, []byte(string(head)+begin+"\n"+text+"\n"+end+string(tail)), 0o644)
}
