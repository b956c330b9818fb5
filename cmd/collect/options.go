// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/login"
	"ethertap/collect"
	"ethertap/collect/stream"
	"ethertap/lib/filter"
	"ethertap/shm"
)

const usage = `usage: collect [options] output.pcap|nats://host:4222/STREAM
       options:
       -b|--blimit <n>    specify a byte limit
       -p|--plimit <n>    specify a packet limit
       -q|--queue <q>     specify packet queue
       -n|--noreset       do not empty queue on startup
       -s|--silent        silent mode
       -d|--daemon        detach and run in background
          --duration <t>  end after that time: 90, 5m, 1h30m
          --snaplen <n>   keep so many bytes of each packet
          --filter <expr> keep what matches, as with tcpdump: 'tcp port 443'
          --format <f>    pcap (default), pcap-ns or pcapng
          --timestamp <t> time of write or receive (default: write, unless with
                          pcapng, --noreset or --rotate)
          --zstd          compress
          --rotate <when> next file: size=1G,packets=n,seconds=n,interval=1h
          --ring <n>      keep the last n files
          --index=false   make no indexes, by which recall(1) finds packets
          --exec <cmd>    run a command on each file that is closed
          --floor <n>     bytes to be left free on the disk
          --check         say what is wrong, record nothing
          --name <name>   name for control(1) (default the PID)
          --log <file>    log of a daemon, or journal
          --stream-max-bytes <n>, --stream-max-age <t>, --replicas <n>
                          limits and copies of a stream that is made
          --hold <n>      bytes held until a stream has them (default 64Mi)
          --window <t>    so long packets of several taps wait for order (1s)
          --creds <f>, --nkey <f>, --tlsca <f>, --tlscert <f>, --tlskey <f>
                          files that say who we are to a NATS server
          --list          list the queues, who fills them and what waits
          --json          the list as one line of JSON
       -h|--help          show usage
       -v|--version       show version
       -c|--copyright     show copyright
`

type options struct {
	plimit                  uint64
	duration                time.Duration // 0: no limit
	streams                 collect.Options
	filter                  *filter.Filter // nil: everything
	received                bool
	queue                   string
	output                  string // "-" is standard output
	name, log, exec         string
	noReset, silent, daemon bool
	list, json, oneQueue    bool // oneQueue: --queue names it
	check                   bool
	index                   bool
	info                    *about.Info // the question about the program itself, if any
	extcap                  extcap

	// of streams
	to, from stream.Address // the output and the queue, if they are
	limits   stream.Limits
	hold     uint64
	window   time.Duration
	access   *stream.Access
}

// parsing is the command line before its options are checked together.
type parsing struct {
	options
	format, timestamp, filter, duration string
	rotate                              []string
	window, age                         string
}

// flags returns the set of options.
func flags(p *parsing) *pflag.FlagSet {
	f := pflag.NewFlagSet("collect", pflag.ContinueOnError)
	f.Usage = func() {} // the caller prints the error, in one line
	f.VarP((*amount)(&p.streams.Limit), "blimit", "b", "")
	f.Uint64VarP(&p.plimit, "plimit", "p", 0, "")
	f.StringVarP(&p.queue, "queue", "q", shm.DefaultName, "")
	f.BoolVarP(&p.noReset, "noreset", "n", false, "")
	f.BoolVarP(&p.silent, "silent", "s", false, "")
	f.BoolVarP(&p.daemon, "daemon", "d", false, "")
	f.StringVar(&p.duration, "duration", "", "")
	f.IntVar(&p.streams.SnapLen, "snaplen", 0, "")
	f.StringVar(&p.filter, "filter", "", "")
	f.StringVar(&p.format, "format", "pcap", "")
	f.StringVar(&p.timestamp, "timestamp", "", "")
	f.BoolVar(&p.streams.Zstd, "zstd", false, "")
	f.StringSliceVar(&p.rotate, "rotate", nil, "")
	f.IntVar(&p.streams.Ring, "ring", 0, "")
	f.Var((*amount)(&p.streams.Floor), "floor", "")
	f.BoolVar(&p.check, "check", false, "")
	f.StringVar(&p.name, "name", "", "")
	f.BoolVar(&p.index, "index", true, "")
	f.StringVar(&p.log, "log", "", "")
	f.StringVar(&p.exec, "exec", "", "")
	f.BoolVar(&p.list, "list", false, "")
	f.BoolVar(&p.json, "json", false, "")
	f.Var((*amount)(&p.limits.Bytes), "stream-max-bytes", "")
	f.StringVar(&p.age, "stream-max-age", "", "")
	f.IntVar(&p.limits.Replicas, "replicas", 0, "")
	f.Var((*amount)(&p.hold), "hold", "")
	f.StringVar(&p.window, "window", "", "")
	p.access = login.Flags(f)
	p.info = about.Flags(f)
	p.extcap.flags(f)
	return f
}

