// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows is the picture of docs/architecture.md: which of our packages each may
// import, and for some which modules of others. Mains and tests/netlab may import
// whatever they assemble; what every package's tests use has no dependency.
var arrows = map[string]struct {
	ours    []string
	modules []string // nil: standard library only; "*": any
}{
	"interp":                {},
	"interp/console":        {ours: []string{"interp"}, modules: []string{"golang.org/x/text/width", "github.com/chzyer/readline", "golang.org/x/sys"}},
	"lib":                   {},
	"lib/oui":               {},
	"lib/predicate":         {},
	"words/core":            {ours: []string{"interp", "lib", "lib/keys"}},
	"words/packet":          {ours: []string{"interp", "lib/oui", "lib/predicate"}, modules: []string{"github.com/google/gopacket"}},
	"words/predicate":       {ours: []string{"interp", "lib/filter", "lib/predicate", "words/packet"}},
	"words/report":          {ours: []string{"interp"}},
	"words/port":            {ours: []string{"interp"}},
	"words/machash":         {ours: []string{"interp", "dataplane/policy", "lib/oui", "words/report"}},
	"words/filter":          {ours: []string{"interp", "dataplane/policy", "lib/predicate", "words/machash", "words/predicate", "words/report"}},
	"words/tap":             {ours: []string{"interp", "dataplane/policy", "shm", "words/filter", "words/machash", "words/port", "words/report"}},
	"words/replay":          {ours: []string{"interp", "dataplane/pcap", "words/report"}},
	"words/ixdp":            {ours: []string{"interp", "dataplane", "dataplane/nic", "dataplane/policy", "lib", "lib/ethertype", "lib/oui", "lib/rate", "words/filter", "words/machash", "words/port", "words/report"}},
	"lib/rate":              {},
	"lib/ethertype":         {},
	"lib/keys":              {},
	"lib/ownfile":           {modules: []string{"golang.org/x/sys"}},
	"shm":                   {ours: []string{"lib/ownfile"}, modules: []string{"golang.org/x/sys"}},
	"dataplane/policy":      {ours: []string{"lib/predicate"}},
	"dataplane/xsk":         {modules: []string{"golang.org/x/sys"}},
	"dataplane/stamp":       {modules: []string{"github.com/cilium/ebpf", "golang.org/x/sys"}},
	"dataplane/fastpath":    {ours: []string{"dataplane/stamp", "lib/predicate"}, modules: []string{"github.com/cilium/ebpf", "golang.org/x/sys"}},
	"dataplane/genl":        {modules: []string{"github.com/vishvananda/netlink", "golang.org/x/sys"}},
	"dataplane/port":        {ours: []string{"dataplane/policy", "dataplane/stamp", "dataplane/xsk"}},
	"dataplane/nic":         {ours: []string{"dataplane/genl", "dataplane/policy", "dataplane/port", "dataplane/stamp", "dataplane/xsk"}, modules: []string{"github.com/asavie/xdp", "github.com/cilium/ebpf", "github.com/vishvananda/netlink", "golang.org/x/sys"}},
	"dataplane/memory":      {ours: []string{"dataplane/policy", "dataplane/port", "dataplane/xsk"}, modules: []string{"golang.org/x/sys"}},
	"dataplane/pcap":        {ours: []string{"collect", "dataplane/memory", "dataplane/port", "dataplane/xsk", "lib/capture", "shm"}, modules: []string{"golang.org/x/sys"}},
	"dataplane":             {ours: []string{"dataplane/fastpath", "dataplane/nic", "dataplane/policy", "dataplane/port", "dataplane/stamp", "dataplane/xsk", "lib/ownfile", "lib/predicate", "shm"}, modules: []string{"github.com/cilium/ebpf", "github.com/vishvananda/netlink", "golang.org/x/sys"}},
	"collect":               {ours: []string{"collect/index", "lib/capture", "lib/ownfile", "shm", "lib/filter"}, modules: []string{"golang.org/x/sys", "github.com/klauspost/compress/zstd"}},
	"collect/stream":        {ours: []string{"collect", "lib/capture", "shm"}, modules: []string{"github.com/klauspost/compress/zstd", "github.com/nats-io/nats.go", "github.com/nats-io/nkeys"}},
	"cmd/internal/standing": {ours: []string{"cmd/internal/rundir"}},
	"cmd/internal/login":    {ours: []string{"collect/stream"}, modules: []string{"github.com/spf13/pflag"}},
	"lib/filter":            {ours: []string{"lib/predicate"}},
	"collect/index":         {ours: []string{"lib/capture", "lib/predicate"}, modules: []string{"golang.org/x/sys", "github.com/RoaringBitmap/roaring/v2", "github.com/cespare/xxhash/v2"}},
	"collect/recall":        {ours: []string{"collect/index", "lib/capture", "lib/filter", "lib/predicate"}, modules: []string{"golang.org/x/sys", "github.com/klauspost/compress/zstd"}},
	"lib/capture":           {modules: []string{"github.com/klauspost/compress/zstd"}},
	"tests/need":            {},
	"tests/vt":              {modules: []string{"golang.org/x/sys"}},
	"cmd/internal/about":    {modules: []string{"github.com/spf13/pflag"}},
	"cmd/internal/heap":     {modules: []string{"golang.org/x/sys"}},
	"cmd/internal/detach":   {ours: []string{"cmd/internal/systemd", "lib/ownfile"}, modules: []string{"golang.org/x/sys"}},
	"cmd/internal/live":     {ours: []string{"interp", "interp/console", "lib/keys", "lib/rate"}, modules: []string{"charm.land/bubbletea/v2", "charm.land/lipgloss/v2", "github.com/charmbracelet/colorprofile"}},
	"cmd/internal/signals":  {modules: []string{"golang.org/x/sys"}},
	"cmd/internal/tty":      {modules: []string{"golang.org/x/sys"}},
	"cmd/internal/systemd":  {modules: []string{"golang.org/x/sys"}},
	"cmd/internal/reading":  {ours: []string{"dataplane", "shm"}},
	"cmd/internal/metrics":  {ours: []string{"cmd/internal/about", "cmd/internal/reading", "cmd/internal/standing", "dataplane", "lib/oui", "shm"}, modules: []string{"github.com/prometheus/client_golang/prometheus"}},
	"cmd/internal/web":      {ours: []string{"cmd/internal/about", "cmd/internal/metrics", "cmd/internal/reading", "dataplane", "dataplane/policy", "interp/console", "lib/ethertype", "lib/oui", "lib/rate"}, modules: []string{"github.com/prometheus/client_golang/prometheus/promhttp", "golang.org/x/sys"}},
	"cmd/internal/rundir":   {ours: []string{"lib/ownfile"}, modules: []string{"golang.org/x/sys"}},
}

