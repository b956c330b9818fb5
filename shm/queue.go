package shm

import (
	"fmt"
	"math"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	Prefix          = "ixdp.pqueue." // of the names of queues, by convention
	DefaultName     = Prefix + "tap"
	DefaultSlots    = 4096
	DefaultSlotSize = 2112 // stride in bytes: 64 of record header, the rest captured bytes
)

// Role says which program a participant belongs to.
type Role uint8

const (
	RoleOther Role = iota
	RoleEthertap
	RoleCollect
	RoleShell
)

func (r Role) String() string {
	switch r {
	case RoleEthertap:
		return "ethertap"
	case RoleCollect:
		return "collect"
	case RoleShell:
		return "rpclsh"
	}
	return "other"
}

// Options are the options of Open. Slots and SlotSize apply when the file is made; they are
// rounded up to a power of two and to a multiple of 64, and 0 means the default.
type Options struct {
	Slots, SlotSize int
	Role            Role
	Name            string // shown to others, up to 40 bytes
	Repair          bool   // replace a file of ours that is corrupt or of another version, if nobody uses it; replace a stranger's file
	NoCreate        bool   // fail with fs.ErrNotExist if there is none
	Exact           bool   // fail with ErrSizes if it exists with other sizes (0 accepts any)

	// Logf is called when the file is made in place of a stranger's; nil means no log.
	Logf func(format string, args ...any)

	dir string // for tests; "" is /dev/shm
}

// Queue is an open queue. Its methods may be called concurrently.
type Queue struct {
	name, path string
	dir, label string // as in Options, as is logf
	logf       func(format string, args ...any)
	m          *memory
	fd         int // holds the use lock as long as the queue, a producer or a consumer is open

	mu sync.Mutex // orders the use of self, which is one participant
	// self is the participant for Reset and for the list of participants; nil after Close.
	self *member
	role Role
}

// Open opens the queue NAME in /dev/shm, or makes it: the first to come makes it. Under Repair a
// stranger's file, in a directory where everybody may create files, is replaced. The errors are
// ErrForeign and ErrStrange (the file is left as it is), ErrVersion, ErrCorrupt, ErrInUse (under
// Repair), ErrSizes (under Exact), fs.ErrNotExist (under NoCreate), fs.ErrPermission, and those
// of the kernel.
func Open(name string, o Options) (*Queue, error) {
	dir := o.dir
	if dir == "" {
		dir = where()
	}
	if dir != defaultDir && o.dir == "" && o.NoCreate && exists(defaultDir, name) && !exists(dir, name) {
		o.NoCreate = false // it stands for the real one, which exists
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	fd, m, err := open(dir, name, o)
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	q := &Queue{name: name, path: dir + "/" + name, dir: o.dir, label: o.Name, logf: o.Logf, m: m, fd: fd, role: o.Role}
	if q.self, err = q.join(o.Name, 0); err != nil {
		m.unmap()
		unix.Close(fd)
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	return q, nil
}

// Delete removes the name of a queue; its users go on using the file without a name. If the file
// is not a queue, it fails with ErrForeign.
func Delete(name string) error { return remove(where(), name) }

// directory is where queues are; nil means /dev/shm.
var directory atomic.Pointer[string]

func where() string {
	if dir := directory.Load(); dir != nil {
		return *dir
	}
	return defaultDir
}

// Rehearse makes this process open all queues in a directory of the caller's from now on, so that
// nothing it does affects the real ones. A queue that exists in /dev/shm exists there too, but is
// empty. It is for a process that only tries things out.
func Rehearse(dir string) { directory.Store(&dir) }

func exists(dir, name string) bool {
	_, err := os.Lstat(dir + "/" + name)
	return err == nil
}

func remove(dir, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	path := dir + "/" + name
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err == unix.ELOOP {
		err = ErrForeign
	}
	if err != nil {
		return fmt.Errorf("queue %s: %w", name, err)
	}
	defer unix.Close(fd)
	if err := ours(fd); err != nil {
		return fmt.Errorf("queue %s: %w", name, err)
	}
	if err := unix.Unlink(path); err != nil {
		return fmt.Errorf("queue %s: %w", name, err)
	}
	return nil
}

// Delete removes the name of the queue, if it still leads here. If others use the queue, it fails
// with ErrInUse and names one of them. Participants of this process go on using the file without
// a name.
func (q *Queue) Delete() error {
	list, err := q.Participants()
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Alive && p.PID != os.Getpid() {
			return fmt.Errorf("queue %s: %w: %s, PID %d", q.name, ErrInUse, p.Role, p.PID)
		}
	}
	if !named(q.fd, q.path) {
		return fmt.Errorf("queue %s: the file has lost its name already: %w", q.name, unix.ENOENT)
	}
	if err := unix.Unlink(q.path); err != nil {
		return fmt.Errorf("queue %s: %w", q.name, err)
	}
	return nil
}

// Name returns the name that Open was given.
func (q *Queue) Name() string { return q.name }

// Slots returns how many packets the queue holds.
func (q *Queue) Slots() int { return int(q.m.slots) }

// Room returns how many bytes of a packet a slot holds.
func (q *Queue) Room() int { return int(q.m.stride) - slotHeader }

// SlotFor returns the size of slots that hold packets of so many bytes, for Options.SlotSize.
func SlotFor(packet int) int { return (slotHeader + packet + 63) &^ 63 }

// Close closes the queue. Its producers and consumers stay usable until they are closed
// themselves. Closing twice is harmless.
func (q *Queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.self == nil {
		return nil
	}
	err := q.self.leave()
	q.self = nil
	return err
}

// member is one participant: an id, the lock that shows that it is alive, and an entry.
type member struct {
	places // copied from m, to be near at hand
	q      *Queue
	m      *memory
	h      *header
	me     *participant
	id     uint16
	fd     int
	err    error // the queue was found corrupt or truncated; never reset

	// pause is called between the steps of the protocol; it is nil except in tests.
	pause func()
}

// pausePoint lies between two steps of the protocol; a test may stop or kill the participant
// here.
func (b *member) pausePoint() {
	if b.pause != nil {
		b.pause()
	}
}

// join takes the first id that nobody holds, and cleans up after its last holder.
func (q *Queue) join(name string, kinds uint32) (b *member, err error) {
	fd, err := reopen(q.fd)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			b = nil
		}
	}()
	for id := uint16(1); id < participantSlots; id++ {
		ok, err := tryLock(fd, unix.F_WRLCK, int64(id))
		if err != nil {
			return nil, err
		}
		if ok {
			b = &member{places: q.m.places, q: q, m: q.m, h: q.m.header(), me: q.m.participant(id), id: id, fd: fd}
			return b, b.enter(name, kinds)
		}
	}
	return nil, fmt.Errorf("%d participants already", participantSlots-1)
}

