// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"ethertap/collect/recall"
	"ethertap/words/report"
)

// listing is printed by --list --json; docs/json.md describes the keys.
type listing struct {
	Schema   int          `json:"schema"`
	Instance string       `json:"instance"`
	Time     time.Time    `json:"time"`
	Files    []listedFile `json:"files"`
}

type listedFile struct {
	File       string   `json:"file"`
	Bytes      int64    `json:"bytes"`
	Format     string   `json:"format"`
	Packets    uint64   `json:"packets"`
	First      string   `json:"first"` // RFC 3339 with nanoseconds; "" without packets
	Last       string   `json:"last"`
	Indexed    bool     `json:"indexed"`
	Growing    bool     `json:"growing"`
	Interfaces []string `json:"interfaces"`
	Error      string   `json:"error"`
}

// list lists the files and the taps in streams, as a table or as JSON.
func list(ctx context.Context, files []recall.File, streams archives, p *recall.Progress, asJSON bool, stdout *os.File) error {
	var all []recall.Listing
	err := recall.List(ctx, files, p, func(l recall.Listing) { all = append(all, l) })
	all = append(all, streams.taps()...)
	print := table
	if asJSON {
		print = line
	}
	if perr := print(stdout, all); err == nil {
		err = perr
	}
	for _, l := range all {
		if l.Err == nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "recall: %v\n", l.Err)
		if err == nil {
			err = errSaid
		}
	}
	return err
}

// line prints the files as one line of JSON.
func line(w io.Writer, all []recall.Listing) error {
	out := listing{report.Schema, "recall", time.Now(), []listedFile{}}
	for _, l := range all {
		f := listedFile{File: l.Path, Bytes: l.Bytes, Format: l.Format, Packets: l.Packets, Indexed: l.Indexed, Growing: l.Growing, Interfaces: append([]string{}, l.Interfaces...)}
		if l.Packets > 0 {
			f.First, f.Last = time.Unix(0, l.First).Format(time.RFC3339Nano), time.Unix(0, l.Last).Format(time.RFC3339Nano)
		}
		if l.Err != nil {
			f.Error = l.Err.Error()
		}
		out.Files = append(out.Files, f)
	}
	return json.NewEncoder(w).Encode(out)
}

// table prints a file in each line.
func table(out io.Writer, all []recall.Listing) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "first packet\tlast packet\tpackets\tsize\tformat\tindex\tinterfaces\tfile")
	for _, l := range all {
		row(w, l)
	}
	return w.Flush()
}

// row prints a file.
func row(w io.Writer, l recall.Listing) {
	first, last := "-", "-"
	if l.Packets > 0 {
		first, last = stamp(l.First), stamp(l.Last)
	}
	indexed := "no"
	switch {
	case l.Err != nil:
		indexed = "damaged"
	case l.Growing:
		indexed = "growing"
	case l.Indexed:
		indexed = "yes"
	}
	interfaces := strings.Join(l.Interfaces, ",")
	if interfaces == "" {
		interfaces = "-"
	}
	fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", first, last, l.Packets, size(l.Bytes), l.Format, indexed, interfaces, l.Path)
}

// stamp formats a time, local, to the microsecond.
func stamp(ns int64) string { return time.Unix(0, ns).Format("2006-01-02 15:04:05.000000") }
