// SPDX-License-Identifier: BSD-3-Clause

package recall

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ethertap/collect/index"
	"ethertap/lib/capture"
)

// File is a file to be read.
type File struct {
	Path  string
	Size  int64
	Found bool  // in a directory; otherwise the user has named it
	first int64 // time of its first packet, if there are others to be merged with
	// of standard input and pipes, which are opened once
	reader *capture.Reader
	handle *os.File
	pipe   *pipe // standard input
	// of what is no file: it is asked for what it has when its first packet is due
	content func() (io.Reader, error)
}

// Part returns a File that is none: a part of something that is kept elsewhere. The name is for errors, size
// its length in bytes, and first the time of its earliest packet, ns since the epoch. content is called once,
// when that packet is due.
func Part(name string, size, first int64, content func() (io.Reader, error)) File {
	return File{Path: name, Size: size, first: first, content: content}
}

// Merge returns the files of two lists in the order of their first packets.
func Merge(a, b []File) []File {
	all := slices.Concat(a, b)
	byTime(all)
	return all
}

// pipe is standard input. A read that waits ends when the context is done, and what was found so
// far is written before a read, since that may wait.
type pipe struct {
	f      *os.File
	before func() // nil: nothing
}

func newPipe(ctx context.Context, f *os.File) *pipe {
	p := &pipe{f: f}
	if st, err := f.Stat(); err == nil && st.Mode()&os.ModeNamedPipe != 0 {
		// A deadline needs O_NONBLOCK, which would affect all others that share the descriptor.
		if again, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), os.O_RDONLY|unix.O_NONBLOCK, 0); err == nil {
			p.f = again
			context.AfterFunc(ctx, func() { again.SetReadDeadline(time.Now()) })
		}
	}
	return p
}

func (p *pipe) Read(b []byte) (int, error) {
	if p.before != nil {
		p.before()
	}
	return p.f.Read(b)
}

// Seek goes to another place of a file.
func (p *pipe) Seek(offset int64, whence int) (int64, error) { return p.f.Seek(offset, whence) }

// Find returns the files of what the user named, in the order of their first packets. Directories
// are searched with those below them, for all files that are captures. "-" is stdin. A name that
// does not exist or is no capture is logged, and counted in broken.
func Find(ctx context.Context, names []string, stdin *os.File, logf func(string, ...any)) (files []File, broken int, err error) {
	fail := func(err error) {
		logf("%v", err)
		broken++
	}
	for _, name := range names {
		if name == "-" {
			p := newPipe(ctx, stdin)
			r, err := capture.NewReader(p, "standard input")
			if err != nil {
				if ctx.Err() != nil {
					return nil, broken, ctx.Err()
				}
				fail(err)
				continue
			}
			files = append(files, File{Path: "standard input", reader: r, pipe: p})
			continue
		}
		st, err := os.Stat(name)
		switch {
		case err != nil:
			fail(err)
		case st.IsDir():
			n := len(files)
			err := filepath.WalkDir(name, func(path string, e fs.DirEntry, err error) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil {
					fail(err)
					return nil
				}
				if f, is := found(path, e, files[n:]); is {
					files = append(files, f)
				}
				return nil
			})
			if err != nil {
				return nil, broken, err
			}
			if len(files) == n {
				fail(fmt.Errorf("%s: there is no file in it", name))
			}
		default:
			files = append(files, File{Path: name, Size: st.Size()})
		}
	}
	files, also, err := begin(ctx, files, logf)
	return files, broken + also, err
}

// found returns the File of an entry of a directory, if it is one that may be read and is not among those
// before it.
func found(path string, e fs.DirEntry, before []File) (File, bool) {
	if !e.Type().IsRegular() || strings.HasSuffix(path, index.Suffix) {
		return File{}, false
	}
	info, err := e.Info()
	if done, is := closed(path, err); is {
		if slices.ContainsFunc(before, func(f File) bool { return f.Path == done }) {
			return File{}, false
		}
		path = done
		info, err = os.Lstat(done)
	}
	if err != nil {
		return File{}, false
	}
	return File{Path: path, Size: info.Size(), Found: true}, true
}

// part is the end of the name of a file of a set of collect that is being written.
const part = ".part"

// closed returns the name of a file that was being written, and is closed since, as an error of its former name
// says.
func closed(path string, err error) (name string, is bool) {
	name, is = strings.CutSuffix(path, part)
	return name, is && errors.Is(err, fs.ErrNotExist)
}

// open opens a file by the name that it has now: one that was being written when it was found may have
// been closed since, and have its final name.
func (f *File) open() (*os.File, error) {
	h, err := os.Open(f.Path)
	if done, is := closed(f.Path, err); is {
		if h, derr := os.Open(done); derr == nil {
			f.Path = done
			return h, nil
		}
	}
	return h, err
}

// passed says whether an error is no failure: the file was found in a directory, and has just been begun,
// or was removed since.
func (f *File) passed(err error) bool {
	return f.Found && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, capture.ErrEmpty) || errors.Is(err, errBegun))
}

var errBegun = errors.New("it has just been begun, and nothing in it is whole")

// newReader returns the reader of an open file.
func newReader(h *os.File, path string) (*capture.Reader, error) {
	r, err := capture.NewReader(h, path)
	if (&file{path: path, handle: h}).unfinished(err) {
		err = fmt.Errorf("%s: %w", path, errBegun)
	}
	return r, err
}

// begin reads how each file begins, drops what is no capture, and puts the files in the order of
// time. A single file is not opened, since it may be a pipe.
func begin(ctx context.Context, files []File, logf func(string, ...any)) (kept []File, broken int, err error) {
	if len(files) == 1 && !files[0].Found {
		files[0].first = Begin
		return files, 0, nil
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, broken, err
		}
		switch err := f.begin(); {
		case err == nil:
			kept = append(kept, f)
		case errors.Is(err, capture.ErrForeign) && f.Found, f.passed(err):
		default:
			logf("%v", err)
			broken++
		}
	}
	byTime(kept)
	return kept, broken, nil
}

// byTime sorts files by their first packets.
func byTime(files []File) {
	slices.SortStableFunc(files, func(a, b File) int { return cmp.Compare(a.first, b.first) })
}

// begin reads the first packet of a file. A pipe stays open.
func (f *File) begin() error {
	if f.reader != nil {
		f.first = Begin
		return nil
	}
	h, err := f.open()
	if err != nil {
		return err
	}
	r, err := newReader(h, f.Path)
	if err != nil {
		h.Close()
		return err
	}
	if st, err := h.Stat(); err == nil && !st.Mode().IsRegular() {
		f.reader, f.handle, f.first = r, h, Begin
		return nil
	}
	defer h.Close()
	defer r.Close()
	var p capture.Packet
	if err := r.Next(&p); err != nil {
		f.first = Begin // it is opened first, and what is wrong is told then
		return nil
	}
	f.first = p.Time
	return nil
}

// Size returns how long the files are together, in bytes.
func Size(files []File) (n int64) {
	for _, f := range files {
		n += f.Size
	}
	return n
}
