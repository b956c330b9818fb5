// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"ethertap/cmd/internal/about"
	"ethertap/cmd/internal/web"
	"ethertap/dataplane"
	"ethertap/dataplane/nic"
	"ethertap/shm"
)

const defaultConfig = "/etc/ethertap.rpcl"

const usage = `usage: ethertap [options] interface0 [interface1]
       one interface is mirrored, two are bridged; pcap:FILE is a capture file
       options:
          --config <file>     load this instead of ` + defaultConfig + `
       -e|--eval <line>       run a line of RPCL before starting (repeatable)
       -d|--daemon            detach and run in background; see control(1)
          --log <file>        where a daemon writes its log
          --stay              go on when standard input, no terminal, ends
          --name <name>       name of this instance (default ethertap)
          --tap-queue <q>     name of the TAP queue (default ` + shm.DefaultName + `,
                              of an instance with a name ixdp.pqueue.<name>)
          --queue-slots <n>   slots of the TAP queue when it is made (default 4096)
          --queue-slot-size <n>  bytes of a slot with 64 of its header (default 2112)
       -q|--queues <n>        threads, one per RX queue (default: as many as
                              the interfaces have, at most 8)
          --cpus <list>       pin thread i to the i-th CPU of the list: 2,3
          --poll <mode>       when idle: spin, adaptive (default), sleep or busy
          --timestamps <mode> of frames: software (default), hardware or auto
          --fastpath=false    take every frame to user space; see fastpath.status
          --bpffs <dir>       BPF file system for bypass.enable (default /sys/fs/bpf)
          --check             what this machine offers, and what would keep it from starting
          --clear             end the bypass that an instance left which is gone
          --hold <n>          frames of a queue that faults may hold (default 2048)
          --rings <n>         frames of each ring, a power of two (default 2048)
          --xdp_drv           native XDP or fail;  --xdp_skb  generic XDP
          --zerocopy          zero-copy or fail;   --copy     always copy
          --replace           replace an XDP program that is on an interface
          --pace <pace>       of a capture that is read: original, max, 2 (times), 10000/s
          --loop <n>          read it n times
          --http <address>    serve a page and metrics: [host:]port or a Unix socket
          --http-top <n>      senders of each interface in the metrics (default 0)
          --demo              a lab with two hosts and a prompt, gone when it ends
          --group <group>     its members may read the queues, and ask by control
       -h|--help, -v|--version, -c|--copyright
`

// defaultName is the name of an instance without --name.
const defaultName = "ethertap"

type options struct {
	info     *about.Info
	plane    dataplane.Config
	config   string
	lines    []string
	daemon   bool
	log      string
	stay     bool
	name     string
	named    bool // --name was given
	tapQueue string
	slots    int // 0: the default
	slotSize int // 0: the default
	bpffs    string
	check    bool
	demo     bool
	clear    bool
	group    int          // number of the group of --group; 0: none
	http     *web.Address // where to serve; nil: nowhere
	top      int          // senders in the metrics
	files    files

	queueNamed bool // --tap-queue was given
}

