// SPDX-License-Identifier: BSD-3-Clause

package recall

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"

	"ethertap/collect/index"
)

// Listing is what is known of a file.
type Listing struct {
	Path        string
	Bytes       int64
	Format      string // pcapng+zstd
	Packets     uint64
	First, Last int64 // times of the first and the last packet, ns since the epoch; Last is less than First if there is none
	Interfaces  []string
	Indexed     bool
	Growing     bool  // it is being written
	Err         error // where it breaks
}

// List reads files for a listing: each to its end, unless it has an index.
func List(ctx context.Context, files []File, p *Progress, each func(Listing)) error {
	for _, f := range files {
		l, err := list(ctx, f, p)
		if err != nil {
			return err
		}
		if !f.passed(l.Err) {
			each(l)
		}
	}
	return nil
}

func list(ctx context.Context, from File, p *Progress) (Listing, error) {
	l := Listing{Path: from.Path, Bytes: from.Size, First: math.MaxInt64, Last: math.MinInt64}
	r := from.reader
	if r == nil {
		var err error
		if from.handle, err = from.open(); err != nil {
			l.Err = err
			return l, nil
		}
		l.Path = from.Path
		if r, err = newReader(from.handle, from.Path); err != nil {
			from.handle.Close()
			l.Err = err
			return l, nil
		}
	}
	f := &file{r: &run{progress: p}, path: from.Path, handle: from.handle, reader: r, size: from.Size}
	defer f.close()
	l.Format = r.Format().String()
	if c := r.Compression(); c != "" {
		l.Format += "+" + c
	}
	if from.handle != nil {
		if x, xerr := index.Open(from.Path, from.handle); xerr == nil {
			f.index, l.Indexed = x, true
			if xerr := f.follow(x.Descriptions()); xerr != nil {
				l.Err = xerr
				return l, nil
			}
		}
	}
	var err error
	for n := 0; err == nil; n++ {
		if n%look == 0 {
			if ctx.Err() != nil {
				return l, ctx.Err()
			}
			f.tell(r.Consumed())
		}
		if err = f.skip(); err != nil {
			break
		}
		if err = r.Next(&f.packet); err == nil {
			l.First, l.Last = min(l.First, f.packet.Time), max(l.Last, f.packet.Time)
		}
	}
	l.Packets = r.Packets()
	if f.index != nil {
		l.Packets, l.First, l.Last = f.index.Packets, f.index.Min, f.index.Max
	}
	for _, on := range r.Interfaces() {
		if on.Name != "" && !strings.Contains(" "+strings.Join(l.Interfaces, " ")+" ", " "+on.Name+" ") {
			l.Interfaces = append(l.Interfaces, on.Name)
		}
	}
	cut := f.unfinished(err)
	l.Growing = cut || f.growing()
	if err != io.EOF && !cut {
		l.Err = err
	}
	return l, nil
}

// Index makes the indexes of files that have none, or one that is not theirs as they are now. It
// passes files that are being written or have no use for one. each gets the name of each index that
// was made and its length in bytes, or the error.
func Index(ctx context.Context, files []File, p *Progress, each func(path string, bytes int64, err error)) error {
	for _, from := range files {
		n, err := makeIndex(ctx, &from)
		p.Read.Add(from.Size)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, index.ErrNoUse), from.passed(err):
		case n > 0 || err != nil:
			each(index.Path(from.Path), n, err)
		}
	}
	return nil
}

func makeIndex(ctx context.Context, from *File) (int64, error) {
	if from.reader != nil {
		return 0, index.ErrNoUse
	}
	h, err := from.open()
	if err != nil {
		return 0, err
	}
	defer h.Close()
	// One that a killed run has left gets another name when the next run begins.
	if strings.HasSuffix(from.Path, part) || (&file{path: from.Path, handle: h}).growing() {
		return 0, nil
	}
	if x, err := index.Open(from.Path, h); err == nil {
		x.Close()
		return 0, nil
	}
	return index.Make(from.Path, ctx.Err)
}
