// SPDX-License-Identifier: BSD-3-Clause

// Package port defines what the engine asks of a port, which is an end of a bridge or the interface
// that is mirrored. Package dataplane/nic implements it by a network interface, package
// dataplane/memory in memory.
package port

import (
	"errors"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/stamp"
	"ethertap/dataplane/xsk"
)

// Port is an end of a bridge, or the interface that is mirrored. A start takes each port through
// Inspect, Prepare, Open for each thread, Attach and Admit, in this order, and undoes the steps in
// the opposite order. While it runs it calls Observe. After a stop it may start again with Inspect.
//
// The engine calls the methods under its lock, one at a time, in the network namespace of the
// start. Only Name and Called may be called by anybody at any time; they wait for nothing.
type Port interface {
	// Name returns the present name of the port, for messages and listings.
	Name() string
	// Called says whether the port has a name now, or had it on the command line.
	Called(name string) bool
	// Facts describes the port as it was last seen. Before the first Inspect only the name is
	// known, and driver and mode are "-".
	Facts() Facts
	// QueueCommand returns the command that gives the port n queues, for messages.
	QueueCommand(n int) string

	// Inspect looks at the port and returns an error if it cannot be served. It changes nothing
	// outside this process.
	Inspect() error
	// Check returns the error with which Inspect would refuse the port, or nil. It does not even
	// change what is known of the port. The error is ErrMissing if the port is not there.
	Check() error
	// Fit tells a port whose Facts are Elastic how many queues and which MTU it has from now on, and
	// how many bytes of a frame it takes. A start calls it after Inspect. It does nothing to others.
	Fit(queues, mtu, longest int)
	// Prepare makes the port fit for the bridge, and logs what is unusual about it. undo restores
	// its settings; it is nil if none was changed.
	Prepare() (undo func() error, err error)
	// Open makes the socket of one queue, which undo closes. After it, Facts tells the mode.
	Open(q Queue) (s *xsk.Socket, undo func() error, err error)
	// Attach prepares the port to give its frames to its sockets, which begins with Admit. long
	// says that frames may be longer than a chunk. The error is ErrAgain if the port can work, but
	// needs other sockets: Open has to be called again.
	Attach(long bool) (undo func() error, err error)
	// Admit is the last step: it lets the frames of all queues that have a socket come. After undo
	// no frame comes any more, and those received before can still be sent.
	Admit() (undo func() error, err error)

	// Observe looks at the port while it is attached, logs what has changed, and returns the
	// changes that the engine has to act on. Between a stop and a start it follows only the name
	// and the address.
	Observe() Change
	// Leave removes from a port that has disappeared what the engine has put on it.
	Leave() error
}

// ErrMissing says that a port does not exist.
var ErrMissing = errors.New("no such interface")

// ErrAgain says that the sockets of a port have to be opened again.
var ErrAgain = errors.New("the port needs other sockets")

// Facts describes a port.
type Facts struct {
	Name     string // as Port.Name
	Device   string // its name in commands
	Driver   string // "-" if unknown
	Mode     string // one of the constants below
	MAC      policy.MAC
	MTU      int          // bytes of a frame after its header
	Chunk    int          // bytes of a chunk of memory that its frames need: ChunkFor(MTU) or more
	Longest  uint32       // bytes of the longest frame that a socket can send
	Stamps   *stamp.Clock // relates the time stamps in front of received frames to the wall clock; nil: they have none
	RXQueues int
	TXQueues int
	Up       bool   // the link is up and has carrier
	Downs    uint64 // how often the link went down while it was observed
	Elastic  bool   // the port has as many queues, and takes as long frames, as the other port needs: see Port.Fit
	Timed    bool   // frames have times of their own, in xsk.Meta: the clock of a bridge whose ports all are such is that of the frames. It never changes
	NoTX     bool   // nothing can be sent by the port: what the other port receives is mirrored. It never changes
	NoRX     bool   // nothing is received by the port. It never changes
}

// Long says whether frames may need several chunks of the larger size.
func (f *Facts) Long() bool {
	return f.MTU > MaxMTU || f.Elastic && f.Longest > LargeChunk-xsk.Headroom
}

// The modes say how frames get between a port and the memory of the threads.
const (
	NotAttached = "-"
	ZeroCopy    = "ZEROCOPY" // the driver uses the memory itself
	Copy        = "COPY"     // native XDP, with copies
	Generic     = "SKB"      // generic XDP, with copies
	Memory      = "MEMORY"   // a port in memory
	File        = "FILE"     // a file
)

// Queue describes the socket to be opened for a queue.
type Queue struct {
	Number int
	Memory *xsk.UMEM
	Other  *xsk.Socket // the socket of the other port on the same memory; nil for the first port
	Frames []uint64    // the chunks that fill the fill ring
	Rings  int         // number of frames in each ring, a power of two
	Budget int         // the largest number of frames that one kick transmits
	Long   bool        // frames may be longer than a chunk
	// Wake ends a sleep of the thread of the queue. A port whose socket has no file descriptor to
	// poll calls it when a frame has come; others need not.
	Wake func()
}

// Change is a change that the engine has to act on.
type Change struct {
	Named  bool // the name or the address has changed
	MTU    int  // the former MTU; 0 if it has not changed
	Queues bool // there are more receive queues than before
}
