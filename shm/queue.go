// SPDX-License-Identifier: BSD-3-Clause

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
	Prefix          = "ixdp.pqueue." // of the names of queues, by custom
	DefaultName     = Prefix + "tap"
	DefaultSlots    = 4096
	DefaultSlotSize = 2112 // stride in bytes: 64 of record header, the rest captured bytes
)

// Role says what program a participant is.
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

// Options of Open. Slots and SlotSize count only when the file is made; they are
// rounded up to a power of two and a multiple of 64, and 0 means the default.
type Options struct {
	Slots, SlotSize int
	Role            Role
	Name            string // shown to others, up to 40 bytes
	Repair          bool   // replace a file of ours that is corrupt or of another version, when nobody uses it, and a stranger's
	NoCreate        bool   // fail with fs.ErrNotExist when there is none
	Exact           bool   // fail with ErrSizes when it is there with other sizes than are asked for (0: any)

	// Logf is told when the file is made in the place of one that a stranger has put there; nil = nobody.
	Logf func(format string, args ...any)

	dir string // for tests; "" is /dev/shm
}

// Queue is an open queue. Its methods may be called concurrently.
type Queue struct {
	name, path string
	dir, label string // as in Options, as is logf
	logf       func(format string, args ...any)
	m          *memory
	fd         int // holds the use lock for as long as anything here is open

	mu sync.Mutex // orders the use of self, which is one participant
	// self takes part for Reset and for the list of participants; nil after Close.
	self *member
	role Role
}

// Open attaches to the queue NAME in /dev/shm, or makes it: whoever comes first wins.
// Under Repair what belongs to a stranger, in a directory where everybody may create files, gives
// way to a new one. Errors: ErrForeign (untouched), ErrStrange (likewise), ErrVersion, ErrCorrupt, ErrInUse (under Repair),
// ErrSizes (under Exact), fs.ErrNotExist (under NoCreate), fs.ErrPermission, or what the kernel says.
func Open(name string, o Options) (*Queue, error) {
	dir := o.dir
	if dir == "" {
		dir = where()
	}
	if dir != defaultDir && o.dir == "" && o.NoCreate && exists(defaultDir, name) && !exists(dir, name) {
		o.NoCreate = false // its stand-in
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	fd, m, err := open(dir, name, o)
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	if err := share(fd, name); err != nil {
		m.unmap()
		unix.Close(fd)
		return nil, err
	}
	q := &Queue{name: name, path: dir + "/" + name, dir: o.dir, label: o.Name, logf: o.Logf, m: m, fd: fd, role: o.Role}
	if q.self, err = q.join(o.Name, 0); err != nil {
		m.unmap()
		unix.Close(fd)
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	return q, nil
}

// Delete takes the name away from a queue; those who use it go on with what they
// have. A file that is not a queue is refused with ErrForeign.
func Delete(name string) error { return remove(where(), name) }

// directory is where queues are; nil is /dev/shm.
var directory atomic.Pointer[string]

func where() string {
	if dir := directory.Load(); dir != nil {
		return *dir
	}
	return defaultDir
}

// Rehearse has all queues that are opened by name from now on be others, in a directory
// of the caller's, so that nothing done to them is done to the real ones. One that is
// there in /dev/shm is there too, empty. It is for a process that only tries things out.
func Rehearse(dir string) { directory.Store(&dir) }

// group is whose members may use the queues that this process opens; 0: nobody's.
var group atomic.Int64

// Share lets the members of a group use all queues that this process opens from now on, if they
// belong to it: read packets, and put some in. They could do harm to the contents of a queue, not to the
// process. group is the number of the group and not 0.
func Share(gid int) { group.Store(int64(gid)) }

// share lets the group use a queue that was opened.
func share(fd int, name string) error {
	gid := int(group.Load())
	if gid == 0 {
		return nil
	}
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && int(st.Gid) != gid {
		err = unix.Fchown(fd, -1, gid)
	}
	if err == nil && st.Mode&0o777 != 0o660 {
		err = unix.Fchmod(fd, 0o660)
	}
	if err != nil {
		return fmt.Errorf("queue %s: give it to group %d: %w", name, gid, err)
	}
	return nil
}

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

// Delete takes the name away from the queue, if it still leads here, unless others use it:
// then it fails with ErrInUse and says who. Whoever has it open goes on without a name.
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

// Name is the name that Open was given.
func (q *Queue) Name() string { return q.name }

// Slots is how many packets the queue holds.
func (q *Queue) Slots() int { return int(q.m.slots) }

// Room is how many bytes of a packet a slot holds.
func (q *Queue) Room() int { return int(q.m.stride) - slotHeader }

// SlotFor is the size of a slot that holds packets of so many bytes: what Options.SlotSize
// has to be.
func SlotFor(packet int) int { return (slotHeader + packet + 63) &^ 63 }

// Close leaves the queue. Producers and consumers made from it stay usable until they
// are closed themselves. Closing twice is harmless.
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

// member is one participant: an id, the lock that shows it is alive, an entry.
type member struct {
	places // of m, near at hand
	q      *Queue
	m      *memory
	h      *header
	me     *participant
	id     uint16
	fd     int
	err    error // found corrupt or truncated; for good

	// pause, when set by a test, is called between the steps of the protocol.
	pause func()
}

// step is a point between two steps of the protocol, where a test may stop or kill us.
func (b *member) step() {
	if b.pause != nil {
		b.pause()
	}
}

// join takes the first id nobody holds and clears up after its last holder.
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
	e.pid.Store(uint32(os.Getpid())) // before the first claim: a slot of ours is looked for only then
	b.m.refs.Add(1)
	return nil
}

// leave gives the id back; the member owns no slot when it is called.
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

// corrupt marks the queue for good, so that everybody stops and a later Open knows.
func (b *member) corrupt(what string, pos uint64, w word) error {
	b.h.state.Store(stateCorrupt)
	b.err = fmt.Errorf("queue %s: %w: %s at position %d, word %#x", b.q.name, ErrCorrupt, what, pos, uint64(w))
	return b.err
}

// Ahead of the head by more laps than this is not a lagging hint but a lie: hints lag
// by a few positions for each participant.
const wildLaps = 1024

// wild says whether a word is further ahead of the head than any lag explains. The
// head is read after the word.
func (b *member) wild(w word) bool {
	lap := b.h.head.Load() >> b.m.shift
	return w.lap() > lap && w.lap()-lap > wildLaps
}

// advance moves a hint forward to a position; never back. A lost race is somebody
// else's progress; the bound is for those who only pretend.
func advance(hint *atomic.Uint64, to uint64) {
	for range 64 {
		cur := hint.Load()
		if int64(to-cur) <= 0 || hint.CompareAndSwap(cur, to) {
			return
		}
	}
}

// lag is how far a hint may stay behind: moving it costs other cores a cache line.
const lag = 8

// consistent looks at the words of a file that is being opened.
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

// sleepersSet is how many bits of the sleepers' map are set.
func sleepersSet(h *header) int {
	return bits.OnesCount64(h.sleepers[0].Load()) + bits.OnesCount64(h.sleepers[1].Load())
}
