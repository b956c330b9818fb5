// SPDX-License-Identifier: BSD-3-Clause

// Package memory is a port in memory: its user gives it the frames that the engine receives, and
// gets those that it sends. It needs no rights and no kernel, so a test can run a whole engine on
// it, with threads, chain, taps and counters.
package memory

import (
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"ethertap/dataplane/policy"
	"ethertap/dataplane/port"
	"ethertap/dataplane/xsk"
)

// Options describe a port in memory.
type Options struct {
	Queues int // number of queues; 0 means 1
	MTU    int // in bytes; 0 means 1500
	MAC    policy.MAC
	// Sent gets each frame that leaves by the port. The thread of the queue calls it. It must not
	// keep the frame, and returns whether the device took it. With nil every frame is taken.
	Sent func(queue int, frame []byte) bool
	// SentWith replaces Sent for a port that wants to know more of a frame.
	SentWith func(queue int, frame []byte, meta xsk.Meta) bool
	// Elastic says that the other port decides on Queues and MTU, and Timed that frames have times of
	// their own: see port.Facts.
	Elastic, Timed bool
	NoTX, NoRX     bool // see port.Facts
}

// Port implements port.Port. All its methods may be called from any goroutine.
type Port struct {
	name    string
	options Options
	down    atomic.Bool
	removed atomic.Bool

	mu       sync.Mutex // guards the fields below, and writing into the rings and the memory
	mode     string
	up       bool // the link, as last observed
	downs    uint64
	queues   map[int]*openQueue
	admitted bool // between Admit and its undo
	ended    bool // see End
	longest  int  // bytes of the longest frame
}

// openQueue is a queue that has a socket.
type openQueue struct {
	kernel *xsk.Kernel
	wake   func()
}

// New returns a port with a name. Its link is up.
func New(name string, o Options) *Port {
	if o.Queues == 0 {
		o.Queues = 1
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.Sent == nil {
		o.Sent = func(int, []byte) bool { return true }
	}
	if o.SentWith == nil {
		o.SentWith = func(queue int, frame []byte, _ xsk.Meta) bool { return o.Sent(queue, frame) }
	}
	return &Port{name: name, options: o, longest: tagged(o.MTU), mode: port.NotAttached, queues: map[int]*openQueue{}}
}

// tagged returns the length in bytes of the longest frame of an MTU, with one tag.
func tagged(mtu int) int { return 14 + 4 + mtu }

// Receive gives the engine a frame on a queue. It returns false if there is no room for the frame,
// or the engine does not run.
func (p *Port) Receive(number int, frame []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[number]
	if !p.admitted || q == nil || p.removed.Load() || !q.kernel.Receive(frame) {
		return false
	}
	q.wake()
	return true
}

// Given says what became of a frame that was given.
type Given uint8

const (
	Shut  Given = iota // the engine does not run
	Full               // there is no room for the frame yet
	Taken              // the engine has it
)

// Give is Receive for a frame of which something is known. It does not wake the thread: see Wake.
func (p *Port) Give(number int, frame []byte, meta xsk.Meta) Given {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[number]
	switch {
	case !p.admitted || q == nil || p.removed.Load():
		return Shut
	case q.kernel.ReceiveWith(frame, meta):
		return Taken
	}
	return Full
}

// Wake wakes the thread of a queue if it sleeps, so that it sees what it was given.
func (p *Port) Wake(number int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.queues[number]; q != nil {
		q.wake()
	}
}

// End says that no frame will come any more.
func (p *Port) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, q := range p.queues {
		q.kernel.Ended.Store(true)
		q.wake()
	}
}

// Fit implements port.Port.
func (p *Port) Fit(queues, mtu, longest int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.options.Elastic {
		p.options.Queues, p.options.MTU, p.longest = queues, mtu, longest
	}
}

// SetUp takes the link up or down. While the link is down, no frame leaves by the port.
func (p *Port) SetUp(up bool) {
	p.down.Store(!up)
	p.wakeAll()
}

// Remove makes the port disappear as an interface does.
func (p *Port) Remove() {
	p.removed.Store(true)
	p.mu.Lock()
	for _, q := range p.queues {
		q.kernel.Removed.Store(true)
	}
	p.mu.Unlock()
	p.wakeAll()
}

// Restore makes a port that was removed available to the next start.
func (p *Port) Restore() { p.removed.Store(false) }

func (p *Port) wakeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.queues {
		q.wake()
	}
}

// Name implements port.Port.
func (p *Port) Name() string { return p.name }

// Called implements port.Port.
func (p *Port) Called(name string) bool { return name == p.name }

// Facts implements port.Port.
func (p *Port) Facts() port.Facts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return port.Facts{
		Name: p.name, Device: p.name, Driver: "memory", Mode: p.mode, MAC: p.options.MAC, MTU: p.options.MTU, Chunk: port.ChunkFor(max(p.options.MTU, p.longest-tagged(0))), Longest: uint32(p.longest),
		RXQueues: p.options.Queues, TXQueues: p.options.Queues, Up: p.up, Downs: p.downs, Elastic: p.options.Elastic, Timed: p.options.Timed, NoTX: p.options.NoTX, NoRX: p.options.NoRX,
	}
}

// QueueCommand implements port.Port.
func (p *Port) QueueCommand(n int) string { return fmt.Sprintf("make %s with %d queues", p.name, n) }

// Inspect implements port.Port.
func (p *Port) Inspect() error {
	if err := p.Check(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = !p.down.Load()
	return nil
}

// Check implements port.Port.
func (p *Port) Check() error {
	if p.removed.Load() {
		return fmt.Errorf("port %s: %w", p.name, port.ErrMissing)
	}
	return nil
}

// Prepare implements port.Port.
func (p *Port) Prepare() (func() error, error) { return nil, nil }

// Open implements port.Port. The socket copies, and a kick sends.
func (p *Port) Open(q port.Queue) (*xsk.Socket, func() error, error) {
	s, kernel, err := xsk.Simulate(q.Memory, xsk.Options{Fill: q.Rings, Completion: q.Rings, RX: q.Rings, TX: q.Rings})
	if err != nil {
		return nil, nil, fmt.Errorf("port %s: queue %d: %w", p.name, q.Number, err)
	}
	kernel.Copying(q.Budget, p.ready, func(frame []byte) bool { return p.options.SentWith(q.Number, frame, kernel.Meta()) })
	if n := s.Fill.Put(q.Frames); n != len(q.Frames) {
		return nil, nil, fmt.Errorf("port %s: queue %d: fill ring took %d of %d frames", p.name, q.Number, n, len(q.Frames))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	kernel.Ended.Store(p.ended)
	p.queues[q.Number] = &openQueue{kernel, q.Wake}
	p.mode = port.Memory
	return s, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.queues, q.Number)
		p.mode = port.NotAttached
		return s.Close()
	}, nil
}

// ready returns the errno that says why nothing can be sent, or 0.
func (p *Port) ready() unix.Errno {
	switch {
	case p.removed.Load():
		return unix.ENXIO
	case p.down.Load():
		return unix.ENETDOWN
	}
	return 0
}

// Attach implements port.Port.
func (p *Port) Attach(bool) (func() error, error) { return nil, nil }

// Admit implements port.Port.
func (p *Port) Admit() (func() error, error) {
	set := func(open bool) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.admitted = open
		return nil
	}
	return func() error { return set(false) }, set(true)
}

// Observe implements port.Port.
func (p *Port) Observe() (c port.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up := !p.down.Load(); up != p.up {
		if p.up = up; !up {
			p.downs++
		}
	}
	return c
}

// Leave implements port.Port.
func (p *Port) Leave() error { return nil }
