// SPDX-License-Identifier: BSD-3-Clause

package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ethertap/tests/netlab"
)

// With --group the members of a group see the instances, read the queue and ask; they change nothing, and
// others get nothing at all.
func TestGroupAsksAndReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir, err := os.MkdirTemp("", "ethertap-group-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.dir = dir
	for _, program := range []*string{&r.collect, &r.control} { // to where others reach them
		link := filepath.Join(dir, filepath.Base(*program))
		if err := os.Link(*program, link); err != nil {
			t.Fatal(err)
		}
		*program = link
	}
	const member, other = 65534, 65533 // of nogroup, which every Debian has
	as := func(group uint32, program string, args ...string) (out, errs string, status int) {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Env = "/", append(os.Environ(), "ETHERTAP_RUNDIR="+filepath.Join(dir, "run"), "HOME=/nonexistent")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: group}}
		return netlab.Run(t, cmd)
	}
	if _, errs, status := r.run(r.ethertap, "--group", "no-such-group", netlab.D0); status != 2 || !strings.Contains(errs, "--group no-such-group: no such group") {
		t.Errorf("a group that does not exist: %d %s", status, errs)
	}
	r.daemon("--group", "nogroup", "-e", "0 tap.rx.enable")
	frames := netlab.Mix(1, 50)
	r.send(frames...)
	netlab.Await(t, "all are tapped", func() bool { return r.stat(0, "tapped") == fmt.Sprint(len(frames)) })

	if out, errs, status := as(member, r.control, "ethertap", "status"); status != 0 || !strings.Contains(out, "running") {
		t.Errorf("status: %d %s%s", status, out, errs)
	}
	for _, line := range []string{"if.stats", "if.stats.json", "tap.queue.status", "0 if.mac.show", "fault.show", "log.show", "true not .", `"if.list" 0 drop drop 1 2 + .`} {
		if out, errs, status := as(member, r.control, "ethertap", "-e", line); status != 0 || out == "" && line != "log.show" {
			t.Errorf("%s: %d %s%s", line, status, out, errs)
		}
	}
	for line, why := range map[string]string{
		"0 tap.rx.disable":           "tap.rx.disable: only root may do that; you may ask",
		"tap.off":                    "tap.off: only root may do that; you may ask",
		"if.stop":                    "if.stop: only root may do that; you may ask",
		"tap.queue.get":              "tap.queue.get: only root may do that; you may ask",
		"ethertap.reload":            "ethertap.reload: only root may do that; you may ask",
		`"/etc/shadow" load`:         "load: only root may do that; you may ask",
		`"HOME" getenv .`:            "getenv: only root may do that; you may ask",
		`: f tap.off ; f`:            "tap.off: only root may do that; you may ask",
		`"0 tap.rx.disable" execute`: "tap.rx.disable: only root may do that; you may ask",
	} {
		if out, errs, status := as(member, r.control, "ethertap", "-e", line); status == 0 || !strings.Contains(errs, why) {
			t.Errorf("%s: %d %s%s", line, status, out, errs)
		}
	}
	// What a member defines is there for members alone.
	if out, errs, status := as(member, r.control, "ethertap", "-e", ": mine 1 ;"); status != 0 {
		t.Errorf("a definition of a member: %d %s%s", status, out, errs)
	}
	if out := r.rpcl(`"mine" exists .`); strings.TrimSpace(out) != "0" {
		t.Errorf("a member's word exists for all: %s", out)
	}
	as(member, r.control, "ethertap", "-e", ": if.list ;") // whatever becomes of that
	if out := r.rpcl("if.list"); !strings.Contains(out, "running") {
		t.Errorf("if.list after a member's definition: %s", out)
	}
	file := filepath.Join(t.TempDir(), "packets.pcap")
	for path := filepath.Dir(file); path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if out, errs, status := as(member, r.collect, "-q", r.queue, "--silent", "--noreset", "--plimit", fmt.Sprint(len(frames)), file); status != 0 {
		t.Errorf("collect: %d %s%s", status, out, errs)
	}
	if got := readPcap(t, file); len(got) != len(frames) {
		t.Errorf("a member has recorded %d packets of %d", len(got), len(frames))
	}
	if out, _, status := as(other, r.control, "ethertap", "-e", "if.stats"); status == 0 {
		t.Errorf("somebody else may ask: %s", out)
	}
	if out, _, status := as(other, r.collect, "-q", r.queue, "--silent", "--plimit", "1", file); status == 0 {
		t.Errorf("somebody else may read: %s", out)
	}
	if _, _, status := as(member, r.control, "ethertap", "stop"); status == 0 {
		t.Error("a member may stop it")
	}
	if r.stat(0, "RX tap") != "enabled" {
		t.Error("a member has changed something")
	}
	r.must(r.control, "ethertap", "stop")
	if left, _ := filepath.Glob(filepath.Join(dir, "run", "ethertap*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
