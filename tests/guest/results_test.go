// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What a guest writes comes out as go test's lines: of tests that passed nothing, of one that
// failed all it said.
func TestListener(t *testing.T) {
	const guest = `@up 4.50 7.3.4-amd64
@test ethertap/a
=== RUN   TestGood
    a_test.go:1: not shown
--- PASS: TestGood (0.01s)
=== RUN   TestBad
=== RUN   TestBad/part
    a_test.go:7: it is wrong
--- FAIL: TestBad (0.02s)
    --- FAIL: TestBad/part (0.01s)
=== RUN   TestAway
    a_test.go:9: needs nothing
--- SKIP: TestAway (0.00s)
FAIL
@exit 1
@test ethertap/b
PASS
@exit 0
@fault modules not loaded: igb
@end
`
	var out strings.Builder
	l := &listener{out: &out, report: &report{Tests: map[string]outcome{}}}
	if err := l.listen(strings.NewReader(guest)); err != nil {
		t.Fatal(err)
	}
	quiet := l.report.Tests
	v := &listener{out: &strings.Builder{}, verbose: true, report: &report{Tests: map[string]outcome{}}}
	if err := v.listen(strings.NewReader(guest)); err != nil || !reflect.DeepEqual(v.report.Tests, quiet) {
		t.Errorf("verbose: %v, %v", v.report.Tests, err)
	}
	text := out.String()
	for _, want := range []string{"Linux 7.3.4-amd64 is up after 4.50 s", "a_test.go:7: it is wrong\n", "--- FAIL: TestBad (0.02s)\n", "FAIL\tethertap/a\t", "ok  \tethertap/b\t"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, bad := range []string{"not shown", "=== RUN", "needs nothing"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q in\n%s", bad, text)
		}
	}
	want := map[string]outcome{"ethertap/a TestGood": {"pass", "", 0.01}, "ethertap/a TestBad": {"fail", "it is wrong", 0.02},
		"ethertap/a TestBad/part": {"fail", "it is wrong", 0.01}, "ethertap/a TestAway": {"skip", "needs nothing", 0}}
	if !reflect.DeepEqual(l.report.Tests, want) {
		t.Errorf("%v, want %v", l.report.Tests, want)
	}
	if !l.ended || len(l.report.Faults) != 2 || l.report.Kernel != "7.3.4-amd64" {
		t.Errorf("%+v", l.report)
	}
}

// A guest that hangs is named by the test that it was in.
func TestHangIsNamed(t *testing.T) {
	l := &listener{out: &strings.Builder{}, report: &report{Tests: map[string]outcome{}}}
	cut := "@up 1.0 6.1\n@test ethertap/a\n=== RUN   TestOne\n--- PASS: TestOne (0.00s)\n=== RUN   TestEndless\n    a_test.go:2: waiting\n"
	if err := l.listen(strings.NewReader(cut)); err != nil {
		t.Fatal(err)
	}
	if what, _ := l.state(); what != "ethertap/a TestEndless" || l.ended {
		t.Errorf("it was in %q, ended %v", what, l.ended)
	}
}

func TestComplaints(t *testing.T) {
	console := filepath.Join(t.TempDir(), "console")
	text := "[    0.1] x86/cpu: SGX disabled\r\n[    2.0] WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 f+0x1/0x2\r\n" +
		"[    2.1] Call Trace:\r\n[    3.0] BUG: kernel NULL pointer dereference, address: 0\r\n"
	if err := os.WriteFile(console, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := complaints(console); len(got) != 3 || !strings.Contains(got[0], "dev.c:1") {
		t.Errorf("%q", got)
	}
}

func TestPickedRows(t *testing.T) {
	if all, err := pick("", ""); err != nil || len(all) != len(rows) {
		t.Errorf("%d rows, %v", len(all), err)
	}
	if got, err := pick("igb,6.1", ""); err != nil || len(got) != 2 || got[0].nic != "igb" || got[1].kernel.name != old.name {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := pick("6.1", "dataplane/fastpath"); err != nil || len(got) != 1 || len(got[0].runs) != 1 || len(rows[0].runs) < 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := pick("6.1", "nothing"); err == nil {
		t.Error("a package without tests is no error")
	}
	if _, err := pick("ibg", ""); err == nil || !strings.Contains(err.Error(), "virtio-copy") {
		t.Errorf("error %v does not list the rows", err)
	}
}

// A row that was cut off goes on where it was: what has passed at the same commit is left out, what
// has failed or has not begun runs.
func TestRowGoesOn(t *testing.T) {
	dir := t.TempDir()
	r := row{name: "igb", runs: []run{{"dataplane", []string{"TestA", "TestB", "TestC"}}, {"tests", []string{"TestD"}}}}
	if left, had, err := rest(r, dir, "abc"); err != nil || had != nil || len(left.runs) != 2 {
		t.Errorf("nothing was saved: %+v %v %v", left, had, err)
	}
	before := &report{Row: "igb", Commit: "abc", Seconds: 100, Faults: []string{"the guest was ended", kernelSays + "WARNING: x"},
		Tests: map[string]outcome{"ethertap/dataplane TestA": {"pass", "", 1}, "ethertap/dataplane TestB": {"fail", "no", 1}, "ethertap/tests TestD": {"skip", "why", 1}}}
	if err := before.save(dir); err != nil {
		t.Fatal(err)
	}
	left, had, err := rest(r, dir, "abc")
	if err != nil || len(left.runs) != 1 || !reflect.DeepEqual(left.runs[0].tests, []string{"TestB", "TestC"}) || len(r.runs[0].tests) != 3 {
		t.Fatalf("%+v %v", left, err)
	}
	now := &report{Tests: map[string]outcome{"ethertap/dataplane TestB": {"pass", "", 1}}}
	now.add(had)
	if len(now.Tests) != 3 || now.Tests["ethertap/dataplane TestB"].Result != "pass" || !reflect.DeepEqual(now.Faults, before.Faults[1:]) {
		t.Errorf("%+v", now)
	}
	if left, had, err := rest(r, dir, "def"); err != nil || had != nil || len(left.runs) != 2 {
		t.Errorf("another commit: %+v %v %v", left, had, err)
	}
}
