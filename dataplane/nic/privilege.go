// SPDX-License-Identifier: BSD-3-Clause

package nic

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Privileged returns an error that names the capabilities which this process lacks to serve
// interfaces, or nil. memory is the number of bytes that the kernel will have to lock.
func Privileged(memory uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	var missing []string
	if !has(unix.CAP_NET_ADMIN) {
		missing = append(missing, "CAP_NET_ADMIN")
	}
	if !has(unix.CAP_NET_RAW) {
		missing = append(missing, "CAP_NET_RAW")
	}
	if !has(unix.CAP_BPF) && !has(unix.CAP_SYS_ADMIN) {
		missing = append(missing, "CAP_BPF")
	}
	var limit unix.Rlimit
	if !has(unix.CAP_IPC_LOCK) && unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur < memory {
		missing = append(missing, fmt.Sprintf("CAP_IPC_LOCK (or a limit of locked memory of %d KiB)", memory>>10))
	}
	if len(missing) > 0 {
		return fmt.Errorf("privileges: missing %s", strings.Join(missing, ", "))
	}
	return bpfWorks()
}

// bpfWorks returns an error if the kernel refuses bpf(2) to a process that has the capabilities for
// it, or nil. It makes a map of the kind that holds our sockets, which takes CAP_NET_ADMIN and is
// refused in a user namespace.
func bpfWorks() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "ixdp_probe", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	switch {
	case errors.Is(err, unix.EPERM):
		return errors.New("privileges: bpf() is refused although the capabilities are there. In a container, its seccomp profile has to allow bpf and perf_event_open; in a user namespace it is never allowed")
	case err != nil:
		return fmt.Errorf("privileges: bpf(): %w", err)
	}
	return m.Close()
}
