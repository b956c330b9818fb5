// SPDX-License-Identifier: BSD-3-Clause

package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/lib/ownfile"
)

// Where somebody branches on it:
var (
	ErrForeign = errors.New("not a queue of EtherTAP")           // refused, untouched
	ErrStrange = errors.New("made by somebody else")             // foreign, and under Repair root puts a queue in its place
	ErrVersion = errors.New("queue of another version")          // ours, replaced under Repair
	ErrCorrupt = errors.New("queue is corrupt")                  // ours, replaced under Repair
	ErrInUse   = errors.New("queue is used by another")          // so it cannot be replaced
	ErrSizes   = errors.New("queue has other sizes")             // than Exact asks for
	ErrClosed  = errors.New("queue is closed")                   // used after Close
	errAgain   = errors.New("queue file replaced while opening") // never leaves this file
)

// Limits of what Options may ask for.
const (
	MinSlots    = 16
	MaxSlots    = 1 << 22
	MinSlotSize = 128
	MaxSlotSize = 1 << 17
)

const defaultDir = "/dev/shm"

// patience is how long Open waits for somebody who is just replacing the file.
const patience = 500 * time.Millisecond

func fileSize(slots, slotSize int) int { return slotsOffset + slots*slotSize }

// open finds or makes the file. The returned descriptor holds the use lock.
func open(dir, name string, o Options) (fd int, m *memory, err error) {
	if err := checkName(name); err != nil {
		return -1, nil, err
	}
	slots, slotSize, err := geometry(o)
	if err != nil {
		return -1, nil, err
	}
	path := dir + "/" + name
	var stranger *strangerError
	deadline := time.Now().Add(patience)
	for {
		fd, m, err = attach(path, o.Repair)
		switch {
		case err == nil:
			if o.Exact && (o.Slots != 0 && int(m.slots) != slots || o.SlotSize != 0 && int(m.stride) != slotSize) {
				err = fmt.Errorf("%w: %d slots of %d bytes", ErrSizes, m.slots, m.stride)
				m.unmap()
				unix.Close(fd)
				return -1, nil, err
			}
			return fd, m, nil
		case errors.As(err, &stranger) && o.Repair && !o.NoCreate:
			left := ""
			fd, m, err = create(path, slots, slotSize, func(own string) error {
				left, err = stranger.found.GiveWay(own)
				return err
			})
			switch {
			case err == nil:
				if left != "" {
					left = ", which is called " + left + " now"
				}
				o.Logf("queue %s is made anew, in the place of %v%s", name, &stranger.found, left)
				return fd, m, nil
			case !errors.Is(err, ownfile.ErrChanged):
				return -1, nil, fmt.Errorf("%w: %w", ErrForeign, err)
			}
		case errors.Is(err, fs.ErrNotExist) && !o.NoCreate:
			fd, m, err = create(path, slots, slotSize, nil)
			if err == nil {
				return fd, m, nil
			}
			if !errors.Is(err, fs.ErrExist) {
				return -1, nil, err
			}
		case errors.Is(err, ErrInUse) || err == errAgain:
		case o.Repair && replaceable(err):
			// attach holds the use lock exclusively for us: nobody is in there.
			old := fd
			fd, m, err = create(path, slots, slotSize, func(own string) error { return unix.Rename(own, path) })
			unix.Close(old)
			return fd, m, err
		default:
			return -1, nil, err
		}
		if time.Now().After(deadline) {
			return -1, nil, err
		}
		time.Sleep(time.Millisecond + time.Duration(os.Getpid()%7)*time.Millisecond/4)
	}
}

func replaceable(err error) bool { return errors.Is(err, ErrVersion) || errors.Is(err, ErrCorrupt) }

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > 200 || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q cannot be the name of a file in %s", name, defaultDir)
	}
	return nil
}

// geometry rounds what is asked for up to what the layout can hold.
func geometry(o Options) (slots, slotSize int, err error) {
	slots, slotSize = o.Slots, o.SlotSize
	if slots == 0 {
		slots = DefaultSlots
	}
	if slotSize == 0 {
		slotSize = DefaultSlotSize
	}
	if slots < MinSlots || slots > MaxSlots {
		return 0, 0, fmt.Errorf("%d slots: must be %d to %d", slots, MinSlots, MaxSlots)
	}
	if slotSize < MinSlotSize || slotSize > MaxSlotSize {
		return 0, 0, fmt.Errorf("slot size %d: must be %d to %d bytes", slotSize, MinSlotSize, MaxSlotSize)
	}
	n := MinSlots
	for n < slots {
		n *= 2
	}
	return n, (slotSize + 63) &^ 63, nil
}

