package dataplane

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Reason says why a frame could not be sent, or which error a system call gave.
type Reason uint8

// Reasons is their number.
const (
	ReasonFull    Reason = iota // the TX ring stayed full; of a call: the kernel made no progress
	ReasonLong                  // more chunks than can be sent
	ReasonStopped               // still in the TX ring when the engine stopped
	ReasonENETDOWN
	ReasonENXIO
	ReasonENOBUFS
	ReasonEAGAIN
	ReasonEBUSY
	ReasonEINVAL
	ReasonEMSGSIZE   // longer than the output interface, or the other end of its veth, takes
	ReasonEOPNOTSUPP // redirected to an interface that takes none, or none of several buffers
	ReasonOther      // any other errno
	Reasons          = iota
)

var reasonNames = [Reasons]string{"full", "long", "stopped", "ENETDOWN", "ENXIO", "ENOBUFS", "EAGAIN", "EBUSY", "EINVAL", "EMSGSIZE", "EOPNOTSUPP", "other"}

func (r Reason) String() string { return reasonNames[r] }

func reasonOf(errno unix.Errno) Reason {
	switch errno {
	case unix.ENETDOWN:
		return ReasonENETDOWN
	case unix.ENXIO:
		return ReasonENXIO
	case unix.ENOBUFS:
		return ReasonENOBUFS
	case unix.EAGAIN:
		return ReasonEAGAIN
	case unix.EBUSY:
		return ReasonEBUSY
	case unix.EINVAL:
		return ReasonEINVAL
	case unix.EMSGSIZE:
		return ReasonEMSGSIZE
	case unix.EOPNOTSUPP:
		return ReasonEOPNOTSUPP
	}
	return ReasonOther
}

// tally is one thread's counters of one interface.
type tally [countTotal]uint64

// counters is where a thread makes its tallies public. Only that thread writes;
// anybody reads. The lines around it keep neighbours off (128 bytes: processors
// fetch lines in pairs).
//
// The thread publishes at the end of a batch, with seq odd while it does. A
// reader that finds seq even and unchanged has the counters of one moment
// between two batches, so the accounting identity holds in what it read even
// under traffic.
type counters struct {
	_   [128]byte
	seq atomic.Uint64
	v   [2][countTotal]atomic.Uint64
	_   [128]byte
}

// publish stores what has changed: mostly a few of some sixty, and a load costs
// a tenth of a store.
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

// read returns the counters of one moment. A writer that loses its CPU while
// publishing is waited for: a busy machine keeps it away for milliseconds. Only
// after some seconds (a thread stopped by a debugger) the last reading is returned
// as it is.
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

// since returns what was counted after the moment in which base was read; gauges stay.
// Frames held at that moment count as received after it, since they will be sent
// after it: so the accounting identity survives a reset.
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
