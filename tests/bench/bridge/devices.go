// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"ethertap/tests/bench/wire"
	"ethertap/tests/netlab"
)

// device is what is put between d0 and d1.
type device struct {
	name   string
	queues int // of each link; 0 = 1
	// prepare is what has to be done once before start, if anything.
	prepare func(t testing.TB) error
	// start starts it; it works when frames come through. The process is nil where
	// the kernel is the device.
	start   func(t testing.TB, l *wire.Lab) (*netlab.Process, error)
	mirrors bool // nothing comes through
	answers bool // to the first line it was given: it works when it has
}

// startTime bounds the wait for a device to work.
const startTime = 20 * time.Second

// with starts a device in a laboratory of its own, runs fn, and takes both away.
func (d device) with(t testing.TB, age bool, fn func(t testing.TB, l *wire.Lab, p *netlab.Process) error) error {
	return wire.In(t, func(t testing.TB) error { return d.running(t, age, fn) })
}

// running is with in a test that is there already.
func (d device) running(t testing.TB, age bool, fn func(t testing.TB, l *wire.Lab, p *netlab.Process) error) error {
	if err := d.ready(t); err != nil {
		return err
	}
	l := wire.NewLab(t, max(d.queues, 1), age)
	p, err := d.start(t, l)
	if err != nil {
		return err
	}
	if d.answers {
		err = p.WaitOutput("}\n", startTime)
	}
	if err == nil && !d.mirrors {
		err = l.AwaitTraffic(startTime)
	}
	if err != nil {
		if p != nil {
			err = fmt.Errorf("%w: %s", err, p.Output())
		}
		return err
	}
	return fn(t, l, p)
}

func (d device) ready(t testing.TB) error {
	if d.prepare == nil {
		return nil
	}
	return d.prepare(t)
}

// pinned runs a program in the middle of the laboratory, on the device's core, or
// on any if it has threads for several.
func pinned(t testing.TB, l *wire.Lab, cores int, path string, args ...string) *netlab.Process {
	if cores == 1 {
		path, args = "taskset", append([]string{"-c", strconv.Itoa(wire.DeviceCore()), path}, args...)
	}
	cmd := l.Dut.Command(path, args...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	return netlab.StartProcess(t, cmd)
}

// cpus lists the cores of a device's threads: the last first.
func cpus(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strconv.Itoa(max(wire.DeviceCore()-i, 0))
	}
	return strings.Join(list, ",")
}

// ethertap is ours as a bridge, with lines of RPCL that configure it. Unless an option says
// otherwise, every frame goes through its threads.
func ethertap(name string, queues int, options []string, lines ...string) device {
	return ours(name, queues, options, lines, netlab.D0, netlab.D1)
}

// mirror is ours listening on one interface.
func mirror(name string, options []string, lines ...string) device {
	d := answering(ours(name, 1, options, lines, netlab.D0))
	d.mirrors = true
	return d
}

// answering is ours, asked something that it answers when it runs.
func answering(d device) device {
	d.answers = true
	start := d.start
	d.start = func(t testing.TB, l *wire.Lab) (*netlab.Process, error) {
		p, err := start(t, l)
		if err == nil {
			_, err = p.Write([]byte("if.stats.json\n"))
		}
		return p, err
	}
	return d
}

func ours(name string, queues int, options, lines []string, interfaces ...string) device {
	d := device{name: name, queues: queues}
	d.prepare = func(t testing.TB) error { netlab.Build(t, "./cmd/ethertap"); return nil }
	d.start = func(t testing.TB, l *wire.Lab) (*netlab.Process, error) {
		args := append([]string{"--name", instance(), "--stay", "--config", os.DevNull,
			"--queues", strconv.Itoa(queues), "--cpus", cpus(queues), "--fastpath=false"}, options...)
		for _, line := range lines {
			args = append(args, "-e", line)
		}
		t.Cleanup(func() { os.Remove("/dev/shm/" + queueName()) })
		return pinned(t, l, queues, netlab.Build(t, "./cmd/ethertap"), append(args, interfaces...)...), nil
	}
	return d
}

