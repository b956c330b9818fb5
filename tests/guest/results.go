// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// An outcome is what came of a test.
type outcome struct {
	Result  string  `json:"result"` // pass, skip or fail
	Why     string  `json:"why,omitempty"`
	Seconds float64 `json:"seconds"` // it took so long
}

// A report is what came of a row.
type report struct {
	Row     string             `json:"row"`
	Kernel  string             `json:"kernel"`
	Driver  string             `json:"driver"`
	Mode    string             `json:"mode"`
	Date    string             `json:"date"`
	Commit  string             `json:"commit"`
	Seconds float64            `json:"seconds"`          // it took so long
	Faults  []string           `json:"faults,omitempty"` // of the row as a whole
	Tests   map[string]outcome `json:"tests"`            // by package and name
	started time.Time
}

// An event is what `go tool test2json` makes of a test's output.
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// A listener takes in what a guest writes and prints it as go test does.
type listener struct {
	out     io.Writer
	report  *report
	verbose bool

	mu      sync.Mutex
	at      time.Time // of the last line
	pkg     string    // under test
	running []string  // tests that have begun and not ended, the last one last
	count   int       // of tests that have ended in this package
	ended   bool      // the guest said so
}

// state tells what the guest is at, and since when it has said nothing.
func (l *listener) state() (what string, quiet time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	what = "its start"
	switch {
	case len(l.running) > 0:
		what = l.pkg + " " + l.running[len(l.running)-1]
	case l.pkg != "":
		what = l.pkg
	}
	return what, time.Since(l.at)
}

// listen reads to the end of what the guest writes.
func (l *listener) listen(results io.Reader) error {
	lines := bufio.NewReader(results)
	var tests *converter
	for {
		line, err := lines.ReadString('\n')
		if err != nil && tests != nil { // cut off in the middle
			err = errors.Join(err, tests.close())
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.at = time.Now()
		l.mu.Unlock()
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "@test":
			if tests, err = l.begin(rest); err != nil {
				return err
			}
		case word == "@exit" && tests != nil:
			if err := l.finish(tests, rest); err != nil {
				return err
			}
			tests = nil
		case tests != nil:
			if _, err := io.WriteString(tests.in, line+"\n"); err != nil {
				return err
			}
		case word == "@up":
			up, release, _ := strings.Cut(rest, " ")
			l.report.Kernel = release
			fmt.Fprintf(l.out, "    Linux %s is up after %s s of its own time\n", release, up)
		case word == "@fault":
			l.report.Faults = append(l.report.Faults, rest)
		case word == "@end":
			l.mu.Lock()
			l.ended = true
			l.mu.Unlock()
		default:
			fmt.Fprintln(l.out, line)
		}
	}
}

// A converter is go's own program that tells one test's lines from another's.
type converter struct {
	in      io.WriteCloser
	cmd     *exec.Cmd
	started time.Time
	read    chan error
}

func (l *listener) begin(pkg string) (*converter, error) {
	c := &converter{cmd: exec.Command("go", "tool", "test2json", "-t", "-p", pkg), started: time.Now(), read: make(chan error, 1)}
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("go tool test2json: %w", err)
	}
	l.mu.Lock()
	l.pkg, l.running, l.count = pkg, nil, 0
	l.mu.Unlock()
	go func() { c.read <- l.follow(pkg, json.NewDecoder(out)) }()
	return c, nil
}

func (c *converter) close() error {
	return errors.Join(c.in.Close(), <-c.read, c.cmd.Wait())
}

// finish says what came of a package.
func (l *listener) finish(c *converter, status string) error {
	if err := c.close(); err != nil {
		return err
	}
	took := time.Since(c.started).Seconds()
	l.mu.Lock()
	defer l.mu.Unlock()
	if status == "0" {
		fmt.Fprintf(l.out, "ok  \t%s\t%.3fs\n", l.pkg, took)
	} else {
		fmt.Fprintf(l.out, "FAIL\t%s\t%.3fs\n", l.pkg, took)
		l.report.Faults = append(l.report.Faults, fmt.Sprintf("%s: exit status %s", l.pkg, status))
	}
	l.abandonLocked("it had not ended when its package did")
	l.pkg = ""
	return nil
}

// abandonLocked notes that the tests that run have failed.
func (l *listener) abandonLocked(why string) {
	for _, test := range l.running {
		l.report.Tests[l.pkg+" "+test] = outcome{Result: "fail", Why: why}
	}
	l.running = nil
}

// noise are the lines that only `go test -v` prints.
var noise = regexp.MustCompile(`^=== (RUN|PAUSE|CONT|NAME)`)

// follow takes in one package's events. What a test prints is shown when it has failed, and
// what belongs to none at once.
func (l *listener) follow(pkg string, events *json.Decoder) error {
	said := map[string][]string{} // by test without its subtests
	own := map[string][]string{}  // by test, of subtests too
	for {
		var e event
		if err := events.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("go tool test2json: %w", err)
		}
		top, _, sub := strings.Cut(e.Test, "/")
		switch e.Action {
		case "run":
			l.mu.Lock()
			l.running = append(l.running, e.Test)
			l.mu.Unlock()
		case "output":
			if l.verbose {
				fmt.Fprint(l.out, e.Output)
			}
			switch {
			case noise.MatchString(e.Output):
			case e.Test == "":
				if text := strings.TrimSpace(e.Output); text != "PASS" && text != "FAIL" && !l.verbose {
					fmt.Fprint(l.out, e.Output)
				}
			default:
				said[top] = append(said[top], e.Output)
				own[e.Test] = append(own[e.Test], e.Output)
			}
		case "pass", "fail", "skip":
			if e.Test == "" {
				continue
			}
			l.mu.Lock()
			l.running = slices.DeleteFunc(l.running, func(name string) bool { return name == e.Test })
			if !sub {
				l.count++
			}
			l.mu.Unlock()
			l.report.Tests[pkg+" "+e.Test] = outcome{e.Action, cmp.Or(reason(e.Action, own[e.Test]), reason(e.Action, said[top])), e.Elapsed}
			delete(own, e.Test)
			if sub {
				continue
			}
			if e.Action == "fail" && !l.verbose {
				for _, line := range said[top] {
					fmt.Fprint(l.out, line)
				}
			}
			delete(said, top)
		}
	}
}

var place = regexp.MustCompile(`^\s+\S+\.go:[0-9]+: (.*)`)

// reason is for the table why a test failed or was skipped: the first thing it said.
func reason(result string, said []string) string {
	if result == "pass" {
		return ""
	}
	for _, line := range said {
		if m := place.FindStringSubmatch(line); m != nil {
			return strings.TrimSpace(m[1])
		}
	}
	return ""
}
