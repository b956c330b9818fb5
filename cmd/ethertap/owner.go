// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ethertap/cmd/internal/rundir"
	"ethertap/dataplane"
	"ethertap/lib/ownfile"
)

// pinPrefix begins the name of each directory in which an instance pins things.
const pinPrefix = "ethertap-"

// pinDir returns where an instance pins what has to outlive it. Names on the BPF file system have
// no dots, and names of instances no colons.
func pinDir(bpffs, instance string) string {
	return filepath.Join(bpffs, pinPrefix+strings.ReplaceAll(instance, ".", ":"))
}

// pinned lists the instances that have something pinned on a BPF file system.
func pinned(bpffs string) (instances []string) {
	entries, _ := os.ReadDir(bpffs)
	for _, e := range entries {
		name, ours := strings.CutPrefix(e.Name(), pinPrefix)
		name = strings.ReplaceAll(name, ":", ".")
		// Others may make directories there too; their names must not get into a command.
		if found, err := ownfile.Look(filepath.Join(bpffs, e.Name())); !ours || !e.IsDir() || err != nil || found.Stranger() || rundir.CheckName("ethertap", name) != nil {
			continue
		}
		instances = append(instances, name)
	}
	return instances
}

// owner names the holder of an XDP program, and the command that ends it if the program is one of
// ours.
func owner(bpffs string, program uint32) (who, end string) {
	if who, end = holder(program); who != "" {
		return who, end
	}
	for _, instance := range pinned(bpffs) {
		if programs, _ := dataplane.Pinned(pinDir(bpffs, instance)); slices.Contains(programs, program) {
			return fmt.Sprintf("the bypass that ethertap %q has left", instance), clearing(bpffs, instance)
		}
	}
	return "", ""
}

// holder names the process that has an XDP program, and the command that ends it if it is one of
// ours.
func holder(program uint32) (who, end string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // no message may wait for the lock of the run directory
	defer cancel()
	running, _ := rundir.List(ctx, "ethertap") // without it the name of the instance is not known
	for _, pid := range holders(program) {
		for _, in := range running {
			if in.PID == pid {
				return fmt.Sprintf("ethertap %q (PID %d)", in.Name, in.PID), controlling(in.Name) + " stop"
			}
		}
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
			name := strings.TrimSpace(string(comm))
			if who = fmt.Sprintf("%s (PID %d)", name, pid); name == "ethertap" { // it has another run directory
				end = fmt.Sprintf("kill %d", pid)
			}
			return who, end
		}
	}
	return "", ""
}

// controlling returns the command line that sends words to an instance, without the words.
func controlling(instance string) string {
	if instance == defaultName {
		return "control ethertap"
	}
	return fmt.Sprintf("control --name %s ethertap", instance)
}

// clearing returns the command that ends the bypass that an instance has left.
func clearing(bpffs, instance string) string {
	command := "ethertap --clear"
	if instance != defaultName {
		command += " --name " + instance
	}
	if bpffs != defaultBPFFS {
		command += " --bpffs " + bpffs
	}
	return command
}

// holders returns the processes that have an XDP program or a link of it, as far as they are
// visible.
func holders(program uint32) (pids []int) {
	want := fmt.Sprintf("\nprog_id:\t%d\n", program)
	names, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, name := range names {
		if target, err := os.Readlink(name); err != nil || !strings.HasPrefix(target, "anon_inode:bpf") {
			continue
		}
		process := filepath.Dir(filepath.Dir(name))
		info, err := os.ReadFile(filepath.Join(process, "fdinfo", filepath.Base(name)))
		if err != nil || !strings.Contains(string(info), want) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}