// parse reads the command line. Its errors mean wrong usage.
func parse(args []string) (options, error) {
	var p parsing
	f := flags(&p)
	if err := habit(f, args); err != nil {
		return p.options, err
	}
	if err := f.Parse(args); err != nil {
		return p.options, err
	}
	if p.info.Asked() {
		return p.options, nil
	}
	if p.extcap.asked(f) {
		if p.extcap.answers() {
			return p.options, nil
		}
		if err := p.extcap.recording(&p, f); err != nil {
			return p.options, err
		}
	}
	switch n := f.NArg(); {
	case p.json && !p.list:
		return p.options, errors.New("--json is for --list")
	case p.list && (n > 0 || p.extcap.capture):
		return p.options, errors.New("--list does not record; name no file")
	case p.list:
		p.oneQueue = f.Changed("queue")
		return p.options, nil
	case p.extcap.capture && n == 0: // the fifo
	case n == 1 && !p.extcap.capture:
		p.output = f.Arg(0)
	default:
		return p.options, operands(f.Args())
	}
	for _, step := range []func(*pflag.FlagSet) error{p.nats, p.stream, p.together} {
		if err := step(f); err != nil {
			return p.options, err
		}
	}
	p.silent = p.silent || p.daemon
	return p.options, nil
}

// nats reads what is for streams of NATS, as input or as output.
func (p *parsing) nats(f *pflag.FlagSet) (err error) {
	from, to := stream.Is(p.queue), stream.Is(p.output)
	if from {
		if p.from, err = stream.Parse(p.queue); err != nil {
			return err
		}
	}
	if to {
		if p.to, err = stream.Parse(p.output); err != nil {
			return err
		}
	}
	if from && to {
		return errors.New("from a stream into a stream: the server itself does that, with a mirror or a source; name a file")
	}
	for _, name := range slices.Concat([]string{"stream-max-bytes", "stream-max-age", "replicas", "hold", "window"}, login.Options) {
		switch changed := f.Changed(name); {
		case changed && !from && !to:
			return fmt.Errorf("--%s is for streams; name one: nats://host:4222/NAME", name)
		case changed && from && (name == "replicas" || strings.HasPrefix(name, "stream-")):
			return fmt.Errorf("--%s is for a stream that is made, and this one is read", name)
		case changed && to && name == "window":
			return errors.New("--window is for who reads a stream")
		}
	}
	if !from && !to {
		return nil
	}
	if !f.Changed("format") {
		p.format = collect.PCAPNG.String()
	}
	switch {
	case to && p.format != collect.PCAPNG.String():
		return fmt.Errorf("--format %s: a stream has pcapng", p.format)
	case to && p.to.Chooses():
		return errors.New("host, instance and queue in an address choose what is read; what is written has those of this tap")
	case to && f.Changed("blimit"):
		return errors.New("--blimit is for files; a stream has --stream-max-bytes, and --plimit or --duration end a run")
	case f.Changed("hold") && p.hold < 1<<20:
		return fmt.Errorf("--hold %d: at least 1Mi", p.hold)
	case f.Changed("replicas") && (p.limits.Replicas < 1 || p.limits.Replicas > 5):
		return fmt.Errorf("--replicas %d: 1 to 5", p.limits.Replicas)
	}
	for _, t := range []struct {
		name, text string
		to         *time.Duration
		least      time.Duration
	}{{"stream-max-age", p.age, &p.limits.Age, time.Second}, {"window", p.window, &p.options.window, 0}} {
		if !f.Changed(t.name) {
			continue
		}
		if *t.to, err = parseTime(t.text); err != nil || *t.to < t.least {
			return fmt.Errorf("--%s %s: a time such as 0.5, 90, 5m or 48h", t.name, t.text)
		}
	}
	return login.Check(p.access, p.daemon)
}

// stream reads the options of the streams.
func (p *parsing) stream(f *pflag.FlagSet) (err error) {
	p.streams.Application = "EtherTAP collect " + about.Version
	if p.streams.Format, err = collect.ParseFormat(p.format); err != nil {
		return fmt.Errorf("--format %w", err)
	}
	if f.Changed("filter") {
		if p.options.filter, err = filter.Compile(p.filter); err != nil {
			return err
		}
		p.streams.Filter = p.filter
	}
	if f.Changed("duration") {
		if p.options.duration, err = parseTime(p.duration); err != nil {
			return fmt.Errorf("--duration %s: a time such as 90, 0.5, 5m or 1h30m", p.duration)
		}
	}
	for _, when := range p.rotate {
		if err := addRotation(&p.streams.Rotate, when); err != nil {
			return fmt.Errorf("--rotate %s: %w", when, err)
		}
	}
	switch {
	case p.timestamp == "receive":
		p.received = true
	case p.timestamp == "write":
	case f.Changed("timestamp"):
		return fmt.Errorf("--timestamp %s: write or receive", p.timestamp)
	default:
		// A plain PCAP file has the time of writing, as always documented. If packets may have
		// waited for long, or the format is newer, that would be the wrong time.
		p.received = p.streams.Format == collect.PCAPNG || p.noReset || p.streams.Rotate.Any() || stream.Is(p.queue)
	}
	return nil
}

