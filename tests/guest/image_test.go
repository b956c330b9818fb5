// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// unpack reads an archive as the kernel does, and returns names with modes and contents.
func unpack(t *testing.T, b []byte) (list []string) {
	t.Helper()
	for at := 0; ; {
		if at+110 > len(b) || string(b[at:at+6]) != "070701" {
			t.Fatalf("no header at %d", at)
		}
		field := func(i int) int {
			n, err := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				t.Fatalf("header at %d: %v", at, err)
			}
			return int(n)
		}
		mode, size, length := field(1), field(6), field(11)
		name := string(b[at+110 : at+110+length-1])
		at = (at + 110 + length + 3) &^ 3
		if name == "TRAILER!!!" {
			return list
		}
		list = append(list, fmt.Sprintf("%s %o %q", name, mode, b[at:at+size]))
		at = (at + size + 3) &^ 3
	}
}

func TestArchive(t *testing.T) {
	from := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(from, []byte("copied"), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	a := newArchive(&b)
	a.link("bin", "usr/bin")
	a.file("/etc/group", 0o644, "root")
	a.file("etc/empty", 0o600, "")
	a.copy("usr/bin/a", from)
	a.file("usr/bin/a", 0o600, "a second of the name")
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	want := []string{`bin 120777 "usr/bin"`, `etc 40755 ""`, `etc/group 100644 "root"`, `etc/empty 100600 ""`,
		`usr 40755 ""`, `usr/bin 40755 ""`, `usr/bin/a 100755 "copied"`}
	if got := unpack(t, b.Bytes()); !slices.Equal(got, want) {
		t.Errorf("archive has %q, want %q", got, want)
	}
	lost := newArchive(&b)
	lost.copy("a", from+"-that-is-not-there")
	if lost.close() == nil {
		t.Error("a missing file is no error")
	}
}

func TestOrderOfModules(t *testing.T) {
	const dep = `kernel/net/core/failover.ko:
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko
kernel/drivers/i2c/algos/i2c-algo-bit.ko:
kernel/igb.ko: kernel/drivers/i2c/algos/i2c-algo-bit.ko
`
	const builtin = "kernel/drivers/virtio/virtio_pci.ko\n"
	got, err := order(dep, builtin, []string{"virtio_pci", "virtio_net", "igb", "i2c_algo_bit"})
	want := []string{"kernel/net/core/failover.ko", "kernel/drivers/net/net_failover.ko", "kernel/drivers/net/virtio_net.ko.xz",
		"kernel/drivers/i2c/algos/i2c-algo-bit.ko", "kernel/igb.ko"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("order %q, %v; want %q", got, err, want)
	}
	if _, err := order(dep, builtin, []string{"veth"}); err == nil {
		t.Error("a module that is nowhere is no error")
	}
	if name := moduleName("kernel/drivers/i2c/algos/i2c-algo-bit.ko.xz"); name != "i2c_algo_bit" {
		t.Errorf("name %q", name)
	}
}
