// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"ethertap/cmd/internal/rundir"
	"ethertap/collect"
	"ethertap/collect/stream"
	"ethertap/shm"
)

// input is where packets come from.
type input interface {
	collect.Input
	Close() error
}

// openInput opens the queue, or the stream. queue is nil if it is a stream.
func openInput(ctx context.Context, o options, logf func(string, ...any)) (in input, queue *collect.Source, err error) {
	if stream.Is(o.queue) {
		r, err := stream.Read(ctx, stream.ReadOptions{
			Address: o.from, Access: *o.access, Name: o.name, All: o.noReset, Window: o.window, Hold: o.hold, Logf: logf,
		})
		if err != nil {
			return nil, nil, err
		}
		return r, nil, nil
	}
	queue, err = collect.OpenSource(o.queue, logf)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; a queue is for its owner alone, usually root", err)
	}
	if err != nil {
		return nil, nil, err
	}
	return queue, queue, nil
}

// filler finds the instance of ethertap that fills a queue.
type filler struct {
	source *collect.Source
	pid    int
	name   string
}

// instance returns its name. Before there is one, and for other programs, it is "ethertap", and
// afterwards that of the last one.
func (f *filler) instance() string {
	if f.name == "" {
		f.name = shm.RoleEthertap.String()
	}
	queue := f.source.Queue()
	if queue == nil {
		return f.name
	}
	list, err := queue.Participants()
	at := slices.IndexFunc(list, func(p shm.Participant) bool { return fills(p) && p.Role == shm.RoleEthertap })
	if err != nil || at < 0 || list[at].PID == f.pid {
		return f.name
	}
	all, err := rundir.List(context.Background(), shm.RoleEthertap.String())
	if err != nil {
		return f.name // it cannot be known, without the right to look
	}
	f.pid = list[at].PID
	for _, in := range all {
		if in.PID == f.pid {
			f.name = in.Name
		}
	}
	return f.name
}

// openStream opens the stream that packets go to.
func openStream(ctx context.Context, o options, queue *collect.Source, logf func(string, ...any)) (collect.Output, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	of := &filler{source: queue}
	out, err := stream.Publish(ctx, stream.PublishOptions{
		Address: o.to, Access: *o.access, Limits: o.limits, Hold: o.hold, Zstd: o.streams.Zstd, Packets: o.streams,
		Host: host, Queue: shortQueue(o.queue), Instance: of.instance, Created: queue.Created, Logf: logf,
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// shortQueue returns the name of a queue without what the names of all queues begin with.
func shortQueue(name string) string {
	if len(name) > len(shm.Prefix) && name[:len(shm.Prefix)] == shm.Prefix {
		return name[len(shm.Prefix):]
	}
	return name
}

// streamed returns what a stream says of itself, and how that is told in the line of progress. ok is
// false if there is no stream.
func streamed(in collect.Input, out collect.Output) (s stream.Status, line string, ok bool) {
	switch {
	case asStream(out, &s):
		line = fmt.Sprintf("acknowledged %d  in flight %d  retried %d  behind %d", s.Acknowledged, s.InFlight, s.Retried, s.Behind)
	case asStream(in, &s):
		line = fmt.Sprintf("acknowledged %d  behind %d", s.Acknowledged, s.Behind)
		if s.Late > 0 {
			line += fmt.Sprintf("  late %d", s.Late)
		}
	default:
		return s, "", false
	}
	if !s.Connected {
		line += "  no server"
	}
	return s, line, true
}

func asStream(end any, s *stream.Status) bool {
	of, ok := end.(interface{ Status() stream.Status })
	if ok {
		*s = of.Status()
	}
	return ok
}
