// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"io"

	"ethertap/collect/recall"
	"ethertap/collect/stream"
)

// archives are the streams that are searched.
type archives []*stream.Archive

// openStreams opens the streams among the names, and returns the other names.
func openStreams(ctx context.Context, o options, logf func(string, ...any)) (all archives, names []string, err error) {
	for _, name := range o.names {
		if !stream.Is(name) {
			names = append(names, name)
			continue
		}
		a, err := stream.Parse(name)
		var s *stream.Archive
		if err == nil {
			s, err = stream.Open(ctx, stream.FindOptions{Address: a, Access: *o.access, From: o.query.From, To: o.query.To, Logf: logf})
		}
		if err != nil {
			all.close()
			return nil, nil, err
		}
		all = append(all, s)
	}
	return all, names, nil
}

// files returns a file for each message.
func (a archives) files() (all []recall.File) {
	for _, s := range a {
		for _, m := range s.Messages() {
			all = append(all, recall.Part(m.Name, m.Bytes, m.First, func() (io.Reader, error) { return s.Section(m) }))
		}
	}
	return all
}

// taps returns a listing of each tap.
func (a archives) taps() (all []recall.Listing) {
	for _, s := range a {
		at := map[stream.Tap]int{}
		for _, m := range s.Messages() {
			i, ok := at[m.Tap]
			if !ok {
				i = len(all)
				at[m.Tap] = i
				all = append(all, recall.Listing{Path: s.Name() + " " + m.Tap.String(), Format: "pcapng", First: m.First, Last: m.Last, Indexed: true})
			}
			l := &all[i]
			l.Packets, l.Bytes = l.Packets+m.Packets, l.Bytes+m.Bytes
			l.First, l.Last = min(l.First, m.First), max(l.Last, m.Last)
		}
	}
	return all
}

func (a archives) close() {
	for _, s := range a {
		s.Close()
	}
}
