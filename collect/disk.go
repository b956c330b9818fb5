// SPDX-License-Identifier: BSD-3-Clause

package collect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/collect/index"
	"ethertap/lib/ownfile"
)

// survey looks for files of the set from earlier runs. The numbers of new files follow theirs,
// and the ring counts them. A ".part" that nobody writes any more was left by a killed run; it
// gets its name.
func (s *Files) survey() error {
	all, err := s.set.list()
	if err != nil {
		return noDirectory(s.set.dir, err)
	}
	for _, f := range all {
		s.number = max(s.number, f.number)
		if !f.part {
			s.kept = append(s.kept, f.path)
		} else if done := strings.TrimSuffix(f.path, part); adopt(f.path, done) {
			s.o.Logf("%s was left by a run that was killed; it is %s now", f.path, done)
			s.kept = append(s.kept, done)
		}
	}
	s.earlier = len(s.kept)
	return nil
}

// adopt gives a file its name unless somebody writes it. A file with nothing in it, not even a
// header, is removed. Whatever is not a plain file belongs to somebody else; a FIFO would block
// an open.
func adopt(path, done string) bool {
	found, err := ownfile.Look(path)
	if err != nil || !found.Regular() || found.Stranger() {
		return false
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close() // releases the lock, after the file has its name
	if flock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	if st, err := f.Stat(); err == nil && st.Size() == 0 {
		os.Remove(path)
		return false
	}
	return rename(path, done) == nil
}

// rename gives a file a name that is not taken.
func rename(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL {
		return err
	}
	// The file system, such as NFS, cannot do it in one step.
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return os.Rename(from, to)
}

// drop removes the oldest file of the set, and returns how many bytes of the disk that will free.
func (s *Files) drop() (frees uint64) {
	oldest := s.kept[0]
	var st unix.Stat_t
	if unix.Lstat(oldest, &st) == nil && st.Nlink == 1 {
		frees = uint64(st.Blocks) * 512
	}
	s.kept = s.kept[1:]
	if s.earlier > 0 {
		s.earlier--
	} else {
		s.dropped++
	}
	if err := os.Remove(oldest); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.o.Logf("ring: %v", err)
	}
	os.Remove(index.Path(oldest)) // there may be none
	s.set.removeDirs(oldest)
	return frees
}

// promiseAfter is how long to wait for the space of a removed file. XFS frees it in the background, btrfs
// with its next commit (30 s), and a file that somebody reads stays until it is closed.
const promiseAfter = time.Minute

// promises is what is known of the space of removed files.
type promises struct {
	open  []promise // not kept yet, the oldest first
	free  uint64    // at the last look
	wrote uint64    // by us, up to then
}

// promise is the space of one removed file, as far as it is not free yet. Each has its own time: a ring removes
// one file after the other, and a promise that is not kept must not live on with later ones.
type promise struct {
	bytes uint64
	since time.Time
}

// add notes that a file was removed.
func (p *promises) add(now time.Time, bytes uint64) { p.open = append(p.open, promise{bytes, now}) }

// look notes what is free now, and returns what will be.
func (p *promises) look(now time.Time, free, wrote uint64) uint64 {
	came := uint64(max(0, int64(free+(wrote-p.wrote)-p.free)))
	p.free, p.wrote = free, wrote
	will, left := free, p.open[:0]
	for _, o := range p.open {
		kept := min(o.bytes, came)
		came -= kept
		if o.bytes -= kept; o.bytes > 0 && now.Sub(o.since) < promiseAfter {
			left, will = append(left, o), will+o.bytes
		}
	}
	p.open = left
	return will
}

// enoughDisk keeps the floor. It removes files of a ring, the oldest first, and fails if that is
// not enough.
func (s *Files) enoughDisk(now time.Time) error {
	if s.o.Floor == 0 || s.file == nil {
		return nil
	}
	for {
		var st unix.Statfs_t
		if err := unix.Fstatfs(int(s.file.Fd()), &st); err != nil {
			return nil // the file system does not say how much is free
		}
		free := st.Bavail * uint64(st.Bsize)
		if s.promised.look(now, free, s.bytes+s.out.written) >= s.o.Floor {
			return nil
		}
		if s.o.Ring == 0 || len(s.kept) == 0 {
			return &lost{s.done, fmt.Errorf("%s are free on the disk, less than the floor of %s", size(free), size(s.o.Floor)), s.packets + s.out.Packets(), uint64(s.out.pending)}
		}
		s.o.Logf("%s are free on the disk, less than the floor: %s is removed", size(free), s.kept[0])
		s.promised.add(now, s.drop())
	}
}

// removed says whether the file has no name any more.
func removed(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Nlink == 0
}

// rescue restores a file that was removed while it was written, alone or with its directory. Its
// packets exist as long as it is open.
func (s *Files) rescue() error {
	if s.file == nil || !removed(s.file) {
		return nil
	}
	if err := s.restore(); err != nil {
		s.file = nil // do not try again
		return &lost{s.done, fmt.Errorf("it was removed, and cannot be restored: %w", err), s.packets, s.out.Appended()}
	}
	s.o.Logf("%s was removed while it was written; it is restored", s.path)
	return nil
}

func (s *Files) restore() error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	from, err := os.Open(descriptor(s.file))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := createLocked(s.path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		os.Remove(s.path)
		return err
	}
	s.out.f.Close()
	s.out.f, s.file = to, to
	s.out.early.end() // it holds the removed file, and with it the space on the disk
	s.out.early = &early{w: &s.back}
	return nil
}
