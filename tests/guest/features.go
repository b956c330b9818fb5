package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A feature is a line of the table in docs/requirements.md: something that users want, and the
// tests that show it.
type feature struct {
	name  string
	tests []string // package and name; of several that show it, each on other links, one has to pass
}

// features are the lines of the table.
var features = []feature{
	{"frames cross unchanged and in order", []string{"dataplane TestBridgePassesEverythingUnchangedInOrder"}},
	{"every size, with tags, MTU 1500 to 3000", []string{"dataplane TestEverySizeOnTheWire"}},
	{"taps of both directions", []string{"dataplane TestTapGivesBothCopiesOfAFrameOneID"}},
	{"machash and drop list", []string{"dataplane TestTapHashAndDropHash"}},
	{"faults", []string{"dataplane TestFaultsOnTheWire"}},
	{"accounts close under traffic", []string{"dataplane TestBooksCloseUnderTraffic"}},
	{"fast path", []string{"dataplane TestFastPathChangesUnderTraffic"}},
	{"bypass outlives the process", []string{"tests TestBypassOutlivesTheProcess", "tests TestBypassOfWhatIsDiverted"}},
	{"fifty starts and stops (ten on NICs)", []string{"dataplane TestFiftyStartsAndStopsLeaveNothing"}},
	{"what is held is sent at a stop", []string{"dataplane TestStopSendsHeldFrames"}},
	{"killed and started again", []string{"dataplane TestKilledEngineLeavesNothingAndStartsAgain"}},
	{"link down and up under traffic", []string{"dataplane TestLinkDownAndUpUnderTraffic"}},
	{"cable pulled under traffic", []string{"dataplane TestPulledCable", "dataplane TestLinkStateAndMTUAreFollowed"}},
	{"interface gone and back under traffic", []string{"dataplane TestUnpluggedNIC", "dataplane TestInterfaceThatReturnsIsAttachedAgain"}},
	{"large MTUs", []string{"dataplane TestLargestMTUOfTheDriver", "dataplane TestLargeMTU"}},
	{"two queues", []string{"dataplane TestTwoQueues"}},
	{"a NIC and a veth together", []string{"dataplane TestMixedModes"}},
}

// onLinks are the tests of the features, package by package, for a row that runs these alone.
func onLinks() (runs []run) {
	names := map[string][]string{}
	var packages []string
	for _, f := range features {
		for _, test := range f.tests {
			pkg, name, _ := strings.Cut(test, " ")
			if names[pkg] == nil {
				packages = append(packages, pkg)
			}
			names[pkg] = append(names[pkg], name)
		}
	}
	for _, pkg := range packages {
		runs = append(runs, run{pkg: pkg, only: "^(" + strings.Join(names[pkg], "|") + ")$"})
	}
	return runs
}

// cell is what a row's report says of a feature: "yes", "no", or why it has not been shown; and a
// reason where there is one.
func (f feature) cell(r *report) (text, why string) {
	text = "not run"
	for _, test := range f.tests {
		o, ok := r.Tests["ethertap/"+test]
		switch {
		case !ok:
			continue
		case o.Result == "fail":
			return "no", o.Why
		case o.Result == "pass":
			text, why = "yes", ""
		case text != "yes":
			text, why = "–", o.Why
		}
	}
	return text, why
}

// The table goes between these lines of the document.
const (
	tableBegin = "<!-- filled by tests/guest -->"
	tableEnd   = "<!-- end of what tests/guest fills -->"
)

// fill writes the table of all saved reports into a document.
func fill(document, saved string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), tableBegin+"\n")
	_, after, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		return fmt.Errorf("%s: no place between %q and %q", document, tableBegin, tableEnd)
	}
	reports, err := load(saved)
	if err != nil {
		return err
	}
	return os.WriteFile(document, []byte(before+tableBegin+"\n"+table(reports)+tableEnd+after), 0o644)
}

// load reads the saved reports in the order of the matrix.
func load(dir string) (list []*report, err error) {
	for _, row := range rows {
		b, err := os.ReadFile(filepath.Join(dir, row.name+".json"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r := new(report)
		if err := json.Unmarshal(b, r); err != nil {
			return nil, fmt.Errorf("%s: %w", row.name, err)
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no row has been saved in %s", dir)
	}
	return list, nil
}

// version is the part of a kernel's release that people speak of.
var version = regexp.MustCompile(`^[0-9]+\.[0-9]+`)

// table is the table in Markdown: a column for each row of the matrix, whose letter stands in
// each cell, and below what each letter was run with, and the reasons.
func table(reports []*report) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, r := range reports {
		fmt.Fprintf(&b, " %s %s |", cmp.Or(version.FindString(r.Kernel), r.Kernel), strings.TrimSpace(r.Driver+" "+r.Mode))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(reports)) + "\n")
	var reasons []string
	for _, f := range features {
		fmt.Fprintf(&b, "| %s |", f.name)
		for i, r := range reports {
			text, why := f.cell(r)
			if why != "" {
				reasons = append(reasons, fmt.Sprintf("%s, %s: %s", f.name, letter(i), why))
			}
			fmt.Fprintf(&b, " %s %s |", text, letter(i))
		}
		b.WriteByte('\n')
	}
	b.WriteString("| no complaint of the kernel |")
	for i, r := range reports {
		text := "yes"
		for _, fault := range r.Faults {
			if strings.HasPrefix(fault, kernelSays) {
				text = "no"
				reasons = append(reasons, fmt.Sprintf("the kernel, %s: %s", letter(i), strings.TrimPrefix(fault, kernelSays)))
			}
		}
		fmt.Fprintf(&b, " %s %s |", text, letter(i))
	}
	b.WriteString("\n\nWhen, and at which commit:\n\n")
	for i, r := range reports {
		fmt.Fprintf(&b, "- %s: row `%s`, %s, commit %s, Linux %s\n", letter(i), r.Row, r.Date, r.Commit, r.Kernel)
	}
	if len(reasons) > 0 {
		b.WriteString("\nWhat is not \"yes\", and why:\n\n")
		for _, reason := range slices.Compact(reasons) {
			fmt.Fprintf(&b, "- %s\n", strings.ReplaceAll(reason, "|", "\\|"))
		}
	}
	return b.String()
}

func letter(i int) string { return string(rune('a' + i)) }
