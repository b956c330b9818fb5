// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// monitorDevice is where a virtual machine's tests reach its emulator: a port that
// tests/guest has joined to QEMU's monitor.
const monitorDevice = "/dev/monitor"

// monitor is the connection, one for the process: the emulator greets once.
var monitor struct {
	sync.Mutex
	file *os.File
	read *bufio.Reader
}

// tell has the emulator run a command of its QMP protocol. What it tells by itself is passed over.
func tell(command string, arguments map[string]any) error {
	monitor.Lock()
	defer monitor.Unlock()
	if monitor.file == nil {
		file, err := os.OpenFile(monitorDevice, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("monitor: %w", err)
		}
		monitor.file, monitor.read = file, bufio.NewReader(file)
		// Another test process may have done it before.
		if err := exchange("qmp_capabilities", map[string]any{}); err != nil && !strings.Contains(err.Error(), "already complete") {
			return err
		}
	}
	return exchange(command, arguments)
}

func exchange(command string, arguments map[string]any) error {
	b, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments, "id": command})
	if err != nil {
		return err
	}
	if _, err := monitor.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	for {
		line, err := monitor.read.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("monitor: %w", err)
		}
		var answer struct {
			ID    string
			Error *struct{ Desc string }
		}
		if err := json.Unmarshal(line, &answer); err != nil {
			return fmt.Errorf("monitor: %w: %s", err, line)
		}
		switch {
		case answer.ID != command:
		case answer.Error != nil:
			return fmt.Errorf("monitor: %s: %s", command, answer.Error.Desc)
		default:
			return nil
		}
	}
}

// NeedsMachine skips the test where the links are not those of a virtual machine.
func NeedsMachine(t testing.TB) {
	t.Helper()
	if !OnNICs() {
		t.Skip("the links are not those of a virtual machine: make guest-test")
	}
}

// SetCarrier plugs or pulls the cable of an end, such as D0.
func (b *Bridge) SetCarrier(t testing.TB, end string, on bool) {
	t.Helper()
	if err := tell("set_link", map[string]any{"name": end, "up": on}); err != nil {
		t.Fatal(err)
	}
}

// Unplug takes the NIC of D0 or D1 out of the machine.
func (b *Bridge) Unplug(t testing.TB, end string) {
	t.Helper()
	if err := tell("device_del", map[string]any{"id": end}); err != nil {
		t.Fatal(err)
	}
}

// Plug puts a NIC like the one before into the place of an end, in its namespace and up.
func (b *Bridge) Plug(t testing.TB, end string, o Options) {
	t.Helper()
	device := emulated(t)
	maps.Copy(device, map[string]any{"id": end, "netdev": fmt.Sprintf("net%d", place(end)), "bus": fmt.Sprintf("port%d", place(end)),
		"mac": fmt.Sprintf("02:00:00:00:00:%02x", place(end)), "romfile": ""})
	// The port is free when the kernel has let go of what was there.
	for deadline := time.Now().Add(nicPatience); ; time.Sleep(20 * time.Millisecond) {
		err := tell("device_add", device)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for _, e := range b.ends() {
		if e.link == end {
			takeNIC(t, e.n, end, o)
			e.n.SetUp(end)
		}
	}
}
