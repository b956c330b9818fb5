// SPDX-License-Identifier: BSD-3-Clause

// Package recall finds packets in capture files: those that collect has written, and all others.
//
//	operands → Find → Query.Run: merge( file → filter ) → Writer
//
// A Query says which packets are wanted. Find makes a list of files of what the user named. Run reads
// them in the order of time, and gives the packets to a Writer or counts them.
//
// The package knows no options and no signals.
package recall

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"ethertap/lib/capture"
	"ethertap/lib/filter"
)

// Query says which packets are wanted.
type Query struct {
	Filter     *filter.Filter // nil: every packet
	From, To   int64          // the times, ns since the epoch: from From on and before To; Begin and Forever do not bound
	Interfaces []string       // names; none: all
	Direction  capture.Direction
	Limit      uint64 // at most so many packets; 0: no limit
	Last       bool   // the last ones, not the first
	Whole      bool   // read all of each file, whether or not it has an index

	// Logf logs what is wrong with files.
	Logf func(format string, args ...any)
}

// Begin and Forever are the bounds of a query without times.
const Begin, Forever = math.MinInt64, math.MaxInt64

// Result is what a query has found.
type Result struct {
	Packets   uint64
	Files     int    // that were opened
	Indexed   int    // of Files: those with an index, of which not all was read
	Broken    int    // files that could not be read to their end
	Elsewhere uint64 // packets of another link type than Ethernet, to which no filter applies
}

// Progress is how far a run is. Others may read it while Run writes it.
type Progress struct {
	Read    atomic.Int64 // bytes of files that are read or need not be read
	Packets atomic.Uint64
}

// Run reads the files and gives what is wanted to w, or only counts it if w is nil. When ctx is done
// it ends, and the output is a readable one with what was found so far. It returns an error if
// nothing more can be written; what is wrong with a file is logged and counted.
func (q *Query) Run(ctx context.Context, files []File, w *Writer, p *Progress) (Result, error) {
	r := &run{Query: q, ctx: ctx, w: w, progress: p, seen: map[string]bool{}}
	err := r.merge(files)
	enough := err == errEnough
	if enough {
		err = nil
	}
	if kerr := r.keep.give(r); err == nil {
		err = kerr
	}
	if w != nil && !errors.Is(err, ErrReaderGone) {
		if ferr := w.Finish(); err == nil {
			err = ferr
		}
	}
	if err == nil && !enough && ctx.Err() == nil { // otherwise not all was read
		err = r.missing()
	}
	return r.Result, err
}

// errEnough ends a run whose limit is reached.
var errEnough = errors.New("limit reached")

// run is a Query that runs.
type run struct {
	*Query
	Result
	ctx      context.Context
	w        *Writer
	progress *Progress
	keep     lastOnes
	seen     map[string]bool // names of interfaces
}

// missing returns an error if an interface is in no file.
func (r *run) missing() error {
	for _, name := range r.Interfaces {
		if !r.seen[name] {
			var there []string
			for name := range r.seen {
				there = append(there, name)
			}
			slices.Sort(there)
			if len(there) == 0 {
				return fmt.Errorf("no file has names of interfaces, so none is of %s", name)
			}
			return fmt.Errorf("no file has packets of an interface %s; there are %s", name, strings.Join(there, ", "))
		}
	}
	return nil
}

// merge reads the files in the order of time. A file is opened when its first packet is due.
func (r *run) merge(files []File) error {
	var open queue
	defer func() {
		for _, f := range open {
			f.close()
		}
	}()
	for len(files) > 0 || len(open) > 0 {
		for len(files) > 0 && (len(open) == 0 || files[0].first <= open[0].packet.Time) {
			f, err := r.open(files[0], len(files))
			files = files[1:]
			if err != nil {
				return err
			}
			if f == nil {
				continue
			}
			if more, err := r.advance(f); err != nil {
				return err
			} else if more {
				heap.Push(&open, f)
			}
		}
		if len(open) == 0 {
			continue
		}
		f := open[0]
		if err := r.take(f); err != nil {
			return err
		}
		more, err := r.advance(f)
		switch {
		case err != nil:
			return err
		case more:
			heap.Fix(&open, 0)
		default:
			heap.Pop(&open)
		}
	}
	return nil
}

// take gives the packet of a file to the output.
func (r *run) take(f *file) error {
	if r.Last {
		r.keep.add(f, max(1, int(r.Limit)))
		return nil
	}
	return r.give(&f.packet, f.number())
}

// give gives a packet to the output.
func (r *run) give(p *capture.Packet, number int) error {
	r.Packets++
	r.progress.Packets.Store(r.Packets)
	if r.w != nil {
		if err := r.w.packet(p, number); err != nil {
			return err
		}
	}
	if r.Limit > 0 && !r.Last && r.Packets >= r.Limit {
		return errEnough
	}
	return nil
}

// advance goes to the next packet of a file that is wanted. It returns false, and closes the file,
// if there is none.
func (r *run) advance(f *file) (bool, error) {
	err := f.next()
	if err == nil {
		return true, nil
	}
	defer f.close()
	switch {
	case r.ctx.Err() != nil:
		return false, r.ctx.Err()
	case err == io.EOF:
	case f.unfinished(err):
	default:
		r.Broken++
		r.Logf("%v", err)
	}
	return false, nil
}

// queue is a heap of files by the time of their packet, and files of the same time by their order.
type queue []*file

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].packet.Time != q[j].packet.Time {
		return q[i].packet.Time < q[j].packet.Time
	}
	return q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*file)) }
func (q *queue) Pop() any {
	f := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return f
}

// lastOnes keeps the last packets.
type lastOnes struct {
	packets []kept
	next    int // the oldest, once there are as many as wanted
}

type kept struct {
	capture.Packet
	number int
}

// add keeps the packet of a file, in the place of the oldest of n.
func (l *lastOnes) add(f *file, n int) {
	var k *kept
	if len(l.packets) < n {
		l.packets = append(l.packets, kept{})
		k = &l.packets[len(l.packets)-1]
	} else {
		k = &l.packets[l.next]
		l.next = (l.next + 1) % n
	}
	data, options := k.Data, k.Options.Raw
	k.Packet, k.number = f.packet, f.number()
	k.Data = append(data[:0], f.packet.Data...)
	k.Options.Raw = append(options[:0], f.packet.Options.Raw...)
}

// give gives them to the output, the oldest first.
func (l *lastOnes) give(r *run) error {
	for i := range l.packets {
		k := &l.packets[(l.next+i)%len(l.packets)]
		if err := r.give(&k.Packet, k.number); err != nil {
			return err
		}
	}
	return nil
}
