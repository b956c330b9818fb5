// SPDX-License-Identifier: BSD-3-Clause

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
	tests []string // package and name, of a subtest too; of several that show it, each on other links, one has to pass
}

// features are the lines of the table.
var features = []feature{
	{"frames cross unchanged and in order", []string{"dataplane TestBridgePassesEverythingUnchangedInOrder"}},
	{"every size, with tags, MTU 1500 to 3000", []string{"dataplane TestEverySizeOnTheWire"}},
	{"large MTUs", []string{"dataplane TestLargestMTUOfTheDriver", "dataplane TestLargeMTU"}},
	{"MTU changed under traffic", []string{"dataplane TestMTUChangesUnderTraffic"}},
	{"TCP between two hosts", []string{"tests TestHostsTalk"}},
	{"taps of both directions", onTheWire("taps")},
	{"machash and drop list", onTheWire("addresses")},
	{"filters of taps and of drops", onTheWire("filters")},
	{"tables of senders, Ethertypes and VLANs", onTheWire("tables")},
	{"recording", []string{"tests TestFramesCrossAndAreCollected"}},
	{"faults, each", onTheWire("faults")},
	{"what is held is sent at a stop", []string{"dataplane TestStopSendsHeldFrames"}},
	{"accounts close under traffic", []string{"dataplane TestBooksCloseUnderTraffic"}},
	{"fast path", []string{"dataplane TestFastPathChangesUnderTraffic"}},
	{"bypass of a process that was killed", []string{"tests TestBypassOfWhatIsDiverted"}},
	{"bypass of a process that hangs", []string{"tests TestBypassOfAHangingProcess"}},
	{"bypass without loss", []string{"tests TestBypassOutlivesTheProcess"}},
	{"fifty starts and stops (igb: a few)", []string{"dataplane TestFiftyStartsAndStopsLeaveNothing"}},
	{"killed under traffic, and started again", []string{"dataplane TestKilledEngineLeavesNothingAndStartsAgain"}},
	{"link down and up under traffic", []string{"dataplane TestLinkDownAndUpUnderTraffic"}},
	{"cable pulled under traffic", []string{"dataplane TestPulledCable", "dataplane TestLinkStateAndMTUAreFollowed"}},
	{"interface gone and back under traffic", []string{"dataplane TestUnpluggedNIC", "dataplane TestInterfaceThatReturnsIsAttachedAgain"}},
	{"busy polling, settings restored after a kill too", []string{"dataplane TestBusyPollingOfAProcess"}},
	{"time stamps in front of frames, of a clock of tests", []string{"dataplane TestStampsOfDevice"}},
	{"two queues", []string{"dataplane TestTwoQueues"}},
	{"ports of different modes, a NIC and a veth", []string{"dataplane TestMixedModes"}},
}

// onTheWire are a part of TestOnTheWire by the threads and by the fast path.
func onTheWire(part string) []string {
	return []string{"dataplane TestOnTheWire/threads/" + part, "dataplane TestOnTheWire/fast_path/" + part}
}

// ofFeatures are the tests of all lines.
func ofFeatures() (tests []string) {
	for _, f := range features {
		tests = append(tests, f.tests...)
	}
	return tests
}

// runs calls each package's test binary once, for tests by package and name. Of subtests the whole
// test runs.
func runs(tests ...string) (list []run) {
	names := map[string][]string{}
	var packages []string
	for _, test := range tests {
		pkg, name, _ := strings.Cut(test, " ")
		name, _, _ = strings.Cut(name, "/")
		if names[pkg] == nil {
			packages = append(packages, pkg)
		}
		if !slices.Contains(names[pkg], name) {
			names[pkg] = append(names[pkg], name)
		}
	}
	for _, pkg := range packages {
		list = append(list, run{pkg, names[pkg]})
	}
	return list
}

// notRun is what a cell says of a feature none of whose tests has begun. The document has none of
// these.
const notRun = "not run"

// cell is what a row's report says of a feature: "yes", "no", or why it has not been shown; and a
// reason where there is one.
func (f feature) cell(r *report) (text, why string) {
	text = notRun
	for _, test := range f.tests {
		o, ok := r.Tests["ethertap/"+test]
		switch {
		case !ok:
			continue
		case o.Result == "fail":
			return "no", o.Why
		case o.Result == "pass":
			text, why = "yes", ""
		case text != "yes" && why == "":
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
	for _, r := range reports {
		for _, f := range features {
			if text, _ := f.cell(r); text == notRun {
				return fmt.Errorf("row %s has not come to %q: run it again", r.Row, f.name)
			}
		}
	}
	return os.WriteFile(document, []byte(before+tableBegin+"\n"+table(reports)+tableEnd+after), 0o644)
}

// load reads the saved reports in the order of the matrix. Each row must have one.
func load(dir string) (list []*report, err error) {
	for _, row := range rows {
		b, err := os.ReadFile(filepath.Join(dir, row.name+".json"))
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("row %s has not been run: make guest-test ROW=%s", row.name, row.name)
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
