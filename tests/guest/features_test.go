// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A test that has been renamed would not run any more, and nobody would notice. A run without tests
// calls a test binary for nothing.
func TestNamedTestsExist(t *testing.T) {
	for _, test := range slices.Concat(ofFeatures(), byKernel, inShort, []string{measurements}) {
		pkg, name, _ := strings.Cut(test, " ")
		name, part, sub := strings.Cut(name, "/")
		files, err := filepath.Glob(filepath.Join("..", "..", pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found, inside := false, !sub
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
					found = true
				}
			}
			if sub {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				inside = inside || strings.Contains(string(text), `{"`+path.Base(part)+`", `)
			}
		}
		if !found || !inside {
			t.Errorf("no test %s", test)
		}
	}
}

func TestRunsHaveTests(t *testing.T) {
	for _, r := range slices.Concat(rows, benches, []row{short}) {
		for _, run := range r.runs {
			if len(run.tests) == 0 {
				t.Errorf("row %s runs no test of %s", r.name, run.pkg)
			}
		}
	}
}

func TestTable(t *testing.T) {
	dir := t.TempDir()
	document := filepath.Join(dir, "document.md")
	if err := os.WriteFile(document, []byte("before\n"+tableBegin+"\nold\n"+tableEnd+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := fill(document, dir); err == nil || !strings.Contains(err.Error(), "row 6.1 has not been run") {
		t.Errorf("nothing was saved: %v", err)
	}
	good := &report{Row: "6.1", Kernel: "6.1.0-50-amd64", Driver: "veth", Date: "2026-11-29", Commit: "abc1234",
		Tests: map[string]outcome{"ethertap/dataplane TestOnTheWire/threads/faults": {"pass", "", 1}, "ethertap/dataplane TestPulledCable": {"skip", "no machine", 1},
			"ethertap/dataplane TestLinkStateAndMTUAreFollowed": {"pass", "", 1}}}
	bad := &report{Row: "igb", Kernel: "7.3.4", Driver: "igb", Mode: "zerocopy", Date: "2026-11-30", Commit: "def5678", Faults: []string{kernelSays + "WARNING: CPU: 0"},
		Tests: map[string]outcome{"ethertap/dataplane TestOnTheWire/threads/faults": {"fail", "5 are missing", 1}, "ethertap/dataplane TestTwoQueues": {"skip", "one queue", 1}}}
	others := []*report{}
	for _, row := range rows {
		if row.name != good.Row && row.name != bad.Row {
			others = append(others, &report{Row: row.name, Kernel: "6.12.1", Driver: "other", Tests: map[string]outcome{}})
		}
	}
	all := append([]*report{bad, good}, others...)
	save := func() {
		for _, r := range all {
			if err := r.save(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	save()
	if err := fill(document, dir); err == nil || !strings.Contains(err.Error(), "row 6.1 has not come to") {
		t.Errorf("rows that have not shown everything: %v", err)
	}
	for _, f := range features {
		for _, r := range all {
			if text, _ := f.cell(r); text == notRun {
				r.Tests["ethertap/"+f.tests[0]] = outcome{"pass", "", 1}
			}
		}
	}
	save()
	if err := fill(document, dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	cells := func(igb string) string { // of the rows behind 6.1, all of which say yes but perhaps igb
		return " yes b | yes c | yes d | yes e | yes f | " + igb + " g | yes h | yes i |\n"
	}
	for _, want := range []string{"before\n" + tableBegin + "\n| | 6.1 veth |" + strings.Repeat(" 6.12 other |", 5) + " 7.3 igb zerocopy | 6.12 other | 6.12 other |\n",
		"\n| faults, each | yes a |" + cells("no"), "\n| cable pulled under traffic | yes a |" + cells("yes"),
		"\n| two queues | yes a |" + cells("–"), "\n| no complaint of the kernel | yes a |" + cells("no"), "- a: row `6.1`, 2026-11-29, commit abc1234, Linux 6.1.0-50-amd64\n",
		"- faults, each, g: 5 are missing\n", "- two queues, g: one queue\n", "- the kernel, g: WARNING: CPU: 0\n", tableEnd + "\nafter\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "old") {
		t.Errorf("the old table is there:\n%s", b)
	}
}
