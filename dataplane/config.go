// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/asm"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/port"
	"ethertap/shm"
)

// MaxQueues is the largest number of threads, one per queue.
const MaxQueues = port.MaxQueues

// maxName is the largest length of an alternative name in bytes (ALTIFNAMSIZ less the final zero).
const maxName = 127

// DefaultHold is the number of frames that may wait for a delay or a limited rate, unless
// Config.Hold says otherwise: 8 ms at 250,000 frames a second, and 4 MiB of memory.
const DefaultHold = 2048

// MaxHold is the largest Config.Hold.
const MaxHold = 1 << 18

// DefaultRings is the number of frames in a ring unless Config.Rings says otherwise: half a
// millisecond at the rate that veths carry. Together with DefaultHold it takes 16 MiB of memory for
// each queue of an interface.
const DefaultRings = 2048

// MinRings and MaxRings bound Config.Rings.
const (
	MinRings = 64
	MaxRings = 1 << 15
)

// PollMode says what a thread does when no frame comes.
type PollMode uint8

// PollAdaptive spins briefly, then sleeps until a frame comes.
const (
	PollAdaptive PollMode = iota
	PollSpin              // never sleeps: it takes a whole CPU per thread
	PollSleep             // sleeps at once
	PollBusy              // never sleeps, and does the work of the driver in its own time
)

var pollNames = [...]string{"adaptive", "spin", "sleep", "busy"}

func (m PollMode) String() string { return pollNames[m] }

// ParsePollMode returns the mode with a name: spin, adaptive or sleep. Other names are an error.
func ParsePollMode(name string) (PollMode, error) {
	if i := slices.Index(pollNames[:], name); i >= 0 {
		return PollMode(i), nil
	}
	return 0, errors.New("the idle mode is spin, adaptive, sleep or busy")
}

// Config is what New makes an Engine from. It does not change afterwards.
type Config struct {
	Interfaces []string // names or alternative names; one is mirrored, two are bridged
	// Ports replace the network interfaces with the same number in Interfaces, which still gives
	// their names. Where the list is nil or too short, the port is a network interface.
	Ports    []port.Port
	Queues   int            // threads, at most MaxQueues; 0 = as many as the interfaces have queues
	Attach   nic.AttachMode // where in the kernel XDP runs
	Copy     nic.CopyMode   // whether frames are copied between driver and engine
	CPUs     []int          // thread i is pinned to CPUs[i]; empty means no pinning
	Poll     PollMode       // at the start
	Stamps   nic.StampMode  // at the start: see Engine.SetStamps
	FastPath bool           // at the start: see Engine.SetFastPath
	Hold     int            // number of frames that faults may hold, for each queue of an interface; 0 means DefaultHold
	Rings    int            // number of frames in each ring, a power of two; 0 means DefaultRings
	Replace  bool           // an XDP program of somebody else is replaced
	Queue    *shm.Queue     // where tapped frames go; with nil there is no TAP queue, and they count as refused
	// RunDir is a directory for records of the settings that were changed on interfaces. If this
	// process is killed, the next start restores them by these records. "" means none.
	RunDir string
	// BypassDir is a directory on a BPF file system. The engine creates it, and pins in it what
	// outlives this process. It takes over what another engine has left there. "" means no bypass.
	BypassDir string
	// Clear is the command that ends such a bypass, for messages.
	Clear string
	// Owner says who attached an XDP program with this id, and which command ends that. Either is
	// "" where it is unknown. With nil nothing is known of any program.
	Owner func(program uint32) (who, end string)
	// Rehearsal makes an engine on which settings are tried out: Start attaches nothing.
	Rehearsal bool
	// StampClock stands for the clock of every device, for tests; see stamp.Source. With nil the
	// devices have theirs.
	StampClock asm.Instructions
	// Logf gets one line per event: warnings, and which settings were changed or restored. It is
	// called from several goroutines and must not call the engine. With nil nothing is logged.
	Logf func(format string, args ...any)
}

// unstamped returns the error with which a mode of time stamps is refused because a port has no device; nil if it is not.
func (c *Config) unstamped(m nic.StampMode) error {
	if m == nic.StampsHardware {
		for i := range c.Ports {
			if c.Ports[i] != nil {
				return fmt.Errorf("port %s: no device stamps its frames, as it is no network interface", c.Interfaces[i])
			}
		}
	}
	return nil
}

func (c *Config) validate() error {
	switch len(c.Interfaces) {
	case 0:
		return errors.New("no interface named")
	case 1, 2:
	default:
		return fmt.Errorf("%d interfaces named: one is mirrored, two are bridged", len(c.Interfaces))
	}
	if len(c.Ports) > len(c.Interfaces) {
		return fmt.Errorf("%d ports but only %d interfaces named", len(c.Ports), len(c.Interfaces))
	}
	for i, name := range c.Interfaces {
		own := i < len(c.Ports) && c.Ports[i] != nil
		switch {
		case name == "":
			return fmt.Errorf("interface %d has an empty name", i)
		case !own && len(name) > maxName:
			return fmt.Errorf("interface %q: name longer than %d bytes", name, maxName)
		case !own && strings.ContainsAny(name, "/ \t\n"):
			return fmt.Errorf("interface %q: no interface can have this name", name)
		case slices.Contains(c.Interfaces[:i], name):
			return fmt.Errorf("interface %s named twice", name)
		}
	}
	if c.Queues < 0 || c.Queues > MaxQueues {
		return fmt.Errorf("%d queues are not in 1…%d", c.Queues, MaxQueues)
	}
	if c.Hold < 0 || c.Hold > MaxHold {
		return fmt.Errorf("%d frames to hold are not in 1…%d", c.Hold, MaxHold)
	}
	if c.Hold == 0 {
		c.Hold = DefaultHold
	}
	if c.Rings == 0 {
		c.Rings = DefaultRings
	}
	if c.Rings < MinRings || c.Rings > MaxRings || c.Rings&(c.Rings-1) != 0 {
		return fmt.Errorf("rings of %d frames: a power of two from %d to %d", c.Rings, MinRings, MaxRings)
	}
	if c.Attach > nic.AttachDRV || c.Copy > nic.ZeroCopyForced || c.Poll > PollBusy || c.Stamps > nic.StampsAuto {
		return fmt.Errorf("mode out of range: attach %d, copy %d, poll %d, time stamps %d", c.Attach, c.Copy, c.Poll, c.Stamps)
	}
	if err := c.unstamped(c.Stamps); err != nil {
		return err
	}
	if c.Attach == nic.AttachSKB && c.Copy == nic.ZeroCopyForced {
		return errors.New("generic XDP copies every frame: zero-copy cannot be forced with it")
	}
	if len(c.CPUs) > 0 && len(c.CPUs) < c.Queues {
		return fmt.Errorf("%d threads but only %d CPUs named", c.Queues, len(c.CPUs))
	}
	for _, cpu := range c.CPUs {
		if cpu < 0 || cpu >= 1024 {
			return fmt.Errorf("no CPU %d", cpu)
		}
	}
	if c.Clear == "" {
		c.Clear = "ethertap --clear"
	}
	if c.Owner == nil {
		c.Owner = func(uint32) (string, string) { return "", "" }
	}
	if c.Logf == nil {
		c.Logf = func(string, ...any) {}
	}
	return nil
}