func (b *member) enter(name string, kinds uint32) (err error) {
	defer b.m.rescue(guard(), &err)
	e := b.me
	if e.pid.Load() != 0 {
		b.bury(b.id)
		for i := range b.m.slots {
			if w := b.m.slot(i); word(w.word.Load()).owner() == b.id {
				b.reap(w, word(w.word.Load()))
			}
		}
	}
	b.awake()
	e.intentNext.set(0)
	e.role = uint32(b.q.role)
	e.kinds = kinds
	e.generation++
	e.joined = time.Now().UnixNano()
	e.name = [40]byte{}
	copy(e.name[:], name)
	e.base = [8]uint64{e.stored.get(), e.full.get(), e.orphaned.get(), e.truncated.get(), e.overwritten.get(), e.retrieved.get(), e.discarded.get(), e.offered.get()}
	e.pid.Store(uint32(os.Getpid())) // before the first claim, since others look for our slots only if pid is not 0
	b.m.refs.Add(1)
	return nil
}

// leave frees the id. The member must not hold a slot.
func (b *member) leave() error {
	func() {
		var fault error
		defer b.m.rescue(guard(), &fault)
		b.me.intentNext.set(0)
		b.awake()
		b.me.pid.Store(0)
	}()
	err := unix.Close(b.fd)
	last, e := b.m.unmap()
	if err == nil {
		err = e
	}
	if last {
		if e := unix.Close(b.q.fd); err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("queue %s: close: %w", b.q.name, err)
	}
	return nil
}

// corrupt marks the queue as corrupt for good, so that everybody stops and a later Open finds
// out.
func (b *member) corrupt(what string, pos uint64, w word) error {
	b.h.state.Store(stateCorrupt)
	b.err = fmt.Errorf("queue %s: %w: %s at position %d, word %#x", b.q.name, ErrCorrupt, what, pos, uint64(w))
	return b.err
}

// wildLaps bounds how far a word can be ahead of the head: hints lag by a few positions for each
// participant, so a word that is more laps ahead is wrong.
const wildLaps = 1024

// wild says whether a word is further ahead of the head than any lag explains. The head is read
// after the word.
func (b *member) wild(w word) bool {
	lap := b.h.head.Load() >> b.m.shift
	return w.lap() > lap && w.lap()-lap > wildLaps
}

// advance moves a hint forward to a position, and never back. If it loses a race, somebody else
// has moved the hint. The number of attempts is bounded, since a hostile process may change the
// hint again and again.
func advance(hint *atomic.Uint64, to uint64) {
	for range 64 {
		cur := hint.Load()
		if int64(to-cur) <= 0 || hint.CompareAndSwap(cur, to) {
			return
		}
	}
}

// lag is how far a hint may stay behind. Moving it costs other cores a cache line.
const lag = 8

// consistent checks the words of a file that is being opened.
func (m *memory) consistent() (err error) {
	defer m.rescue(guard(), &err)
	b := member{places: m.places, m: m, h: m.header()}
	head, tail := b.h.head.Load(), b.h.tail.Load()
	if head > math.MaxInt64 || tail > math.MaxInt64 {
		return fmt.Errorf("%w: head %d, tail %d", ErrCorrupt, head, tail)
	}
	hw, tw := word(m.slot(head).word.Load()), word(m.slot(tail).word.Load())
	if atHead(hw, head>>m.shift) == stepCorrupt || atTail(tw, tail>>m.shift) == stepCorrupt {
		return fmt.Errorf("%w: head %d, tail %d, words %#x, %#x", ErrCorrupt, head, tail, uint64(hw), uint64(tw))
	}
	for i := range m.slots {
		if w := word(m.slot(i).word.Load()); w.state() > orphan || b.wild(w) {
			return fmt.Errorf("%w: slot %d, word %#x", ErrCorrupt, i, uint64(w))
		}
	}
	return nil
}

// sleepersSet returns how many bits of the sleepers' map are set.
func sleepersSet(h *header) int {
	return bits.OnesCount64(h.sleepers[0].Load()) + bits.OnesCount64(h.sleepers[1].Load())
}
