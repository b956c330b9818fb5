// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"fmt"

	"github.com/cilium/ebpf/features"

	"ethertap/dataplane/fastpath"
	"ethertap/dataplane/nic"
	"ethertap/dataplane/xsk"
)

// Offered is what the kernel or one of its interfaces offers.
type Offered struct {
	Interface string // its name, driver, MTU and queues; "" is the kernel
	Offers    []nic.Offer
	Err       error // why an interface cannot be looked at
}

// Offers returns what this kernel and its interfaces offer to an engine with a Config: those that it names, or
// all Ethernet interfaces of the network namespace of the calling thread. It loads programs and attaches
// nothing. The error says what this process may not do.
func Offers(c Config) (all []Offered, err error) {
	if err := nic.Privileged(0); err != nil {
		return nil, err
	}
	all = append(all, Offered{Offers: kernelOffers(c.BypassDir)})
	if len(c.Interfaces) == 0 {
		if c.Interfaces, err = nic.Interfaces(); err != nil {
			return nil, err
		}
	}
	// Neither what is on an interface now nor what is asked of its stamps matters.
	c.Replace, c.Stamps, c.Logf = true, nic.StampsSoftware, func(string, ...any) {}
	for _, p := range newPorts(&c) {
		if p.nic == nil {
			continue
		}
		o := Offered{Interface: p.Name()}
		if o.Err = p.Inspect(); o.Err == nil {
			f := p.Facts()
			o.Interface = fmt.Sprintf("%s (%s): MTU %d, %s", f.Name, f.Driver, f.MTU, counted(f.RXQueues, "queue"))
			o.Offers = p.nic.Offers()
		}
		all = append(all, o)
	}
	return all, nil
}

// oldestTested is the oldest version of Linux with which the tests are run, as KERNEL_VERSION(a, b, c).
const oldestTested = 6<<16 | 1<<8

// kernelOffers returns what the kernel offers whatever the interfaces.
func kernelOffers(bypassDir string) (list []nic.Offer) {
	add := func(feature string, has bool, without string) {
		if has {
			without = ""
		}
		list = append(list, nic.Lack(feature, without))
	}
	failed := func(feature string, err error, without string) {
		if err != nil {
			without += ": " + err.Error()
		}
		add(feature, err == nil, without)
	}
	if code, err := features.LinuxVersionCode(); err == nil {
		add("a version that is tested", code >= oldestTested, "6.1 and later are; what is missing is said below and at a start")
	}
	sockets, err := xsk.Probe()
	failed("AF_XDP", err, "no interface can be served")
	if err != nil {
		return list
	}
	add("frames of several buffers", sockets.Long, "MTUs above 3810 need generic XDP, as before Linux 6.6")
	filters, err := fastpath.Supported()
	failed("fast path", err, "all frames go through the threads")
	if err == nil {
		failed("filters in the kernel", filters, "frames that a filter decides about go through the threads")
	}
	add("bypass", bypassDir != "", "there is no BPF file system; to fix this, run: mount -t bpf bpf /sys/fs/bpf, or name one by --bpffs")
	add("transmit budget", sockets.Budget, "a system call sends 32 frames when they are copied, as before Linux 6.18; a busy thread needs more of them")
	add("busy polling", sockets.BusyPoll, "--poll busy only spins, as before Linux 5.11")
	return list
}
