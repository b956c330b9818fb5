// SPDX-License-Identifier: BSD-3-Clause

package recall

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"ethertap/collect/index"
	"ethertap/lib/capture"
	"ethertap/lib/predicate"
)

// file is a file that is being read.
type file struct {
	r      *run
	path   string
	order  int // files that come later have a larger one
	handle *os.File
	reader *capture.Reader
	packet capture.Packet

	numbers  []int  // in the output, by the interface's place in the file
	wanted   []bool // by the interface's place
	ethernet []bool
	read     int64 // bytes that Progress knows of
	size     int64
	since    int // packets since Progress and the context were looked at
	sections int
	index    *index.Index // nil: none, the file is read from its beginning to its end
	runs     []index.Run  // with an index: what is to be read, the first one under way
}

// open opens a file. It returns nil if the file has nothing, or cannot be read, which is logged.
func (r *run) open(from File, left int) (*file, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	f := &file{r: r, path: from.Path, order: -left, size: from.Size, reader: from.reader, handle: from.handle}
	if f.reader == nil {
		var err error
		if from.content != nil {
			var in io.Reader
			if in, err = from.content(); err == nil {
				f.reader, err = capture.NewReader(in, from.Path)
			}
		} else if f.handle, err = from.open(); err == nil {
			f.path = from.Path
			f.reader, err = newReader(f.handle, from.Path)
		}
		if err != nil {
			if f.handle != nil {
				f.handle.Close()
			}
			r.fail(from, err)
			return nil, nil
		}
	}
	r.Files++
	if err := f.plan(); err != nil {
		r.fail(from, err)
		f.close()
		return nil, nil
	}
	if r.w != nil {
		f.reader.Other(r.w.other)
		if from.pipe != nil {
			from.pipe.before = func() { r.w.Flush() } // an error comes again
		}
	}
	return f, nil
}

// fail logs why a file cannot be read at all.
func (r *run) fail(f File, err error) {
	if f.passed(err) {
		return
	}
	r.Broken++
	r.Logf("%v", err)
}

// look is how many packets are read before Progress and the context are looked at.
const look = 4096

// next goes to the next packet that is wanted.
func (f *file) next() error {
	q := f.r.Query
	for {
		if f.since++; f.since >= look {
			f.since = 0
			f.tell(f.reader.Consumed())
			if err := f.r.ctx.Err(); err != nil {
				return err
			}
		}
		err := f.skip()
		if err == nil {
			err = f.reader.Next(&f.packet)
		}
		if len(f.reader.Interfaces()) > len(f.wanted) {
			f.learn()
		}
		if err != nil {
			return err
		}
		p := &f.packet
		if p.Time < q.From || p.Time >= q.To || !f.wanted[p.Interface] {
			continue
		}
		if q.Direction != capture.Unknown && p.Direction() != q.Direction {
			continue
		}
		if q.Filter != nil {
			if !f.ethernet[p.Interface] {
				f.r.Elsewhere++
				continue
			}
			if !q.Filter.Match(p.Data, p.Wire, p.Direction() == capture.Outbound) {
				continue
			}
		}
		return nil
	}
}

// plan asks the index of the file what is to be read. An index that cannot be used is no error: the
// file is read.
func (f *file) plan() error {
	if f.r.Whole || f.handle == nil {
		return nil
	}
	x, err := index.Open(f.path, f.handle)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.r.Logf("%v; all of the file is read", err)
		}
		return nil
	}
	var tree predicate.Expr
	if f.r.Filter != nil {
		tree = f.r.Filter.Tree()
	}
	runs, err := x.Plan(tree, f.r.From, f.r.To)
	if err != nil {
		x.Close()
		f.r.Logf("%v; all of the file is read", err)
		return nil
	}
	f.index = x
	f.r.Indexed++
	return f.follow(runs)
}

// follow begins with the first of the parts that are to be read.
func (f *file) follow(runs []index.Run) error {
	f.runs = runs
	if len(runs) == 0 {
		return nil
	}
	f.ahead()
	return f.reader.Seek(runs[0].From)
}

// ahead sets how much is read at a time: not much more than the part under way.
func (f *file) ahead() { f.reader.SetAhead(int(min(f.runs[0].To-f.runs[0].From.Raw, 1<<20))) }

// skip goes to the next part that is to be read when this one ends.
func (f *file) skip() error {
	if f.index == nil {
		return nil
	}
	for len(f.runs) > 0 && f.reader.Offset() >= f.runs[0].To {
		if f.runs = f.runs[1:]; len(f.runs) == 0 {
			break
		}
		f.ahead()
		if err := f.reader.Seek(f.runs[0].From); err != nil {
			return err
		}
	}
	if len(f.runs) == 0 {
		return io.EOF
	}
	return nil
}

// learn takes note of interfaces that are described since the last time.
func (f *file) learn() {
	if s := f.reader.Sections(); f.r.w != nil && f.sections < len(s) {
		f.r.w.section(s[0].Options.Comments())
		f.sections = len(s)
	}
	for _, on := range f.reader.Interfaces()[len(f.wanted):] {
		q := f.r.Query
		f.wanted = append(f.wanted, len(q.Interfaces) == 0 || slices.Contains(q.Interfaces, on.Name))
		f.ethernet = append(f.ethernet, on.LinkType == capture.Ethernet)
		if on.Name != "" {
			f.r.seen[on.Name] = true
		}
		if f.r.w != nil {
			f.numbers = append(f.numbers, f.r.w.describe(on))
		}
	}
}

// number returns the number in the output of the interface of the packet.
func (f *file) number() int {
	if f.numbers == nil {
		return 0
	}
	return f.numbers[f.packet.Interface]
}

// tell tells Progress how much of the file is read.
func (f *file) tell(n int64) {
	f.r.progress.Read.Add(n - f.read)
	f.read = n
}

// close ends the reading of a file. Its statistics go to the output.
func (f *file) close() {
	if f.reader == nil {
		return
	}
	f.tell(max(f.read, f.size))
	for i, on := range f.reader.Interfaces() {
		if f.r.w != nil && on.Statistics != nil && i < len(f.numbers) {
			f.r.w.state(f.numbers[i], on.Statistics)
		}
	}
	f.reader.Close()
	if f.index != nil {
		f.index.Close()
	}
	if f.handle != nil {
		f.handle.Close()
	}
	f.reader = nil
}

// unfinished says whether an error is only that the file ends within a packet, since it is being written.
func (f *file) unfinished(err error) bool {
	var d *capture.DamageError
	if !errors.As(err, &d) || !d.Cut || f.handle == nil {
		return false
	}
	if f.growing() {
		return true
	}
	// Its recorder may have ended since, and then it is longer now.
	at, err := f.handle.Seek(0, io.SeekCurrent)
	st, serr := f.handle.Stat()
	return err == nil && serr == nil && st.Size() > at
}

// growing says whether the file is being written: a collector holds its lock, or its name says so where
// there are no locks.
func (f *file) growing() bool {
	if f.handle == nil {
		return false
	}
	err := unix.Flock(int(f.handle.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	switch {
	case err == nil:
		unix.Flock(int(f.handle.Fd()), unix.LOCK_UN)
		return false
	case errors.Is(err, unix.EWOULDBLOCK):
		return true
	}
	return strings.HasSuffix(f.path, part)
}
