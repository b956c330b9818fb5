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
	pkg  string // below the module, "." for none
	only string // -test.run
	skip string // -test.skip
}

func linux(name, release string) set {
	return set{name: name, release: release, packages: []string{"linux-image-amd64"}, keep: kernelParts}
}

var (
	old    = linux("linux-6.1", "bookworm")
	stable = linux("linux-6.12", "trixie")
	newest = linux("linux-newest", "trixie-backports")
)

var everything = []run{
	{pkg: "dataplane"},
	{pkg: "dataplane/fastpath"},
	{pkg: "dataplane/xsk"},
	{pkg: "tests/netlab"},
	{pkg: "shm"},
	{pkg: "tests", only: "Bypass|^Test(Killed|EndsCleanly|Control|FastPathAtThePrompt)$"},
}

// short is a row for every commit, which is not part of the matrix: a kernel and a driver that no
// machine has by chance, and what breaks there first.
var short = row{name: "short", kernel: newest, nic: "virtio", mode: "zerocopy", runs: []run{
	{pkg: "dataplane", only: "^Test(BridgePassesEverythingUnchangedInOrder|TapGivesBothCopiesOfAFrameOneID|KilledEngineLeavesNothingAndStartsAgain|PulledCable)$"},
}}

// rows is the matrix.
var rows = []row{
	{name: "6.1", kernel: old, runs: everything},
	{name: "6.12", kernel: stable, runs: everything},
	{name: "newest", kernel: newest, runs: everything},
	{name: "virtio", kernel: newest, nic: "virtio", mode: "zerocopy", runs: onLinks()},
	{name: "virtio-copy", kernel: newest, nic: "virtio", mode: "copy", runs: onLinks()},
	{name: "virtio-generic", kernel: newest, nic: "virtio", mode: "generic", runs: onLinks()},
	{name: "igb", kernel: newest, nic: "igb", mode: "zerocopy", runs: onLinks()},
	{name: "igb-copy", kernel: newest, nic: "igb", mode: "copy", runs: onLinks()},
	{name: "igb-generic", kernel: newest, nic: "igb", mode: "generic", runs: onLinks()},
}

// pick returns the rows of a list of names, all for an empty one, with one package's tests or
// those of all.
func pick(names, pkg string) ([]row, error) {
	var picked []row
	for name := range strings.SplitSeq(names, ",") {
		found := false
		for _, r := range append(slices.Clone(rows), short) {
			if name == "" && r.name == short.name {
				continue
			}
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
			all := []string{short.name}
			for _, r := range rows {
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
