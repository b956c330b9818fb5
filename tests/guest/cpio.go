// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// An archive is what the kernel unpacks as its first root: cpio in the form newc, described in
// the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. All files are root's.
type archive struct {
	w     *bufio.Writer
	inode int
	made  map[string]bool // directories and files that are in it
	err   error           // the first
}

const (
	typeFile = 0o100000
	typeDir  = 0o040000
	typeLink = 0o120000
)

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), made: make(map[string]bool)}
}

// has tells whether a name is in it already.
func (a *archive) has(name string) bool { return a.made[strings.Trim(name, "/")] }

// dir puts a directory in, and those above it.
func (a *archive) dir(name string) {
	name = strings.Trim(name, "/")
	if name == "" || name == "." || a.made[name] {
		return
	}
	a.dir(path.Dir(name))
	a.entry(name, typeDir|0o755, 0, strings.NewReader(""))
}

// file puts a file in with the bytes given.
func (a *archive) file(name string, mode os.FileMode, data string) {
	a.dir(path.Dir(name))
	a.entry(name, typeFile|int(mode.Perm()), int64(len(data)), strings.NewReader(data))
}

// link puts a symbolic link in.
func (a *archive) link(name, target string) {
	a.dir(path.Dir(name))
	a.entry(name, typeLink|0o777, int64(len(target)), strings.NewReader(target))
}

// copy puts a file of this machine in, what a symbolic link leads to in its place.
func (a *archive) copy(name, from string) {
	file, err := os.Open(from)
	if err != nil {
		a.fail(err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		a.fail(err)
		return
	}
	a.dir(path.Dir(name))
	a.entry(name, typeFile|int(info.Mode().Perm()), info.Size(), file)
}

func (a *archive) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// entry writes one header, name and content. A name comes once: the kernel would write the
// second file over the first, through a link too.
func (a *archive) entry(name string, mode int, size int64, content io.Reader) {
	name = strings.Trim(name, "/")
	if a.err != nil || a.made[name] {
		return
	}
	a.made[name] = true
	a.inode++
	links := 1
	if mode&typeDir != 0 {
		links = 2
	}
	// magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
	fmt.Fprintf(a.w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", a.inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, len(name)+1, 0)
	a.w.WriteString(name)
	a.pad(110+len(name), 1)
	n, err := io.Copy(a.w, content)
	if err == nil && n != size {
		err = fmt.Errorf("%s: %d bytes of %d", name, n, size)
	}
	if err != nil {
		a.fail(err)
	}
	a.pad(int(size%4), 0)
}

// pad writes so many zeros at least, and then up to a multiple of four bytes.
func (a *archive) pad(written, least int) {
	for n := (4-(written+least)%4)%4 + least; n > 0; n-- {
		a.w.WriteByte(0)
	}
}

// close ends the archive and returns the first error of all.
func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0, strings.NewReader(""))
	a.fail(a.w.Flush())
	return a.err
}
