// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/tests/netlab"
	"ethertap/words/core"
)

// The words shared with Forth: forth/core.fs runs in RPCL and in gforth, with a tester
// for each, and both find nothing wrong.
func TestForthSuite(t *testing.T) {
	s, out := forthSession(t)
	for _, name := range []string{"forth/tester.rpcl", "forth/core.fs"} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := s.Run(name, f); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("forth/core.fs")
	if err != nil {
		t.Fatal(err)
	}
	if ours := strings.Join(strings.Fields(out.String()), " "); !clean(ours, strings.Count(string(text), "T{ ")) {
		t.Errorf("RPCL: %s", ours)
	}
	// The tester finds what is wrong: another value, too few values.
	if err := s.Interpret("T{ 1 -> 2 }T T{ 1 2 -> 1 }T failures @"); err != nil || s.Depth() != 1 || !s.Peek(0).Equal(interp.NewInt(2)) {
		t.Errorf("the tester takes two wrong tests for right: %v", err)
	}

	netlab.RequireTool(t, "gforth")
	cmd := exec.Command("gforth", "tester.fs", "core.fs", "-e", "bye")
	cmd.Dir = "forth"
	theirs, err := cmd.CombinedOutput()
	if got := strings.Join(strings.Fields(string(theirs)), " "); err != nil || !clean(got, strings.Count(string(text), "T{ ")) {
		t.Errorf("gforth: %v %s", err, got)
	}
}

// forthSession returns a session with the core words, those of further sets and the
// prelude, and its output.
func forthSession(t *testing.T, sets ...interp.Set) (*interp.Session, *bytes.Buffer) {
	t.Helper()
	dict, err := interp.NewDict(append([]interp.Set{core.Set()}, sets...)...)
	if err != nil {
		t.Fatal(err)
	}
	out := new(bytes.Buffer)
	s := interp.NewSession(dict, strings.NewReader(""), out, out)
	if err := core.Prelude(s); err != nil {
		t.Fatal(err)
	}
	return s, out
}

// clean tells whether a suite of so many tests ended without failures.
func clean(report string, n int) bool {
	var tests, failures int
	_, err := fmt.Sscanf(report, "%d tests %d failures", &tests, &failures)
	return err == nil && failures == 0 && tests == n
}

// program is one of forth/programs, which are what people write to learn Forth or to get
// something done; each begins with a line that names it.
type program struct{ name, source string }

func programs(t *testing.T) (all []program) {
	t.Helper()
	files, err := filepath.Glob("forth/programs/*.fs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no programs: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		const begin = "\n\\ program: "
		_, rest, _ := strings.Cut(string(text), begin)
		for one := range strings.SplitSeq(rest, begin) {
			name, source, _ := strings.Cut(one, "\n")
			all = append(all, program{name, source + "\n"})
		}
	}
	if len(all) < 50 {
		t.Fatalf("%d programs", len(all))
	}
	return all
}

// endsLines are the words that end the line in RPCL and print a blank in Forth: where they
// are used, what is printed is compared word by word.
var endsLines = regexp.MustCompile(`(?m)(^|\s)(\.|u\.|\?)(\s|$)`)

// printed is what a program prints, in the form in which it is compared.
func (p program) printed(out string) string {
	if endsLines.MatchString(p.source) {
		return strings.Join(strings.Fields(out), " ") + "\n"
	}
	return strings.Trim(out, "\n") + "\n"
}

// Programs print in RPCL, unchanged, what they print in gforth; both print what is in
// forth/programs.txt. forth/gforth.fs are words that gforth has not.
func TestForthPrograms(t *testing.T) {
	all := programs(t)
	var ours strings.Builder
	for _, p := range all {
		s, out := forthSession(t)
		if err := s.Run(p.name, strings.NewReader(p.source)); err != nil || s.Depth() != 0 {
			t.Errorf("%s: %v, and leaves %d values", p.name, err, s.Depth())
		}
		fmt.Fprintf(&ours, "\n== %s\n%s", p.name, p.printed(out.String()))
	}
	const golden = "forth/programs.txt"
	want, err := os.ReadFile(golden)
	switch {
	case *update:
		if err := os.WriteFile(golden, []byte(ours.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	case err != nil:
		t.Fatal(err)
	case ours.String() != string(want):
		t.Errorf("%s: %s", golden, firstDifference(ours.String(), string(want)))
	}

	netlab.RequireTool(t, "gforth")
	var source strings.Builder
	for i, p := range all { // each forgets what it has defined
		fmt.Fprintf(&source, "marker -program%d\n.\" \x01\" %s\n: -leaves depth if .\" leaves \" depth . then ; -leaves\n-program%[1]d\n", i, p.source)
	}
	file := filepath.Join(t.TempDir(), "programs.fs")
	if err := os.WriteFile(file, []byte(source.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("gforth", "forth/gforth.fs", file, "-e", "bye")
	out, err := cmd.Output() // without the warnings of redefinition
	if err != nil {
		t.Fatalf("gforth: %v\n%s", err, out)
	}
	printed := strings.Split(string(out), "\x01")[1:]
	var theirs strings.Builder
	for i, p := range all {
		if i < len(printed) {
			fmt.Fprintf(&theirs, "\n== %s\n%s", p.name, p.printed(printed[i]))
		}
	}
	if theirs.String() != ours.String() {
		t.Errorf("gforth: %s", firstDifference(theirs.String(), ours.String()))
	}
}
