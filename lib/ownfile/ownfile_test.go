// SPDX-License-Identifier: BSD-3-Clause

package ownfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/tests/need"
)

// stranger is a user who is not trusted.
const stranger = 65533

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openDir makes a directory with the permissions of /tmp, and a target beside it.
func openDir(t *testing.T) (dir, target string) {
	t.Helper()
	need.Root(t)
	dir = filepath.Join(t.TempDir(), "tmp")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, 0o777|os.ModeSticky))
	target = filepath.Join(filepath.Dir(dir), "target")
	must(t, os.WriteFile(target, []byte("precious"), 0o600))
	return dir, target
}

func theirs(t *testing.T, path string) {
	t.Helper()
	must(t, os.Lchown(path, stranger, stranger))
}

// A stranger's file of the name is replaced, a file of ours is used, and the target of a link is
// not touched unless the link is ours.
func TestOpen(t *testing.T) {
	for _, c := range []struct {
		what    string
		plant   func(t *testing.T, path, target string)
		said    string // "": the file is used
		content string // after "new" is appended
		target  string
	}{
		{"nothing", func(*testing.T, string, string) {}, "", "new", "precious"},
		{"our file", func(t *testing.T, path, _ string) { must(t, os.WriteFile(path, []byte("old "), 0o640)) }, "", "old new", "precious"},
		{"our link", func(t *testing.T, path, target string) { must(t, os.Symlink(target, path)) }, "", "preciousnew", "preciousnew"},
		{"their file", func(t *testing.T, path, _ string) {
			must(t, os.WriteFile(path, []byte("theirs"), 0o666))
			theirs(t, path)
		}, "a file of user 65533", "new", "precious"},
		{"their link", func(t *testing.T, path, target string) {
			must(t, os.Symlink(target, path))
			theirs(t, path)
		}, "a symbolic link of user 65533", "new", "precious"},
		{"their dangling link", func(t *testing.T, path, target string) {
			must(t, os.Symlink(target+"2", path))
			theirs(t, path)
		}, "a symbolic link of user 65533", "new", "precious"},
		{"a hard link", func(t *testing.T, path, target string) { must(t, os.Link(target, path)) }, "a hard link to a file of user 0 (root)", "new", "precious"},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir, target := openDir(t)
			path := filepath.Join(dir, "file")
			c.plant(t, path, target)
			said := ""
			f, err := Open(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640, func(what string) { said = what })
			must(t, err)
			if _, err := io.WriteString(f, "new"); err != nil || f.Name() != path {
				t.Errorf("%s: %v", f.Name(), err)
			}
			must(t, f.Close())
			got, err := os.ReadFile(path)
			must(t, err)
			kept, err := os.ReadFile(target)
			must(t, err)
			if string(got) != c.content || said != c.said || string(kept) != c.target {
				t.Errorf("holds %q, said %q, the target holds %q", got, said, kept)
			}
			if _, err := os.Lstat(target + "2"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the target of a link was made: %v", err)
			}
			st, err := os.Stat(path)
			must(t, err)
			if uid := st.Sys().(*syscall.Stat_t).Uid; uid != 0 {
				t.Errorf("the file belongs to user %d", uid)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".file.*")); left != nil {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// A FIFO is used, whoever made it, since the user names it on purpose; a directory is not.
// Nothing is replaced without the permission to make a file, nor in a directory that is not open
// to all.
func TestOpenAsItIs(t *testing.T) {
	dir, _ := openDir(t)
	no := func(what string) { t.Errorf("replaced: %s", what) }
	fifo := filepath.Join(dir, "fifo")
	must(t, unix.Mkfifo(fifo, 0o666))
	theirs(t, fifo)
	f, err := Open(fifo, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600, no)
	must(t, err)
	f.Close()
	must(t, os.Mkdir(filepath.Join(dir, "dir"), 0o777))
	theirs(t, filepath.Join(dir, "dir"))
	if _, err := Open(filepath.Join(dir, "dir"), os.O_WRONLY|os.O_CREATE, 0o600, no); !errors.Is(err, unix.EISDIR) {
		t.Error(err)
	}
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("theirs"), 0o666))
	theirs(t, file)
	if _, err := Open(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600, no); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	must(t, os.Chmod(dir, 0o775))
	f, err = Open(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600, no)
	must(t, err)
	f.Close()
	if st, err := os.Stat(file); err != nil || st.Size() != 0 || st.Sys().(*syscall.Stat_t).Uid != stranger {
		t.Errorf("%+v, %v", st, err)
	}
}

// A file that has changed since it was inspected stays as it is.
func TestGiveWayToNobody(t *testing.T) {
	dir, _ := openDir(t)
	path, own := filepath.Join(dir, "file"), filepath.Join(dir, "own")
	must(t, os.WriteFile(path, nil, 0o666))
	theirs(t, path)
	found, err := Look(path)
	must(t, err)
	must(t, os.WriteFile(own, []byte("own"), 0o600))
	must(t, os.Rename(path, path+"2")) // so that its inode is not reused
	if _, err := found.GiveWay(own); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
	must(t, os.WriteFile(path, []byte("of a quicker one"), 0o600))
	if _, err := found.GiveWay(own); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
	for name, want := range map[string]string{path: "of a quicker one", own: "own"} {
		if b, err := os.ReadFile(name); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if s := fmt.Sprint(&found); !strings.HasPrefix(s, "a file of user 65533") {
		t.Error(s)
	}
}
