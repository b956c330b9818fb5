// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"sync/atomic"
	"unsafe"
)

// The layout of the file, version 1. All numbers are in the byte order of the
// machine, all fields naturally aligned; reserved bytes are zero. ethertap_queue.h says the same for C:
// change both or neither, and raise layoutVersion for anything but the use of
// reserved bytes.
//
// Bytes 0 to 128 for OFD locks (byte 0: users, byte k: participant k, byte 128: who takes the
// name away from a corrupt file), the magic, the
// version and the state word stay where they are in every version, so that one can
// always tell whether a file is ours and whether somebody uses it.

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

// Values of header.state.
const (
	stateInit    = 0 // being made; never seen under the queue's name
	stateReady   = 1
	stateCorrupt = 2 // somebody found words that contradict each other
)

const modeOverwrite = 1 // bit of header.mode: overwrite the oldest instead of refusing

// header is the first page. Fields of the first line are written by the creator
// before the file gets its name, and never again.
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

	head atomic.Uint64 // hint: position of the next packet written; moved on by anybody
	_    [120]byte
	tail atomic.Uint64 // hint: position of the next packet read; moved on by anybody
	_    [120]byte

	bell     semaphore        // posted by producers, waited for by consumers
	sleepers [2]atomic.Uint64 // bit id: set and cleared by that participant, cleared by its successor
	_        [80]byte

	interfaceLock atomic.Uint64 // odd: the interface table is being written
	_             [120]byte

	_ [headerSize - 768]byte
}

// semaphore is struct new_sem of glibc for 64-bit machines (nptl/internaltypes.h),
// padded to sizeof(sem_t). Used by sem_post, sem_wait and their kin in C and by
// doorbell.go.
type semaphore struct {
	data    atomic.Uint64 // value in the low half, number of waiters in the high half
	private uint32        // 128: shared between processes
	_       [20]byte
}

const semaphoreShared = 128

// counter is a statistic of one participant, written with plain stores by its owner
// alone (and by settle when the owner is dead: the kernel's release of the lock comes
// after the last store). It orders nothing. An atomic store would be a locked exchange on amd64.
type counter struct{ v uint64 }

func (c *counter) set(v uint64) { c.v = v }
func (c *counter) get() uint64  { return atomic.LoadUint64(&c.v) }

func (c *counter) cas(old, v uint64) bool { return atomic.CompareAndSwapUint64(&c.v, old, v) }

// participant is an entry of the table. Every field is written by the holder of the
// lock on byte id; what else writes is said.
type participant struct {
	pid        atomic.Uint32 // as its own PID namespace numbers it; 0: left in good order
	role       uint32        // Role
	kinds      uint32        // kindProducer, kindConsumer
	generation uint32        // how often the id was taken
	joined     int64         // ns since the epoch
	name       [40]byte      // padded with zeros
	base       [8]uint64     // counters at the time of joining; see baseStored

	// What is about to be counted: the step on intentPos makes the counter with this
	// index intentNext. Cleared (intentNext = 0) by settle when the step did not happen.
	intentPos     counter
	intentNext    counter
	intentCounter counter // index into the counters: stored, overwritten, retrieved or discarded

	offered     counter // handed to Put; raised before a batch, so also the last sequence number
	stored      counter // published
	full        counter // refused because there was no room
	orphaned    counter // written too slowly: a consumer went past
	truncated   counter // stored, but not whole: longer than a slot
	overwritten counter // others' packets thrown away in overwrite mode
	holes       counter // slots of slow readers gone round
	highWater   counter // most positions between tail and head that it has seen
	_           [40]byte

	retrieved counter // taken by Get or Drain
	discarded counter // thrown away by Reset
	lost      counter // packets freed out of the hands of dead consumers
	abandoned counter // slots freed out of the hands of dead producers
	orphans   counter // writers it lost patience with
	_         [88]byte

	_ [128]byte
}

// Bits of participant.kinds.
const (
	kindProducer = 1
	kindConsumer = 2
)

// Values of participant.intentCounter.
const (
	countStored      = 1
	countOverwritten = 2
	countRetrieved   = 3
	countDiscarded   = 4
)

// Order of participant.base.
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

// iface is an entry of the interface table; its place is the interface's index.
// Written under interfaceLock, refused excepted.
type iface struct {
	refused atomic.Uint64 // packets refused because the queue was full, or written too slowly; added to by producers
	used    uint32
	index   uint32
	mac     [6]byte
	_       [2]byte
	name    [NameSize]byte
	taps    uint32 // Taps; 0 of a writer that knows nothing of it
	_       [4]byte
}

// slot is the head of a slot; the captured bytes follow. All but the word is written
// by the producer that holds it in WRITING and read by the consumer that holds it in
// READING; the compare-and-swaps of the word order these accesses.
type slot struct {
	word atomic.Uint64
	head
	_ [8]byte
}

// head is what a slot says of its packet. Neighbours are written together: every store
// before a compare-and-swap is one that this waits for.
type head struct {
	seq       uint64
	timestamp int64 // ns since the epoch
	packetID  uint64
	lengths   uint64 // u32 bytes that follow; u32 bytes on the wire
	tags      uint64 // u16 interface; u16 queue; u16 producer; u8 direction; a byte that is zero
	fault     uint32
	_         uint32
}

// Offsets that other programs rely on. Each line fails to compile when its two sides
// differ (a constant index out of range).
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

	// A Record begins like a head, so that a consumer copies that in one go.
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Timestamp)-unsafe.Offsetof(head{}.timestamp)]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.PacketID)-unsafe.Offsetof(head{}.packetID)]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.OrigLen)-unsafe.Offsetof(head{}.lengths)-4]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Interface)-unsafe.Offsetof(head{}.tags)]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Queue)-unsafe.Offsetof(head{}.tags)-2]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Producer)-unsafe.Offsetof(head{}.tags)-4]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Direction)-unsafe.Offsetof(head{}.tags)-6]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Fault)-unsafe.Offsetof(head{}.fault)]
	_ = [1]struct{}{}[unsafe.Offsetof(Record{}.Data)-unsafe.Sizeof(head{})]
	_ = [1]struct{}{}[interfacesOffset-69632]
	_ = [1]struct{}{}[slotsOffset-73728]
)
