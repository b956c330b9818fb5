// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ethertap/shm"
)

// The list shows of each queue what waits, what is tapped, and who is there, and what is
// no queue it leaves alone.
func TestList(t *testing.T) {
	queue := setup(t)
	foreign := queue + ".foreign"
	if err := os.WriteFile("/dev/shm/"+foreign, []byte("not a queue"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove("/dev/shm/" + foreign) })
	shown := func(args ...string) string {
		t.Helper()
		status, out, errs := outcome(t, command(t, append(args, "--list", "-q", queue)...))
		if status != 0 || errs != "" {
			t.Fatalf("status %d, %q", status, errs)
		}
		return out
	}
	p := producer(t, queue)
	q, err := shm.Open(queue, shm.Options{Role: shm.RoleOther, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.SetInterfaces([]shm.Interface{
		{Index: 0, Name: "a", MAC: [6]byte{2, 0, 0, 0, 0, 1}, Taps: shm.TapStated | shm.TapRX | shm.TapTX},
		{Index: 1, Name: "b", Taps: shm.TapStated | shm.TapRX | shm.TapHosts | shm.TapFilter},
		{Index: 2, Name: "c", Taps: shm.TapStated},
		{Index: 3, Name: "d"},
	}); err != nil {
		t.Fatal(err)
	}
	put(t, p, 0, 5)
	row := func(name, text string) string { return fmt.Sprintf("  %-13s %s\n", name, text) }
	filled := row("filled by", fmt.Sprintf("other PID %d (test)", os.Getpid()))
	want := queue + "\n" + row("waiting", "5 of 4096 packets of up to 2048 bytes") +
		row("taps", "a RX and TX, b RX of some hosts by a filter, c none, d unknown") + filled
	if out := shown(); out != want+row("collected by", "nobody") {
		t.Errorf("%q, want %q", out, want)
	}
	c := command(t, "-nsq", queue, "--name", "west", os.DevNull)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the collector is listed", func() bool {
		return strings.HasSuffix(shown(), row("collected by", fmt.Sprintf("collect PID %d (west)", c.Process.Pid))) && strings.Contains(shown(), "waiting       0 of")
	})
	out := shown("--json")
	var v listing
	if err := json.Unmarshal([]byte(out), &v); err != nil || len(v.Queues) != 1 || strings.Count(out, "\n") != 1 {
		t.Fatalf("%q: %v", out, err)
	}
	got := v.Queues[0]
	if got.Name != queue || got.Waiting != 0 || got.Slots != 4096 || got.Inserted != 5 || len(got.Interfaces) != 4 || got.Interfaces[0].MAC != "02:00:00:00:00:01" ||
		len(got.Producers) != 1 || got.Producers[0].Packets != 5 || len(got.Consumers) != 1 || got.Consumers[0].PID != c.Process.Pid || got.Consumers[0].Name != "west" {
		t.Errorf("%+v", got)
	}
	c.Process.Signal(unix.SIGTERM)
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	p.Close()
	if out := shown(); !strings.Contains(out, row("filled by", "nobody")) || strings.Contains(out, "taps") {
		t.Errorf("without a producer: %q", out)
	}

	if status, out, errs := outcome(t, command(t, "--list")); status != 0 || !strings.Contains(out, queue+"\n  waiting ") || strings.Contains(out, foreign) || errs != "" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	for args, want := range map[string]string{
		"--list x.pcap": "--list does not record; name no file",
		"--json x.pcap": "--json is for --list",
		"--list --capture --extcap-interface x --fifo y": "--list does not record",
	} {
		if status, _, errs := outcome(t, command(t, strings.Fields(args)...)); status != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: status %d, %q", args, status, errs)
		}
	}
	if status, out, errs := outcome(t, command(t, "--list", "-q", foreign)); status != 1 || out != "" || errs != "collect: there is no queue "+foreign+"\n" {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}
