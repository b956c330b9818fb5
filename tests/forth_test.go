package tests

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ethertap/interp"
	"ethertap/tests/netlab"
	"ethertap/words/core"
)

// The words shared with Forth: forth/core.fs runs in RPCL and in gforth, with a tester
// for each, and both find nothing wrong.
func TestForthSuite(t *testing.T) {
	dict, err := interp.NewDict(core.Set())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := interp.NewSession(dict, strings.NewReader(""), &out, &out)
	if err := core.Prelude(s); err != nil {
		t.Fatal(err)
	}
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

// clean tells whether a suite of so many tests ended without failures.
func clean(report string, n int) bool {
	var tests, failures int
	_, err := fmt.Sscanf(report, "%d tests %d failures", &tests, &failures)
	return err == nil && failures == 0 && tests == n
}