// together refuses options that are wrong, alone or together.
func (p *parsing) together(f *pflag.FlagSet) error {
	o := p.options
	switch {
	case o.output == "":
		return errors.New("the name of the output file is empty")
	case f.Changed("plimit") && o.plimit == 0:
		return errors.New("--plimit: at least 1 packet")
	case f.Changed("blimit") && o.streams.Limit < collect.HeaderSize:
		return fmt.Errorf("--blimit: at least %d bytes, the header of the file", collect.HeaderSize)
	case o.streams.SnapLen < 0 || o.streams.SnapLen > collect.MaxSnapLen:
		return fmt.Errorf("--snaplen %d: at most %d bytes, and 0 is that", o.streams.SnapLen, collect.MaxSnapLen)
	case f.Changed("name") && o.name == "":
		return errors.New("--name is empty")
	case o.streams.Ring < 0 || f.Changed("ring") && o.streams.Ring == 0:
		return fmt.Errorf("--ring %d: at least 1 file", o.streams.Ring)
	case o.streams.Ring > 0 && !o.streams.Rotate.Any():
		return errors.New("--ring is for files that --rotate makes")
	case !isPath(o.output) && o.streams.Rotate.Any():
		return fmt.Errorf("--rotate: %s is one stream; name a file", outputName(o.output))
	case !isPath(o.output) && o.streams.Floor > 0:
		return fmt.Errorf("--floor: %s is no disk; name a file", outputName(o.output))
	case !isPath(o.output) && f.Changed("exec"):
		return fmt.Errorf("--exec: %s is one stream, which others close; name a file", outputName(o.output))
	case o.log != "" && !o.daemon:
		return errors.New("--log is for --daemon; in the foreground everything goes to standard error")
	case o.daemon && o.output == "-":
		return errors.New("--daemon: standard output is gone in the background; name a file")
	case o.daemon && isPath(o.output) && !filepath.IsAbs(o.output):
		err := fmt.Errorf("--daemon changes to /, so %s would not be found here; give the whole path", o.output)
		if abs, aerr := filepath.Abs(o.output); aerr == nil {
			err = fmt.Errorf("%w: %s", err, abs)
		}
		return err
	case f.Changed("exec"):
		return checkCommand(o.exec, o.daemon)
	}
	return nil
}

// addRotation reads one KEY=VALUE.
func addRotation(r *collect.Rotation, when string) error {
	key, value, ok := strings.Cut(when, "=")
	if !ok {
		return errors.New("size=1G, packets=n, seconds=n or interval=1h")
	}
	var err error
	switch key {
	case "size":
		r.Bytes, err = parseAmount(value)
	case "packets":
		r.Packets, err = strconv.ParseUint(value, 10, 64)
	case "seconds":
		r.After, err = parseDuration(value)
	case "interval":
		r.Every, err = parseDuration(value)
		if err == nil && r.Every > 24*time.Hour {
			return errors.New("at most 24h")
		}
	default:
		return fmt.Errorf("no such condition as %s; there are size, packets, seconds and interval", key)
	}
	if err == nil && (value == "0" || r.Bytes == 0 && key == "size" || r.Packets == 0 && key == "packets") {
		err = errors.New("0")
	}
	if err != nil {
		return fmt.Errorf("%q is no %s", value, map[string]string{"size": "size such as 100M", "packets": "number of packets", "seconds": "time such as 60 or 5m", "interval": "time such as 60 or 1h"}[key])
	}
	return nil
}

// parseDuration is parseTime for times of a second and more.
func parseDuration(s string) (time.Duration, error) {
	d, err := parseTime(s)
	if err == nil && d < time.Second {
		err = errors.New("less than a second")
	}
	return d, err
}

// parseTime reads seconds, or a time with units: 90, 0.5, 5m, 1h30m.
func parseTime(s string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		s += "s"
	}
	d, err := time.ParseDuration(s)
	if err == nil && d <= 0 {
		err = errors.New("no time")
	}
	return d, err
}

// amount is a number of bytes on the command line: 1000, 100M (of a million each), 4Ki.
type amount uint64

func (a *amount) String() string { return strconv.FormatUint(uint64(*a), 10) }
func (a *amount) Type() string   { return "bytes" }

func (a *amount) Set(s string) error {
	n, err := parseAmount(s)
	*a = amount(n)
	return err
}

var units = map[string]uint64{
	"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

func parseAmount(s string) (uint64, error) {
	digits := strings.TrimRight(strings.TrimSuffix(s, "B"), "kKMGTi")
	unit, ok := units[strings.TrimSuffix(s, "B")[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || !ok || n > (1<<63-1)/unit {
		return 0, errors.New("a number of bytes such as 5000, 100M or 4Gi")
	}
	return n * unit, nil
}
