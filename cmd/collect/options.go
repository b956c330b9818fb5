package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"

	"ethertap/cmd/internal/about"
	"ethertap/collect"
	"ethertap/shm"
)

const usage = `usage: collect [options] output.pcap
       options:
       -b|--blimit <n>    specify a byte limit
       -p|--plimit <n>    specify a packet limit
       -q|--queue <q>     specify packet queue
       -n|--noreset       do not empty queue on startup
       -s|--silent        silent mode
       -d|--daemon        detach and run in background
       -h|--help          show usage
       -v|--version       show version
       -c|--copyright     show copyright
`

type options struct {
	limits                  collect.Limits
	queue                   string
	output                  string // "-" is standard output
	noReset, silent, daemon bool
	info                    *about.Info // what was asked about the program itself
}

// parse reads the command line. Its errors are wrong usage.
func parse(args []string) (options, error) {
	var o options
	f := pflag.NewFlagSet("collect", pflag.ContinueOnError)
	f.Usage = func() {} // the caller says what is wrong, in one line
	f.Uint64VarP(&o.limits.Bytes, "blimit", "b", 0, "")
	f.Uint64VarP(&o.limits.Packets, "plimit", "p", 0, "")
	f.StringVarP(&o.queue, "queue", "q", shm.DefaultName, "")
	f.BoolVarP(&o.noReset, "noreset", "n", false, "")
	f.BoolVarP(&o.silent, "silent", "s", false, "")
	f.BoolVarP(&o.daemon, "daemon", "d", false, "")
	o.info = about.Flags(f)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.info.Asked() {
		return o, nil
	}
	switch f.NArg() {
	case 0:
		return o, errors.New("no output file named")
	case 1:
		o.output = f.Arg(0)
	default:
		return o, fmt.Errorf("one output file, not %d", f.NArg())
	}
	switch {
	case o.output == "":
		return o, errors.New("the name of the output file is empty")
	case f.Changed("plimit") && o.limits.Packets == 0:
		return o, errors.New("--plimit: at least 1 packet")
	case f.Changed("blimit") && o.limits.Bytes < collect.HeaderSize:
		return o, fmt.Errorf("--blimit: at least %d bytes, the header of the file", collect.HeaderSize)
	case o.daemon && o.output == "-":
		return o, errors.New("--daemon: standard output is gone in the background; name a file")
	case o.daemon && !filepath.IsAbs(o.output):
		err := fmt.Errorf("--daemon changes to /, so %s would not be found here; give the whole path", o.output)
		if abs, aerr := filepath.Abs(o.output); aerr == nil {
			err = fmt.Errorf("%w: %s", err, abs)
		}
		return o, err
	}
	o.silent = o.silent || o.daemon
	return o, nil
}
