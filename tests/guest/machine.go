// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A machine is a guest that runs.
type machine struct {
	cmd     *exec.Cmd
	results *os.File // what the guest writes to the port "results"
	console string   // file with what its kernel says
	errors  string   // file with what the emulator says
	ended   chan struct{}
}

// device is the emulator's option for a NIC under test. Without iommu_platform the driver of
// virtio has no zero-copy, since that needs the kernel's DMA interface. No NIC has a ROM: a guest
// does not start from the network.
func device(nic string) (driver string, properties map[string]any) {
	switch nic {
	case "virtio":
		return "virtio-net-pci", map[string]any{"disable-legacy": "on", "iommu_platform": true, "rx_queue_size": 1024}
	default:
		return nic, nil
	}
}

// option is the device as an option of the emulator's command line.
func option(nic string) string {
	driver, properties := device(nic)
	text := driver + ",romfile="
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		switch value := properties[name]; value {
		case true:
			text += "," + name + "=on"
		default:
			text += fmt.Sprintf(",%s=%v", name, value)
		}
	}
	return text
}

// properties is the device as JSON, for tests that plug one in.
func properties(nic string) string {
	driver, properties := device(nic)
	all := maps.Clone(properties)
	if all == nil {
		all = map[string]any{}
	}
	all["driver"] = driver
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings, numbers and truth values
	}
	return string(b)
}

// outer is the device at the ends where tests send and receive: it changes no frame.
const outer = "virtio-net-pci,romfile=,disable-legacy=on,rx_queue_size=1024,csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off," +
	"guest_ufo=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off,guest_uso4=off,guest_uso6=off,host_uso=off"

// nics are the options for the four NICs and two hubs of the lab: s0 – hub – d0, d1 – hub – k1, as
// tests/netlab expects them, each behind a port of its own so that it can be unplugged. The names
// are those that tests use to speak to the virtual machine.
func nics(nic string) []string {
	var args []string
	for i, n := range []struct{ name, device string }{{"s0", outer}, {"d0", option(nic)}, {"d1", option(nic)}, {"k1", outer}} {
		place := i + 1
		args = append(args,
			"-device", fmt.Sprintf("pcie-root-port,id=port%d,chassis=%d,slot=%d", place, place, place),
			"-netdev", fmt.Sprintf("hubport,id=net%d,hubid=%d", place, i/2),
			"-device", fmt.Sprintf("%s,id=%s,netdev=net%d,bus=port%d,mac=02:00:00:00:00:%02x", n.device, n.name, place, place, place))
	}
	return args
}

// accelerators are the ways to run a guest, the better first.
var accelerators = [][]string{
	{"-accel", "kvm", "-cpu", "host"},
	{"-accel", "tcg,thread=multi", "-cpu", "max"},
}

// start starts a guest. What it needs besides is in dir, which the caller removes.
func start(qemu, dir string, accelerator []string, k kernel, initrd, nic string) (*machine, error) {
	m := &machine{console: filepath.Join(dir, "console"), errors: filepath.Join(dir, "emulator"), ended: make(chan struct{})}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	read, write := os.NewFile(uintptr(pair[0]), "results"), os.NewFile(uintptr(pair[1]), "results")
	defer write.Close()
	monitor := filepath.Join(dir, "monitor")
	share := filepath.Join(qemu, "usr/share")
	args := append([]string{"-L", filepath.Join(share, "qemu"), "-L", filepath.Join(share, "seabios")}, accelerator...)
	args = append(args, "-M", "q35", "-smp", "2", "-m", "2048", "-nodefaults", "-no-reboot", "-display", "none",
		"-kernel", k.image, "-initrd", initrd,
		"-append", "console=ttyS0 loglevel=5 panic=-1 mitigations=off rcupdate.rcu_expedited=1",
		"-serial", "file:"+m.console,
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=results,fd=3", "-device", "virtserialport,chardev=results,name=results",
		// The emulator's monitor is joined to a port of the guest, whose tests unplug its NICs.
		"-chardev", "socket,id=control,server=on,wait=off,path="+monitor, "-mon", "chardev=control,mode=control",
		"-chardev", "socket,id=monitor,path="+monitor, "-device", "virtserialport,chardev=monitor,name=monitor")
	if nic != "" {
		args = append(args, nics(nic)...)
	}
	m.cmd = from(qemu, "usr/bin/qemu-system-x86_64", args...)
	m.cmd.ExtraFiles = []*os.File{write} // the first has number 3
	says, err := os.Create(m.errors)
	if err != nil {
		return nil, errors.Join(err, read.Close())
	}
	defer says.Close()
	m.cmd.Stdout, m.cmd.Stderr = says, says
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := m.cmd.Start(); err != nil {
		read.Close()
		return nil, fmt.Errorf("start the emulator: %w", err)
	}
	m.results = read
	go func() {
		_ = m.cmd.Wait() // how it ended is in ProcessState
		close(m.ended)
	}()
	return m, nil
}

// stop ends the guest, if it has not ended, and lets go of what it had.
func (m *machine) stop() error {
	if err := m.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-m.ended
	return m.results.Close()
}

// trouble is what the emulator complained of, in one line.
func (m *machine) trouble() string {
	said, err := os.ReadFile(m.errors)
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(string(said)) {
		if text := strings.TrimSpace(line); text != "" {
			return text
		}
	}
	return ""
}

// chooseAccelerator tells in which way a guest of this kernel comes up, and in words.
func chooseAccelerator(qemu, dir string, k kernel, initrd string) ([]string, string, error) {
	file, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return accelerators[1], fmt.Sprintf("emulation, since KVM cannot be had: %v", err), nil
	}
	m, err := start(qemu, dir, accelerators[0], k, initrd, "")
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, "", err
	}
	why := m.comesUp(20 * time.Second)
	if err := m.stop(); err != nil {
		return nil, "", err
	}
	if why == "" {
		return accelerators[0], "KVM", nil
	}
	return accelerators[1], "emulation, since KVM does not do: " + why, nil
}

// comesUp waits for the guest's first word, and says why none comes. Where a processor cannot do
// what KVM is asked for the emulator goes on and does nothing more.
func (m *machine) comesUp(patience time.Duration) (why string) {
	came := make(chan int, 1)
	go func() {
		n, _ := m.results.Read(make([]byte, 1)) // 0 at its end
		came <- n
	}()
	deadline := time.After(patience)
	for look := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case n := <-came:
			if n > 0 {
				return ""
			}
			return cmp.Or(m.trouble(), "the emulator ended")
		case <-look.C:
			if why := m.trouble(); why != "" {
				return why
			}
		case <-deadline:
			return fmt.Sprintf("the guest does not come up within %v", patience)
		}
	}
}

// kill ends the guest; those who wait for it notice.
func (m *machine) kill() { _ = m.cmd.Process.Kill() }
