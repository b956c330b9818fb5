// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/lib/capture"
	"ethertap/shm"
	"ethertap/tests/need"
)

// throttle is where the kernel is told how many bytes a second a disk takes.
const throttle = "/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device"

// slowDisk mounts a file system of 64 MiB, on a disk that takes a MiB a second and to which each write
// waits to be written.
func slowDisk(t *testing.T) (dir string) {
	t.Helper()
	need.Root(t)
	for _, tool := range []string{"losetup", "mkfs.ext4", "mount"} {
		need.Tool(t, tool)
	}
	if _, err := os.Stat(throttle); err != nil {
		t.Skipf("a disk cannot be made slow here: %v", err)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
	device := run("losetup", "--find", "--show", image)
	t.Cleanup(func() { exec.Command("losetup", "--detach", device).Run() })
	dir = t.TempDir()
	run("mount", "-o", "sync", device, dir)
	t.Cleanup(func() { unix.Unmount(dir, 0) })
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		t.Fatal(err)
	}
	number := fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	limit := func(rate int) error { return os.WriteFile(throttle, fmt.Appendf(nil, "%s %d", number, rate), 0) }
	if err := limit(1 << 20); err != nil {
		t.Skipf("a disk cannot be made slow here: %v", err)
	}
	t.Cleanup(func() {
		if err := limit(0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A disk that answers slowly costs the packets that find no room in the queue meanwhile. They are
// counted and told, the others are all in the files, and each file is whole and has its index.
func TestSlowDisk(t *testing.T) {
	dir := slowDisk(t)
	queue := setup(t)
	q, err := shm.Open(queue, shm.Options{Slots: 256, Role: shm.RoleOther, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	cmd := command(t, "--noreset", "-q", queue, "--format", "pcapng", "--rotate", "packets=700", filepath.Join(dir, "x.pcapng"))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a file", func() bool {
		parts, _ := filepath.Glob(dir + "/*.part")
		return len(parts) == 1
	})
	p := producer(t, queue)
	stored, lost := 0, 0
	one := []shm.Record{{Data: make([]byte, 1000), OrigLen: 1000}}
	for stored < 1500 { // the disk takes some 1000 a second
		n := p.Put(one)
		stored, lost = stored+n, lost+1-n
	}
	eventually(t, "an empty queue", func() bool {
		st, err := q.Status()
		return err == nil && st.Waiting == 0
	})
	cmd.Process.Signal(unix.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, errs.String())
	}
	if want := fmt.Sprintf("  lost %d  ", lost); lost == 0 || !strings.Contains(strings.ReplaceAll(errs.String(), ",", ""), want) {
		t.Errorf("lost %d, said %q", lost, errs.String())
	}
	names, err := filepath.Glob(dir + "/*.pcapng")
	if err != nil || len(names) != 3 {
		t.Fatalf("%q: %v", names, err)
	}
	for _, name := range names {
		r, err := capture.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var packet capture.Packet
		for err == nil {
			err = r.Next(&packet)
		}
		stored -= int(r.Packets())
		r.Close()
		if err != io.EOF {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(name + ".index"); err != nil {
			t.Error(err)
		}
	}
	if stored != 0 {
		t.Errorf("%d packets of those that the queue took are missing", stored)
	}
}
