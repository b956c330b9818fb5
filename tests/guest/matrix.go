// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"slices"
	"strings"
)

// A row is one guest: a kernel, and what the links of the lab are in it.
type row struct {
	name   string
	kernel set
	nic    string // "" = veth; else the device of the emulator
	mode   string // of NICs: zerocopy, copy or generic
	runs   []run
}

// A run is one test binary called in a guest.
type run struct {
	pkg   string   // below the module
	tests []string // by name
}

func linux(name, release string) set {
	return set{name: name, release: release, packages: []string{"linux-image-amd64"}, keep: kernelParts}
}

var (
	old    = linux("linux-6.1", "bookworm")
	stable = linux("linux-6.12", "trixie")
	newest = linux("linux-newest", "trixie-backports")
)

// byKernel are tests that look at what differs from kernel to kernel, beside those of the table:
// what the verifier takes, what ethtool and netdev tell, what is pinned. The rest of the tests is the
// same on all kernels, and `make test` runs it on one.
var byKernel = []string{
	"dataplane TestFastPathOfJumboFrames", "dataplane TestJumbo", "dataplane TestQueuesAreDetected", "dataplane TestOffers",
	"dataplane TestMissingPrivilegesAreNamed", "dataplane TestOffloadsAreSwitchedOffAndRestored", "dataplane TestStartRefusesWithAReason",
	"dataplane/fastpath TestObjectsAreCurrent", "dataplane/fastpath TestChain", "dataplane/fastpath TestCopies", "dataplane/fastpath TestThreadThatEndsHasNoLife",
	"dataplane/fastpath TestRefusedPortIsDivertedUntilAccepted", "dataplane/fastpath TestTagsAndTypes", "dataplane/fastpath TestFramesOfSeveralBuffers",
	"dataplane/fastpath TestUndecidedIsDiverted", "dataplane/fastpath TestFiltersChangeWithThePolicy", "dataplane/fastpath TestFiltersThatTheKernelDoesNotTake",
	"dataplane/fastpath TestKernelsThatTakeNoFilters", "dataplane/genl TestFamily", "dataplane/genl TestAsk", "dataplane/genl TestSubscribe",
	"dataplane/nic TestInterruptsAreRestored", "dataplane/nic TestMastersAreNamed", "shm TestChaos", "tests/netlab TestBridgeTopology", "tests/netlab TestFramesPassUnchanged",
	"tests TestBypassOfAnotherVersion", "tests TestFiltersStayUnderBypass", "tests TestKilled", "tests TestEndsCleanly", "tests TestFastPathAtThePrompt",
}

var (
	onLinks   = runs(ofFeatures()...)
	onKernels = runs(append(ofFeatures(), byKernel...)...)
)

// inShort are tests of the row for every commit.
var inShort = []string{"dataplane TestBridgePassesEverythingUnchangedInOrder", "dataplane TestOnTheWire",
	"dataplane TestKilledEngineLeavesNothingAndStartsAgain", "dataplane TestPulledCable"}

// short is a row for every commit, which is not part of the matrix: a kernel and a driver that no
// machine has by chance, and what breaks there first.
var short = row{name: "short", kernel: newest, nic: "virtio", mode: "zerocopy", runs: runs(inShort...)}

const measurements = "tests/bench/nics TestWays"

// benches are rows that measure (make guest-bench). They are not part of the matrix either.
var benches = []row{
	{name: "virtio-bench", kernel: newest, nic: "virtio", mode: "zerocopy", runs: runs(measurements)},
	{name: "igb-bench", kernel: newest, nic: "igb", mode: "zerocopy", runs: runs(measurements)},
}

// rows is the matrix.
var rows = []row{
	{name: "6.1", kernel: old, runs: onKernels},
	{name: "6.12", kernel: stable, runs: onKernels},
	{name: "newest", kernel: newest, runs: onKernels},
	{name: "virtio", kernel: newest, nic: "virtio", mode: "zerocopy", runs: onLinks},
	{name: "virtio-copy", kernel: newest, nic: "virtio", mode: "copy", runs: onLinks},
	{name: "virtio-generic", kernel: newest, nic: "virtio", mode: "generic", runs: onLinks},
	{name: "igb", kernel: newest, nic: "igb", mode: "zerocopy", runs: onLinks},
	{name: "igb-copy", kernel: newest, nic: "igb", mode: "copy", runs: onLinks},
	{name: "igb-generic", kernel: newest, nic: "igb", mode: "generic", runs: onLinks},
}

// pick returns the rows of a list of names, all for an empty one, with one package's tests or
// those of all.
func pick(names, pkg string) ([]row, error) {
	var picked []row
	for name := range strings.SplitSeq(names, ",") {
		found := false
		others := append([]row{short}, benches...)
		if name == "" {
			others = nil
		}
		for _, r := range append(slices.Clone(rows), others...) {
			if name != "" && r.name != name {
				continue
			}
			found = true
			if pkg != "" {
				r.runs = slices.DeleteFunc(slices.Clone(r.runs), func(run run) bool { return run.pkg != pkg })
			}
			if len(r.runs) > 0 {
				picked = append(picked, r)
			}
		}
		if !found {
			var all []string
			for _, r := range slices.Concat([]row{short}, rows, benches) {
				all = append(all, r.name)
			}
			return nil, fmt.Errorf("no row %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("no such row runs tests of %s", pkg)
	}
	return picked, nil
}
