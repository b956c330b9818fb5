package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A feature whose test has been renamed would be "not run" for ever.
func TestFeaturesHaveTests(t *testing.T) {
	for _, f := range features {
		for _, test := range f.tests {
			pkg, name, _ := strings.Cut(test, " ")
			files, err := filepath.Glob(filepath.Join("..", "..", pkg, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			found := false
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
			}
			if !found {
				t.Errorf("%s: no test %s", f.name, test)
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
	if err := fill(document, dir); err == nil {
		t.Error("nothing was saved, and that is no error")
	}
	good := &report{Row: "6.1", Kernel: "6.1.0-50-amd64", Driver: "veth", Date: "2026-11-29", Commit: "abc1234",
		Tests: map[string]outcome{"ethertap/dataplane TestFaultsOnTheWire": {"pass", ""}, "ethertap/dataplane TestPulledCable": {"skip", "no machine"},
			"ethertap/dataplane TestLinkStateAndMTUAreFollowed": {"pass", ""}}}
	bad := &report{Row: "igb", Kernel: "7.3.4", Driver: "igb", Mode: "zerocopy", Date: "2026-11-30", Commit: "def5678", Faults: []string{kernelSays + "WARNING: CPU: 0"},
		Tests: map[string]outcome{"ethertap/dataplane TestFaultsOnTheWire": {"fail", "5 are missing"}, "ethertap/dataplane TestTwoQueues": {"skip", "one queue"}}}
	for _, r := range []*report{bad, good} {
		if err := r.save(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := fill(document, dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n" + tableBegin + "\n| | 6.1 veth | 7.3 igb zerocopy |\n", "\n| faults | yes a | no b |\n", "\n| cable pulled under traffic | yes a | not run b |\n",
		"\n| two queues | not run a | – b |\n", "\n| no complaint of the kernel | yes a | no b |\n", "- a: row `6.1`, 2026-11-29, commit abc1234, Linux 6.1.0-50-amd64\n",
		"- faults, b: 5 are missing\n", "- two queues, b: one queue\n", "- the kernel, b: WARNING: CPU: 0\n", tableEnd + "\nafter\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "old") {
		t.Errorf("the old table is there:\n%s", b)
	}
}