// attach opens an existing file and checks it. A foreign file is only read. With
// repair, an error that is replaceable comes with a descriptor that holds the use
// lock exclusively.
func attach(path string, repair bool) (fd int, m *memory, err error) {
	found, fd, err := look(path)
	if err != nil {
		return -1, nil, err
	}
	keep := false
	defer func() {
		if !keep {
			unix.Close(fd)
			fd = -1
		}
	}()
	if err := ours(fd); errors.Is(err, ErrForeign) && found.Linked() {
		return fd, nil, &strangerError{found}
	} else if err != nil {
		return fd, nil, err
	}
	ok, err := tryLock(fd, unix.F_RDLCK, useByte)
	if err != nil {
		return fd, nil, err
	}
	if !ok {
		return fd, nil, fmt.Errorf("%w, who replaces it", ErrInUse)
	}
	if !named(fd, path) {
		return fd, nil, errAgain
	}
	slots, slotSize, err := check(fd)
	if err == nil {
		if m, err = mapFile(fd, slots, slotSize); err == nil {
			if err = m.consistent(); err == nil {
				keep = true
				return fd, m, nil
			}
			m.unmap()
		}
	}
	if !repair || !replaceable(err) {
		return fd, nil, err
	}
	if ok, lockErr := tryLock(fd, unix.F_WRLCK, useByte); lockErr != nil {
		return fd, nil, lockErr
	} else if !ok {
		return fd, nil, fmt.Errorf("%w: %w", err, ErrInUse)
	}
	keep = true
	return fd, nil, err
}

// strangerError says that what has the queue's name belongs to somebody else, who could put
// it into the directory as anybody can.
type strangerError struct{ found ownfile.Found }

func (e *strangerError) Error() string {
	return fmt.Sprintf("%v: %v has its name", ErrForeign, &e.found)
}

func (e *strangerError) Is(target error) bool { return target == ErrForeign || target == ErrStrange }

// look opens a plain file that may be ours. Before that it is not touched, but by a descriptor
// that can do no more than name it: what a stranger has made may be anything, and be
// exchanged at any moment.
func look(path string) (found ownfile.Found, fd int, err error) {
	named, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return found, -1, err
	}
	defer unix.Close(named)
	found, err = ownfile.At(named, path)
	switch {
	case err != nil:
		return found, -1, err
	case found.Stranger():
		return found, -1, &strangerError{found}
	case !found.Regular():
		return found, -1, fmt.Errorf("%w: not a plain file", ErrForeign)
	}
	fd, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", named), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT { // /proc, not the file, is not there
		err = errors.New("open through /proc: it is not mounted")
	}
	return found, fd, err
}

// ours says whether the file is a queue at all, of any version, that we may trust to
// have been made by us or by root.
func ours(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%w: not a plain file", ErrForeign)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: it belongs to user %d", ErrForeign, st.Uid)
	}
	var b [8]byte
	if n, err := unix.Pread(fd, b[:], 0); err != nil {
		return err
	} else if n < len(b) || string(b[:]) != magic {
		return ErrForeign
	}
	return nil
}

// named says whether path still leads to this file.
func named(fd int, path string) bool {
	var a, b unix.Stat_t
	return unix.Fstat(fd, &a) == nil && unix.Lstat(path, &b) == nil && a.Ino == b.Ino && a.Dev == b.Dev
}