// instance is the name of our ethertap, queueName that of its TAP queue.
func instance() string  { return fmt.Sprintf("bench-%d", os.Getpid()) }
func queueName() string { return "ixdp.pqueue." + instance() }

// peerC is the bridge of peer/bridge.c.
func peerC(queues int) device {
	prepare := func(t testing.TB) error { _, err := compiled(t, "bridge"); return err }
	return device{name: "c", queues: queues, prepare: prepare, start: func(t testing.TB, l *wire.Lab) (*netlab.Process, error) {
		path, err := compiled(t, "bridge")
		if err != nil {
			return nil, err
		}
		return pinned(t, l, queues, path, netlab.D0, netlab.D1, cpus(queues)), nil
	}}
}

// peerGo is the bridge on asavie/xdp's sockets.
func peerGo() device {
	prepare := func(t testing.TB) error { netlab.Build(t, "./tests/bench/bridge/l2fwd"); return nil }
	return device{name: "asavie", prepare: prepare, start: func(t testing.TB, l *wire.Lab) (*netlab.Process, error) {
		return pinned(t, l, 1, netlab.Build(t, "./tests/bench/bridge/l2fwd"), netlab.D0, netlab.D1), nil
	}}
}

// tcpbridge is the one of tcpreplay.
func tcpbridge() device {
	return device{name: "tcpbridge", start: func(t testing.TB, l *wire.Lab) (*netlab.Process, error) {
		path, err := exec.LookPath("tcpbridge")
		if err != nil {
			return nil, errors.New("not installed (tcpreplay)")
		}
		wire.NAPI(t, l.Dut, netlab.D0)
		return pinned(t, l, 1, path, "--intf1="+netlab.D0, "--intf2="+netlab.D1), nil
	}}
}

// kernelBridge is the kernel's own, which works on the core of who sends.
func kernelBridge() device {
	return device{name: "kernel", start: func(t testing.TB, l *wire.Lab) (*netlab.Process, error) {
		wire.NAPI(t, l.Dut, netlab.D0)
		return nil, l.Dut.Do(func() error {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "br0"
			bridge := &netlink.Bridge{LinkAttrs: attrs}
			if err := netlink.LinkAdd(bridge); err != nil {
				return fmt.Errorf("bridge: %w", err)
			}
			for _, name := range []string{netlab.D0, netlab.D1} {
				port, err := netlink.LinkByName(name)
				if err == nil {
					err = netlink.LinkSetMaster(port, bridge)
				}
				if err != nil {
					return fmt.Errorf("bridge: %s: %w", name, err)
				}
			}
			return netlink.LinkSetUp(bridge)
		})
	}}
}

// redirect is no device: XDP sends at d1 what comes at d0, in the kernel.
func redirect() device {
	return device{name: "wire", start: func(t testing.TB, l *wire.Lab) (*netlab.Process, error) {
		wire.Redirect(t, l.Dut, netlab.D0, netlab.D1)
		return nil, nil
	}}
}

// libraries are what the programs in C of folder peer need; binaries where compiled has
// put them.
var (
	libraries = map[string][]string{"bridge": {"-lxdp", "-lbpf", "-lpthread"}, "watch": nil}
	binaries  = map[string]string{}
)

// compiled compiles a program in C of folder peer, once.
func compiled(t testing.TB, name string) (string, error) {
	if path := binaries[name]; path != "" {
		return path, nil
	}
	path := filepath.Join(filepath.Dir(netlab.Build(t, "./tests/bench/bridge/l2fwd")), name)
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "ethertap").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "tests/bench/bridge/peer", name+".c")
	out, err := exec.Command("cc", append([]string{"-O2", "-Wall", "-o", path, source}, libraries[name]...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot compile it (gcc, and for the bridge libxdp-dev, libbpf-dev): %v", firstLine(out))
	}
	binaries[name] = path
	return path, nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}
