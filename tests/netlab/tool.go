// SPDX-License-Identifier: BSD-3-Clause

package netlab

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Capture is a tcpdump that records a link into a pcap file.
type Capture struct {
	*Process
	Path string
}

// Tcpdump records what passes a link, both ways, all bytes, with times in ns and a filter of
// tcpdump's or "". It returns when tcpdump listens. Without tcpdump the test is
// skipped, or fails when CI=true.
func (n *Namespace) Tcpdump(link, filter string) *Capture {
	n.t.Helper()
	tool := RequireTool(n.t, "tcpdump")
	c := &Capture{Path: filepath.Join(n.t.TempDir(), link+".pcap")}
	// -Z root: keep the right to write there; -U and immediate mode: every
	// frame at once.
	args := []string{"-i", link, "-s", "0", "-U", "--immediate-mode", "-n", "-Z", "root", "-B", "65536", "--time-stamp-precision=nano", "-w", c.Path}
	if filter != "" {
		args = append(args, filter)
	}
	c.Process = n.Start(tool, args...)
	if err := c.WaitOutput("listening on", 20*time.Second); err != nil {
		n.t.Fatal(err)
	}
	return c
}

// Stop waits until at least n frames are in the file, since tcpdump throws away
// what it has not read yet when it ends, then ends it.
func (c *Capture) Stop(n int) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		got, err := c.count()
		if err != nil {
			return err
		}
		if got >= n {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("tcpdump: %d of %d frames in the file", got, n)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := c.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("tcpdump: %w", err)
	}
	status, err := c.Wait(20 * time.Second)
	if err == nil && status != 0 {
		err = fmt.Errorf("tcpdump: exit status %d: %s", status, c.Output())
	}
	return err
}

// count counts the complete frames in the file, whose end may still be under
// way: a header of 24 bytes, then with every frame one of 16, in the byte order
// of this machine.
func (c *Capture) count() (int, error) {
	b, err := os.ReadFile(c.Path)
	if err != nil {
		return 0, fmt.Errorf("capture: %w", err)
	}
	n := 0
	for at := 24; at+16 <= len(b); n++ {
		at += 16 + int(binary.NativeEndian.Uint32(b[at+8:]))
		if at > len(b) {
			break
		}
	}
	return n, nil
}

// Tshark reads a capture file with tshark, outside of any namespace, and
// returns the lines it prints. Its arguments beside -r are the caller's.
// Without tshark the test is skipped, or fails when CI=true.
func Tshark(t testing.TB, file string, args ...string) []string {
	t.Helper()
	tool := RequireTool(t, "tshark")
	cmd := exec.Command(tool, append([]string{"-n", "-r", file}, args...)...)
	stdout, stderr, status := Run(t, cmd)
	if status != 0 {
		t.Fatalf("%s: exit status %d: %s", cmd, status, stderr)
	}
	if stdout = strings.TrimRight(stdout, "\n"); stdout == "" {
		return nil
	}
	return strings.Split(stdout, "\n")
}
