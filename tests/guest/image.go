// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed init.sh
var initScript string

// programs are what the tests call in a guest beside busybox's, as Debian's packages have them.
var programs = []string{"bash", "ip", "ethtool", "tcpdump", "socat", "ping", "setpriv", "unshare", "nsenter", "script"}

// modules are the drivers and parts of the kernel that tests use. A kernel may have some built
// in, and need others for them.
var modules = []string{"virtio_pci", "virtio_console", "virtio_net", "igb", "veth", "dummy", "tun", "bridge", "8021q", "macvlan",
	"bonding", "vrf", "sch_netem", "sch_ingress", "af_packet", "ifb", "vxlan", "geneve"}

const libraries = "usr/lib/x86_64-linux-gnu"

// loader is the program of a directory with Debian's packages that runs the others there with
// the libraries there, whatever this machine has.
func loader(root string) string { return filepath.Join(root, "usr/lib64/ld-linux-x86-64.so.2") }

// from prepares a program of such a directory.
func from(root, program string, args ...string) *exec.Cmd {
	return exec.Command(loader(root), append([]string{"--library-path", filepath.Join(root, libraries), "--argv0", filepath.Base(program),
		filepath.Join(root, program)}, args...)...)
}

// system puts what is the same for every row in: busybox, the programs with their libraries, the
// first process.
func system(a *archive, tools string) error {
	for link, target := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "/run"} {
		a.link(link, target)
	}
	a.file("init", 0o755, initScript)
	a.file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	a.file("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")
	a.file("etc/hosts", 0o644, "127.0.0.1 localhost\n")
	busybox, err := find(tools, "busybox")
	if err != nil {
		return err
	}
	a.copy("usr/bin/busybox", busybox)
	a.copy("usr/lib64/"+filepath.Base(loader(tools)), loader(tools))
	for _, name := range programs {
		file, err := find(tools, name)
		if err != nil {
			return err
		}
		if err := withLibraries(a, tools, "usr/bin/"+name, file); err != nil {
			return err
		}
	}
	return nil
}

// find looks for a program in a directory with unpacked packages.
func find(root, name string) (string, error) {
	for _, dir := range []string{"usr/bin", "usr/sbin", "bin", "sbin"} {
		file := filepath.Join(root, dir, name)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("no program %s in %s", name, root)
}

// withLibraries puts a file in, and the libraries that it needs and these need.
func withLibraries(a *archive, root, name, file string) error {
	if a.has(name) {
		return nil
	}
	a.copy(name, file)
	program, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	needed, err := program.ImportedLibraries()
	if err = errors.Join(err, program.Close()); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, library := range needed {
		if library == filepath.Base(loader(root)) {
			continue
		}
		place := filepath.Join(root, libraries, library)
		if _, err := os.Stat(place); err != nil {
			return fmt.Errorf("%s needs %s, which no package has", name, library)
		}
		if err := withLibraries(a, root, path.Join(libraries, library), place); err != nil {
			return err
		}
	}
	return nil
}

// A kernel is one of Debian's, unpacked.
type kernel struct {
	release string // as `uname -r` says
	image   string
	modules string // the directory
}

// openKernel finds what a kernel's packages have, and makes the list of its modules'
// dependencies, as their installation would.
func openKernel(dir, tools string) (k kernel, err error) {
	for _, lib := range []string{"lib", "usr/lib"} {
		found, err := filepath.Glob(filepath.Join(dir, lib, "modules", "*", "kernel"))
		if err != nil {
			return k, err
		}
		if len(found) == 1 {
			k.modules = filepath.Dir(found[0])
		}
	}
	if k.modules == "" {
		return k, fmt.Errorf("no modules of a kernel in %s", dir)
	}
	k.release = filepath.Base(k.modules)
	for _, place := range []string{filepath.Join(dir, "boot", "vmlinuz-"+k.release), filepath.Join(k.modules, "vmlinuz")} {
		if _, err := os.Stat(place); err == nil {
			k.image = place
		}
	}
	if k.image == "" {
		return k, fmt.Errorf("no kernel in %s", dir)
	}
	if _, err := os.Stat(filepath.Join(k.modules, "modules.dep")); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "lib")); errors.Is(err, fs.ErrNotExist) { // where depmod looks
			if err := os.Symlink("usr/lib", filepath.Join(dir, "lib")); err != nil {
				return k, err
			}
		}
		depmod := from(tools, "usr/bin/kmod", "-b", dir, k.release)
		depmod.Args[slices.Index(depmod.Args, "kmod")] = "depmod"
		if out, err := depmod.CombinedOutput(); err != nil {
			return k, fmt.Errorf("depmod: %w: %s", err, out)
		}
	}
	return k, nil
}

// load puts modules in, with the order in which the kernel takes them.
func (k kernel) load(a *archive, tools string, wanted []string) error {
	dep, err := os.ReadFile(filepath.Join(k.modules, "modules.dep"))
	if err != nil {
		return err
	}
	builtin, err := os.ReadFile(filepath.Join(k.modules, "modules.builtin"))
	if err != nil {
		return err
	}
	files, err := order(string(dep), string(builtin), wanted)
	if err != nil {
		return fmt.Errorf("kernel %s: %w", k.release, err)
	}
	var names []string
	for _, file := range files {
		data, err := k.unpacked(tools, filepath.Join(k.modules, file))
		if err != nil {
			return err
		}
		name := moduleName(file) + ".ko" // by another end busybox takes it for compressed
		names = append(names, name)
		a.file("modules/"+name, 0o644, data)
	}
	a.file("modules/order", 0o644, strings.Join(names, "\n")+"\n")
	return nil
}

// unpacked is the content of a module's file, which newer packages have compressed.
func (k kernel) unpacked(tools, file string) (string, error) {
	if !strings.HasSuffix(file, ".xz") {
		data, err := os.ReadFile(file)
		return string(data), err
	}
	busybox, err := find(tools, "busybox")
	if err != nil {
		return "", err
	}
	cmd := exec.Command(busybox, "unxz", "-c", file)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("unpack %s: %w: %s", file, err, &stderr)
	}
	return stdout.String(), nil
}

// order reads modules.dep (lines "module: those that it needs, the last of them first") and
// returns the files of the modules wanted, each behind those that it needs.
func order(dep, builtin string, wanted []string) ([]string, error) {
	files, needs := map[string]string{}, map[string][]string{}
	for line := range strings.Lines(dep) {
		file, rest, found := strings.Cut(strings.TrimSpace(line), ":")
		if found {
			files[moduleName(file)], needs[file] = file, strings.Fields(rest)
		}
	}
	in := map[string]bool{}
	for line := range strings.Lines(builtin) {
		in[moduleName(strings.TrimSpace(line))] = true
	}
	var list []string
	for _, name := range wanted {
		file, ok := files[moduleName(name)]
		if !ok {
			if !in[moduleName(name)] {
				return nil, fmt.Errorf("no module %s", name)
			}
			continue
		}
		for _, f := range append(reversed(needs[file]), file) {
			if !slices.Contains(list, f) {
				list = append(list, f)
			}
		}
	}
	return list, nil
}

// moduleName is the name that the kernel gives a module in this file.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}