// check validates the header and returns the geometry.
func check(fd int) (slots, slotSize int, err error) {
	var page [headerSize / 8]uint64
	n, err := unix.Pread(fd, pageBytes(&page), 0)
	if err != nil {
		return 0, 0, err
	}
	if n < headerSize {
		return 0, 0, fmt.Errorf("%w: %d bytes long", ErrCorrupt, n)
	}
	h := headerOf(&page)
	if h.byteOrder != byteOrderMark {
		return 0, 0, fmt.Errorf("%w: byte order %#x", ErrVersion, h.byteOrder)
	}
	if h.version != layoutVersion {
		return 0, 0, fmt.Errorf("%w: %d, ours is %d", ErrVersion, h.version, layoutVersion)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, err
	}
	s, z := uint64(h.slots), uint64(h.slotSize)
	switch {
	case s < MinSlots || s > MaxSlots || s&(s-1) != 0:
		err = fmt.Errorf("%w: %d slots", ErrCorrupt, s)
	case z < MinSlotSize || z > MaxSlotSize || z%64 != 0:
		err = fmt.Errorf("%w: slot size %d", ErrCorrupt, z)
	case h.slotsOffset != slotsOffset || h.participantsOffset != participantsOffset || h.interfacesOffset != interfacesOffset ||
		h.participantSlots != participantSlots || h.participantSize != 512 || h.interfaceSlots != maxInterfaces ||
		h.interfaceSize != 64 || h.slotHeader != slotHeader:
		err = fmt.Errorf("%w: tables are not where they should be", ErrCorrupt)
	case h.fileSize != slotsOffset+s*z || st.Size != int64(h.fileSize):
		err = fmt.Errorf("%w: %d bytes long, its header says %d", ErrCorrupt, st.Size, h.fileSize)
	case h.state.Load() != stateReady:
		err = fmt.Errorf("%w: its header says so", ErrCorrupt)
	}
	return int(s), int(z), err
}

// create makes a new file without a name, fills it and gives it the name: by link,
// which fails with fs.ErrExist when somebody else was first, or, to replace one, by
// replace, which gets a hidden name of the new file. A kill in between leaves nothing
// behind (or, while replacing, one hidden file for the length of one system call).
func create(path string, slots, slotSize int, replace func(own string) error) (fd int, m *memory, err error) {
	dir := filepath.Dir(path)
	fd, err = unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, nil, fmt.Errorf("create in %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			if m != nil {
				m.unmap()
			}
			unix.Close(fd)
			fd, m = -1, nil
		}
	}()
	size := int64(fileSize(slots, slotSize))
	for {
		// Not ftruncate: pages that are not there raise SIGBUS when tmpfs is full.
		if err = unix.Fallocate(fd, 0, 0, size); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fd, nil, fmt.Errorf("no room for %d bytes in %s: %w", size, dir, err)
	}
	lock := int16(unix.F_RDLCK)
	if replace != nil {
		lock = unix.F_WRLCK // nobody joins before it is certain that the name stays ours
	}
	if err = setLock(fd, lock, useByte); err != nil {
		return fd, nil, fmt.Errorf("lock: %w", err)
	}
	if m, err = mapFile(fd, slots, slotSize); err != nil {
		return fd, nil, err
	}
	m.format()
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	if replace == nil {
		return fd, m, unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	}
	hidden := ownfile.Beside(path)
	if err = unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, hidden, unix.AT_SYMLINK_FOLLOW); err != nil {
		return fd, m, err
	}
	if err = replace(hidden); err != nil {
		unix.Unlink(hidden)
		return fd, m, err
	}
	if err = setLock(fd, unix.F_RDLCK, useByte); err != nil {
		return fd, m, fmt.Errorf("lock: %w", err)
	}
	return fd, m, nil
}

// format writes the header of a new file, which is all zeros.
func (m *memory) format() {
	h := m.header()
	copy(h.magic[:], magic)
	h.version = layoutVersion
	h.byteOrder = byteOrderMark
	h.fileSize = uint64(len(m.bytes))
	h.slots = uint32(m.slots)
	h.slotSize = uint32(m.stride)
	h.slotsOffset = slotsOffset
	h.participantsOffset = participantsOffset
	h.participantSlots = participantSlots
	h.participantSize = 512
	h.interfacesOffset = interfacesOffset
	h.interfaceSlots = maxInterfaces
	h.interfaceSize = 64
	h.slotHeader = slotHeader
	h.created = time.Now().UnixNano()
	h.creator = uint32(os.Getpid())
	h.bootID = bootID()
	h.bell.private = semaphoreShared
	h.state.Store(stateReady)
}

// bootID is the kernel's random name for this boot; zeros when it does not say.
func bootID() (id [16]byte) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	s := strings.ReplaceAll(strings.TrimSpace(string(b)), "-", "")
	for i := range id {
		if len(s) < 2*i+2 {
			break
		}
		fmt.Sscanf(s[2*i:2*i+2], "%02x", &id[i])
	}
	return id
}
