// SPDX-License-Identifier: BSD-3-Clause

// Package ownfile keeps our files apart from those of strangers. In a directory where everybody
// may create files, such as /dev/shm or /tmp, any user can create something with the name of our
// file first: a file of his own, which he could read and change, a symbolic or hard link to
// somebody else's file, which we would overwrite, or a directory. The package inspects a
// stranger's file, never opens it for writing, and replaces it by ours in one step. In other
// directories it leaves everything as the owner wants it.
//
// Root and the user of this process are trusted. The package does not know what the files are
// for.
package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrChanged says that a path leads to another file than it did when it was inspected.
var ErrChanged = errors.New("it was changed meanwhile")

// Found is the file that was found at a path.
type Found struct {
	path string
	stat unix.Stat_t
	open bool // everybody may create files in its directory
}

// Look inspects the file at path, without following a link in its last part.
func Look(path string) (Found, error) {
	f := Found{path: path, open: openToAll(filepath.Dir(path))}
	if err := unix.Lstat(path, &f.stat); err != nil {
		return f, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return f, nil
}

// At is Look for a descriptor that was opened at path, for instance by O_PATH and O_NOFOLLOW.
func At(fd int, path string) (Found, error) {
	f := Found{path: path, open: openToAll(filepath.Dir(path))}
	if err := unix.Fstat(fd, &f.stat); err != nil {
		return f, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return f, nil
}

// openToAll says whether everybody may create files in a directory.
func openToAll(dir string) bool {
	var st unix.Stat_t
	return unix.Stat(dir, &st) == nil && st.Mode&unix.S_IWOTH != 0
}

func (f *Found) kind() uint32 { return f.stat.Mode & unix.S_IFMT }

// Regular says whether it is a plain file.
func (f *Found) Regular() bool { return f.kind() == unix.S_IFREG }

// Stranger says whether it belongs to a user who is not trusted and who could create it there.
func (f *Found) Stranger() bool {
	return f.open && f.stat.Uid != 0 && int(f.stat.Uid) != os.Geteuid()
}

// Linked says whether it may be a file of ours from elsewhere: unless the kernel protects links,
// everybody can make a hard link to it.
func (f *Found) Linked() bool { return f.open && f.Regular() && f.stat.Nlink > 1 }

// String returns the kind of the file and its owner: "a file of user 1000 (alice)".
func (f *Found) String() string {
	what := map[uint32]string{
		unix.S_IFREG: "a file", unix.S_IFDIR: "a directory", unix.S_IFLNK: "a symbolic link",
		unix.S_IFIFO: "a FIFO", unix.S_IFSOCK: "a socket",
	}[f.kind()]
	if what == "" {
		what = "a device"
	}
	if f.Regular() && f.stat.Nlink > 1 {
		what = "a hard link to a file"
	}
	id := strconv.FormatUint(uint64(f.stat.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return fmt.Sprintf("%s of user %s (%s)", what, id, u.Username)
	}
	return fmt.Sprintf("%s of user %s", what, id)
}

// Beside returns a name for a file that is to replace the one at path: hidden, in the same
// directory, and unpredictable.
func Beside(path string) string {
	dir, base := filepath.Split(path)
	return fmt.Sprintf("%s.%s.%016x", dir, base, rand.Uint64())
}

// GiveWay replaces what was found by the file or directory at own, in one step, so that nobody
// can get in between, and removes it. If it cannot be removed, as a directory that is not empty,
// it stays at the name own, which is returned as left. After ErrChanged nothing has changed: what
// was found is not there any more, and perhaps something of ours is. Other errors are the
// kernel's: only root may move files of others.
func (f *Found) GiveWay(own string) (left string, err error) {
	exchange := func() error {
		return unix.Renameat2(unix.AT_FDCWD, own, unix.AT_FDCWD, f.path, unix.RENAME_EXCHANGE)
	}
	if err := f.unchanged(f.path); err != nil {
		return "", err
	}
	if err := exchange(); errors.Is(err, fs.ErrNotExist) {
		return "", ErrChanged
	} else if err != nil {
		return "", fmt.Errorf("%s is %v, which we may not replace: %w", f.path, f, err)
	}
	if err := f.unchanged(own); err != nil {
		return "", errors.Join(err, exchange())
	}
	remove := unix.Unlink
	if f.kind() == unix.S_IFDIR {
		remove = unix.Rmdir
	}
	if remove(own) != nil {
		return own, nil
	}
	return "", nil
}

// unchanged returns ErrChanged if a path does not lead to what was found.
func (f *Found) unchanged(path string) error {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil || st.Ino != f.stat.Ino || st.Dev != f.stat.Dev {
		return ErrChanged
	}
	return nil
}

// attempts bounds how often Open begins again because a path has changed meanwhile.
const attempts = 100

// Open is os.OpenFile, with O_TRUNC done last. In a directory where everybody may create files, a
// stranger's file or symbolic link is replaced by a new file if flag has O_CREATE; said is called
// with a description of it. A stranger's FIFO or device is opened, since the user who names one
// wants it.
func Open(path string, flag int, perm os.FileMode, said func(what string)) (*os.File, error) {
	if !openToAll(filepath.Dir(path)) || flag&os.O_CREATE == 0 || flag&os.O_EXCL != 0 {
		return os.OpenFile(path, flag, perm)
	}
	for range attempts {
		found, err := Look(path)
		var f *os.File
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f, err = os.OpenFile(path, flag|os.O_EXCL, perm)
		case err != nil:
		case found.Linked(), found.Stranger() && (found.Regular() || found.kind() == unix.S_IFLNK):
			f, err = found.replace(flag, perm)
			if err == nil {
				said(found.String())
			}
		default:
			f, err = found.reopen(flag, perm)
		}
		if errors.Is(err, fs.ErrExist) || errors.Is(err, ErrChanged) {
			continue
		}
		return f, err
	}
	return nil, fmt.Errorf("%s: it is changed again and again", path)
}

// replace makes a file in place of what was found.
func (f *Found) replace(flag int, perm os.FileMode) (*os.File, error) {
	own := Beside(f.path)
	fd, err := unix.Open(own, flag|unix.O_EXCL|unix.O_CLOEXEC, uint32(perm.Perm()))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: own, Err: err}
	}
	if _, err := f.GiveWay(own); err != nil {
		return nil, errors.Join(err, unix.Close(fd), os.Remove(own))
	}
	return os.NewFile(uintptr(fd), f.path), nil
}

// reopen opens what was found, if it is still there.
func (f *Found) reopen(flag int, perm os.FileMode) (*os.File, error) {
	if f.kind() == unix.S_IFLNK { // a link of root's or ours leads where its owner wants
		return os.OpenFile(f.path, flag, perm)
	}
	file, err := os.OpenFile(f.path, flag&^(os.O_CREATE|os.O_TRUNC)|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return nil, ErrChanged
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	conn, err := file.SyscallConn() // file.Fd would make a pipe block
	if err == nil {
		cerr := conn.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) })
		err = errors.Join(cerr, err)
	}
	if err == nil && (st.Ino != f.stat.Ino || st.Dev != f.stat.Dev) {
		err = ErrChanged
	}
	if err == nil && f.Regular() && flag&os.O_TRUNC != 0 {
		err = file.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
