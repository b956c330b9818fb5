package shm

import (
	"sync/atomic"
	"unsafe"
)

// This is the layout of the file, version 1. All numbers are little-endian, all fields are
// naturally aligned, and reserved bytes are zero. ethertap_queue.h says the same for C: change
// both or neither, and raise layoutVersion for anything but the use of reserved bytes.
//
// Bytes 0 to 128 are for OFD locks (byte 0: users, byte k: participant k, byte 128: whoever
// removes the name of a corrupt file). These bytes, the magic, the version and the state word
// stay where they are in every version, so that it is always possible to tell whether a file is a
// queue and whether somebody uses it.

const (
	magic         = "EtherTAP"
	layoutVersion = 1
	byteOrderMark = 0x0a0b0c0d

	participantSlots = 128 // ids 1 to 127; entry 0 is not used
	maxInterfaces    = 64

	headerSize         = 4096
	participantsOffset = headerSize
	interfacesOffset   = participantsOffset + participantSlots*512
	slotsOffset        = interfacesOffset + maxInterfaces*64
	slotHeader         = 64
)

// These are the values of header.state.
const (
	stateInit    = 0 // being made; never seen under the queue's name
	stateReady   = 1
	stateCorrupt = 2 // somebody found words that contradict each other
)

const modeOverwrite = 1 // bit of header.mode: overwrite the oldest packet instead of refusing the new one

// header is the first page. The creator writes the fields of the first line before the file gets
// its name, and nobody writes them again.
type header struct {
	magic              [8]byte
	version            uint32
	byteOrder          uint32
	fileSize           uint64
	slots              uint32 // a power of two
	slotSize           uint32 // stride in bytes, a multiple of 64
	slotsOffset        uint32
	participantsOffset uint32
	participantSlots   uint32
	participantSize    uint32
	interfacesOffset   uint32
	interfaceSlots     uint32
	interfaceSize      uint32
	slotHeader         uint32
	created            int64 // ns since the epoch
	creator            uint32
	_                  uint32
	bootID             [16]byte
	_                  [32]byte

	state atomic.Uint32 // creator: READY; anybody: CORRUPT, for good
	mode  atomic.Uint32 // anybody who is asked to (tap.queue.overwrite); read once a batch
	_     [120]byte

	head atomic.Uint64 // hint: position of the next packet written; anybody moves it on
	_    [120]byte
	tail atomic.Uint64 // hint: position of the next packet read; anybody moves it on
	_    [120]byte

	bell     semaphore        // posted by producers, waited for by consumers
	sleepers [2]atomic.Uint64 // bit id: set and cleared by that participant, cleared by its successor
	_        [80]byte

	interfaceLock atomic.Uint64 // odd: the interface table is being written
	_             [120]byte

	_ [headerSize - 768]byte
}

// semaphore is struct new_sem of glibc for 64-bit machines (nptl/internaltypes.h), padded to
// sizeof(sem_t). It is used by sem_post and sem_wait in C, and by doorbell.go.
type semaphore struct {
	data    atomic.Uint64 // value in the low half, number of waiters in the high half
	private uint32        // 128: shared between processes
	_       [20]byte
}

const semaphoreShared = 128

// counter is a statistic of one participant. Its owner writes it with plain stores; bury writes
// it when the owner is dead, which is after the last store, since the kernel released the lock.
// It orders nothing. An atomic store would be a locked exchange on amd64.
type counter struct{ v uint64 }

func (c *counter) set(v uint64) { c.v = v }
func (c *counter) get() uint64  { return atomic.LoadUint64(&c.v) }

func (c *counter) cas(old, v uint64) bool { return atomic.CompareAndSwapUint64(&c.v, old, v) }

// participant is an entry of the table. The holder of the lock on byte id writes every field;
// comments name other writers.
type participant struct {
	pid        atomic.Uint32 // in its own PID namespace; 0: it left in good order
	role       uint32        // Role
	kinds      uint32        // kindProducer, kindConsumer
	generation uint32        // how often the id was taken
	joined     int64         // ns since the epoch
	name       [40]byte      // padded with zeros
	base       [8]uint64     // counters at the time of joining; see baseStored

	// The step that is about to be counted: the step on intentPos sets the counter with this
	// index to intentNext. If the step did not happen, bury clears intentNext.
	intentPos     counter
	intentNext    counter
	intentCounter counter // index into the counters: stored, overwritten, retrieved or discarded

	offered     counter // given to Put; raised before a batch, so it is also the last sequence number
	stored      counter // published
	full        counter // refused because there was no room
	orphaned    counter // given up by a consumer, because they were written too slowly
	truncated   counter // stored, but longer than a slot
	overwritten counter // packets of others, overwritten in overwrite mode
	holes       counter // slots passed over because a slow reader held them
	highWater   counter // the most positions between tail and head that it has seen
	_           [40]byte

	retrieved counter // taken by Get or Drain
	discarded counter // removed by Reset
	lost      counter // packets whose consumer died while it held them
	abandoned counter // slots whose producer died while it held them
	orphans   counter // writers that it passed over
	_         [88]byte

	_ [128]byte
}