// parse reads the command line. Its errors mean wrong usage.
func parse(args []string) (options, error) {
	var o options
	var cpus, poll, stamps, address, pace, group string
	var loop int
	var skb, drv, zerocopy, copying bool
	f := pflag.NewFlagSet("ethertap", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&o.config, "config", "", "")
	f.StringArrayVarP(&o.lines, "eval", "e", nil, "")
	f.BoolVarP(&o.daemon, "daemon", "d", false, "")
	f.StringVar(&o.log, "log", "", "")
	f.BoolVar(&o.stay, "stay", false, "")
	f.StringVar(&o.name, "name", defaultName, "")
	f.StringVar(&o.tapQueue, "tap-queue", "", "")
	f.IntVar(&o.slots, "queue-slots", 0, "")
	f.IntVar(&o.slotSize, "queue-slot-size", 0, "")
	f.IntVarP(&o.plane.Queues, "queues", "q", 0, "")
	f.StringVar(&cpus, "cpus", "", "")
	f.StringVar(&poll, "poll", "adaptive", "")
	f.StringVar(&stamps, "timestamps", "software", "")
	f.BoolVar(&o.plane.FastPath, "fastpath", true, "")
	f.StringVar(&o.bpffs, "bpffs", defaultBPFFS, "")
	f.BoolVar(&o.check, "check", false, "")
	f.BoolVar(&o.clear, "clear", false, "")
	f.BoolVar(&o.demo, "demo", false, "")
	f.IntVar(&o.plane.Hold, "hold", dataplane.DefaultHold, "")
	f.IntVar(&o.plane.Rings, "rings", dataplane.DefaultRings, "")
	f.BoolVar(&skb, "xdp_skb", false, "")
	f.BoolVar(&drv, "xdp_drv", false, "")
	f.BoolVar(&zerocopy, "zerocopy", false, "")
	f.BoolVar(&copying, "copy", false, "")
	f.BoolVar(&o.plane.Replace, "replace", false, "")
	f.StringVar(&pace, "pace", "", "")
	f.IntVar(&loop, "loop", 1, "")
	f.StringVar(&group, "group", "", "")
	f.StringVar(&address, "http", "", "")
	f.IntVar(&o.top, "http-top", 0, "")
	o.info = about.Flags(f)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.info.Asked() {
		return o, nil
	}
	var err error
	if o.plane.BypassDir, err = bypassDir(o.bpffs, o.name, f.Changed("bpffs")); err != nil {
		return o, err
	}
	o.named = f.Changed("name")
	o.plane.Clear = clearing(o.bpffs, o.name)
	o.plane.Owner = func(program uint32) (who, end string) { return owner(o.bpffs, program) }
	if o.clear {
		if len(f.Args()) > 0 {
			return o, errors.New("--clear takes no interfaces: they are known")
		}
		return o, nil
	}
	if o.demo {
		if len(f.Args()) > 0 || f.NFlag() > 1 {
			return o, errors.New("--demo takes no interfaces and no other options: it makes all it needs")
		}
		return o, nil
	}
	if o.plane.CPUs, err = parseCPUs(cpus); err != nil {
		return o, err
	}
	if o.plane.Poll, err = dataplane.ParsePollMode(poll); err != nil {
		return o, fmt.Errorf("--poll %s: %w", poll, err)
	}
	if o.plane.Stamps, err = nic.ParseStampMode(stamps); err != nil {
		return o, fmt.Errorf("--timestamps %s: %w", stamps, err)
	}
	if f.Changed("group") {
		if o.group, err = groupNumber(group); err != nil {
			return o, fmt.Errorf("--group %s: %w", group, err)
		}
	}
	if f.Changed("http") {
		a, err := web.ParseAddress(address)
		if err != nil {
			return o, fmt.Errorf("--http %s: %w", address, err)
		}
		o.http = &a
	}
	switch {
	case o.top < 0:
		return o, fmt.Errorf("--http-top %d: at least 0", o.top)
	case o.top > 0 && o.http == nil:
		return o, errors.New("--http-top is for --http")
	case skb && drv:
		return o, errors.New("--xdp_skb and --xdp_drv exclude each other")
	case zerocopy && copying:
		return o, errors.New("--zerocopy and --copy exclude each other")
	case f.Changed("queues") && o.plane.Queues < 1:
		return o, fmt.Errorf("--queues %d: at least 1", o.plane.Queues)
	case o.plane.Hold < 1:
		return o, fmt.Errorf("--hold %d: at least 1", o.plane.Hold)
	case o.plane.Rings < dataplane.MinRings || o.plane.Rings > dataplane.MaxRings || o.plane.Rings&(o.plane.Rings-1) != 0:
		return o, fmt.Errorf("--rings %d: a power of two from %d to %d", o.plane.Rings, dataplane.MinRings, dataplane.MaxRings)
	case f.Changed("queue-slots") && (o.slots < shm.MinSlots || o.slots > shm.MaxSlots):
		return o, fmt.Errorf("--queue-slots %d: %d to %d", o.slots, shm.MinSlots, shm.MaxSlots)
	case f.Changed("queue-slot-size") && (o.slotSize < shm.MinSlotSize || o.slotSize > shm.MaxSlotSize):
		return o, fmt.Errorf("--queue-slot-size %d: %d to %d", o.slotSize, shm.MinSlotSize, shm.MaxSlotSize)
	case f.Changed("config") && o.config == "":
		return o, errors.New("--config is empty")
	case o.name == "":
		return o, errors.New("--name is empty")
	case o.log != "" && !o.daemon:
		return o, errors.New("--log is for --daemon; in the foreground the log goes to standard error")
	case o.daemon && o.config != "" && !filepath.IsAbs(o.config):
		return o, fmt.Errorf("--daemon changes to /, so %s would not be found there; give the whole path", o.config)
	}
	if skb {
		o.plane.Attach = nic.AttachSKB
	} else if drv {
		o.plane.Attach = nic.AttachDRV
	}
	if zerocopy {
		o.plane.Copy = nic.ZeroCopyForced
	} else if copying {
		o.plane.Copy = nic.CopyForced
	}
	o.plane.Interfaces = f.Args()
	if err := o.makePorts(pace, f.Changed("pace"), loop, f.Changed("loop")); err != nil {
		return o, err
	}
	o.queueNamed = o.tapQueue != ""
	if o.files.alone { // nothing of this machine decides on what comes out
		if !o.named {
			o.name = aloneName()
		}
		if o.config == "" {
			o.config = os.DevNull
		}
		o.plane.BypassDir = ""
	}
	if (o.files.in != nil || o.files.out != nil) && !f.Changed("fastpath") {
		o.plane.FastPath = false
	}
	if o.tapQueue == "" {
		o.tapQueue = shm.DefaultName
		if o.name != defaultName {
			o.tapQueue = "ixdp.pqueue." + o.name
		}
	}
	return o, nil
}

// groupNumber returns the number of a group, which is named or is a number.
func groupNumber(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		if g, err = user.LookupGroupId(name); err != nil {
			return 0, fmt.Errorf("no such group; to make it, run groupadd --system %s", name)
		}
	}
	n, err := strconv.Atoi(g.Gid)
	if err == nil && n == 0 {
		err = errors.New("that is the group of root, who may do everything anyway")
	}
	return n, err
}

const defaultBPFFS = "/sys/fs/bpf"

// bypassDir returns where an instance pins what has to outlive it, on the BPF file system at dir.
// It is "" if there is none and the user has not named one.
func bypassDir(dir, instance string, named bool) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.BPF_FS_MAGIC {
		if named {
			return "", fmt.Errorf("--bpffs %s: no BPF file system; to fix this, run: mount -t bpf bpf %s", dir, dir)
		}
		return "", nil
	}
	return pinDir(dir, instance), nil
}

func parseCPUs(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var cpus []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("--cpus %s: a list of numbers with commas, such as 2,3", list)
		}
		cpus = append(cpus, n)
	}
	return cpus, nil
}
