// Package port says what the engine asks of a port: an end of the bridge, or the one that is
// mirrored. dataplane/nic is the network interface, dataplane/memory a port in memory.
package port

import (
	"errors"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/xsk"
)

// Port is one end. The engine takes the steps of a start in this order for each port,
// Inspect, Prepare, Open for each of its threads, Attach, and Admit, and undoes them in the
// opposite order; while it runs it observes. After a stop it may start again with Inspect.
//
// The engine calls the methods under its lock, one at a time, in the network namespace of
// the start; only Name and Called may be called by anybody at any time, and wait for nothing.
type Port interface {
	// Name is what the port is called now, in messages and listings.
	Name() string
	// Called says whether the port goes by a name now or did so on the command line.
	Called(name string) bool
	// Facts is what is known of the port, as last seen. Before the first Inspect that is
	// the name, and "-" in the place of driver and mode.
	Facts() Facts
	// QueueCommand is the command that gives the port n queues, for messages.
	QueueCommand(n int) string

	// Inspect looks at the port, and refuses what cannot be served. It changes nothing
	// outside this process.
	Inspect() error
	// Check says why Inspect would refuse the port. It changes nothing, not even what is
	// known of the port. The error is ErrMissing if the port is not there.
	Check() error
	// Prepare makes the port fit for the bridge and says what is unusual about it. undo
	// makes it as it was before; nil if nothing was changed.
	Prepare() (undo func() error, err error)
	// Open makes the socket of one queue. After it, Facts says the mode. undo closes it.
	Open(q Queue) (s *xsk.Socket, undo func() error, err error)
	// Attach makes the port ready to give its frames to its sockets. It gives none before
	// Admit. long says that frames may be longer than a chunk. The error is ErrAgain if the
	// port can work, but otherwise than its sockets are open for: Open them again.
	Attach(long bool) (undo func() error, err error)
	// Admit lets the frames of all queues that have a socket come, as the last step. After
	// undo none comes any more, and what was received before can still be sent.
	Admit() (undo func() error, err error)

	// Observe looks again at a port that lives, says in the log what has changed, and
	// returns of that what the engine has to act on. Between a stop and a start it follows
	// the name alone.
	Observe() Change
	// Leave takes from a port that has disappeared what it has of ours.
	Leave() error
}

// ErrMissing says that a port is not there.
var ErrMissing = errors.New("no such interface")

// ErrAgain says that a port's sockets must be opened anew.
var ErrAgain = errors.New("the port works otherwise than its sockets are open for")

// Facts is what is known of a port.
type Facts struct {
	Name     string     // as Port.Name
	Device   string     // its name in commands
	Driver   string     // "-" if unknown
	Mode     string     // one of the modes below
	MAC      policy.MAC //
	MTU      int        // bytes of a frame behind its header
	Longest  uint32     // bytes of a frame that leaves by a socket
	RXQueues int        //
	TXQueues int        //
	Up       bool       // the link is up and has carrier
	Downs    uint64     // how often it went down while it was observed
}

// How frames get between a port and the threads' memory.
const (
	NotAttached = "-"
	ZeroCopy    = "ZEROCOPY" // the driver uses the memory itself
	Copy        = "COPY"     // native XDP, which copies
	Generic     = "SKB"      // generic XDP, which copies
	Memory      = "MEMORY"   // a port in memory
)

// Queue is what a socket is opened for.
type Queue struct {
	Number int
	Memory *xsk.UMEM
	Other  *xsk.Socket // that of the other port on the same memory; nil for the first one
	Frames []uint64    // chunks for the fill ring, which they fill exactly
	Rings  int         // frames of each ring, a power of two
	Budget int         // frames that one kick transmits at most
	Long   bool        // frames may be longer than a chunk
	// Wake ends a sleep of the queue's thread. A port whose socket has no descriptor to
	// be waited for calls it when a frame has come; others need not.
	Wake func()
}

// Change is what the engine has to act on.
type Change struct {
	Named  bool // the name or the address is another
	MTU    int  // what it was; 0: it is the same
	Queues bool // there are more receive queues than before
}
