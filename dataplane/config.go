package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"ethertap/dataplane/nic"
	"ethertap/dataplane/port"
	"ethertap/shm"
)

// MaxQueues is the largest number of threads.
const MaxQueues = port.MaxQueues

// maxName is the length of an alternative name (ALTIFNAMSIZ less the final zero).
const maxName = 127

// DefaultHold is how many frames wait at most for a delay or a limited rate: 8 ms at
// 250,000 a second, and 4 MiB of memory.
const DefaultHold = 2048

// MaxHold is the largest Config.Hold.
const MaxHold = 1 << 18

// DefaultRings is how many frames a ring holds: half a millisecond at the rate that veths
// carry. With Hold that is 16 MiB of memory for each queue of an interface.
const DefaultRings = 2048

// MinRings and MaxRings bound Config.Rings.
const (
	MinRings = 64
	MaxRings = 1 << 15
)

// PollMode says what a thread does when no frame comes.
type PollMode uint8

// PollAdaptive spins a little, then sleeps until a frame comes.
const (
	PollAdaptive PollMode = iota
	PollSpin              // never sleeps: a whole CPU per thread
	PollSleep             // sleeps at once
)

var pollNames = [...]string{"adaptive", "spin", "sleep"}

func (m PollMode) String() string { return pollNames[m] }

// ParsePollMode returns the mode of a name.
func ParsePollMode(name string) (PollMode, error) {
	if i := slices.Index(pollNames[:], name); i >= 0 {
		return PollMode(i), nil
	}
	return 0, errors.New("the idle mode is spin, adaptive or sleep")
}

// Config is what an Engine is made of. It does not change afterwards.
type Config struct {
	Interfaces []string // names or alternative names; one: mirror, two: bridge
	// Ports are in the place of the network interfaces of their numbers, and called as
	// Interfaces says; nil, and those that are not in the list, are network interfaces.
	Ports    []port.Port
	Queues   int            // threads, at most MaxQueues; 0 = as many as the interfaces have queues
	Attach   nic.AttachMode //
	Copy     nic.CopyMode   //
	CPUs     []int          // thread i is pinned to CPUs[i]; empty = no pinning
	Poll     PollMode       // to begin with
	FastPath bool           // to begin with: see Engine.SetFastPath
	Hold     int            // frames that faults may hold, of each queue of an interface; 0 = DefaultHold
	Rings    int            // frames of each ring, a power of two; 0 = DefaultRings
	Replace  bool           // replace an XDP program of somebody else
	Queue    *shm.Queue     // where tapped frames go; nil = nowhere: they count as refused
	// RunDir is a directory for records of what has been changed on interfaces, by
	// which the next start restores them if this process is killed; "" = none.
	RunDir string
	// BypassDir is a directory on a BPF file system, not yet there, in which what is to
	// outlive this process is pinned; "" = no bypass. An engine takes over what another has
	// left there.
	BypassDir string
	// Clear is the command that ends what is pinned there, for messages.
	Clear string
	// Owner says who has put an XDP program on an interface, and the command that ends that, as
	// far as either is known: "" if not. nil: nobody is known.
	Owner func(program uint32) (who, end string)
	// Rehearsal is an engine that settings are tried out on: Start attaches nothing.
	Rehearsal bool
	// Logf gets one line per event: warnings, what was changed and restored. It
	// is called from several goroutines and must not call the engine; nil = silence.
	Logf func(format string, args ...any)
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
	if c.Attach > nic.AttachDRV || c.Copy > nic.ZeroCopyForced || c.Poll > PollSleep {
		return fmt.Errorf("mode out of range: attach %d, copy %d, poll %d", c.Attach, c.Copy, c.Poll)
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
