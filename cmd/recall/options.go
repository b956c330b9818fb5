// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/login"
	"ethertap/collect/recall"
	"ethertap/collect/stream"
	"ethertap/lib/capture"
	"ethertap/lib/filter"
)

const usage = `usage: recall [options] filter [file, directory or nats://host:4222/STREAM ...]
       recall --list|--index [file or directory ...]
       options:
       -w|--write <file>  where packets go (default: standard output)
          --format <f>    pcap, pcap-ns or pcapng (default: by the name of the
                          file, or pcapng)
          --zstd          compress, as with a name that ends with .zst
          --from <time>   packets from that time on: '2026-11-29 10:00',
                          10:00:05.25, '10:00 UTC', -5m, @1764410400
          --to <time>     packets before that time; +5m is counted from --from
       -n|--limit <n>     end after n packets
          --first         only the first packet, or the first of --limit
          --last          only the last packet, or the last of --limit
          --interface <i> packets of these interfaces, by their names
          --direction <d> packets that an interface has received (in) or sent
                          (out)
          --count         print how many packets there are
          --list          list files: times, packets, interfaces
          --json          the list as one line of JSON
          --index         make the indexes of files that have none
          --whole         read all of each file, without its index
          --creds <f>, --nkey <f>, --tlsca <f>, --tlscert <f>, --tlskey <f>
                          files that say who we are to a NATS server
       -s|--silent        show no progress
       -h|--help          show usage
       -v|--version       show version
       -c|--copyright     show copyright
`

type options struct {
	query       recall.Query
	names       []string // files and directories; none: standard input
	output      string   // "-" is standard output
	format      capture.Format
	zstd        bool
	count       bool
	list, index bool
	json        bool
	silent      bool
	info        *about.Info
	expr        string
	access      *stream.Access
}

// parse reads the command line. Its errors mean wrong usage.
func parse(args []string, now time.Time) (options, error) {
	o := options{query: recall.Query{From: recall.Begin, To: recall.Forever}}
	var format, from, to, direction string
	var first bool
	f := pflag.NewFlagSet("recall", pflag.ContinueOnError)
	f.Usage = func() {} // the caller prints the error, in one line
	f.StringVarP(&o.output, "write", "w", "-", "")
	f.StringVar(&format, "format", "", "")
	f.BoolVar(&o.zstd, "zstd", false, "")
	f.StringVar(&from, "from", "", "")
	f.StringVar(&to, "to", "", "")
	f.Uint64VarP(&o.query.Limit, "limit", "n", 0, "")
	f.BoolVar(&first, "first", false, "")
	f.BoolVar(&o.query.Last, "last", false, "")
	f.StringSliceVar(&o.query.Interfaces, "interface", nil, "")
	f.StringVar(&direction, "direction", "", "")
	f.BoolVar(&o.count, "count", false, "")
	f.BoolVar(&o.list, "list", false, "")
	f.BoolVar(&o.index, "index", false, "")
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.query.Whole, "whole", false, "")
	f.BoolVarP(&o.silent, "silent", "s", false, "")
	o.access = login.Flags(f)
	o.info = about.Flags(f)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.info.Asked() {
		return o, nil
	}
	if err := login.Check(o.access, false); err != nil {
		return o, err
	}
	o.names = f.Args()
	if o.json && !o.list {
		return o, errors.New("--json is for --list")
	}
	if o.list || o.index {
		what := "--list lists files"
		if o.index {
			what = "--index makes indexes"
		}
		for _, name := range []string{"write", "format", "zstd", "from", "to", "limit", "first", "last", "interface", "direction", "count", "whole"} {
			if f.Changed(name) {
				return o, fmt.Errorf("%s and looks for no packets, so --%s has no meaning", what, name)
			}
		}
		if o.index && slices.ContainsFunc(o.names, stream.Is) {
			return o, errors.New("--index makes indexes of files; a stream has its headers")
		}
		if o.list && o.index {
			return o, errors.New("--list and --index are two things; run recall twice")
		}
		if len(o.names) == 0 {
			o.names = []string{"."}
		}
		return o, nil
	}
	switch {
	case len(o.names) == 0:
		return o, errors.New("the filter is missing; '' takes every packet")
	case f.Changed("limit") && o.query.Limit == 0:
		return o, errors.New("--limit: at least 1 packet")
	case first && o.query.Last:
		return o, errors.New("--first and --last exclude each other")
	case o.count && f.Changed("write"):
		return o, errors.New("--count prints a number and writes no packets, so --write has no meaning")
	case o.output == "":
		return o, errors.New("the name of the output file is empty")
	}
	if (first || o.query.Last) && o.query.Limit == 0 {
		o.query.Limit = 1
	}
	if err := o.expression(); err != nil {
		return o, err
	}
	var err error
	if o.format, o.zstd, err = formatOf(format, o.output, o.zstd); err != nil {
		return o, err
	}
	if o.query.Direction, err = parseDirection(direction); err != nil {
		return o, err
	}
	return o, o.times(from, to, now)
}

// expression takes the filter, which is the first operand. Who forgets it most likely names a file
// there.
func (o *options) expression() error {
	o.expr, o.names = o.names[0], o.names[1:]
	if strings.TrimSpace(o.expr) == "" {
		return nil
	}
	var err error
	if o.query.Filter, err = filter.Compile(o.expr); err == nil {
		return nil
	}
	if _, serr := os.Stat(o.expr); serr == nil || o.expr == "-" {
		return fmt.Errorf("the first operand is the filter, and %s is a file; recall '' %s takes every packet", o.expr, o.expr)
	}
	return err
}

// formatOf says in which format a file is written.
func formatOf(format, output string, compress bool) (capture.Format, bool, error) {
	stem, compressed := strings.CutSuffix(output, ".zst")
	compress = compress || compressed
	switch format {
	case "pcap":
		return capture.PCAP, compress, nil
	case "pcap-ns":
		return capture.PCAPNano, compress, nil
	case "pcapng":
		return capture.PCAPNG, compress, nil
	case "":
		if e := filepath.Ext(stem); e == ".pcap" || e == ".cap" || e == ".dmp" {
			return capture.PCAP, compress, nil
		}
		return capture.PCAPNG, compress, nil
	}
	return 0, false, fmt.Errorf("--format %s: pcap, pcap-ns or pcapng", format)
}

func parseDirection(s string) (capture.Direction, error) {
	switch s {
	case "":
		return capture.Unknown, nil
	case "in", "inbound", "rx":
		return capture.Inbound, nil
	case "out", "outbound", "tx":
		return capture.Outbound, nil
	}
	return 0, fmt.Errorf("--direction %s: in or out", s)
}

// times reads --from and --to.
func (o *options) times(from, to string, now time.Time) error {
	base := time.Time{}
	if from != "" {
		t, err := parseTime(from, now, time.Time{})
		if err != nil {
			return fmt.Errorf("--from %s: %w", from, err)
		}
		base, o.query.From = t, t.UnixNano()
	}
	if to != "" {
		t, err := parseTime(to, now, base)
		if err != nil {
			return fmt.Errorf("--to %s: %w", to, err)
		}
		o.query.To = t.UnixNano()
	}
	if o.query.From >= o.query.To {
		return fmt.Errorf("--from %s is not before --to %s", from, to)
	}
	return nil
}
