package nic

// AttachMode says where in the kernel XDP runs.
type AttachMode uint8

// AttachAuto takes native XDP if the driver has it and generic XDP otherwise.
const (
	AttachAuto AttachMode = iota
	AttachSKB             // generic
	AttachDRV             // native
)

// CopyMode says how frames get between the driver and us.
type CopyMode uint8

// CopyAuto takes zero-copy if the driver has it and copies otherwise.
const (
	CopyAuto CopyMode = iota
	CopyForced
	ZeroCopyForced
)

// Options say how interfaces are served.
type Options struct {
	Attach  AttachMode
	Copy    CopyMode
	Replace bool // an XDP program of somebody else gives way
	// RunDir is a directory for records of what has been changed on interfaces, by
	// which the next start restores them if this process is killed; "" = none.
	RunDir string
	// Owner says who has put an XDP program on an interface, and the command that ends that, as
	// far as either is known: "" if not.
	Owner func(program uint32) (who, end string)
	// Logf gets one line per event.
	Logf func(format string, args ...any)
}
