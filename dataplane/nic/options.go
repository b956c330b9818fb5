// SPDX-License-Identifier: BSD-3-Clause

package nic

import "github.com/cilium/ebpf/asm"

// AttachMode says where in the kernel XDP runs.
type AttachMode uint8

// AttachAuto uses native XDP if the driver has it, else generic XDP.
const (
	AttachAuto AttachMode = iota
	AttachSKB             // generic XDP
	AttachDRV             // native XDP
)

// CopyMode says how frames get between the driver and the engine.
type CopyMode uint8

// CopyAuto uses zero-copy if the driver has it, else copies.
const (
	CopyAuto CopyMode = iota
	CopyForced
	ZeroCopyForced
)

// Options say how network interfaces are served.
type Options struct {
	Attach  AttachMode
	Copy    CopyMode
	Stamps  StampMode
	Replace bool // an XDP program of somebody else is replaced
	// RunDir is a directory for records of the settings that were changed on interfaces. If this
	// process is killed, the next start restores them by these records. "" means none.
	RunDir string
	// Owner says who attached an XDP program with this id, and which command ends that. Either is
	// "" where it is unknown.
	Owner func(program uint32) (who, end string)
	// StampClock stands for the clock of every device, for tests; nil: the devices have theirs. See
	// stamp.Source.
	StampClock asm.Instructions
	// Logf gets one line per event.
	Logf func(format string, args ...any)
}
