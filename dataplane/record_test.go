// SPDX-License-Identifier: BSD-3-Clause

package dataplane_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ethertap/dataplane"
	"ethertap/tests/netlab"
)

func records(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A process that is killed leaves the offloads off. The next start restores them, and switches them
// off for itself. A living process is left alone.
func TestOffloadsAreRestoredAfterACrash(t *testing.T) {
	netlab.RequireRoot(t)
	const feature = "tx-vlan-hw-insert"
	lab := netlab.NewBridge(t)
	lab.Dut.SetFeature(netlab.D0, feature, true)
	dir := t.TempDir()
	p := startChild(t, lab.Dut, "env", childRunDir+"="+dir)
	if err := p.WaitOutput("running", 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if n := len(records(t, dir)); n != 1 {
		t.Fatalf("%d records while it runs, want 1 for d0", n)
	}
	// Another engine in the namespace restores nothing while the first one lives.
	netlab.Veth(lab.Dut, "e0", lab.Dut, "e1", netlab.VethOptions{})
	other := newDevice(t, lab, dataplane.Config{Interfaces: []string{"e0"}, RunDir: dir})
	other.mustStart()
	other.mustStop()
	if other.said("restored") != 0 || lab.Dut.Feature(netlab.D0, feature) || len(records(t, dir)) != 1 {
		t.Errorf("said %q, records %q", other.lines(), records(t, dir))
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if lab.Dut.Feature(netlab.D0, feature) {
		t.Fatal("the feature is on though nobody has restored it")
	}
	d := newDevice(t, lab, dataplane.Config{RunDir: dir})
	d.mustStart()
	if d.said("port d0: restored, since an earlier process was killed: "+feature) != 1 || d.said("port d0: switched off: "+feature) != 1 {
		t.Errorf("said %q", d.lines())
	}
	d.mustStop()
	if !lab.Dut.Feature(netlab.D0, feature) || len(records(t, dir)) != 0 {
		t.Errorf("on: %v, records %q", lab.Dut.Feature(netlab.D0, feature), records(t, dir))
	}
}

// Records that nobody can use are removed. Others are left to those whom they concern.
func TestStrangeRecords(t *testing.T) {
	netlab.RequireRoot(t)
	lab := netlab.NewBridge(t)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(boot))
	dir := t.TempDir()
	for name, content := range map[string]string{
		"offloads.1.1.json": "garbage",
		"offloads.1.2.json": `{"boot":"another","namespace":1,"index":1,"name":"lo","switched_off":["rx-lro"]}`,
		"offloads.1.3.json": `{"boot":"` + id + `","namespace":1,"index":1,"name":"lo","switched_off":["rx-lro"]}`, // of another namespace
		"offloads.1.4.json": "",
		"ethertap.pid":      "1",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := newDevice(t, lab, dataplane.Config{RunDir: dir})
	d.mustStart()
	d.mustStop()
	if left := records(t, dir); len(left) != 2 || filepath.Base(left[0]) != "ethertap.pid" || filepath.Base(left[1]) != "offloads.1.3.json" {
		t.Errorf("left: %q", left)
	}
	if d.said("offloads.1.1.json of a killed process: it is removed, since it cannot be read") != 1 {
		t.Errorf("said %q", d.lines())
	}
	missing := newDevice(t, lab, dataplane.Config{RunDir: filepath.Join(dir, "missing")})
	lab.Dut.SetFeature(netlab.D0, "tx-vlan-hw-insert", true)
	missing.mustStart()
	if missing.said("port d0: its settings will not be restored if this process is killed") != 1 {
		t.Errorf("said %q", missing.lines())
	}
}
