// SPDX-License-Identifier: BSD-3-Clause

package dataplane

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// reason says why a frame could not be sent, or which error a system call gave.
type reason uint8

// reasonFull is the first of the reasons, and reasons their number.
const (
	reasonFull    reason = iota // the TX ring stayed full; of a call: the kernel made no progress
	reasonLong                  // the frame has more chunks than can be sent
	reasonStopped               // the frame was in the TX ring when the engine stopped
	reasonENETDOWN
	reasonENXIO
	reasonENOBUFS
	reasonEAGAIN
	reasonEBUSY
	reasonEINVAL
	reasonEMSGSIZE   // the frame was longer than the output interface, or the other end of its veth, takes
	reasonEOPNOTSUPP // the output interface takes no redirected frames, or none of several buffers
	reasonOther      // any other errno
	reasons          = iota
)

var reasonNames = [reasons]string{"full", "long", "stopped", "ENETDOWN", "ENXIO", "ENOBUFS", "EAGAIN", "EBUSY", "EINVAL", "EMSGSIZE", "EOPNOTSUPP", "other"}

func (r reason) String() string { return reasonNames[r] }

// ReasonNames returns the names that ErrReasons and CallErrors of PortStats may have.
func ReasonNames() []string { return append([]string(nil), reasonNames[:]...) }

func reasonOf(errno unix.Errno) reason {
	switch errno {
	case unix.ENETDOWN:
		return reasonENETDOWN
	case unix.ENXIO:
		return reasonENXIO
	case unix.ENOBUFS:
		return reasonENOBUFS
	case unix.EAGAIN:
		return reasonEAGAIN
	case unix.EBUSY:
		return reasonEBUSY
	case unix.EINVAL:
		return reasonEINVAL
	case unix.EMSGSIZE:
		return reasonEMSGSIZE
	case unix.EOPNOTSUPP:
		return reasonEOPNOTSUPP
	}
	return reasonOther
}

// tally holds the counters of one thread for one interface.
type tally [countTotal]uint64

// counters are the tallies of one thread as others see them. Only the thread writes them; anybody
// may read them. The padding keeps other data off their cache lines (128 bytes, since processors
// fetch lines in pairs).
//
// The thread publishes its tallies at the end of a batch. seq is odd meanwhile. A reader that finds
// seq even and unchanged has read the counters of one moment between two batches, so the accounting
// identity holds in what it has read, even under traffic.
type counters struct {
	_   [128]byte
	seq atomic.Uint64
	v   [2][countTotal]atomic.Uint64
	_   [128]byte
}

// publish stores the counters that have changed. Of some sixty these are mostly a few, and a load
// costs a tenth of a store.
func (c *counters) publish(t *[2]tally) {
	c.seq.Add(1)
	for p := range t {
		for i, n := range t[p] {
			if c.v[p][i].Load() != n {
				c.v[p][i].Store(n)
			}
		}
	}
	c.seq.Add(1)
}

// read returns the counters of one moment. It waits for a thread that loses its CPU while it
// publishes, which takes milliseconds on a busy machine. Only if that lasts some seconds (a thread
// stopped by a debugger) does it return an inconsistent reading.
func (c *counters) read() (t [2]tally) {
	const spins, naps = 100, 20000
	for try := range spins + naps {
		if try >= spins {
			time.Sleep(100 * time.Microsecond)
		}
		before := c.seq.Load()
		for p := range t {
			for i := range t[p] {
				t[p][i] = c.v[p][i].Load()
			}
		}
		if before%2 == 0 && c.seq.Load() == before {
			break
		}
	}
	return t
}

// since returns what was counted since base was read. Gauges stay as they are. Frames held at that
// time count as received afterwards, since they will be sent afterwards; so the accounting identity
// survives a reset.
func (t tally) since(base *tally) tally {
	now := t
	for i := range t {
		t[i] -= base[i]
	}
	for i := range Counters {
		if c := &Counters[i]; c.Gauge {
			t[c.at] = now[c.at]
		}
	}
	t[countRX] += base[countHeld]
	return t
}

func (t *tally) add(o *tally) {
	for i := range t {
		t[i] += o[i]
	}
}
