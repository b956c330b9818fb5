// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is a mapping of a whole queue file. With layout.go this is all the unsafe
// code of the package. Geometry is copied here when the file is checked and never
// read from the file again.
type memory struct {
	places
	bytes []byte
	slots uint64
	refs  atomic.Int32 // participants of this process
}

// places says where the slots are. Loops hold a copy of it, which the compiler keeps in
// registers: it reloads what it reaches through a pointer after every store and call.
type places struct {
	base   unsafe.Pointer
	mask   uint64
	stride uint64 // slot size
	shift  uint   // position >> shift is the lap
}

func mapFile(fd int, slots, slotSize int) (*memory, error) {
	size := fileSize(slots, slotSize)
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	// MAP_POPULATE maps a shared page clean; under some hypervisors the first write then
	// costs microseconds, in the middle of a burst. Kernels before 5.14 do not know how.
	_ = unix.Madvise(b, unix.MADV_POPULATE_WRITE)
	m := &memory{bytes: b, slots: uint64(slots)}
	m.places = places{base: unsafe.Pointer(&b[0]), mask: uint64(slots - 1), stride: uint64(slotSize)}
	for 1<<m.shift < slots {
		m.shift++
	}
	return m, nil
}

// unmap gives one reference back and the mapping with the last one. A mapping that
// nobody joined has no references and goes at once.
func (m *memory) unmap() (last bool, err error) {
	if m.refs.Add(-1) > 0 {
		return false, nil
	}
	return true, unix.Munmap(m.bytes)
}

func (m *memory) header() *header { return (*header)(m.base) }

func (g places) slot(pos uint64) *slot {
	return (*slot)(unsafe.Add(g.base, slotsOffset+(pos&g.mask)*g.stride))
}

// room is the part of slot s that holds captured bytes.
func (g places) room(s *slot) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(s), slotHeader)), g.stride-slotHeader)
}

// freeAt is the word FREE of position pos. The other words of the position are sums of it
// and of bits that do not change within a call.
func (g places) freeAt(pos uint64) word { return word(pos >> (g.shift & 63) << lapShift) }

// participant returns the entry of an id from 0 to participantSlots-1.
func (m *memory) participant(id uint16) *participant {
	return (*participant)(unsafe.Pointer(&m.bytes[participantsOffset+int(id)*512]))
}

// iface returns the entry of an index from 0 to maxInterfaces-1.
func (m *memory) iface(index int) *iface {
	return (*iface)(unsafe.Pointer(&m.bytes[interfacesOffset+index*64]))
}

// captured is the length of the record at s, read once: a liar may change it at any time.
func (s *slot) captured() int { return int(uint32(atomic.LoadUint64(&s.lengths) >> lengthAt)) }

// head is the part of a record that a slot's head is copied to.
func (r *Record) head() *head { return (*head)(unsafe.Pointer(r)) }

// headerOf views the first page of a file that was read, not mapped.
func headerOf(page *[headerSize / 8]uint64) *header { return (*header)(unsafe.Pointer(page)) }

func pageBytes(page *[headerSize / 8]uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(page)), headerSize)
}

// The value of the semaphore is the low half of its word; a futex is 32 bits wide.
func (s *semaphore) futex() unsafe.Pointer { return unsafe.Add(unsafe.Pointer(&s.data), lowHalfAt) }

// sleep waits until the value is not 0, it is woken, or d has passed. It goes through
// Syscall6: RawSyscall would keep the processor of the Go scheduler occupied.
func (s *semaphore) sleep(d time.Duration) error {
	ts := unix.NsecToTimespec(int64(d))
	_, _, e := unix.Syscall6(unix.SYS_FUTEX, uintptr(s.futex()), 0 /* FUTEX_WAIT */, 0, uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch e {
	case 0, unix.EAGAIN, unix.EINTR, unix.ETIMEDOUT:
		return nil
	}
	return fmt.Errorf("futex wait: %w", e)
}

// wake wakes up to n of those who sleep.
func (s *semaphore) wake(n int) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(s.futex()), 1 /* FUTEX_WAKE */, uintptr(n), 0, 0, 0)
}

// guard makes memory faults of this goroutine panics, which rescue turns into errors: a
// file that somebody truncates under the mapping raises SIGBUS. Once a batch, not a packet.
//
//	defer m.rescue(guard(), &err)
func guard() bool { return debug.SetPanicOnFault(true) }

// rescue ends a guard. A fault inside the mapping becomes ErrCorrupt in *err; every
// other panic goes on. It must itself be the deferred function.
func (m *memory) rescue(old bool, err *error) {
	r := recover()
	debug.SetPanicOnFault(old)
	if r != nil {
		*err = m.fault(r)
	}
}

// fault is the error for a recovered panic that came from the mapping.
func (m *memory) fault(r any) error {
	f, ok := r.(interface{ Addr() uintptr })
	if !ok || f.Addr()-uintptr(m.base) >= uintptr(len(m.bytes)) {
		panic(r)
	}
	return fmt.Errorf("%w: the file was truncated while it was open", ErrCorrupt)
}