// These are the bits of participant.kinds.
const (
	kindProducer = 1
	kindConsumer = 2
)

// These are the values of participant.intentCounter.
const (
	countStored      = 1
	countOverwritten = 2
	countRetrieved   = 3
	countDiscarded   = 4
)

// This is the order of participant.base.
const (
	baseStored = iota
	baseFull
	baseOrphaned
	baseTruncated
	baseOverwritten
	baseRetrieved
	baseDiscarded
	baseOffered
)

// iface is an entry of the interface table; its place is the interface's index. It is written
// under interfaceLock, except for refused.
type iface struct {
	refused atomic.Uint64 // packets refused because the queue was full or they were written too slowly; producers add to it
	used    uint32
	index   uint32
	mac     [6]byte
	_       [2]byte
	name    [32]byte
	taps    uint32 // Taps; 0 if the writer does not set them
	_       [4]byte
}

// slot is the beginning of a slot; the captured bytes follow. All but the word is written by the
// producer that holds the slot in WRITING, and read by the consumer that holds it in READING. The
// compare-and-swaps of the word order these accesses.
type slot struct {
	word atomic.Uint64
	recordHead
	_ [8]byte
}

// recordHead describes the packet of a slot. Neighbouring fields are written together, because
// the compare-and-swap waits for every store before it.
type recordHead struct {
	seq       uint64
	timestamp int64 // ns since the epoch
	packetID  uint64
	lengths   uint64 // u32 number of bytes that follow; u32 number of bytes on the wire
	tags      uint64 // u16 interface; u16 queue; u16 producer; u8 direction; u8 zero
	fault     uint32
	_         uint32
}

// Other programs rely on these offsets. A line does not compile if its two sides differ (a
// constant index is out of range).
var (
	_ = [1]struct{}{}[unsafe.Sizeof(header{})-headerSize]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.created)-64]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.bootID)-80]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.state)-128]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.mode)-132]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.head)-256]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.tail)-384]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.bell)-512]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.sleepers)-544]
	_ = [1]struct{}{}[unsafe.Offsetof(header{}.interfaceLock)-640]
	_ = [1]struct{}{}[unsafe.Sizeof(semaphore{})-32]
	_ = [1]struct{}{}[unsafe.Sizeof(participant{})-512]
	_ = [1]struct{}{}[unsafe.Offsetof(participant{}.name)-24]
	_ = [1]struct{}{}[unsafe.Offsetof(participant{}.base)-64]
	_ = [1]struct{}{}[unsafe.Offsetof(participant{}.intentPos)-128]
	_ = [1]struct{}{}[unsafe.Offsetof(participant{}.offered)-152]
	_ = [1]struct{}{}[unsafe.Offsetof(participant{}.retrieved)-256]
	_ = [1]struct{}{}[unsafe.Sizeof(iface{})-64]
	_ = [1]struct{}{}[unsafe.Offsetof(iface{}.name)-24]
	_ = [1]struct{}{}[unsafe.Offsetof(iface{}.taps)-56]
	_ = [1]struct{}{}[unsafe.Sizeof(slot{})-slotHeader]
	_ = [1]struct{}{}[unsafe.Offsetof(slot{}.lengths)-32]
	_ = [1]struct{}{}[unsafe.Offsetof(slot{}.fault)-48]

	// A Record begins like a recordHead, so that a consumer copies it in one go.
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Timestamp)-unsafe.Offsetof(recordHead{}.timestamp)]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.PacketID)-unsafe.Offsetof(recordHead{}.packetID)]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.OrigLen)-unsafe.Offsetof(recordHead{}.lengths)-4]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Interface)-unsafe.Offsetof(recordHead{}.tags)]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Queue)-unsafe.Offsetof(recordHead{}.tags)-2]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Producer)-unsafe.Offsetof(recordHead{}.tags)-4]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Direction)-unsafe.Offsetof(recordHead{}.tags)-6]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Fault)-unsafe.Offsetof(recordHead{}.fault)]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Data)-unsafe.Sizeof(recordHead{})]
	_ = [1]struct{}{}[interfacesOffset-69632]
	_ = [1]struct{}{}[slotsOffset-73728]
)