// unsafePackages are the two that may import unsafe, and the ring that the queue is compared
// with, which is in shared memory too and belongs to no program.
var unsafePackages = map[string]bool{"dataplane/xsk": true, "shm": true, "tests/bench/queue/vyukov": true}

func TestImportPicture(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "ethertap/")
		seen[name] = true
		for _, imp := range p.Imports {
			if imp == "unsafe" && !unsafePackages[name] {
				t.Errorf("%s imports unsafe", name)
			}
			if !allowed(name, imp) {
				t.Errorf("%s imports %s, which the picture does not have", name, imp)
			}
		}
	}
	for name := range arrows {
		if !seen[name] {
			t.Errorf("%s is in the picture but not in the tree", name)
		}
	}
}

// The bare shell has the words of queues, but no dataplane in its binary.
func TestBareShellHasNoDataplane(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "./cmd/rpclsh")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "ethertap/words/tap") {
		t.Error("rpclsh does not have words/tap")
	}
	for _, d := range deps {
		if d == "ethertap/dataplane" || strings.HasPrefix(d, "ethertap/dataplane/") && d != "ethertap/dataplane/policy" {
			t.Errorf("rpclsh depends on %s", d)
		}
	}
}

// The client of NATS is in the programs that speak to it, and in no other; its server is in none.
func TestWhoHasTheNetworkClient(t *testing.T) {
	for program, want := range map[string]bool{"collect": true, "recall": true, "ethertap": false, "control": false, "rpclsh": false} {
		cmd := exec.Command("go", "list", "-deps", "./cmd/"+program)
		cmd.Dir = ".."
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		deps := strings.Fields(string(out))
		if got := slices.Contains(deps, "github.com/nats-io/nats.go"); got != want {
			t.Errorf("%s: client %v, want %v", program, got, want)
		}
		if slices.ContainsFunc(deps, func(d string) bool { return strings.HasPrefix(d, "github.com/nats-io/nats-server") }) {
			t.Errorf("%s has a server in it", program)
		}
	}
}

func allowed(name, imp string) bool {
	rule, drawn := arrows[name]
	if !drawn { // mains and test helpers
		return strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "tests") || !strings.HasPrefix(imp, "ethertap/")
	}
	if ours, ok := strings.CutPrefix(imp, "ethertap/"); ok {
		for _, o := range rule.ours {
			if o == ours {
				return true
			}
		}
		return false
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return true // standard library
	}
	for _, m := range rule.modules {
		if m == "*" || strings.HasPrefix(imp, m) {
			return true
		}
	}
	return false
}
